//! An inbox at its user's connections: proofs that messages have arrived, acks, and what is told.

use super::super::Worker;
use super::super::peers::{InboxAnswer, Peer};
use super::InboxNews;
use super::home::not_enabled;
use crate::acks::{Acknowledge, Which};
use crate::event::Event;
use crate::history::{Direction, Query, Span};
use crate::id::{Audience, ChannelKey, ConnectionKey, DeviceId};
use crate::inbox::{Act, Actor, InboxAsk, InboxCommand, Listener, Mode, Policy, Taker};
use crate::limits;
use crate::position::Offset;
use crate::publish::Origin;
use crate::rejection::{Rejection, RejectionKind};
use crate::session::{Formers, Phase, Provider, Reply, Session};

impl Session {
    pub(crate) fn taker(&self) -> Option<&Taker> {
        self.profile.extras.as_ref()?.inbox.as_deref()
    }

    pub(crate) fn taker_mut(&mut self) -> Option<&mut Taker> {
        self.profile.extras.as_mut()?.inbox.as_deref_mut()
    }

    /// Messages of its user that it may take now.
    pub(crate) fn inbox_room(&self) -> usize {
        self.taker().map_or(usize::MAX, Taker::room)
    }
}

impl Worker {
    /// How a session listens to its user's channel; `None` where that is no inbox.
    pub(crate) fn listener_of(&self, key: ConnectionKey, channel: &ChannelKey) -> Option<Box<Listener>> {
        self.options.inbox_of(channel)?;
        let session = self.sessions.get(key)?;
        let mode = session.taker().map_or(Mode::Auto, |taker| taker.mode);
        Some(Box::new(Listener { device: session.profile.device(), mode, names: self.names_of(session) }))
    }

    fn names_of(&self, session: &Session) -> Formers {
        let mut names = Formers::from_slice(session.profile.formers());
        names.push(self.session_id(session.key));
        names
    }

    /// The device whose place in the inbox decides what a session gets.
    pub(crate) fn device_for(&self, session: &Session) -> Option<DeviceId> {
        let each = self.options.inbox.is_some_and(|options| options.policy == Policy::Each);
        session.profile.device().filter(|_| each)
    }

    /// A message of an inbox was put into an outbox.
    pub(crate) fn note_taken(&mut self, slot: u32, offset: Offset) {
        let session = self.sessions.at_mut(slot);
        session.profile.extras_mut().inbox.get_or_insert_default().note_pushed(offset);
        let key = session.key;
        self.hasten_probe(key);
    }

    /// Lets a Ping follow messages soon, unless one is out.
    pub(crate) fn hasten_probe(&mut self, key: ConnectionKey) {
        let soon = self.now.time.after(limits::INBOX_PROBE_AFTER);
        let Some(session) = self.sessions.get_mut(key) else { return };
        let wants = session.taker().is_some_and(Taker::wants_probe)
            && session.profile.client.provider == Provider::WebSocket
            && matches!(session.phase, Phase::Open)
            && !session.awaiting_pong;
        if !wants || session.deadline <= soon {
            return;
        }
        session.deadline = soon;
        if soon < session.armed {
            self.arm_session(key);
        }
    }

    pub(crate) fn handle_pong(&mut self, key: ConnectionKey, offset: Offset) {
        if let Some(taker) = self.sessions.get_mut(key).and_then(Session::taker_mut) {
            taker.take_pong(offset);
            self.send_proof(key);
        }
    }

    /// A command has come by POST, from a client that is alive then.
    pub(crate) fn handle_post(&mut self, key: ConnectionKey) {
        let now = self.now.time;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.profile.client.provider == Provider::Sse
            && let Some(taker) = session.taker_mut()
        {
            taker.take_post(now);
            self.send_proof(key);
        }
    }

    /// Tells the home what has arrived. Without a credit to spare it is told with the next proof.
    fn send_proof(&mut self, key: ConnectionKey) {
        let up_to = self.sessions.get(key).and_then(Session::taker).and_then(Taker::untold_proof);
        if up_to.is_some_and(|up_to| self.say_arrived(key, up_to))
            && let Some(taker) = self.sessions.at_mut(key.slot).taker_mut()
        {
            taker.note_told();
        }
    }

    /// Lets the home know from time to time that a device is there, however quiet its user is. Without a credit to spare it is told
    /// with the next sign of life.
    pub(crate) fn stay_known(&mut self, key: ConnectionKey) {
        let now = self.now.time;
        let Some(session) = self.sessions.get(key).filter(|session| self.device_for(session).is_some()) else { return };
        let is_due =
            session.profile.extras.as_ref().is_some_and(|it| now.since(it.seen_at) >= limits::INBOX_SEEN_EVERY);
        if is_due && self.say_arrived(key, 0) {
            self.sessions.at_mut(key.slot).profile.extras_mut().seen_at = now;
        }
    }

    /// Tells the home that a connection has everything up to here. Returns whether there was a credit.
    fn say_arrived(&mut self, key: ConnectionKey, up_to: Offset) -> bool {
        let Some(session) = self.sessions.get(key) else { return false };
        let identity = &session.profile.identity;
        let Some(user) = identity.user.clone() else { return false };
        let channel = ChannelKey::user(identity.app, user);
        let act = Act::Proof { device: session.profile.device(), up_to, names: self.names_of(session) };
        let home = self.home_worker(channel.fingerprint());
        let stored = self.options.retention(&channel).is_some();
        if !self.peers.can_pull(home, stored) {
            return false;
        }
        let origin = Origin::Session { worker: self.id, connection: key, reply: Reply::Stream(None) };
        self.peers.request(home, Peer::Inbox(Box::new(InboxAsk { origin, channel, act })));
        self.sessions.at_mut(key.slot).in_flight += 1;
        true
    }

