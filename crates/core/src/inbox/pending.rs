//! What is pending.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Policy;
use super::rows::Saving;
use crate::acks::{Acked, Which};
use crate::id::{ConnectionId, DeviceId};
use crate::limits;
use crate::options::InboxOptions;
use crate::position::Offset;
use crate::record::{Record, SessionId};
use crate::time::{Time, UnixMs};

/// The pending messages of one user.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// Bounded by [`InboxOptions::messages`].
    pub(super) pending: BTreeMap<Offset, Item>,
    bytes: u64,
    /// The newest offset it has seen.
    pub(super) head: Offset,
    /// Nothing expires before.
    expires: Option<Time>,
    /// Known devices; only with [`Policy::Each`]. Bounded by [`limits::INBOX_DEVICES`].
    pub(super) devices: Vec<Device>,
    /// The newest offset that was dropped.
    pub(super) dropped_up_to: Offset,
    /// Dropped messages that no connection was told of.
    pub(super) untold: u64,
    /// Dropped messages that the application was not told of.
    unreported: u64,
    /// The newest offset that the application was told to be waiting.
    pub(super) announced: Offset,
    /// When it was told anything last.
    reported_at: Option<Time>,
    pub(super) saving: Saving,
    /// When the timer wheel wakes it.
    pub(crate) armed: Option<Time>,
}

#[derive(Debug)]
pub(super) struct Item {
    bytes: u32,
    since: Time,
    expires: Time,
    /// A bit for each known device, and [`ANONYMOUS`].
    acked_by: u32,
    exclude: Option<Box<[SessionId]>>,
}

#[derive(Debug)]
pub(super) struct Device {
    pub(super) id: DeviceId,
    pub(super) seen: UnixMs,
    /// What its row says of that.
    pub(super) noted: UnixMs,
    /// Its row is older than this.
    pub(super) changed: bool,
}

/// The bit of connections without a device, above those of devices.
const ANONYMOUS: u32 = 1 << limits::INBOX_DEVICES;

/// Who acks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The application, for all of the user's devices.
    All,
    /// A device; `None` is a connection without one.
    Device(Option<DeviceId>),
}

/// Something the application is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Messages wait: the first and the last one that were not told before.
    Queued { from: Offset, to: Offset },
    /// So many were dropped.
    Overflow { dropped: u64 },
}

impl Inbox {
    /// Messages that are pending.
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.pending.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn offsets(&self) -> impl Iterator<Item = Offset> {
        self.pending.keys().copied()
    }

    /// The oldest pending message.
    pub(crate) fn first(&self) -> Option<Offset> {
        self.pending.first_key_value().map(|(offset, _)| *offset)
    }

    pub(crate) const fn dropped_up_to(&self) -> Offset {
        self.dropped_up_to
    }

    /// The last of the offsets from this one on that were dropped, as far as nothing that waits lies between them.
    pub(crate) fn dropped_from(&self, next: Offset) -> Option<Offset> {
        if self.dropped_up_to < next {
            return None;
        }
        let waits = self.pending.range(next..).next().map(|(offset, _)| *offset);
        let last = waits.map_or(self.dropped_up_to, |offset| self.dropped_up_to.min(offset - 1));
        (last >= next).then_some(last)
    }

    /// Takes the next message, for at most so long. Returns the oldest one. [`Inbox::fit`] follows.
    pub(crate) fn admit(&mut self, record: &Record, age: Duration) -> Option<Offset> {
        let offset = record.offset?;
        self.head = self.head.max(offset);
        let life = record.ttl.map_or(age, |ttl| ttl.min(age));
        let item = Item {
            bytes: record.cost(),
            since: record.admitted,
            expires: record.admitted.after(life),
            acked_by: 0,
            exclude: (!record.exclude.is_empty()).then(|| record.exclude.clone()),
        };
        self.bytes += u64::from(item.bytes);
        self.expires = Some(self.expires.map_or(item.expires, |at| at.min(item.expires)));
        self.pending.insert(offset, item);
        self.first()
    }

