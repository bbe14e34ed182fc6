//! Subscribing and connecting: how a session comes to listen.

use super::Worker;
use super::output::{Lifecycle, Output};
use super::peers::{AttachFor, Attached};
use crate::command::{Connect, Listen, Ref, Subscribe};
use crate::event::{Connected, Event, Subscribed};
use crate::frame::Frame;
use crate::id::{Audience, ChannelKey, ChannelName, ConnectionKey, SlotKey};
use crate::inbox::{Mode, Taker};
use crate::limits;
use crate::position::{Gap, Offset, Position, Start};
use crate::rejection::{Rejection, RejectionKind};
use crate::session::{Connecting, Link, Phase, Provider, Reply, Subscription};

/// Which subscription of the list; `$all` and `$user` have none and are not answered.
type Index = Option<u32>;

impl Worker {
    /// Begins the session and its subscriptions; `connected` follows when all are answered.
    pub(crate) fn begin(&mut self, key: ConnectionKey, connect: Connect, reference: Option<Ref>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.pings = connect.pings;
        let now = self.now.time;
        if connect.meta.is_some() || connect.device.is_some() {
            let extras = session.profile.extras_mut();
            (extras.meta, extras.device, extras.seen_at) = (connect.meta, connect.device, now);
        }
        if connect.inbox == Mode::Manual {
            session.profile.extras_mut().inbox = Some(Box::new(Taker::manual()));
        }
        let provider = session.profile.client.provider;
        let user = session.profile.identity.user.clone();
        let outcomes = vec![None; connect.subscriptions.len()];
        // Exactly what most sessions ever have: theirs, `$user`, and on SSE `$all`.
        let implicit = usize::from(user.is_some()) + usize::from(provider == Provider::Sse);
        session.subscriptions.reserve_exact(connect.subscriptions.len() + implicit);
        let positions = connect.positions;
        let connecting =
            Connecting { reference, outcomes, taking_over: false, own: None, resumed: false, positions, pending: 1 };
        session.phase = Phase::Connecting(Box::new(connecting));
        session.deadline = self.now.time.after(limits::CONNECT_DEADLINE);
        self.arm_session(key);
        self.figures.connected += 1;
        self.tell(key, |connection, sequence, user| Lifecycle::Connected { connection, sequence, user, provider });
        let (mut everyone, mut own) = (None, None);
        for (index, subscribe) in connect.subscriptions.into_iter().enumerate() {
            match subscribe.listen {
                Listen::Everyone if everyone.is_none() => everyone = Some((Some(index as u32), subscribe.start)),
                Listen::OwnUser if own.is_none() => own = Some((Some(index as u32), subscribe.start)),
                Listen::Everyone | Listen::OwnUser => self.note_repeated(key, index as u32, None),
                Listen::Named(_) => self.begin_named(key, index as u32, subscribe),
            }
        }
        if let Some(former) = connect.former {
            self.ask_to_take_over(key, former);
        }
        self.begin_everyone(key, everyone, provider == Provider::Sse);
        match (user, own) {
            (Some(_), own) => self.begin_own_when_named(key, own.unwrap_or((None, Start::Now))),
            (None, Some((index, _))) => {
                let rejection = Rejection::new(RejectionKind::Unauthenticated, "$user needs a user");
                self.note_outcome(key, index, Some(Err(rejection)));
            }
            (None, None) => {}
        }
        // The one that stood for this function itself.
        self.note_answer(key);
    }

    pub(super) fn app_of(&self, key: ConnectionKey) -> crate::id::AppId {
        self.sessions.get(key).map_or_else(Default::default, |session| session.profile.identity.app)
    }

    pub(super) fn begin_named(&mut self, key: ConnectionKey, index: u32, subscribe: Subscribe) {
        let Listen::Named(name) = subscribe.listen else { return };
        match self.may_subscribe(key, &name) {
            Ok(None) => {
                let channel = ChannelKey::named(self.app_of(key), name);
                self.begin_attach(key, &channel, Some(index), subscribe.start);
            }
            Ok(Some(_)) => self.note_repeated(key, index, Some(ChannelKey::named(self.app_of(key), name))),
            Err(rejection) => self.note_outcome(key, Some(index), Some(Err(rejection))),
        }
    }

    fn note_repeated(&mut self, key: ConnectionKey, index: u32, channel: Option<ChannelKey>) {
        let message = "is listed more than once";
        let rejection = Rejection { kind: RejectionKind::Conflict, channel, ..Rejection::field("channel", message) };
        self.note_outcome(key, Some(index), Some(Err(rejection)));
    }

