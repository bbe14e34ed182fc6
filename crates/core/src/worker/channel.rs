//! A channel at its home: the one place that orders, keeps and hands out its records.

use std::mem;
use std::time::Duration;

use smallvec::SmallVec;

use super::Worker;
use super::call::ChannelInfo;
use super::output::{Lifecycle, Output};
use super::peers::{Attach, AttachFor, Attached, HistoryAsk, Peer, Pull};
use crate::consumers::{Ask, Consumers};
use crate::history::{Page, Ring, Window};
use crate::id::{Audience, ChannelKey, DeviceId, SlotKey, WorkerId};
use crate::inbox::{Actor, Inbox, InboxAsk, Loading};
use crate::limits;
use crate::position::{GapReason, Offset, Position};
use crate::publish::{Desk, Draft};
use crate::slab::Slab;
use crate::time::Time;
use crate::timer::Timer;

/// A place in the table of homes.
#[derive(Debug)]
pub(crate) enum HomeState {
    /// The log has been asked where the channel stands; what came in the meantime waits. Bounded by the credits of the askers.
    /// An inbox is read before the channel opens.
    Opening { channel: ChannelKey, parked: Vec<Parked>, loading: Option<Box<Loading>> },
    /// At work.
    Ready(Box<Home>),
}

#[derive(Debug)]
pub(crate) enum Parked {
    Attach(Box<Attach>),
    Publish(Box<Draft>),
    History(Box<HistoryAsk>),
    Purge { ticket: u64, channel: ChannelKey, through: Option<Position> },
    Inbox(Box<InboxAsk>),
    Consumers(Box<Ask>),
}

/// A channel's state at its home.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) key: SlotKey,
    pub(crate) channel: ChannelKey,
    pub(crate) ring: Ring,
    pub(crate) desk: Desk,
    pub(crate) interests: SmallVec<[Interest; 2]>,
    /// When the log last said what it keeps.
    pub(super) floor_known: Time,
    /// When it last had a record or a listener.
    pub(crate) last_used: Time,
    pub(crate) message_events: bool,
    /// Why replay passes over offsets.
    pub(crate) skipped: GapReason,
    /// How long its messages wait until they are acked; `None` if it is no inbox.
    pub(crate) queues: Option<Duration>,
    /// What waits; `None` while there is nothing to remember.
    pub(crate) inbox: Option<Box<Inbox>>,
    pub(super) armed: bool,
    /// Its durable consumers, once somebody has asked for one.
    pub(crate) consumers: Option<Box<Consumers>>,
}

/// One worker's listeners.
#[derive(Debug)]
pub(crate) struct Interest {
    pub(crate) home: SlotKey,
    pub(crate) worker: WorkerId,
    /// The worker's name for the channel.
    pub(crate) local: SlotKey,
    pub(crate) count: u32,
    pub(crate) feed: Feed,
}

/// Whether records flow to a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feed {
    /// Each record is in its queue.
    Live,
    /// Its queue was full. Once it has been told, a pull that reaches the head makes it Live again.
    Behind { noticed: bool },
}

impl Home {
    /// A channel whose log has just said where it stands.
    pub(crate) fn new(key: SlotKey, channel: ChannelKey, ring: Ring, now: Time) -> Self {
        Self {
            key,
            channel,
            ring,
            desk: Desk::default(),
            interests: SmallVec::new(),
            floor_known: now,
            last_used: now,
            message_events: false,
            skipped: GapReason::Expired,
            queues: None,
            inbox: None,
            armed: false,
            consumers: None,
        }
    }

    /// The log has said what it does not keep any more.
    pub(crate) fn learn_floor(&mut self, floor: Offset, now: Time) {
        self.ring.raise_floor(floor);
        self.floor_known = now;
    }

    /// Whether what is read after this offset depends on what the log has not said lately.
    fn is_unsure_after(&self, position: Offset, now: Time) -> bool {
        let in_log = self.ring.is_persisted() && position < self.ring.trimmed();
        in_log && now.since(self.floor_known) > limits::FLOOR_AGE
    }