    /// Notes that a device has acked a message, while what it had acked before is restored.
    pub(super) fn restore_ack(&mut self, offset: Offset, device: Option<usize>) {
        let bit = device.map_or(ANONYMOUS, |place| 1 << place);
        if let Some(item) = self.pending.get_mut(&offset) {
            item.acked_by |= bit;
        }
    }

    /// Drops what is over a bound, oldest first, and what has expired. Returns how many were dropped.
    pub(crate) fn fit(&mut self, options: &InboxOptions, now: Time) -> u64 {
        self.expire(now);
        let mut dropped = 0;
        while self.pending.len() > options.messages as usize || self.bytes > u64::from(options.bytes) {
            let Some(oldest) = self.first() else { break };
            self.remove(oldest);
            self.dropped_up_to = self.dropped_up_to.max(oldest);
            dropped += 1;
        }
        self.count_dropped(dropped);
        dropped
    }

    /// History has lost everything up to here: what was pending of it is dropped. Returns how many.
    pub(crate) fn lose(&mut self, floor: Offset) -> u64 {
        let mut dropped = 0;
        while let Some(oldest) = self.first().filter(|oldest| *oldest <= floor) {
            self.remove(oldest);
            self.dropped_up_to = self.dropped_up_to.max(oldest);
            dropped += 1;
        }
        self.count_dropped(dropped);
        dropped
    }

    fn count_dropped(&mut self, dropped: u64) {
        self.untold += dropped;
        self.unreported += dropped;
    }

    /// The application has removed everything up to here.
    pub(crate) fn purge(&mut self, through: Offset) {
        while let Some(oldest) = self.first().filter(|oldest| *oldest <= through) {
            self.remove(oldest);
        }
    }

    fn expire(&mut self, now: Time) {
        if self.expires.is_none_or(|at| at > now) {
            return;
        }
        let due: Vec<Offset> = self.pending.iter().filter(|(_, it)| it.expires <= now).map(|(at, _)| *at).collect();
        due.into_iter().for_each(|offset| self.remove(offset));
        self.expires = self.pending.values().map(|item| item.expires).min();
    }

    fn remove(&mut self, offset: Offset) {
        if let Some(item) = self.pending.remove(&offset) {
            self.bytes -= u64::from(item.bytes);
            self.saving.changed = true;
        }
    }

    /// Messages were acked by whoever has these names. Returns those that have left.
    pub(crate) fn ack(
        &mut self,
        by: &Actor,
        (which, names): (&Which, &[ConnectionId]),
        policy: Policy,
        now: UnixMs,
    ) -> Vec<Offset> {
        match which {
            Which::UpTo(last) => self.prove(by, (*last, names), policy, now),
            Which::Offsets(offsets) => self.ack_these(by, offsets.clone(), policy, now),
        }
    }

    /// A connection has everything up to here, but for what excludes it.
    pub(crate) fn prove(
        &mut self,
        by: &Actor,
        (up_to, names): (Offset, &[ConnectionId]),
        policy: Policy,
        now: UnixMs,
    ) -> Vec<Offset> {
        let excludes = |item: &Item| item.exclude.iter().flatten().any(|id| names.contains(id));
        let has = self.pending.range(..=up_to).filter(|(_, item)| !excludes(item)).map(|(offset, _)| *offset);
        let has = has.collect();
        self.ack_these(by, has, policy, now)
    }

    fn ack_these(&mut self, by: &Actor, offsets: Vec<Offset>, policy: Policy, now: UnixMs) -> Vec<Offset> {
        let bit = match (policy, by) {
            (Policy::Any, _) | (_, Actor::All) => None,
            (Policy::Each, Actor::Device(device)) => Some(self.see(device.as_ref(), now)),
        };
        let all = self.all_devices();
        let mut left = Vec::new();
        for offset in offsets {
            let Some(item) = self.pending.get_mut(&offset) else { continue };
            if let Some(bit) = bit {
                item.acked_by |= bit;
                if item.acked_by & all != all {
                    self.note_change(bit);
                    continue;
                }
            }
            self.remove(offset);
            left.push(offset);
        }
        left
    }

