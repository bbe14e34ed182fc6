//! A channel at a worker that listens: the dense list of its own connections, and the walks over it.
//!
//! A walk hands one record to every listener. It can stop after any step and go on in the next turn; until it is done the worker
//! takes no further message from its peers, so nobody joins in between and the next record waits. Leaving leaves a hole.

use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;

use super::Worker;
use super::peers::Peer;
use crate::event::Event;
use crate::frame::Frame;
use crate::id::{Audience, ChannelKey, SlotKey, WorkerId};
use crate::position::{Epoch, Gap, GapReason, Offset, Position};
use crate::record::{Record, SessionId};
use crate::session::{Link, Subscription};

/// A place that a leaving connection left during a walk.
const HOLE: u32 = u32::MAX;

/// Slots of sessions. A user's few devices fit without a list of their own.
type Listeners = SmallVec<[u32; 4]>;

/// A worker's entry of a channel.
#[derive(Debug)]
pub(crate) struct Local {
    pub(crate) key: SlotKey,
    pub(crate) channel: ChannelKey,
    pub(crate) fingerprint: u64,
    pub(crate) home_worker: WorkerId,
    /// Its messages are kept in a store, which a page may have to wait for.
    pub(crate) stored: bool,
    /// The home's name for it, once known.
    pub(crate) home: Option<SlotKey>,
    pub(crate) epoch: Option<Epoch>,
    /// The newest offset that came through the queue: a Live listener has everything up to here.
    pub(crate) head: Offset,
    /// The home has said that something is missing, and nobody has caught up since: nothing comes through the queue.
    pub(crate) behind: bool,
    /// The Live ones: slots of sessions. Unused for `$all`, where the table of sessions is the list.
    pub(crate) audience: Listeners,
    /// Subscriptions of any kind.
    pub(crate) listeners: u32,
    /// Attach requests that the home has not answered.
    pub(crate) attaching: u32,
    /// The home is to be told the count at the end of the turn.
    pub(crate) dirty: bool,
    /// It is to be told once the attach requests are answered.
    pub(crate) owed: bool,
}

/// A walk over an audience.
#[derive(Debug)]
pub(crate) struct Walk {
    local: SlotKey,
    step: Step,
    next: usize,
    end: usize,
    holes: Vec<u32>,
}

#[derive(Debug)]
enum Step {
    /// Hand this to everyone, or to those who also subscribe to the other channel.
    Deliver { frame: Rc<Frame>, within: Option<u32> },
    /// Everyone has missed something after this offset.
    FallBehind { after: Offset },
}

impl Worker {
    /// The worker's entry of a channel, made if absent.
    pub(crate) fn local_for(&mut self, channel: &ChannelKey) -> SlotKey {
        if let Some(key) = self.local_index.get(channel) {
            return *key;
        }
        let fingerprint = channel.fingerprint();
        let home_worker = self.home_worker(fingerprint);
        let stored = self.options.retention(channel).is_some();
        let key = self.locals.insert_with(|key| Local {
            key,
            channel: channel.clone(),
            fingerprint,
            home_worker,
            stored,
            home: None,
            epoch: None,
            head: 0,
            audience: Listeners::new(),
            behind: false,
            listeners: 0,
            attaching: 0,
            dirty: false,
            owed: false,
        });
        self.local_index.insert(channel.clone(), key);
        key
    }

    /// Notes that the count of listeners changed (or that the entry may be free).
    pub(crate) fn mark_dirty(&mut self, local: u32) {
        let entry = self.locals.at_mut(local);
        if !entry.dirty {
            entry.dirty = true;
            let key = entry.key;
            self.dirty.push(key);
        }
    }

    /// Sends the homes the counts that changed, and frees entries nobody needs.
    pub(crate) fn settle_dirty(&mut self) {
        if self.walk.is_some() {
            // It holds on to the entries of its channels.
            return;
        }
        for key in std::mem::take(&mut self.dirty) {
            let Some(local) = self.locals.get_mut(key) else { continue };
            local.dirty = false;
            if local.attaching > 0 {
                // The count would overtake a request that adds to it.
                local.owed = true;
                continue;
            }
            let (home, count) = (local.home, local.listeners);
            let channel = home.is_none().then(|| Box::new(local.channel.clone()));
            let interest = Peer::Interest { home, channel, local: key, count };
            let to = local.home_worker;
            if self.peers.send_interest(to, interest).is_err() {
                self.mark_dirty(key.slot);
            } else if count == 0 && key != self.everyone {
                self.free_local(key);
            }
        }
    }

