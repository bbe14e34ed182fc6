//! Publishing: messages with labels, answers to them, and a second attempt with the same id where it is safe.

use realtime_connector_core::command::{Ack, Command, Publish, Target};
use realtime_connector_core::id::{AppId, Audience, ChannelKey, EventType, MessageId, MessageKey, UserId};
use realtime_connector_core::publish::{Origin, PublishResult, Publisher};
use realtime_connector_core::rejection::RejectionKind;
use realtime_connector_core::session::Reply as Path;
use realtime_connector_core::worker::publishing::{draft, fresh_id};
use realtime_connector_core::worker::{Call, Input};

use super::hearing::noted;
use super::person::{Attempt, Kind, Pending};
use super::{Event, USERS, World, journal_name};
use crate::checker::{Outcome, Sent};
use crate::model::{label, payload};
use crate::node::{Caller, Front, Up};
use crate::plan::CHANNELS;
use std::time::Duration;

/// How long a caller waits for an answer, as in the server.
const ANSWER_US: u64 = 10_000_000;
/// The longest way of a request to the server.
const REQUEST_US_MAX: u64 = 5_000;
/// How long somebody insists on a message. Far less than ids are remembered for.
const INSIST_US: u64 = 60_000_000;

impl World {
    /// Publishes something new, or what is to be sent again.
    pub(super) fn publish(&mut self, who: usize) {
        if let Some(attempt) = self.people[who].again.take() {
            // Whoever was away for so long cannot know whether its id is still remembered.
            if self.now_us - attempt.begun_us > INSIST_US {
                self.people[who].generation += 1;
                return;
            }
            return self.attempt(who, attempt);
        }
        if !self.people[who].pipelines && self.people[who].waits_for_publish() {
            return;
        }
        let messages = 1 + self.rng.below(3) * u64::from(self.people[who].pipelines);
        for _ in 0..messages {
            let attempt = Box::new(self.message(who));
            self.attempt(who, attempt);
        }
    }

    fn message(&mut self, who: usize) -> Attempt {
        let filling = self.rng.below(120) as usize;
        let is_signal = self.rng.percent(8);
        let target = self.target(is_signal);
        let exclude = self.rng.percent(10);
        let ttl = self.rng.percent(12).then(|| Duration::from_millis(self.rng.within(200, 8_000)));
        let ack = *self.rng.pick(&[None, None, None, None, Some(Ack::Node), Some(Ack::None), Some(Ack::Stored)]);
        let has_id = self.rng.percent(85);
        let key = *self.rng.pick(&[None, None, Some("a"), Some("b")]);
        let key = key.map(|key| MessageKey::parse(key).expect("a key"));
        let person = &mut self.people[who];
        person.seq += 1;
        let data = payload(&person.publisher(), person.seq, filling);
        let id = format!("{}-{}", person.publisher(), person.seq);
        let is_named = person.user.is_some() || person.kind == Kind::Api;
        let repeats = has_id && is_named && !is_signal && !person.pipelines;
        let exclude = person.id().filter(|_| exclude && !is_signal && person.kind != Kind::Api);
        let publish = Publish {
            target: target.clone(),
            event_type: EventType::parse("said").expect("a type"),
            data: data.into(),
            id: has_id.then(|| MessageId::parse(&id).expect("an id")),
            key,
            meta: None,
            ephemeral: is_signal,
            exclude: exclude.into_iter().collect(),
            ack: ack.filter(|_| !is_signal),
            ttl,
        };
        Attempt { channel: heard_in(target), publish, begun_us: self.now_us, repeats }
    }

    fn target(&mut self, is_signal: bool) -> Target {
        let name = super::channel(self.rng.pick::<&str>(&CHANNELS));
        let user = self.rng.pick(&USERS).unwrap_or("ada");
        let user = UserId::parse(user).expect("a name");
        match self.rng.below(100) {
            0..10 => Target::Everyone,
            10..22 => Target::User(user),
            22..40 if is_signal => Target::UserInChannel { user, channel: name },
            _ => Target::Channel(name),
        }
    }

    /// Sends a message, if there is a way.
    fn attempt(&mut self, who: usize, attempt: Box<Attempt>) {
        let person = &self.people[who];
        if person.kind == Kind::Api {
            return self.call_publish(who, attempt);
        }
        if !person.is_connected {
            // Nothing was sent, so that nothing can have come of it.
            self.people[who].again = attempt.repeats.then_some(attempt);
            return;
        }
        let publish = attempt.publish.clone();
        self.send(who, Command::Publish(Box::new(publish)), Pending::Publish(attempt));
    }

    /// Sends a command: over the WebSocket, or by a POST of its own.
    pub(super) fn send(&mut self, who: usize, command: Command, pending: Pending) {
        let person = &mut self.people[who];
        let (node, link) = (person.node, person.link);
        let reference = person.reference();
        if person.kind == Kind::WebSocket {
            person.pending.insert(reference, (link, pending));
            return self.send_up(who, Up::Frame(Box::new(command), Some(reference)));
        }
        let Some(id) = person.id() else { return };
        let caller = Caller { person: who, reference };
        let Some(ticket) = self.with(node, |process, _| process.ticket(caller)) else { return };
        let reply = Path::Call { ticket, reference: Some(reference) };
        let input = Box::new(Input::Command { connection: id.key, command, reply });
        self.people[who].pending.insert(reference, (link, pending));
        self.request(node, usize::from(id.worker.0), Front::Post(input), caller);
    }