    fn note_change(&mut self, bit: u32) {
        if bit == ANONYMOUS {
            self.saving.anonymous_changed = true;
        } else if let Some(device) = self.devices.get_mut(bit.trailing_zeros() as usize) {
            device.changed = true;
        }
    }

    /// The bits that a message needs to leave.
    fn all_devices(&self) -> u32 {
        match self.devices.len() {
            0 => ANONYMOUS,
            count => (1 << count) - 1,
        }
    }

    /// Everything leaves. Returns what that was.
    pub(crate) fn clear(&mut self) -> Vec<Offset> {
        let all: Vec<Offset> = self.pending.keys().copied().collect();
        all.iter().for_each(|offset| self.remove(*offset));
        all
    }

    /// A device is here (policy `each`): it is known from now on, and what is pending is pending for it. Returns its bit.
    fn see(&mut self, device: Option<&DeviceId>, now: UnixMs) -> u32 {
        let Some(id) = device else { return ANONYMOUS };
        let place = match self.devices.iter().position(|it| it.id == *id) {
            Some(place) => place,
            None => {
                if self.devices.len() >= limits::INBOX_DEVICES
                    && let Some(oldest) = (0..self.devices.len()).min_by_key(|place| self.devices[*place].seen)
                {
                    self.forget(oldest);
                }
                self.devices.push(Device { id: id.clone(), seen: UnixMs(0), noted: UnixMs(0), changed: true });
                self.devices.len() - 1
            }
        };
        let device = &mut self.devices[place];
        device.seen = device.seen.max(now);
        let unnoted = device.seen.0.saturating_sub(device.noted.0);
        device.changed |= u128::from(unnoted) >= limits::INBOX_SEEN_EVERY.as_millis();
        1 << place
    }

    /// A connection of this device comes (policy `each`). Returns what has left because other devices were forgotten.
    pub(crate) fn greet(&mut self, device: Option<&DeviceId>, now: UnixMs) -> Vec<Offset> {
        self.see(device, now);
        let age = limits::INBOX_DEVICE_AGE.as_millis() as u64;
        while let Some(place) = self.devices.iter().position(|it| now.0.saturating_sub(it.seen.0) > age) {
            self.forget(place);
        }
        self.release()
    }

    /// Removes a device: its bit goes to the last one.
    pub(super) fn forget(&mut self, place: usize) {
        let (mine, last) = (1_u32 << place, 1_u32 << (self.devices.len() - 1));
        let gone = self.devices.swap_remove(place);
        self.saving.forget(gone.id);
        for item in self.pending.values_mut() {
            let moved = if item.acked_by & last != 0 { mine } else { 0 };
            item.acked_by = item.acked_by & !last & !mine | if mine == last { 0 } else { moved };
        }
    }

    /// Removes what every known device has acked.
    pub(super) fn release(&mut self) -> Vec<Offset> {
        if self.devices.is_empty() {
            return Vec::new();
        }
        let all = self.all_devices();
        let done = self.pending.iter().filter(|(_, item)| item.acked_by & all == all).map(|(offset, _)| *offset);
        let done: Vec<Offset> = done.collect();
        done.iter().for_each(|offset| self.remove(*offset));
        done
    }

    fn bit_of(&self, device: Option<&DeviceId>) -> u32 {
        match device {
            None => ANONYMOUS,
            Some(id) => self.devices.iter().position(|it| it.id == *id).map_or(0, |place| 1 << place),
        }
    }

    /// Whether a message is pending for a device.
    pub(crate) fn wants(&self, device: Option<&DeviceId>, offset: Offset) -> bool {
        self.pending.get(&offset).is_some_and(|item| item.acked_by & self.bit_of(device) == 0)
    }

    /// The first message from this one on that is pending for whoever asks.
    pub(crate) fn next_shown(&self, by: &Actor, from: Offset) -> Option<Offset> {
        self.pending.range(from..).map(|(offset, _)| *offset).find(|offset| self.shows(by, *offset))
    }

