//! The client registry: connections come, live and go, and can be looked at and steered from outside.

use std::sync::Arc;

use bytes::Bytes;

use super::Worker;
use super::call::{Answer, Call, ConnectionInfo, ConnectionQuery};
use super::channel::{HomeState, Parked};
use super::input::Opened;
use super::output::{DisconnectReason, Lifecycle, Output};
use super::peers::HistoryAsk;
use crate::command::{Listen, Subscribe};
use crate::consumers::Ask;
use crate::event::Event;
use crate::id::{AppId, Audience, ChannelKey, ChannelName, ConnectionKey};
use crate::limits;
use crate::position::Start;
use crate::publish::Origin;
use crate::rejection::{Close, Lost};
use crate::session::{Outbox, Phase, Profile, Provider, Reply, Session};

impl Worker {
    pub(crate) fn handle_opened(&mut self, opened: Opened) {
        let now = self.now;
        let key = opened.connection;
        self.figures.connections_sse += u64::from(opened.client.provider == Provider::Sse);
        let profile = Profile {
            identity: opened.identity.clone().unwrap_or_default(),
            client: opened.client,
            connected_at: now.wall,
            messages_in: 0,
            messages_out: 0,
            sequence: 0,
            extras: None,
        };
        self.sessions.insert(Session {
            key,
            phase: Phase::Waiting,
            dialect: opened.dialect,
            identified: opened.identity.is_some(),
            pings: false,
            queued: false,
            everyone_behind: false,
            awaiting_pong: false,
            ping_queued: false,
            in_flight: 0,
            questions: 0,
            subscriptions: Vec::new(),
            outbox: Outbox::default(),
            last_seen: now.time,
            deadline: now.time.after(limits::CONNECT_DEADLINE),
            armed: now.time,
            pinged_at: now.time,
            round_trip_ms: 0,
            profile: Box::new(profile),
        });
        self.arm_session(key);
        if self.draining {
            // It was on its way here when the others were told.
            return self.end(key, Close::Drain, None);
        }
        if let Some(connect) = opened.connect {
            self.begin(key, connect, opened.reference);
        }
    }

