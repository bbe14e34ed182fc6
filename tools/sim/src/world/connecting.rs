//! Connections of people: how they begin, how they end, and with which positions they begin again.

use std::net::SocketAddr;

use realtime_connector_core::command::{Command, Connect, Listen, Subscribe};
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::{AppId, Audience, ChannelKey, ConnectionKey};
use realtime_connector_core::position::{Position, Start};
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::session::{Client, Protocol, Provider};
use realtime_connector_core::worker::Opened;
use realtime_connector_wire::cursor::Cursor;

use super::person::{Kind, Pending, Person};
use super::{Event, World};
use crate::node::{Front, Link, LinkId, Process, Stage, Up, identity};

/// The longest way of a byte to the server.
const UPLINK_US_MAX: u64 = 4_000;
/// As the server asks its kernel for it.
const TCP_USER_TIMEOUT_US: u64 = 30_000_000;
/// How long somebody waits before connecting again, at most, once nothing goes wrong any more.
const AGAIN_US_MAX: u64 = 1_500_000;

impl World {
    /// A person connects, if there is a node to connect to.
    pub(super) fn connect(&mut self, who: usize) {
        let (node, kind) = (self.people[who].node, self.people[who].kind);
        if self.people[who].link.is_some() {
            return;
        }
        if self.nodes[node].process.as_ref().is_none_or(|process| process.is_draining) {
            return self.connect_later(who);
        }
        let dialect = match kind {
            Kind::WebSocket | Kind::Api => Dialect::WebSocketJson,
            Kind::EventSource => Dialect::SseData,
            Kind::Posted => Dialect::SseFrames,
        };
        let connect = self.first_words(who);
        self.next_link += 1;
        let id = self.next_link;
        let person = &mut self.people[who];
        (person.link, person.is_connected, person.begins_anew) = (Some(id), false, false);
        person.leaving.clear();
        let reference = person.reference();
        let identity = identity(person.user.clone());
        let in_url = kind != Kind::WebSocket || (!person.by_token && self.rng.percent(30));
        let (identity, token) = if person.by_token {
            (None, Some(person.user.as_ref().map_or("$", |user| user.as_str()).to_owned()))
        } else {
            (Some(identity), None)
        };
        person.pending.insert(reference, (Some(id), Pending::Connect));
        let connect = Connect { token, ..connect };
        let provider = if dialect.is_sse() { Provider::Sse } else { Provider::WebSocket };
        let address = SocketAddr::from(([127, 0, 0, 1], 4_000));
        let client = Client { provider, address, user_agent: None, protocol: Protocol::Http1 };
        let room = *self.rng.pick(&[1, 2, 4, 16, 64]);
        let (first, later) = if in_url { (Some(connect), None) } else { (None, Some(connect)) };
        let nowhere = ConnectionKey { slot: 0, generation: 0 };
        let opened = Opened {
            connection: nowhere,
            dialect,
            client,
            identity,
            reference: first.as_ref().map(|_| reference),
            connect: first,
        };
        let worker = self.worker_for(who);
        let mut link = Link::new(worker, dialect, room);
        let at_us = self.now_us + self.rng.below(UPLINK_US_MAX);
        if let Some(connect) = later {
            link.send(at_us, Up::Frame(Box::new(Command::Connect(Box::new(connect))), Some(reference)));
        }
        self.owners.insert(id, who);
        self.with(node, |process, _| process.links.insert(id, link));
        let life = self.nodes[node].life;
        self.plan_event(at_us, Event::Front { node, life, worker, front: Front::Adopt(id, Box::new(opened)) });
        self.say(|| format!("p{who} connects as link {id} ({kind:?}) to worker {worker}"));
    }

    /// A user's connections mostly go to the user's home, others anywhere.
    fn worker_for(&mut self, who: usize) -> usize {
        let node = self.people[who].node;
        let any = self.any_worker(node);
        let person = &self.people[who];
        let Some(user) = person.user.clone().filter(|_| !person.by_token) else { return any };
        let process = self.nodes[person.node].process.as_ref();
        process.map_or(any, |process| process.home(&ChannelKey::user(AppId::default(), user)))
    }