    /// The place after which the first message lies that is pending for a device; `None` if there is none.
    pub(crate) fn begins_after(&self, device: Option<&DeviceId>) -> Option<Offset> {
        let bit = self.bit_of(device);
        self.pending.iter().find(|(_, item)| item.acked_by & bit == 0).map(|(offset, _)| offset - 1)
    }

    /// Whether a message is pending for whoever asks.
    pub(crate) fn shows(&self, by: &Actor, offset: Offset) -> bool {
        match by {
            Actor::All => self.pending.contains_key(&offset),
            Actor::Device(device) => self.wants(device.as_ref(), offset),
        }
    }

    /// The first and the last message that are pending for whoever asks.
    pub(crate) fn extent(&self, by: &Actor) -> Option<(Offset, Offset)> {
        let mut shown = self.pending.keys().copied().filter(|offset| self.shows(by, *offset));
        let first = shown.next()?;
        Some((first, shown.next_back().unwrap_or(first)))
    }

    /// How many those are.
    pub(crate) fn count(&self, by: &Actor) -> u32 {
        let count = self.pending.keys().filter(|offset| self.shows(by, **offset)).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// What is done of a device, or for all.
    pub(super) fn cursor(&self, place: Option<usize>) -> Acked {
        let bit = place.map_or(ANONYMOUS, |place| 1 << place);
        let open = self.pending.iter().filter(|(_, item)| item.acked_by & bit == 0);
        Acked::all_but(open.map(|(offset, _)| *offset), self.head)
    }

    pub(super) fn cursor_of_all(&self) -> Acked {
        Acked::all_but(self.pending.keys().copied(), self.head)
    }

    /// Takes the count of dropped messages that no connection was told of.
    pub(crate) fn take_untold(&mut self) -> u64 {
        self.saving.changed |= self.untold > 0;
        std::mem::take(&mut self.untold)
    }

    pub(crate) const fn has_untold(&self) -> bool {
        self.untold > 0
    }

    /// When something is due.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        [self.expires, self.announces_at(), self.saving.again_at()].into_iter().flatten().min()
    }

    fn announces_at(&self) -> Option<Time> {
        let oldest = self.pending.range(self.announced + 1..).next().map(|(_, item)| item.since);
        let due = match (oldest, self.unreported) {
            (Some(since), 0) => since.after(limits::INBOX_QUEUED_AFTER),
            (_, 1..) => Time::default(),
            (None, 0) => return None,
        };
        // One word per pause: what comes meanwhile is told with it.
        Some(due.max(self.reported_at.map_or(Time::default(), |at| at.after(limits::INBOX_QUEUED_AFTER))))
    }

    /// What the application is to be told now.
    pub(crate) fn poll_notice(&mut self, now: Time) -> Option<Notice> {
        if self.announces_at().is_none_or(|at| at > now) {
            return None;
        }
        if self.unreported > 0 {
            let dropped = std::mem::take(&mut self.unreported);
            // What waits is told right after it, in the same pause.
            let waits = self.pending.range(self.announced + 1..).next().is_some_and(|(_, it)| it.waits(now));
            self.reported_at = if waits { self.reported_at } else { Some(now) };
            return Some(Notice::Overflow { dropped });
        }
        let mut waiting = self.pending.range(self.announced + 1..).take_while(|(_, item)| item.waits(now));
        let from = *waiting.next()?.0;
        let to = waiting.last().map_or(from, |(offset, _)| *offset);
        (self.announced, self.reported_at) = (to, Some(now));
        self.saving.changed = true;
        Some(Notice::Queued { from, to })
    }

    /// Whether nothing would be lost by dropping it, if it is kept in memory only. Who comes with a position before something that was
    /// dropped is told so, also when nothing waits any more.
    pub(crate) fn is_idle(&self) -> bool {
        let owes_word = self.untold > 0 || self.unreported > 0 || self.dropped_up_to > 0;
        self.pending.is_empty() && self.devices.is_empty() && !owes_word
    }
}

impl Item {
    fn waits(&self, now: Time) -> bool {
        self.since.after(limits::INBOX_QUEUED_AFTER) <= now
    }
}