    /// Connections that listen, as far as their workers have told.
    pub(crate) fn connections(&self) -> u32 {
        self.interests.iter().map(|interest| interest.count).sum()
    }

    /// Whether anybody would miss it: without listeners and history it is only remembered for a while.
    pub(crate) fn is_in_use(&self) -> bool {
        let in_log = self.ring.is_persisted() && self.ring.floor() < self.ring.head();
        self.connections() > 0 || self.ring.len() > 0 || in_log
    }

    /// Where the page of a pull begins. Of an inbox, what is not pending any more need not be read: it may be most of the channel.
    pub(super) fn begins_at(&self, pull: &Pull) -> Offset {
        if self.queues.is_none() {
            return pull.next;
        }
        let by = Actor::Device(pull.device.clone());
        let shown = self.inbox.as_ref().and_then(|inbox| inbox.next_shown(&by, pull.next));
        shown.unwrap_or(self.ring.head() + 1).max(pull.next)
    }

    /// Takes out of a page what is not pending any more.
    pub(crate) fn pass_over(&self, page: &mut Page, device: Option<&DeviceId>) {
        let wanted = |offset| self.inbox.as_ref().is_some_and(|inbox| inbox.wants(device, offset));
        page.records.retain(|record| record.offset.is_some_and(wanted));
    }

    pub(crate) fn info(&self) -> ChannelInfo {
        ChannelInfo {
            channel: self.channel.clone(),
            connections: self.connections(),
            position: self.ring.position(),
            records: self.ring.len(),
            bytes: self.ring.bytes(),
        }
    }

    pub(crate) fn interest(&mut self, worker: WorkerId, local: SlotKey) -> &mut Interest {
        // A worker has at most one entry per channel; a newer name replaces an older one, whose listeners are all gone.
        if let Some(index) = self.interests.iter().position(|interest| interest.worker == worker) {
            let interest = &mut self.interests[index];
            if interest.local != local {
                *interest = Interest { home: self.key, worker, local, count: 0, feed: Feed::Live };
            }
            return &mut self.interests[index];
        }
        self.interests.push(Interest { home: self.key, worker, local, count: 0, feed: Feed::Live });
        self.interests.last_mut().expect("just pushed")
    }

    /// When it may be forgotten if nothing happens; `None` while somebody listens, or the log or the state owes an answer.
    fn forgotten_at(&self) -> Option<Time> {
        let idle = self.desk.idle_at()?;
        let persisted = self.ring.is_persisted();
        if self.inbox.as_ref().is_some_and(|inbox| inbox.is_saving())
            || self.consumers.as_ref().is_some_and(|consumers| consumers.holds_home(persisted))
        {
            return None;
        }
        self.interests.is_empty().then(|| idle.max(self.last_used.after(limits::CHANNEL_LINGER)))
    }

    /// Whether everything after `reached` will follow in the worker's queue; makes a worker Live that has caught up.
    pub(super) fn joins(&mut self, worker: WorkerId, reached: Offset) -> bool {
        let head = self.ring.head();
        let Some(interest) = self.interests.iter_mut().find(|interest| interest.worker == worker) else { return false };
        match interest.feed {
            _ if reached < head => false,
            Feed::Live => true,
            // Joining before the notice is out would hide the hole from the others there.
            Feed::Behind { noticed: false } => false,
            Feed::Behind { noticed: true } => {
                interest.feed = Feed::Live;
                true
            }
        }
    }
}

/// The home at a place, if it is at work. Borrows only the table, for callers that need the links beside it.
pub(crate) fn ready(homes: &mut Slab<HomeState>, key: SlotKey) -> Option<&mut Home> {
    match homes.get_mut(key) {
        Some(HomeState::Ready(home)) => Some(home),
        Some(HomeState::Opening { .. }) | None => None,
    }
}

impl Worker {
    pub(crate) fn home_mut(&mut self, key: SlotKey) -> Option<&mut Home> {
        ready(&mut self.homes, key)
    }

    /// The home of a channel if it is at work here.
    pub(crate) fn home_of_mut(&mut self, channel: &ChannelKey) -> Option<&mut Home> {
        let key = self.home_index.get(channel).copied()?;
        self.home_mut(key)
    }