    pub(crate) fn handle_received(&mut self, key: ConnectionKey) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.handle_sign_of_life(self.now.time, &self.options);
            // With an interval below the deadline of its Pong the next Ping is due before the wheel would wake it.
            if session.deadline < session.armed {
                self.arm_session(key);
            }
            self.hasten_probe(key);
        }
    }

    /// Ends a connection: it is told, its subscriptions end now, its last bytes get a moment.
    pub(crate) fn end(&mut self, key: ConnectionKey, close: Close, reason: Option<Arc<str>>) {
        let Some(session) = self.sessions.get(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) {
            return;
        }
        if matches!(session.phase, Phase::Connecting(_)) {
            self.forget_early_frames(key);
        }
        let last = self.last_positions(key);
        self.detach(key, DisconnectReason::Server(close));
        self.send(key, Event::Goaway { close, reason });
        let session = self.sessions.at_mut(key.slot);
        session.phase = Phase::Closing(last);
        session.deadline = self.now.time.after(limits::CLOSE_DEADLINE);
        let stays_away = close.is_final() && session.profile.client.provider == Provider::Sse;
        self.arm_session(key);
        // While it was connecting nothing could be written.
        self.queue_write(key.slot);
        self.peers.outputs.push_back(Output::Close { connection: key, close, stays_away });
    }

    /// What channels have said to a session that was never told that it is connected.
    fn forget_early_frames(&mut self, key: ConnectionKey) {
        let session = self.sessions.at_mut(key.slot);
        let early = |event: &Event| matches!(event, Event::Gap { .. } | Event::Delivery(_) | Event::Consumer(_));
        session.outbox.retain(|frame| !early(frame.event()), &mut self.pool);
        let messages = session.outbox.retain(|frame| !matches!(frame.event(), Event::Message(_)), &mut self.pool);
        self.figures.delivered -= messages as u64;
    }

    /// The engine has let go of a connection.
    pub(crate) fn handle_closed(&mut self, key: ConnectionKey, lost: Lost) {
        let Some(session) = self.sessions.get(key) else { return };
        if !matches!(session.phase, Phase::Closing(_)) {
            let reason = match lost {
                Lost::Closed => DisconnectReason::Closed,
                Lost::Dropped => DisconnectReason::Lost,
                Lost::Violation => DisconnectReason::Violation,
            };
            self.detach(key, reason);
        }
        if let Some(mut session) = self.sessions.remove(key) {
            session.outbox.clear(&mut self.pool);
            self.figures.connections_sse -= u64::from(session.profile.client.provider == Provider::Sse);
        }
        if self.sessions.len() == 0 {
            self.frames.clear();
        }
    }

    /// Takes a session out of everything it listens to.
    fn detach(&mut self, key: ConnectionKey, reason: DisconnectReason) {
        self.leave_behind(key, reason);
        self.leave_consumers(key, reason);
        let session = self.sessions.at_mut(key.slot);
        let listened = session.listens();
        let subscriptions = std::mem::take(&mut session.subscriptions);
        if listened {
            let everyone = self.everyone.slot;
            self.locals.at_mut(everyone).listeners -= 1;
            self.mark_dirty(everyone);
            for subscription in subscriptions {
                self.drop_subscription(key, subscription);
            }
            self.tell(key, |connection, sequence, user| Lifecycle::Disconnected { connection, sequence, user, reason });
        }
    }

    /// Everybody is told to go. Who waits for answers gets them first, within the time that last bytes have; it is not read on.
    pub(crate) fn handle_drain(&mut self) {
        self.draining = true;
        self.drain_deadline = Some(self.now.time.after(limits::CLOSE_DEADLINE));
        let idle = self.sessions.iter_from(0).filter(|session| session.in_flight == 0);
        let idle: Vec<_> = idle.map(|session| session.key).collect();
        idle.into_iter().for_each(|key| self.end(key, Close::Drain, None));
    }

    pub(crate) fn end_all(&mut self) {
        let all: Vec<_> = self.sessions.iter_from(0).map(|session| session.key).collect();
        all.into_iter().for_each(|key| self.end(key, Close::Drain, None));
    }

    pub(crate) fn handle_call(&mut self, ticket: u64, call: Call) {
        let answer = match call {
            Call::Publish(draft) => {
                let channel = draft.channel.clone();
                return self.at_home(&channel, Parked::Publish(draft));
            }
            Call::History { channel, query } => {
                let origin = Origin::Call { ticket };
                return self.ask_history(HistoryAsk { origin, channel, query, inbox: None });
            }
            Call::Inbox { channel, call } => return self.call_inbox(ticket, channel, call),
            Call::Purge { channel, through } => return self.call_purge(ticket, channel, through),
            Call::Consumers { channel, order } => {
                let origin = Origin::Call { ticket };
                return self.order_consumers(Box::new(Ask { origin, channel, order }));
            }
            Call::Connections(query) => self.list_connections(&query),
            Call::Connection(key) => {
                // The same as the list shows: nobody is there before `connected` and after `goaway`.
                let open = self.sessions.get(key).filter(|it| matches!(it.phase, Phase::Open));
                Answer::Connection(open.map(|it| Box::new(self.info(it))))
            }
            Call::Disconnect { connection, reason } => {
                let found = self.sessions.get(connection).is_some_and(|it| !matches!(it.phase, Phase::Closing(_)));
                self.end(connection, Close::Stopped, reason);
                Answer::Found(found)
            }
            Call::Subscribe { connection, channel } => return self.call_subscribe(ticket, connection, channel),
            Call::Unsubscribe { connection, channel } => self.call_unsubscribe(connection, channel),
            Call::SetMeta { connection, meta } => self.set_meta(connection, meta),
            Call::Channels { app, after, limit } => self.list_channels(app, after, limit),
            Call::Channel(channel) => {
                let home = self.home_of_mut(&channel).filter(|home| home.is_in_use());
                Answer::Channel(home.map(|home| Box::new(home.info())))
            }
            Call::Figures => Answer::Figures(self.figures()),
        };
        self.peers.outputs.push_back(Output::Answered { ticket, answer });
    }

    fn list_connections(&self, query: &ConnectionQuery) -> Answer {
        let channel = query.channel.clone().map(|name| ChannelKey::named(query.app, name));
        let local = channel.as_ref().map(|channel| self.local_index.get(channel).map(|key| key.slot));
        let mut items = Vec::new();
        let mut next = None;
        for (scanned, session) in self.sessions.iter_from(query.after).enumerate() {
            if items.len() >= query.limit || scanned >= limits::SCAN_MAX {
                next = Some(session.key.slot);
                break;
            }
            let identity = &session.profile.identity;
            let matches = matches!(session.phase, Phase::Open)
                && identity.app == query.app
                && query.user.as_ref().is_none_or(|user| identity.user.as_ref() == Some(user))
                && query.provider.is_none_or(|provider| session.profile.client.provider == provider)
                && local.is_none_or(|local| {
                    local.is_some_and(|local| session.subscriptions.iter().any(|it| it.local == local))
                });
            if matches {
                items.push(self.info(session));
            }
        }
        Answer::Connections { items, next }
    }

    fn info(&self, session: &Session) -> ConnectionInfo {
        let named = session.subscriptions.iter().filter(|it| it.named);
        let name = |local: u32| match &self.locals.at(local).channel.audience {
            Audience::Named(name) => Some(name.clone()),
            Audience::Everyone | Audience::User(_) => None,
        };
        ConnectionInfo {
            id: self.session_id(session.key),
            identity: session.profile.identity.clone(),
            client: session.profile.client.clone(),
            device: session.profile.device(),
            channels: named.filter_map(|it| name(it.local)).collect(),
            connected_at: session.profile.connected_at,
            idle_ms: u64::try_from(self.now.time.since(session.last_seen).as_millis()).unwrap_or(u64::MAX),
            round_trip_ms: session.round_trip_ms,
            queued_bytes: session.outbox.bytes(),
            messages_in: session.profile.messages_in,
            messages_out: session.profile.messages_out,
            client_meta: session.profile.meta(),
        }
    }

    fn list_channels(&self, app: AppId, after: u32, limit: usize) -> Answer {
        let mut items = Vec::new();
        let mut next = None;
        for (scanned, (key, state)) in self.homes.iter_from(after).enumerate() {
            if items.len() >= limit || scanned >= limits::SCAN_MAX {
                next = Some(key.slot);
                break;
            }
            if let HomeState::Ready(home) = state
                && home.channel.app == app
                && matches!(home.channel.audience, Audience::Named(_))
                && home.is_in_use()
            {
                items.push(home.info());
            }
        }
        Answer::Channels { items, next }
    }

    fn call_subscribe(&mut self, ticket: u64, key: ConnectionKey, name: ChannelName) {
        if !self.sessions.get(key).is_some_and(|it| matches!(it.phase, Phase::Open)) {
            let answer = Answer::Found(false);
            return self.peers.outputs.push_back(Output::Answered { ticket, answer });
        }
        // The client is told like after a subscribe of its own, but without a number.
        let subscribe = Subscribe { listen: Listen::Named(name), start: Start::Now };
        self.handle_subscribe(key, subscribe, Reply::Announce { ticket });
    }

    fn call_unsubscribe(&mut self, key: ConnectionKey, name: ChannelName) -> Answer {
        let session = self.sessions.get(key).filter(|it| matches!(it.phase, Phase::Open));
        let Some(session) = session else { return Answer::Found(false) };
        let channel = ChannelKey::named(session.profile.identity.app, name);
        // Not being subscribed is what was wanted, and nothing to tell the client.
        if self.unsubscribe(key, &channel) {
            self.send(key, Event::Unsubscribed { reference: None, channel });
        }
        Answer::Found(true)
    }

    fn set_meta(&mut self, key: ConnectionKey, meta: Option<Bytes>) -> Answer {
        let session = self.sessions.get_mut(key).filter(|it| matches!(it.phase, Phase::Open));
        Answer::Found(session.map(|session| session.profile.identity.meta = meta).is_some())
    }
}