    pub(crate) fn handle_inbox_ack(&mut self, key: ConnectionKey, ack: Acknowledge, reply: Reply) {
        let Some((channel, device)) = self.own_inbox(key, reply) else { return };
        self.free_room(key, &ack.which);
        let names = self.sessions.get(key).map(|session| self.names_of(session)).unwrap_or_default();
        let act = Act::Ack { by: Actor::Device(device), epoch: ack.epoch, which: ack.which, names };
        self.request_inbox(key, reply, channel, act);
    }

    pub(crate) fn handle_inbox_command(&mut self, key: ConnectionKey, command: InboxCommand, reply: Reply) {
        let Some((channel, device)) = self.own_inbox(key, reply) else { return };
        let (limit, rest) = match command {
            InboxCommand::List { limit, rest } => (limit, rest),
            InboxCommand::Clear => {
                self.free_room(key, &Which::UpTo(Offset::MAX - 1));
                return self.request_inbox(key, reply, channel, Act::Clear);
            }
        };
        let span = rest.map_or(Span::All(Direction::Forward), Span::Rest);
        self.ask_for_session(key, reply, (channel, Query { span, limit }), Some(Actor::Device(device)));
    }

    fn request_inbox(&mut self, key: ConnectionKey, reply: Reply, channel: ChannelKey, act: Act) {
        let home = self.home_worker(channel.fingerprint());
        let origin = Origin::Session { worker: self.id, connection: key, reply };
        self.sessions.at_mut(key.slot).in_flight += 1;
        self.peers.request(home, Peer::Inbox(Box::new(InboxAsk { origin, channel, act })));
    }

    /// The inbox of a session's user; refused without one.
    fn own_inbox(&mut self, key: ConnectionKey, reply: Reply) -> Option<(ChannelKey, Option<DeviceId>)> {
        let session = self.sessions.get(key)?;
        let identity = &session.profile.identity;
        let refusal = match &identity.user {
            _ if self.options.inbox.is_none() => not_enabled(),
            None => Rejection::new(RejectionKind::Unauthenticated, "an inbox needs a user"),
            Some(_) if !identity.grants.subscribe => Rejection::new(RejectionKind::Forbidden, "may not read its inbox"),
            Some(user) => {
                return Some((ChannelKey::user(identity.app, user.clone()), session.profile.device()));
            }
        };
        self.reject(key, reply, refusal);
        None
    }

    /// A connection that acks by command may take more.
    fn free_room(&mut self, key: ConnectionKey, which: &Which) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.taker_mut().is_some_and(|taker| taker.take_acked(which)) {
            for subscription in session.subscriptions.iter().filter(|it| !it.named) {
                self.held_inboxes.remove(&(subscription.local, key));
            }
            self.schedule_pull(key.slot);
        }
    }

    /// A home has answered.
    pub(crate) fn handle_inbox_answer(&mut self, answer: InboxAnswer) {
        let InboxAnswer { connection, reply, result } = answer;
        match result {
            Ok(outcome) => self.respond(connection, reply, Event::Ok { reference: reply.reference(), outcome }),
            Err(rejection) => self.reject(connection, reply, rejection),
        }
        self.land(connection);
    }

    /// Something has happened to an inbox.
    pub(crate) fn handle_inbox_news(&mut self, news: &InboxNews) {
        let Some(local) = self.locals.get(news.local) else { return };
        let slots: Vec<u32> = local.audience.iter().copied().collect();
        let live = slots.into_iter().filter_map(|slot| self.sessions.at_slot_mut(slot).map(|session| session.key));
        let live: Vec<ConnectionKey> = live.collect();
        // Who waits for acks is in no audience.
        let range = (news.local.slot, ConnectionKey::FIRST)..(news.local.slot + 1, ConnectionKey::FIRST);
        let held: Vec<ConnectionKey> = self.held_inboxes.range(range).map(|(_, key)| *key).collect();
        let cancelled = Which::Offsets(news.cancelled.to_vec());
        for key in live.into_iter().chain(held) {
            if news.except == Some(key) {
                continue;
            }
            let Some(session) = self.sessions.get_mut(key) else { continue };
            let manual = session.taker().is_some_and(|taker| taker.mode == Mode::Manual);
            if news.by_proof && !manual {
                continue;
            }
            if session.outbox.has_room(limits::INBOX_NEWS_COST, &self.options) {
                let (pending, dropped) = (news.pending, news.dropped);
                self.send(key, Event::Inbox { pending, cancelled: news.cancelled.clone(), dropped });
            } else {
                self.figures.dropped += 1;
            }
            self.free_room(key, &cancelled);
        }
    }

    /// Tells a connection that has just come what was dropped while nobody was there.
    pub(crate) fn tell_dropped(&mut self, key: ConnectionKey, pending: u32, dropped: u64) {
        self.send(key, Event::Inbox { pending, cancelled: std::sync::Arc::default(), dropped });
    }

    /// Whether something waits for a session at the home of its user's channel, or has to be known there.
    pub(crate) fn is_awaited(&mut self, key: ConnectionKey, channel: &ChannelKey) -> bool {
        let counts = self.sessions.get(key).is_some_and(|session| self.device_for(session).is_some());
        counts || self.home_of_mut(channel).is_some_and(|home| home.inbox.is_some())
    }

    /// Whether a worker's entry is an inbox.
    pub(crate) fn is_inbox(&self, local: u32) -> bool {
        self.options.inbox.is_some() && matches!(self.locals.at(local).channel.audience, Audience::User(_))
    }
}