    fn begin_everyone(&mut self, key: ConnectionKey, asked: Option<(Index, Start)>, sse: bool) {
        let everyone = self.everyone;
        self.mark_dirty(everyone.slot);
        self.locals.at_mut(everyone.slot).listeners += 1;
        let entry = self.locals.at(everyone.slot);
        let head = entry.head;
        // Until the home knows this worker, and while it has fallen behind, nothing comes through the queue, so `connected` must wait
        // for the home's word: behind the worker's own request, which is on its way, this one finds it known.
        let deaf = entry.home.is_none() || entry.behind;
        if let Some((index, start)) = asked.or(deaf.then_some((None, Start::Now))) {
            self.begin_attach(key, &ChannelKey::everyone(Default::default()), index, start);
            // Counted above already, as for every session.
            self.locals.at_mut(everyone.slot).listeners -= 1;
            self.sessions.at_mut(key.slot).everyone_behind = true;
        } else if sse {
            // The cursor needs a position even before the first message.
            let link = Link::Live { index: 0 };
            let subscription = Subscription { local: everyone.slot, link, written: head, named: false };
            self.sessions.at_mut(key.slot).subscriptions.push(subscription);
        }
    }

    /// A user's connections mostly live at the user's home, where listening costs no request and no state of the channel.
    pub(super) fn begin_own(&mut self, key: ConnectionKey, (index, start): (Index, Start)) {
        let Some(user) = self.user_of(key) else { return };
        let channel = &ChannelKey::user(self.app_of(key), user);
        let at_home = self.home_worker(channel.fingerprint()) == self.id;
        // A request under way decides where the queue begins, and while nothing comes through it the home has to be asked.
        let entry = self.local_index.get(channel).map(|local| self.locals.at(local.slot));
        let unsure = entry.is_some_and(|entry| entry.behind || entry.home.is_none() && entry.attaching > 0);
        // Only the log knows where a persisted channel stands, and only the home what waits.
        let persisted = self.options.retention(channel).is_some();
        if !at_home || unsure || persisted || start != Start::Now || self.is_awaited(key, channel) {
            self.begin_attach(key, channel, index, start);
            return;
        }
        let local = self.local_for(channel);
        let entry = self.locals.at_mut(local.slot);
        entry.listeners += 1;
        let count = entry.listeners;
        let link = Link::Pending { nonce: 0 };
        let mut subscription = Subscription { local: local.slot, link, written: 0, named: false };
        let me = self.id;
        let listening = self.home_of_mut(channel).map(|home| {
            home.interest(me, local).count = count;
            (home.key, home.ring.epoch().clone(), home.ring.head())
        });
        if let Some((home, epoch, head)) = listening {
            // A count that is on its way there knows nothing of this listener.
            self.mark_dirty(local.slot);
            let entry = self.locals.at_mut(local.slot);
            if entry.home.is_none() {
                (entry.home, entry.epoch, entry.head) = (Some(home), Some(epoch), head);
            }
            // What the home has ordered but this worker not yet taken from its queue comes as an ordinary delivery.
            subscription.written = entry.head;
        }
        self.sessions.at_mut(key.slot).subscriptions.push(subscription);
        self.join_audience(key.slot, local.slot);
    }

    fn begin_attach(&mut self, key: ConnectionKey, channel: &ChannelKey, index: Index, start: Start) {
        let named = matches!(channel.audience, Audience::Named(_));
        let (local, nonce) = self.add_pending(key, channel, named);
        if let Phase::Connecting(connecting) = &mut self.sessions.at_mut(key.slot).phase {
            connecting.pending += 1;
        }
        self.attach(local, AttachFor::Connect { connection: key, index, nonce }, start);
    }

    fn add_pending(&mut self, key: ConnectionKey, channel: &ChannelKey, named: bool) -> (SlotKey, u32) {
        let local = self.local_for(channel);
        self.locals.at_mut(local.slot).listeners += 1;
        self.nonce = self.nonce.wrapping_add(1);
        let link = Link::Pending { nonce: self.nonce };
        let subscription = Subscription { local: local.slot, link, written: 0, named };
        self.sessions.at_mut(key.slot).subscriptions.push(subscription);
        (local, self.nonce)
    }