    fn free_local(&mut self, key: SlotKey) {
        if let Some(local) = self.locals.remove(key) {
            self.local_index.remove(&local.channel);
        }
    }

    /// Makes a subscription Live. Its position is the channel's newest.
    pub(crate) fn join_audience(&mut self, slot: u32, local: u32) {
        let everyone = local == self.everyone.slot;
        let audience = &mut self.locals.at_mut(local).audience;
        let index = u32::try_from(audience.len()).expect("slots are u32");
        if !everyone {
            audience.push(slot);
        }
        let session = self.sessions.at_mut(slot);
        if everyone {
            session.everyone_behind = false;
        }
        if let Some(subscription) = session.subscriptions.iter_mut().find(|it| it.local == local) {
            subscription.link = Link::Live { index };
        }
    }

    /// Takes a Live subscription out of its audience.
    pub(crate) fn leave_audience(&mut self, local: u32, index: u32) {
        if local == self.everyone.slot {
            return;
        }
        if let Some(walk) = &mut self.walk
            && walk.local.slot == local
        {
            self.locals.at_mut(local).audience[index as usize] = HOLE;
            walk.holes.push(index);
            return;
        }
        self.close_hole(local, index);
    }

    fn close_hole(&mut self, local: u32, index: u32) {
        let audience = &mut self.locals.at_mut(local).audience;
        audience.swap_remove(index as usize);
        let moved = audience.get(index as usize).copied();
        if audience.is_empty() {
            *audience = Listeners::new();
        }
        if let Some(moved) = moved
            && moved != HOLE
        {
            let session = self.sessions.at_mut(moved);
            if let Some(subscription) = session.subscriptions.iter_mut().find(|it| it.local == local) {
                subscription.link = Link::Live { index };
            }
        }
    }

    /// A record has come for the listeners of a channel.
    pub(crate) fn handle_deliver(&mut self, key: SlotKey, record: Arc<Record>) {
        let Some(local) = self.locals.get_mut(key) else { return };
        let own = record.channel == local.channel;
        let moves = record.offset.filter(|_| own).map(|offset| (key, offset));
        if let Some((_, offset)) = moves {
            local.head = offset;
        }
        let within = if own {
            None
        } else {
            match self.local_index.get(&record.channel) {
                Some(within) => Some(within.slot),
                None => return,
            }
        };
        let cost = record.cost();
        let frame = Frame::moving(Event::Message(record), cost, moves);
        self.start_walk(key, Step::Deliver { frame, within });
    }

    /// The home could not send everything: every Live listener here has missed something.
    pub(crate) fn handle_behind(&mut self, key: SlotKey) {
        let Some(local) = self.locals.get_mut(key) else { return };
        local.behind = true;
        let after = local.head;
        self.start_walk(key, Step::FallBehind { after });
        // Notices name several channels, so each one is finished before the next.
        while !self.advance(usize::MAX) {}
    }

    fn start_walk(&mut self, local: SlotKey, step: Step) {
        assert!(self.walk.is_none(), "a worker that walks takes no message");
        let end =
            if local == self.everyone { self.sessions.places() } else { self.locals.at(local.slot).audience.len() };
        self.walk = Some(Walk { local, step, next: 0, end, holes: Vec::new() });
        self.advance(self.options.bounds.walk_steps);
    }

    /// Goes on with the walk for so many steps. Returns whether none is left over.
    pub fn advance(&mut self, steps: usize) -> bool {
        let Some(walk) = &self.walk else { return true };
        let (local, from) = (walk.local, walk.next);
        let to = walk.end.min(from.saturating_add(steps));
        // The walk stays in place so that a listener that falls behind leaves a hole; its step is borrowed out meanwhile.
        let step = match &walk.step {
            Step::Deliver { frame, within } => Step::Deliver { frame: frame.clone(), within: *within },
            Step::FallBehind { after } => Step::FallBehind { after: *after },
        };
        for index in from..to {
            let slot = if local == self.everyone {
                index as u32
            } else {
                match self.locals.at(local.slot).audience[index] {
                    HOLE => continue,
                    slot => slot,
                }
            };
            match &step {
                Step::Deliver { frame, within } => self.visit(slot, local, frame, *within),
                Step::FallBehind { after } => self.fall_behind(slot, local.slot, after + 1, false),
            }
        }
        let Some(walk) = &mut self.walk else { return true };
        walk.next = to;
        if to < walk.end {
            return false;
        }
        let mut holes = std::mem::take(&mut walk.holes);
        self.walk = None;
        // From the end, so that no hole is moved into another's place.
        holes.sort_unstable_by(|a, b| b.cmp(a));
        for hole in holes {
            self.close_hole(local.slot, hole);
        }
        true
    }