    /// What the client lists, by the rules of its kind.
    fn first_words(&mut self, who: usize) -> Connect {
        let resumes = self.rng.percent(85);
        let disk = self.nodes[self.people[who].node].disk.borrow();
        for (channel, view) in &mut self.people[who].views {
            view.floor = disk.trimmed(channel);
        }
        drop(disk);
        let person = &mut self.people[who];
        let former = person.id().filter(|_| person.resumes && resumes);
        let mut connect = Connect { former, ..Connect::default() };
        if person.kind == Kind::EventSource {
            let named = |name| Subscribe { listen: Listen::Named(name), start: Start::Now };
            connect.subscriptions = person.url.iter().cloned().map(named).collect();
            connect.former = None;
            for view in person.views.values_mut() {
                view.since = None;
            }
            self.restore(who, &mut connect);
            return connect;
        }
        for (channel, view) in &mut person.views {
            let listen = match &channel.audience {
                Audience::Everyone => Listen::Everyone,
                Audience::User(_) => Listen::OwnUser,
                Audience::Named(name) => Listen::Named(name.clone()),
            };
            view.since.clone_from(&view.position);
            view.early.clear();
            let start = view.position.clone().map_or(Start::Now, Start::Since);
            connect.subscriptions.push(Subscribe { listen, start });
        }
        connect
    }

    /// What the server's `transport/sse.rs` makes of a cursor: positions as starting points.
    fn restore(&mut self, who: usize, connect: &mut Connect) {
        let person = &mut self.people[who];
        let Some(cursor) = person.cursor.as_ref().and_then(|sealed| Cursor::decode(sealed)) else { return };
        connect.former = Some(cursor.session);
        let Some(first) = cursor.positions.first() else { return lose_position(person, connect) };
        let position = |channel: &ChannelKey| cursor.position(channel.fingerprint());
        let named = |name| ChannelKey::named(AppId::default(), name);
        for subscribe in &mut connect.subscriptions {
            let Listen::Named(name) = &subscribe.listen else { continue };
            if let Some(position) = position(&named(name.clone())) {
                subscribe.start = Start::Since(position);
            } else if cursor.left_out {
                subscribe.start = Start::Since(Position::unknown());
            }
        }
        let everyone = position(&ChannelKey::everyone(AppId::default()));
        let epoch = everyone.as_ref().map_or_else(|| first.epoch.clone(), |position| position.epoch.clone());
        let from = |position: Option<Position>| position.map_or_else(|| Start::Beginning(epoch.clone()), Start::Since);
        connect.subscriptions.push(Subscribe { listen: Listen::Everyone, start: from(everyone) });
        if let Some(user) = &person.user {
            let own = position(&ChannelKey::user(AppId::default(), user.clone()));
            connect.subscriptions.push(Subscribe { listen: Listen::OwnUser, start: from(own) });
        }
        connect.positions = Some(cursor.positions.clone());
    }

    pub(super) fn connect_later(&mut self, who: usize) {
        let max = if self.is_active { self.plan.away_us_max } else { AGAIN_US_MAX };
        let at_us = self.now_us + 1_000 + self.rng.below(max);
        self.plan_event(at_us, Event::Connect { who });
    }

    /// Sends a frame over a WebSocket.
    pub(super) fn send_up(&mut self, who: usize, up: Up) {
        let node = self.people[who].node;
        let Some(id) = self.people[who].link else { return };
        let at_us = self.now_us + self.rng.below(UPLINK_US_MAX);
        self.with(node, |process, _| {
            if let Some(link) = process.links.get_mut(&id) {
                let worker = link.worker;
                let at_us = link.send(at_us, up);
                process.wake(worker, at_us);
            }
        });
    }

    /// The client's end of a connection goes away: with a word, by a broken network, or so that nobody notices.
    pub(super) fn cut(&mut self, who: usize, how: Option<Lost>) {
        let (node, Some(id)) = (self.people[who].node, self.people[who].link) else { return };
        self.say(|| format!("p{who} cuts link {id}: {how:?}"));
        let at_us = self.now_us + self.rng.below(UPLINK_US_MAX);
        let lost_frames = self.rng.below(4) as usize;
        let reset_us = self.with(node, |process, _| {
            let link = process.links.get_mut(&id)?;
            // Some of what was under way does not arrive.
            let kept = link.up.len().saturating_sub(lost_frames);
            link.up.truncate(kept);
            // Where nobody says a word, the kernel gives up bytes that are not acknowledged.
            let at_us = match how {
                Some(lost) => link.send(at_us, Up::End(lost)),
                None => at_us + TCP_USER_TIMEOUT_US,
            };
            link.reset_us = Some(at_us);
            let worker = link.worker;
            process.wake(worker, at_us);
            Some(at_us)
        });
        if let Some(Some(at_us)) = reset_us {
            let life = self.nodes[node].life;
            self.plan_event(at_us, Event::Reset { node, life, link: id });
        }
        self.let_go(who, id);
    }