    /// Whether a session may subscribe; `Some` if it already has.
    pub(super) fn may_subscribe(
        &mut self,
        key: ConnectionKey,
        name: &ChannelName,
    ) -> Result<Option<SlotKey>, Rejection> {
        let Some(session) = self.sessions.get(key) else { return Ok(None) };
        let channel = ChannelKey::named(session.profile.identity.app, name.clone());
        if !session.profile.identity.grants.subscribe {
            return Err(Rejection::new(RejectionKind::Forbidden, "may not subscribe").on(channel));
        }
        let existing = self.local_index.get(&channel).copied();
        if let Some(local) = existing
            && session.subscriptions.iter().any(|it| it.local == local.slot)
        {
            return Ok(Some(local));
        }
        let limit = self.options.channels_per_connection;
        let count = session.subscriptions.iter().filter(|it| it.named).count();
        if count >= limit as usize {
            let message = format!("a connection may subscribe to {limit} channels");
            let rejection = Rejection::new(RejectionKind::LimitExceeded, message);
            return Err(rejection.on(channel).limit(u64::from(limit)));
        }
        Ok(None)
    }

    pub(crate) fn handle_subscribe(&mut self, key: ConnectionKey, subscribe: Subscribe, reply: Reply) {
        let Listen::Named(name) = subscribe.listen else {
            let rejection = Rejection::field("channel", "$all and $user are heard without subscribing");
            return self.reject(key, reply, rejection);
        };
        match self.may_subscribe(key, &name) {
            Ok(Some(local)) => self.attach(local, AttachFor::Repeat { connection: key, reply }, Start::Now),
            Ok(None) => {
                let channel = ChannelKey::named(self.app_of(key), name);
                let (local, nonce) = self.add_pending(key, &channel, true);
                self.attach(local, AttachFor::Subscribe { connection: key, reply, nonce }, subscribe.start);
            }
            Err(rejection) => return self.reject(key, reply, rejection),
        }
        self.sessions.at_mut(key.slot).in_flight += 1;
    }

    pub(crate) fn handle_unsubscribe(&mut self, key: ConnectionKey, name: ChannelName, reply: Reply) {
        let channel = ChannelKey::named(self.app_of(key), name);
        self.unsubscribe(key, &channel);
        let event = Event::Unsubscribed { reference: reply.reference(), channel };
        self.respond(key, reply, event);
    }

    /// Ends a subscription. Returns whether there was one.
    pub(crate) fn unsubscribe(&mut self, key: ConnectionKey, channel: &ChannelKey) -> bool {
        let Some(local) = self.local_index.get(channel).copied() else { return false };
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let Some(index) = session.subscriptions.iter().position(|it| it.local == local.slot) else { return false };
        let subscription = session.subscriptions.swap_remove(index);
        self.drop_subscription(key, subscription);
        true
    }

    /// Undoes what a subscription holds in its channel.
    pub(crate) fn drop_subscription(&mut self, key: ConnectionKey, subscription: Subscription) {
        if let Link::Live { index } = subscription.link {
            self.leave_audience(subscription.local, index);
        }
        if subscription.local == self.everyone.slot {
            return; // Every session counts there, subscription or not.
        }
        self.locals.at_mut(subscription.local).listeners -= 1;
        self.mark_dirty(subscription.local);
        self.held_inboxes.remove(&(subscription.local, key));
        if subscription.named {
            self.figures.subscriptions -= u64::from(!matches!(subscription.link, Link::Pending { .. }));
            let channel = self.locals.at(subscription.local).channel.clone();
            if !matches!(subscription.link, Link::Pending { .. }) {
                self.tell(key, |connection, sequence, user| Lifecycle::SubscriptionRemoved {
                    connection,
                    sequence,
                    user,
                    channel,
                });
            }
        }
    }

