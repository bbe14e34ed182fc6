//! What people do by themselves. An operation that somebody cannot carry out is left out.
//!
//! Inboxes are not simulated yet. Their acks get an [`Operation`] here, as those of durable consumers have one (`consuming.rs`), an answer
//! in `hearing.rs`, what is promised in [`crate::model::Model`], and their part of `checker/i8_redelivery.rs`. The disk keeps their state
//! already: [`crate::disk::DiskState`].

use realtime_connector_core::command::{Command, History, Listen, Subscribe};
use realtime_connector_core::history::{Direction, Query, Span};
use realtime_connector_core::id::{AppId, ChannelKey};
use realtime_connector_core::position::{Position, Start};
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::worker::{Call, ConnectionQuery};

use super::person::{Kind, Pending};
use super::{Event, World, channel, journal_name};
use crate::checker::{Happened, Outcome};
use crate::node::{Caller, Front};
use crate::plan::CHANNELS;

/// How long somebody does not read at most.
const SLOW_US_MAX: u64 = 6_000_000;
/// Between two attempts once everybody only finishes what was begun.
const FINISH_US: u64 = 200_000;

/// What one person does at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Publish,
    Subscribe,
    Unsubscribe,
    /// Asks about the past.
    History,
    Ping,
    /// Stops reading for a while.
    Slow,
    /// Its network breaks, with or without the server's knowledge, or it closes its socket.
    Cut,
    /// Says that it leaves.
    Close,
    /// An operator removes messages.
    Purge,
    /// An operator ends a connection.
    Disconnect,
    /// An operator looks around.
    Look,
    /// Takes messages of a durable consumer, or no more.
    Consume,
    /// Says what became of deliveries.
    Speak,
    /// An operator looks after dead letters.
    LookAfter,
}

/// Operations of somebody with a connection, and how often they are chosen.
const OF_CLIENTS: [(Operation, u64); 10] = [
    (Operation::Publish, 55),
    (Operation::Subscribe, 9),
    (Operation::Unsubscribe, 6),
    (Operation::History, 6),
    (Operation::Ping, 3),
    (Operation::Slow, 8),
    (Operation::Cut, 12),
    (Operation::Close, 1),
    (Operation::Consume, 8),
    (Operation::Speak, 25),
];

/// Operations of a server with a key.
const OF_SERVERS: [(Operation, u64); 8] = [
    (Operation::Publish, 80),
    (Operation::History, 8),
    (Operation::Purge, 2),
    (Operation::Disconnect, 3),
    (Operation::Look, 7),
    (Operation::Consume, 10),
    (Operation::Speak, 15),
    (Operation::LookAfter, 4),
];

impl World {
    /// A person does something, and plans to do something again.
    pub(super) fn act(&mut self, who: usize) {
        let pause_us = if self.is_active { self.plan.pause_us_max } else { FINISH_US };
        let at_us = self.now_us + 1 + self.rng.below(pause_us);
        self.plan_event(at_us, Event::Act { who });
        if self.nodes[self.people[who].node].process.is_none() {
            return;
        }
        if !self.is_active {
            if self.people[who].again.is_some() {
                self.publish(who);
            }
            if !self.is_resting {
                self.finish_work(who);
            }
            return;
        }
        if self.people[who].again.is_some() && self.rng.percent(70) {
            return self.publish(who);
        }
        let is_server = self.people[who].kind == Kind::Api;
        let operations: &[(Operation, u64)] = if is_server { &OF_SERVERS } else { &OF_CLIENTS };
        let operation = self.choose(operations);
        if is_server {
            self.operate(who, operation);
        } else if self.people[who].is_connected {
            self.behave(who, operation);
        }
    }

    fn choose(&mut self, operations: &[(Operation, u64)]) -> Operation {
        let mut left = self.rng.below(operations.iter().map(|(_, weight)| weight).sum());
        for (operation, weight) in operations {
            if left < *weight {
                return *operation;
            }
            left -= weight;
        }
        Operation::Ping
    }

    /// Somebody with a connection.
    fn behave(&mut self, who: usize, operation: Operation) {
        match operation {
            Operation::Publish => self.publish(who),
            Operation::Subscribe => self.subscribe(who),
            Operation::Unsubscribe => {
                let name = channel(self.rng.pick::<&str>(&CHANNELS));
                let key = ChannelKey::named(AppId::default(), name.clone());
                if self.people[who].views.contains_key(&key) && !self.people[who].waits_for_channel(&key) {
                    self.unsubscribe(who, name);
                }
            }
            Operation::History => {
                let (name, query) = (channel(self.rng.pick::<&str>(&CHANNELS)), self.query());
                let key = ChannelKey::named(AppId::default(), name.clone());
                let history = Box::new(History { listen: Listen::Named(name), query: query.clone() });
                self.send(who, Command::History(history), Pending::History(key, query.limit));
            }
            Operation::Ping => self.send(who, Command::Ping, Pending::Other),
            Operation::Slow => {
                self.people[who].slow_until_us = self.now_us + self.rng.below(SLOW_US_MAX);
            }
            Operation::Cut => {
                let how = *self.rng.pick(&[Some(Lost::Dropped), Some(Lost::Dropped), Some(Lost::Closed), None]);
                self.cut(who, how);
            }
            Operation::Close => self.send(who, Command::Close, Pending::Other),
            Operation::Consume => self.consume(who),
            Operation::Speak => self.speak(who),
            Operation::Purge | Operation::Disconnect | Operation::Look | Operation::LookAfter => {}
        }
    }