    /// Something is on its way to a worker, and somebody waits for the answer for a while.
    pub(super) fn request(&mut self, node: usize, worker: usize, front: Front, caller: Caller) {
        let at_us = self.now_us + self.rng.below(REQUEST_US_MAX);
        let life = self.nodes[node].life;
        self.plan_event(at_us, Event::Front { node, life, worker, front });
        self.plan_event(self.now_us + ANSWER_US, Event::GiveUp { caller });
    }

    fn call_publish(&mut self, who: usize, attempt: Box<Attempt>) {
        let node = self.people[who].node;
        let reference = self.people[who].reference();
        let caller = Caller { person: who, reference };
        let publish = attempt.publish.clone();
        let channel = if let Target::UserInChannel { user, .. } = &publish.target {
            ChannelKey::user(AppId::default(), user.clone())
        } else {
            attempt.channel.clone()
        };
        let random = self.rng.number();
        let Some((worker, ticket, now)) =
            self.with(node, |process, present| (process.home(&channel), process.ticket(caller), present.now))
        else {
            self.people[who].again = attempt.repeats.then_some(attempt);
            return;
        };
        let publisher = Publisher::Server("key".into());
        let draft = draft(AppId::default(), publish, None, publisher, fresh_id(now, random), Origin::Call { ticket });
        self.people[who].pending.insert(reference, (None, Pending::Publish(attempt)));
        self.request(node, worker, Front::Call(ticket, Call::Publish(Box::new(draft))), caller);
    }

    /// What became of a message.
    pub(super) fn hear_result(&mut self, who: usize, attempt: Box<Attempt>, result: PublishResult) {
        let outcome = match result {
            Ok(published) => match published.position {
                Some(position) => Outcome::Acknowledged { position: noted(&position), duplicate: published.duplicate },
                // In no log, or not told where.
                None => Outcome::Unknown,
            },
            Err(rejection) if is_open(rejection.kind) => Outcome::Unknown,
            Err(rejection) => {
                if rejection.kind == RejectionKind::Conflict {
                    self.violations.push(format!("I3 p{who}: the same message is a conflict: {rejection}"));
                }
                Outcome::Refused
            }
        };
        self.settle(who, attempt, outcome);
    }

    /// Nobody will answer any more.
    pub(super) fn lose_answer(&mut self, who: usize, pending: Pending) {
        match pending {
            Pending::Publish(attempt) => self.settle(who, attempt, Outcome::Unknown),
            Pending::Subscribe(channel) if self.people[who].kind == Kind::EventSource => self.leave(who, &channel),
            Pending::Unsubscribe(channel) => drop(self.people[who].leaving.remove(&channel)),
            // A client that knows its channels lists them when it comes back.
            Pending::Subscribe(_) | Pending::Connect | Pending::History(..) => {}
            Pending::Saying(saying) => self.say_again(who, *saying, None),
            Pending::Consume(..) | Pending::Take(..) => {}
            Pending::Purge | Pending::Walk | Pending::Other => {}
        }
    }

    pub(super) fn give_up(&mut self, caller: Caller) {
        if let Some((_, pending)) = self.people[caller.person].pending.remove(&caller.reference) {
            self.say(|| format!("p{} gives up {pending:?}", caller.person));
            self.lose_answer(caller.person, pending);
        }
    }

    /// Notes an attempt, and decides whether there is another one.
    fn settle(&mut self, who: usize, mut attempt: Box<Attempt>, outcome: Outcome) {
        let channel = journal_name(self.people[who].node, &attempt.channel);
        let (label, is_final) = (label(&attempt.publish.data), matches!(outcome, Outcome::Acknowledged { .. }));
        self.say(|| format!("p{who}: {} {} is {outcome:?}", label.publisher, label.seq));
        self.journals.sent.push(Sent { channel, label, outcome });
        if is_final {
            return;
        }
        let is_young = self.now_us - attempt.begun_us < INSIST_US;
        let wanted = !attempt.publish.ephemeral && attempt.publish.ack != Some(Ack::Stored);
        if attempt.repeats && is_young && wanted && (!self.is_active || self.rng.percent(90)) {
            // With the answer that tells the place.
            attempt.publish.ack = None;
            self.people[who].again = Some(attempt);
        } else {
            self.people[who].generation += 1;
        }
    }
}

/// Whether a refusal leaves open what became of the message.
const fn is_open(kind: RejectionKind) -> bool {
    matches!(kind, RejectionKind::Unavailable | RejectionKind::Timeout | RejectionKind::Internal)
}

/// The channel a message is heard in.
fn heard_in(target: Target) -> ChannelKey {
    let app = AppId::default();
    match target {
        Target::Everyone => ChannelKey::everyone(app),
        Target::User(user) => ChannelKey::user(app, user),
        Target::Channel(channel) | Target::UserInChannel { channel, .. } => {
            ChannelKey { app, audience: Audience::Named(channel) }
        }
    }
}