    /// A person's connection is over, for whatever reason: what was asked on it has no answer.
    pub(super) fn let_go(&mut self, who: usize, id: LinkId) {
        self.owners.remove(&id);
        let person = &mut self.people[who];
        (person.link, person.is_connected) = (None, false);
        person.consuming.clear();
        let is_websocket = person.kind == Kind::WebSocket;
        let ended: Vec<u64> = person
            .pending
            .iter()
            .filter(|(_, (link, pending))| {
                // A POST is a request of its own, and is answered on its own.
                *link == Some(id) && (is_websocket || matches!(pending, Pending::Connect | Pending::Subscribe(_)))
            })
            .map(|(reference, _)| *reference)
            .collect();
        for reference in ended {
            if let Some((_, pending)) = self.people[who].pending.remove(&reference) {
                self.lose_answer(who, pending);
            }
        }
        if self.people[who].begins_anew {
            self.begin_anew(who);
        }
        self.connect_later(who);
    }

    /// The page is loaded again: nothing is known of before.
    fn begin_anew(&mut self, who: usize) {
        let person = &mut self.people[who];
        (person.cursor, person.resumes) = (None, false);
        for view in person.views.values_mut() {
            (view.journal, view.position) = (None, None);
            view.early.clear();
        }
        if person.kind == Kind::EventSource {
            person.views.clear();
        }
    }

    /// A process is gone, and with it every connection and every answer.
    pub(super) fn lose_all(&mut self, who: usize, process: &Process) {
        if let Some(id) = self.people[who].link {
            // What has arrived before can still be read.
            let link = process.links.get(&id);
            for down in link.into_iter().flat_map(|link| &link.down) {
                if down.at_us > self.now_us || self.people[who].link != Some(id) {
                    break;
                }
                self.hear(who, down.frame.event(), down.cursor.as_deref());
            }
            self.let_go(who, id);
        }
        for (_, (_, pending)) in std::mem::take(&mut self.people[who].pending) {
            self.lose_answer(who, pending);
        }
    }

    /// A client reads what has arrived, and sees the end of its stream behind it.
    pub(super) fn read(&mut self, id: LinkId) {
        let Some(who) = self.owners.get(&id).copied() else { return };
        let node = self.people[who].node;
        let slow_until_us = self.people[who].slow_until_us;
        if slow_until_us > self.now_us {
            return self.plan_event(slow_until_us, Event::Read { link: id });
        }
        let now_us = self.now_us;
        let most = 1 + self.rng.below(12) as usize;
        let arrived = self.with(node, |process, present| {
            let Some(link) = process.links.get_mut(&id) else { return Vec::new() };
            let count = link.down.iter().take(most).take_while(|down| down.at_us <= now_us).count();
            let arrived: Vec<_> = link.down.drain(..count).collect();
            let is_more = link.down.front().is_some_and(|down| down.at_us <= now_us);
            if link.blocked && link.space() > 0 {
                process.unblock(id, present);
            }
            if is_more {
                process.notices.push(crate::node::Notice::Readable { link: id, at_us: now_us + 1 });
            }
            arrived
        });
        for down in arrived.unwrap_or_default() {
            self.hear(who, down.frame.event(), down.cursor.as_deref());
        }
        let link = self.nodes[node].process.as_ref().and_then(|process| process.links.get(&id));
        let has_ended = link.is_some_and(|link| {
            link.stage == Stage::Gone && link.down.is_empty() && link.ended_us.is_some_and(|at| at <= now_us)
        });
        if has_ended {
            self.with(node, |process, _| process.links.remove(&id));
            self.say(|| format!("p{who} sees the end of link {id}"));
            self.let_go(who, id);
        }
    }
}

/// A cursor without a position: each channel answers with an epoch gap and what it retains.
fn lose_position(person: &Person, connect: &mut Connect) {
    let nowhere = || Start::Since(Position::unknown());
    connect.subscriptions.iter_mut().for_each(|subscribe| subscribe.start = nowhere());
    connect.subscriptions.push(Subscribe { listen: Listen::Everyone, start: nowhere() });
    if person.user.is_some() {
        connect.subscriptions.push(Subscribe { listen: Listen::OwnUser, start: nowhere() });
    }
    connect.positions = Some(Vec::new());
}