    /// A home has answered an attach request.
    pub(crate) fn handle_attached(&mut self, attached: Attached) {
        let Some(local) = self.locals.get_mut(attached.local) else { return };
        local.attaching -= 1;
        local.home = Some(attached.home);
        if local.epoch.as_ref() != Some(&attached.epoch) {
            local.epoch = Some(attached.epoch.clone());
            local.head = attached.head;
        } else {
            local.head = local.head.max(if attached.live { attached.head } else { 0 });
        }
        local.behind &= !attached.live;
        if local.attaching == 0 && (std::mem::take(&mut local.owed) || local.listeners == 0) {
            self.mark_dirty(attached.local.slot);
        }
        match attached.asker {
            AttachFor::Everyone => self.mark_dirty(attached.local.slot),
            AttachFor::Repeat { connection, reply } => match self.position_of(connection, attached.local) {
                Some(position) => self.answer_subscribe(connection, reply, &Attached { position, ..attached }),
                None => self.refuse_subscribe(connection, reply, &attached),
            },
            AttachFor::Subscribe { connection, reply, nonce } => {
                if self.is_pending(connection, attached.local, nonce) {
                    self.answer_subscribe(connection, reply, &attached);
                    self.start_subscription(connection, &attached);
                    return self.mark_place(connection);
                }
                self.refuse_subscribe(connection, reply, &attached);
            }
            AttachFor::Connect { connection, index, nonce } => {
                if self.is_pending(connection, attached.local, nonce) {
                    let outcome = index.map(|_| Ok(self.subscribed(connection, &attached)));
                    self.start_subscription(connection, &attached);
                    self.note_outcome(connection, index, outcome);
                } else {
                    let rejection = given_up(self.locals.at(attached.local.slot).channel.clone());
                    self.note_outcome(connection, index, Some(Err(rejection)));
                }
                self.note_answer(connection);
            }
        }
    }

    pub(crate) fn is_pending(&self, key: ConnectionKey, local: SlotKey, nonce: u32) -> bool {
        let link = Link::Pending { nonce };
        self.sessions
            .get(key)
            .is_some_and(|session| session.subscriptions.iter().any(|it| it.local == local.slot && it.link == link))
    }

    /// What a subscription that has begun has come to.
    fn position_of(&self, key: ConnectionKey, local: SlotKey) -> Option<Offset> {
        let subscription = self.sessions.get(key)?.subscriptions.iter().find(|it| it.local == local.slot)?;
        match subscription.link {
            Link::Pending { .. } => None,
            Link::Live { .. } => Some(self.locals.at(local.slot).head),
            Link::Behind { next, .. } => Some(next - 1),
        }
    }

    fn subscribed(&self, key: ConnectionKey, attached: &Attached) -> Subscribed {
        let position = Position { epoch: attached.epoch.clone(), offset: attached.position };
        Subscribed {
            channel: self.locals.at(attached.local.slot).channel.clone(),
            position,
            head: attached.head,
            recovered: attached.recovered,
            grants: self.sessions.get(key).map_or_else(Default::default, |it| it.profile.identity.grants),
        }
    }

    fn answer_subscribe(&mut self, key: ConnectionKey, reply: Reply, attached: &Attached) {
        let subscribed = Box::new(self.subscribed(key, attached));
        self.respond(key, reply, Event::Subscribed { reference: reply.reference(), subscribed });
        self.land(key);
    }

    fn refuse_subscribe(&mut self, key: ConnectionKey, reply: Reply, attached: &Attached) {
        let channel = self.locals.at(attached.local.slot).channel.clone();
        self.reject(key, reply, given_up(channel));
        self.land(key);
    }

    /// The subscription begins: what is lost is told, the rest is pulled or flows.
    fn start_subscription(&mut self, key: ConnectionKey, attached: &Attached) {
        let (local, position) = (attached.local, attached.position);
        let channel = self.locals.at(local.slot).channel.clone();
        let session = self.sessions.at_mut(key.slot);
        let Some(subscription) = session.subscriptions.iter_mut().find(|it| it.local == local.slot) else { return };
        let named = subscription.named;
        // A cursor must not stand behind a gap that has not left; before the one of another epoch is nothing to go back to.
        subscription.written = match &attached.gap {
            Some(gap) => gap.range.map_or(Subscription::NOWHERE, |(from, _)| from - 1),
            None => position,
        };
        subscription.link = Link::Behind { next: position + 1, pulling: false, slow: false };
        if let Some(gap) = attached.gap.clone() {
            self.push_gap(key, &channel, gap, local, Position { epoch: attached.epoch.clone(), offset: position });
        }
        if let Some((pending, dropped)) = attached.dropped {
            self.tell_dropped(key, pending, dropped);
        }
        if attached.live {
            self.join_audience(key.slot, local.slot);
        } else {
            self.schedule_pull(key.slot);
        }
        if named {
            self.figures.subscriptions += 1;
            self.tell(key, |connection, sequence, user| Lifecycle::SubscriptionAdded {
                connection,
                sequence,
                user,
                channel,
            });
        }
    }

    /// The cursor of an event stream is to name a channel as soon as it is subscribed, not only with the channel's first message: what
    /// came in between would be told as lost to a client that was cut.
    fn mark_place(&mut self, key: ConnectionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let is_marked = session.outbox.last().is_some_and(|frame| frame.moves_position());
        if session.profile.client.provider == Provider::Sse && matches!(session.phase, Phase::Open) && !is_marked {
            session.outbox.push(self.bookmark.clone(), &mut self.pool);
            self.queue_write(key.slot);
        }
    }