    /// Runs a request at its channel's home, or parks it until the log has said where the channel stands.
    pub(crate) fn at_home(&mut self, channel: &ChannelKey, request: Parked) {
        let key = match self.home_index.get(channel) {
            Some(key) => *key,
            None if self.may_open(channel, &request) => self.open_home(channel),
            None => return self.refuse(request),
        };
        if let Some(HomeState::Opening { parked, .. }) = self.homes.get_mut(key) {
            parked.push(request);
            return;
        }
        match request {
            Parked::Attach(attach) => self.handle_attach(key, attach),
            Parked::Publish(draft) => self.handle_draft(key, *draft),
            Parked::History(ask) => self.handle_history_ask(key, *ask),
            Parked::Purge { ticket, through, .. } => self.handle_purge(key, ticket, through),
            Parked::Inbox(ask) => self.handle_inbox_ask(key, *ask),
            Parked::Consumers(ask) => self.handle_consumer_order(key, ask),
        }
    }

    fn handle_attach(&mut self, key: SlotKey, attach: Box<Attach>) {
        self.trim_home(key);
        if let Some(listener) = &attach.listener
            && let Some(window) = self.begin_listening(key, &attach.start, listener)
        {
            return self.attach_at(key, *attach, window);
        }
        let now = self.now;
        let Some(home) = self.home_mut(key) else { return };
        match home.ring.window(&attach.start, now.wall) {
            Ok(window) if home.is_unsure_after(window.position, now.time) => {
                self.ask_what_is_kept(key, window.position + 1, attach);
            }
            Ok(window) => self.attach_at(key, *attach, window),
            Err(at) => self.seek_start(key, attach, at),
        }
    }

    /// A worker listens from here on.
    pub(crate) fn attach_at(&mut self, key: SlotKey, attach: Attach, window: Window) {
        let Some(home) = self.home_mut(key) else { return };
        let was_vacant = home.connections() == 0;
        let interest = home.interest(attach.worker, attach.local);
        match attach.asker {
            AttachFor::Repeat { .. } | AttachFor::Everyone => {}
            AttachFor::Connect { .. } | AttachFor::Subscribe { .. } => interest.count += 1,
        }
        let attached = Attached {
            asker: attach.asker,
            local: attach.local,
            home: key,
            epoch: home.ring.epoch().clone(),
            head: home.ring.head(),
            position: window.position,
            recovered: window.recovered,
            gap: window.gap,
            live: home.joins(attach.worker, window.position),
            dropped: home.inbox.as_mut().filter(|inbox| inbox.has_untold()).map(|it| (it.len(), it.take_untold())),
        };
        let occupied = was_vacant && home.connections() > 0;
        let channel = home.channel.clone();
        self.peers.answer(attach.worker, Peer::Attached(Box::new(attached)));
        if occupied {
            self.occupancy(Lifecycle::ChannelOccupied { channel });
        }
        if attach.listener.is_some() {
            self.settle_inbox(key);
        }
    }

    pub(crate) fn handle_interest(
        &mut self,
        from: WorkerId,
        home: Option<SlotKey>,
        channel: Option<Box<ChannelKey>>,
        local: SlotKey,
        count: u32,
    ) {
        let now = self.now.time;
        let key = home.or_else(|| channel.and_then(|channel| self.home_index.get(&*channel).copied()));
        let Some(home) = key.and_then(|key| self.home_mut(key)) else { return };
        let before = home.connections();
        let Some(index) = home.interests.iter().position(|it| it.worker == from && it.local == local) else { return };
        home.interests[index].count = count;
        if count == 0 && home.channel.audience != Audience::Everyone {
            home.interests.swap_remove(index);
        }
        if home.interests.is_empty() {
            // Whoever left may resume.
            home.last_used = now;
        }
        let after = home.connections();
        let (key, channel) = (home.key, home.channel.clone());
        if before > 0 && after == 0 {
            self.occupancy(Lifecycle::ChannelVacated { channel });
        }
        self.arm_home(key);
    }

