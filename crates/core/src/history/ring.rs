//! The ring itself.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::page::{Found, Page, PageBounds};
use super::{At, Extent};
use crate::id::MessageKey;
use crate::limits;
use crate::options::HistoryOptions;
use crate::position::{Epoch, Gap, GapReason, Offset, Position, Start};
use crate::record::Record;
use crate::time::{Time, UnixMs};

#[derive(Debug)]
pub(crate) struct Ring {
    options: HistoryOptions,
    epoch: Epoch,
    /// With consecutive offsets; `None` where a newer record has taken the place.
    records: VecDeque<Option<Arc<Record>>>,
    bytes: u64,
    /// Places that hold a record.
    kept: usize,
    /// No place up to this offset holds one.
    empty_up_to: Offset,
    /// Where the newest record of each key is; `None` where keys mean nothing to history.
    keys: Option<HashMap<MessageKey, Offset>>,
    /// The newest offset there is, retained or not.
    head: Offset,
    /// The newest offset that is not in memory.
    trimmed: Offset,
    /// The newest offset that no reader can get any more.
    floor: Offset,
    /// The newest offset that was removed on purpose, as far as this home knows.
    purged: Offset,
    /// The offset before the first one of this log.
    origin: Offset,
    /// A log keeps what falls out of memory.
    persisted: bool,
}

/// Where a subscription starts within what is retained.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// The subscription continues after this offset.
    pub(crate) position: Offset,
    /// Whether everything after the client's position follows; `None` if it gave none.
    pub(crate) recovered: Option<bool>,
    /// What is lost, to be told first.
    pub(crate) gap: Option<Gap>,
}

impl Ring {
    /// An empty ring of a memory channel that continues after `head`.
    pub(crate) fn new(options: HistoryOptions, epoch: Epoch, head: Offset) -> Self {
        Self {
            options,
            epoch,
            records: VecDeque::new(),
            bytes: 0,
            kept: 0,
            empty_up_to: head,
            keys: None,
            head,
            trimmed: head,
            floor: head,
            purged: 0,
            origin: head,
            persisted: false,
        }
    }

    /// An empty ring of a channel whose records up to `head` lie in a log, but for those up to `floor`.
    pub(crate) fn persisted(options: HistoryOptions, epoch: Epoch, head: Offset, floor: Offset) -> Self {
        Self { floor, origin: 0, persisted: true, ..Self::new(options, epoch, head) }
    }

    /// A newer record takes the place of the one with the same key.
    pub(crate) fn keep_latest_per_key(&mut self) {
        self.keys = Some(HashMap::new());
    }

    pub(crate) const fn head(&self) -> Offset {
        self.head
    }

    pub(crate) const fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Records in memory.
    pub(crate) const fn len(&self) -> usize {
        self.kept
    }

    pub(crate) const fn is_persisted(&self) -> bool {
        self.persisted
    }

    /// The newest offset that is not in memory.
    pub(crate) const fn trimmed(&self) -> Offset {
        self.trimmed
    }

    /// The newest offset that no reader can get any more.
    pub(crate) const fn floor(&self) -> Offset {
        self.floor
    }