    fn push_gap(&mut self, key: ConnectionKey, channel: &ChannelKey, gap: Gap, local: SlotKey, position: Position) {
        self.figures.gaps += u64::from(gap.reason.lost());
        let offset: Offset = position.offset;
        let event = Event::Gap { channel: channel.clone(), gap, position };
        let session = self.sessions.at_mut(key.slot);
        session.outbox.push(Frame::moving(event, 256, Some((local, offset))), &mut self.pool);
        self.queue_write(key.slot);
    }

    pub(crate) fn note_outcome(
        &mut self,
        key: ConnectionKey,
        index: Index,
        outcome: Option<Result<Subscribed, Rejection>>,
    ) {
        if let (Some(index), Some(session)) = (index, self.sessions.get_mut(key))
            && let Phase::Connecting(connecting) = &mut session.phase
        {
            connecting.outcomes[index as usize] = outcome;
        }
    }

    /// One answer less is outstanding; the last one opens the session.
    pub(crate) fn note_answer(&mut self, key: ConnectionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Phase::Connecting(connecting) = &mut session.phase else { return };
        connecting.pending -= 1;
        if connecting.pending > 0 {
            return;
        }
        let reference = connecting.reference;
        let (resumed, subscriptions) = (connecting.resumed, connecting.outcomes.drain(..).flatten().collect());
        self.open(key, reference, resumed, subscriptions);
    }

    fn open(
        &mut self,
        key: ConnectionKey,
        reference: Option<Ref>,
        resumed: bool,
        subscriptions: Vec<Result<Subscribed, Rejection>>,
    ) {
        let jitter = self.next_random();
        let connection = self.session_id(key);
        let session = self.sessions.at_mut(key.slot);
        let interval = session.heartbeat_interval(&self.options);
        let interval_ms = interval.as_millis() as u64;
        session.phase = Phase::Open;
        if resumed {
            session.profile.extras_mut().inherits = true;
        }
        if let Some(at) = session.profile.identity.expires_at {
            let end = at.0.saturating_add(limits::EXPIRY_SKEW.as_millis() as u64);
            let left = std::time::Duration::from_millis(end.saturating_sub(self.now.wall.0));
            session.profile.extras_mut().expires = Some(self.now.time.after(left));
        }
        // The first one comes early, at a random moment, so that a crowd that came together does not stay in step.
        session.deadline =
            self.now.time.after(std::time::Duration::from_millis(interval_ms / 2 + jitter % (interval_ms / 2).max(1)));
        let (sse, user) = (session.profile.client.provider == Provider::Sse, session.profile.identity.user.clone());
        let connected = Connected {
            reference,
            connection,
            user,
            resumed,
            expires_at: session.profile.identity.expires_at,
            heartbeat_ms: u32::try_from(interval_ms).unwrap_or(u32::MAX),
            message_bytes: self.options.message_bytes,
            channels: self.options.channels_per_connection,
            stores: self.options.stores(),
            inbox: self.options.inbox.is_some(),
            time: self.now.wall,
            subscriptions,
        };
        // On SSE the first block carries the first cursor, although it moves no channel.
        let moves = sse.then_some((SlotKey::NOBODY, 0));
        let connected = Event::Connected(Box::new(connected));
        let cost = connected.answer_cost();
        let frame = Frame::moving(connected, cost, moves);
        session.outbox.push_first(frame, &mut self.pool);
        self.arm_session(key);
        self.queue_write(key.slot);
        self.schedule_pull(key.slot);
        self.hasten_probe(key);
    }

    /// Tells the application something about a connection.
    pub(crate) fn tell(
        &mut self,
        key: ConnectionKey,
        event: impl FnOnce(crate::id::ConnectionId, u64, Option<crate::id::UserId>) -> Lifecycle,
    ) {
        let connection = self.session_id(key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.profile.sequence += 1;
        let event = event(connection, session.profile.sequence, session.profile.identity.user.clone());
        self.peers.outputs.push_back(Output::Lifecycle(event));
    }
}

/// The answer to a `subscribe` that an `unsubscribe` (or the end of its connection) has overtaken.
pub(super) fn given_up(channel: ChannelKey) -> Rejection {
    Rejection::new(RejectionKind::Conflict, "was unsubscribed before it began").on(channel)
}