    fn occupancy(&mut self, event: Lifecycle) {
        let channel = match &event {
            Lifecycle::ChannelOccupied { channel } | Lifecycle::ChannelVacated { channel } => channel,
            Lifecycle::Connected { .. }
            | Lifecycle::Resumed { .. }
            | Lifecycle::Disconnected { .. }
            | Lifecycle::SubscriptionAdded { .. }
            | Lifecycle::SubscriptionRemoved { .. }
            | Lifecycle::InboxQueued { .. }
            | Lifecycle::InboxOverflow { .. }
            | Lifecycle::ConsumerDead { .. }
            | Lifecycle::MessagePublished { .. } => return,
        };
        if let Audience::Named(_) = channel.audience {
            self.peers.outputs.push_back(Output::Lifecycle(event));
        }
    }

    /// Marks the workers whose `Behind` notice is out: from now on a pull may make them Live.
    pub(crate) fn note_noticed(&mut self, noticed: Vec<(SlotKey, WorkerId)>) {
        for (key, worker) in noticed {
            let Some(home) = self.home_mut(key) else { continue };
            for interest in home.interests.iter_mut().filter(|interest| interest.worker == worker) {
                if interest.feed == (Feed::Behind { noticed: false }) {
                    interest.feed = Feed::Behind { noticed: true };
                }
            }
        }
    }

    /// Drops what is too old, and keeps the books. Returns when the oldest record that is left will be.
    pub(super) fn trim_home(&mut self, key: SlotKey) -> Option<Time> {
        let now = self.now.time;
        let home = self.home_mut(key)?;
        let before = home.ring.bytes();
        let ages = home.ring.trim(now);
        let freed = before - home.ring.bytes();
        self.history_bytes -= freed;
        ages
    }

    /// Wakes a home when its oldest record has aged, or when it may be forgotten.
    pub(crate) fn arm_home(&mut self, key: SlotKey) {
        let now = self.now.time;
        let ages = self.trim_home(key);
        let Some(home) = self.home_mut(key) else { return };
        // With history it is not forgotten, so that it need not be looked at before.
        let next = ages.or_else(|| home.forgotten_at());
        let Some(next) = [next, home.desk.forgets_at()].into_iter().flatten().min() else { return };
        if !mem::replace(&mut home.armed, true) {
            self.wheel.arm(Timer::Channel(key), next.max(now), now);
        }
    }

    pub(crate) fn handle_home_deadline(&mut self, key: SlotKey) {
        let now = self.now.time;
        let keeps = self.trim_home(key).is_some();
        let Some(home) = self.home_mut(key) else { return };
        home.armed = false;
        home.desk.forget(now);
        if keeps || home.forgotten_at().is_none_or(|at| at > now) {
            return self.arm_home(key);
        }
        if let Some(HomeState::Ready(home)) = self.homes.remove(key) {
            self.home_index.remove(&home.channel);
            self.blocks.forget(key);
            let persisted = home.ring.is_persisted();
            self.forget_consumers(home.consumers);
            self.peers.outputs.push_back(Output::ForgetLog { channel: home.channel, persisted });
        }
    }

    /// Keeps all rings together within their budget: the longest idle channels give theirs up.
    pub(crate) fn fit_history_budget(&mut self) {
        let budget = self.options.history_total_bytes;
        if self.history_bytes <= budget {
            return;
        }
        let mut rings: Vec<_> = self
            .homes
            .iter_from(0)
            .filter_map(|(key, state)| match state {
                HomeState::Ready(home) if home.ring.len() > 0 => Some((home.last_used, key)),
                HomeState::Ready(_) | HomeState::Opening { .. } => None,
            })
            .collect();
        rings.sort_unstable();
        // A tenth more than needed, so that the next publish does not come here again.
        let goal = budget - budget / 10;
        for (_, key) in rings {
            if self.history_bytes <= goal {
                break;
            }
            let freed = self.home_mut(key).map_or(0, |home| home.ring.clear());
            self.history_bytes -= freed;
            self.settle_inbox(key);
        }
    }
}