    /// Hands a frame to one listener.
    fn visit(&mut self, slot: u32, local: SlotKey, frame: &Rc<Frame>, within: Option<u32>) {
        let Some(session) = self.sessions.at_slot_mut(slot) else { return };
        if !session.listens() || (local == self.everyone && session.everyone_behind) {
            return;
        }
        let Event::Message(record) = frame.event() else { return };
        if let Some(within) = within
            && !session.subscriptions.iter().any(|subscription| subscription.local == within)
        {
            return;
        }
        let excluded = !record.exclude.is_empty() && {
            let me = SessionId { node: self.node, worker: self.id, key: session.key };
            session.is_excluded(me, &record.exclude)
        };
        let own = matches!(record.channel.audience, Audience::User(_)) && self.options.inbox.is_some();
        if own && session.inbox_room() == 0 {
            if let Some((_, offset)) = frame.moves() {
                self.fall_behind(slot, local.slot, offset, false);
            }
            return;
        }
        if !session.outbox.has_room(frame.cost(), &self.options) {
            match frame.moves() {
                Some((_, offset)) => self.fall_behind(slot, local.slot, offset, true),
                None => self.figures.dropped += 1,
            }
            return;
        }
        if excluded {
            self.figures.excluded += 1;
            if let Some((_, offset)) = frame.moves() {
                let range = (offset, offset);
                self.push_skip(slot, &record.channel, range, GapReason::Excluded, &record.epoch, local);
            }
            return;
        }
        session.outbox.push(frame.clone(), &mut self.pool);
        self.figures.delivered += 1;
        self.queue_write(slot);
        if own && let Some((_, offset)) = frame.moves() {
            self.note_taken(slot, offset);
        }
    }

    /// Tells one listener that offsets were passed over on purpose; nothing if the range is empty. Neighbouring skips become one frame.
    pub(crate) fn push_skip(
        &mut self,
        slot: u32,
        channel: &ChannelKey,
        (first, last): (Offset, Offset),
        why: GapReason,
        epoch: &Epoch,
        local: SlotKey,
    ) {
        if first > last {
            return;
        }
        let session = self.sessions.at_mut(slot);
        let mut from = first;
        if let Some(before) = session.outbox.last()
            && let Event::Gap { channel: same, gap: Gap { range: Some((earlier, to)), reason }, .. } = before.event()
            && same == channel
            && *reason == why
            && to + 1 == first
        {
            from = *earlier;
            session.outbox.pop_last();
        }
        let position = Position { epoch: epoch.clone(), offset: last };
        let gap = Gap { range: Some((from, last)), reason: why };
        let event = Event::Gap { channel: channel.clone(), gap, position };
        session.outbox.push(Frame::moving(event, 256, Some((local, last))), &mut self.pool);
        self.queue_write(slot);
    }

    /// Makes a Live subscription Behind.
    fn fall_behind(&mut self, slot: u32, local: u32, next: Offset, slow: bool) {
        let everyone = local == self.everyone.slot;
        let Some(session) = self.sessions.at_slot_mut(slot) else { return };
        if !session.listens() {
            return;
        }
        if everyone && !session.subscriptions.iter().any(|it| it.local == local) {
            let link = Link::Live { index: 0 };
            session.subscriptions.push(Subscription { local, link, written: 0, named: false });
        }
        let Some(subscription) = session.subscriptions.iter_mut().find(|it| it.local == local) else { return };
        let Link::Live { index } = subscription.link else { return };
        subscription.link = Link::Behind { next, pulling: false, slow };
        session.everyone_behind |= everyone;
        self.figures.fell_behind += 1;
        self.leave_audience(local, index);
        self.schedule_pull(slot);
    }
}