    fn subscribe(&mut self, who: usize) {
        let name = channel(self.rng.pick::<&str>(&CHANNELS));
        let key = ChannelKey::named(AppId::default(), name.clone());
        let person = &self.people[who];
        if person.views.contains_key(&key) || person.leaving.contains(&key) || person.waits_for_channel(&key) {
            return;
        }
        // On an event stream frames of the former subscription may still be on their way.
        let former = self.people[who].left.get(&key).cloned();
        let since = former.filter(|_| self.people[who].kind == Kind::WebSocket && self.rng.percent(60));
        self.begin_view(who, key.clone(), since.clone());
        let start = since.map_or(Start::Now, Start::Since);
        let subscribe = Subscribe { listen: Listen::Named(name), start };
        self.send(who, Command::Subscribe(subscribe), Pending::Subscribe(key));
    }

    fn query(&mut self) -> Query {
        let direction = *self.rng.pick(&[Direction::Forward, Direction::Backward]);
        Query { span: Span::All(direction), limit: self.rng.within(1, 30) as u32 }
    }

    /// A server, by calls.
    fn operate(&mut self, who: usize, operation: Operation) {
        let node = self.people[who].node;
        match operation {
            Operation::Publish => self.publish(who),
            Operation::History => {
                let key = ChannelKey::named(AppId::default(), channel(self.rng.pick::<&str>(&CHANNELS)));
                let query = self.query();
                let pending = Pending::History(key.clone(), query.limit);
                self.call_home(who, &key.clone(), Call::History { channel: key, query }, pending);
            }
            Operation::Purge => self.purge(who),
            Operation::Disconnect => {
                let somebody = self.rng.below(self.people.len() as u64) as usize;
                let person = &self.people[somebody];
                if let Some(id) = person.id().filter(|_| person.is_connected && person.node == node) {
                    let call = Call::Disconnect { connection: id.key, reason: None };
                    self.call(who, usize::from(id.worker.0), call, Pending::Other);
                }
            }
            Operation::Look => {
                let query = ConnectionQuery { limit: 3, ..ConnectionQuery::default() };
                let calls = [
                    Call::Connections(query),
                    Call::Channels { app: AppId::default(), after: 0, limit: 3 },
                    Call::Figures,
                ];
                for call in calls {
                    let worker = self.any_worker(node);
                    self.call(who, worker, call, Pending::Other);
                }
            }
            Operation::Consume => self.take_work(who),
            Operation::Speak => self.speak(who),
            Operation::LookAfter => self.look_after_consumers(who),
            Operation::Subscribe
            | Operation::Unsubscribe
            | Operation::Ping
            | Operation::Slow
            | Operation::Cut
            | Operation::Close => {}
        }
    }

    /// Removes messages up to one that was acknowledged.
    fn purge(&mut self, who: usize) {
        let node = self.people[who].node;
        let key = ChannelKey::named(AppId::default(), channel(self.rng.pick::<&str>(&CHANNELS)));
        let name = journal_name(node, &key);
        let known = self.journals.sent.iter().filter(|sent| sent.channel == name);
        let places: Vec<_> = known
            .filter_map(|sent| match &sent.outcome {
                Outcome::Acknowledged { position, .. } => Some(position.clone()),
                Outcome::Refused | Outcome::Unknown => None,
            })
            .collect();
        if places.is_empty() {
            return;
        }
        let place = self.rng.pick(&places).clone();
        let epoch = realtime_connector_core::position::Epoch::parse(&place.epoch).expect("it was one");
        let through = Position { epoch, offset: place.offset };
        self.nodes[node].disk.borrow().model.borrow_mut().may_purge(&key, &through);
        self.purges.push((name, place.clone()));
        self.note_consumers(node, Some(&key), &Happened::Purges(place));
        self.call_home(who, &key.clone(), Call::Purge { channel: key, through: Some(through) }, Pending::Purge);
    }

    pub(super) fn call_home(&mut self, who: usize, key: &ChannelKey, call: Call, pending: Pending) {
        let process = self.nodes[self.people[who].node].process.as_ref();
        if let Some(worker) = process.map(|process| process.home(key)) {
            self.call(who, worker, call, pending);
        }
    }

    fn call(&mut self, who: usize, worker: usize, call: Call, pending: Pending) {
        let node = self.people[who].node;
        let reference = self.people[who].reference();
        let caller = Caller { person: who, reference };
        if let Some(ticket) = self.with(node, |process, _| process.ticket(caller)) {
            self.people[who].pending.insert(reference, (None, pending));
            self.request(node, worker, Front::Call(ticket, call), caller);
        }
    }
}