    pub(crate) const fn extent(&self) -> Extent<'_> {
        let Self { epoch, head, floor, purged, origin, .. } = self;
        Extent { epoch, head: *head, floor: *floor, purged: *purged, origin: *origin }
    }

    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.head }
    }

    /// Takes the next record. The caller has checked that its offset is `head + 1`.
    pub(crate) fn push(&mut self, record: &Arc<Record>, now: Time) {
        assert_eq!(record.offset, Some(self.head + 1), "records arrive in order");
        self.head += 1;
        self.bytes += u64::from(record.cost());
        self.kept += 1;
        self.records.push_back(Some(record.clone()));
        if let (Some(keys), Some(key)) = (&mut self.keys, &record.key)
            && let Some(older) = keys.insert(key.clone(), self.head)
            && let Some(place) = older.checked_sub(self.trimmed + 1)
            && let Some(place) = self.records.get_mut(usize::try_from(place).unwrap_or(usize::MAX))
            && let Some(replaced) = place.take()
        {
            self.bytes -= u64::from(replaced.cost());
            self.kept -= 1;
        }
        self.trim(now);
    }

    /// Drops what is over a bound. Returns when the oldest remaining record reaches its age.
    pub(crate) fn trim(&mut self, now: Time) -> Option<Time> {
        // A place that was given up is kept as long as an older record would be: who asks for it is told why it is empty.
        while let Some(oldest) = self.oldest() {
            let expires = oldest.admitted.after(self.options.age);
            let over = self.records.len() > self.options.records as usize || self.bytes > u64::from(self.options.bytes);
            if !over && expires > now {
                return Some(expires);
            }
            self.drop_oldest();
        }
        None
    }

    fn oldest(&mut self) -> Option<&Arc<Record>> {
        self.empty_up_to = self.empty_up_to.max(self.trimmed);
        let place = |offset: Offset| usize::try_from(offset).unwrap_or(usize::MAX);
        while let Some(None) = self.records.get(place(self.empty_up_to - self.trimmed)) {
            self.empty_up_to += 1;
        }
        self.records.get(place(self.empty_up_to - self.trimmed))?.as_ref()
    }

    /// Drops everything, for the budget over all channels. Returns the bytes freed.
    pub(crate) fn clear(&mut self) -> u64 {
        self.records = VecDeque::new();
        self.kept = 0;
        if let Some(keys) = &mut self.keys {
            keys.clear();
        }
        self.set_trimmed(self.head);
        std::mem::take(&mut self.bytes)
    }

    /// The log keeps nothing up to here any more.
    pub(crate) fn raise_floor(&mut self, floor: Offset) {
        self.floor = self.floor.max(floor.min(self.head));
        while self.trimmed < self.floor && !self.records.is_empty() {
            self.drop_oldest();
        }
        self.trimmed = self.trimmed.max(self.floor);
    }

    /// Removes everything up to here on purpose. Returns the bytes freed.
    pub(crate) fn purge(&mut self, through: Offset) -> u64 {
        let before = self.bytes;
        self.purged = self.purged.max(through.min(self.head));
        self.raise_floor(self.purged);
        before - self.bytes
    }

    /// Why offsets that nobody can get any more are missing.
    pub(crate) const fn missing_because(&self, last: Offset) -> GapReason {
        if last <= self.purged { GapReason::Purged } else { GapReason::Window }
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.records.pop_front() {
            self.set_trimmed(self.trimmed + 1);
            if let Some(oldest) = oldest {
                self.bytes -= u64::from(oldest.cost());
                self.kept -= 1;
                if let (Some(keys), Some(key)) = (&mut self.keys, &oldest.key)
                    && keys.get(key) == Some(&self.trimmed)
                {
                    keys.remove(key);
                }
            }
        }
        if self.records.is_empty() {
            // An idle channel gives its storage back.
            self.records.shrink_to(0);
        }
    }

    fn set_trimmed(&mut self, trimmed: Offset) {
        self.trimmed = trimmed;
        if !self.persisted {
            self.floor = self.floor.max(trimmed);
        }
    }

    /// Resolves where a subscription starts. Fails with the place that the log has to look for.
    pub(crate) fn window(&self, start: &Start, wall: UnixMs) -> Result<Window, At> {
        Ok(match start {
            Start::Now => self.from(self.head + 1),
            Start::Rewind(count) => self.from((self.head + 1).saturating_sub(u64::from(*count))),
            Start::RewindMs(ms) => {
                let at = At::Time(UnixMs(wall.0.saturating_sub(*ms)));
                match self.locate(&at) {
                    Some(first) => self.from(first),
                    None if self.floor == self.trimmed => self.from(self.head + 1),
                    None => return Err(at),
                }
            }
            Start::Beginning(epoch) => self.since(epoch, self.origin),
            Start::Since(position) => self.since(&position.epoch, position.offset),
        })
    }

    /// Where a subscription starts that gets its first message at this offset, or the first one that is retained.
    pub(crate) fn from(&self, first: Offset) -> Window {
        let position = first.saturating_sub(1).clamp(self.floor, self.head);
        Window { position, recovered: None, gap: None }
    }

    fn since(&self, epoch: &Epoch, offset: Offset) -> Window {
        // "Before the first" is a place of its own: a memory channel may begin above 1.
        let offset = if offset == 0 { self.origin } else { offset };
        if *epoch != self.epoch || offset > self.head {
            let gap = Gap { range: None, reason: GapReason::Epoch };
            return Window { position: self.floor, recovered: Some(false), gap: Some(gap) };
        }
        if offset < self.floor {
            let gap = Gap { range: Some((offset + 1, self.floor)), reason: self.missing_because(self.floor) };
            return Window { position: self.floor, recovered: Some(!gap.reason.lost()), gap: Some(gap) };
        }
        Window { position: offset, recovered: Some(true), gap: None }
    }

    /// The offset of a message in memory: that of its id, or the first one at that time or later. `None` if memory cannot tell, or
    /// has none.
    pub(crate) fn locate(&self, at: &At) -> Option<Offset> {
        let mut records = self.records.iter().flatten();
        match at {
            At::Position(position) => Some(position.offset),
            At::Id(id) => records.find(|record| record.id == *id)?.offset,
            At::Time(time) => {
                let older_ones_lie_elsewhere = self.floor < self.trimmed;
                let first = records.next().filter(|first| !older_ones_lie_elsewhere || first.time < *time)?;
                let found = std::iter::once(first).chain(records).find(|record| record.time >= *time);
                Some(found.and_then(|record| record.offset).unwrap_or(self.head + 1))
            }
        }
    }

    /// Reads from `next` on, at most a page of records and bytes, but at least one record if there is any. What lies in the log only
    /// has to be read there.
    pub(crate) fn page(&self, next: Offset, bounds: PageBounds) -> Found {
        let missing = (next <= self.floor).then_some((next, self.floor));
        let first = next.max(self.floor + 1);
        if first <= self.trimmed {
            return Found::InLog { missing, from: first };
        }
        let skip = usize::try_from(first - self.trimmed - 1).unwrap_or(usize::MAX);
        let records = self.records.iter().skip(skip).flatten();
        Found::Here(Page::of(records, missing, first - 1, self.head, bounds))
    }
}

const _: () = assert!(limits::BLOCK_RECORDS as usize >= limits::PAGE_RECORDS);
