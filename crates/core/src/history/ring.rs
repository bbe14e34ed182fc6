//! The ring itself.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::limits;
use crate::options::HistoryOptions;
use crate::position::{Epoch, Gap, GapReason, Offset, Position, Start};
use crate::record::Record;
use crate::time::Time;

#[derive(Debug)]
pub(crate) struct Ring {
    options: HistoryOptions,
    epoch: Epoch,
    records: VecDeque<Arc<Record>>,
    bytes: u64,
    /// The newest offset there is, retained or not.
    head: Offset,
    /// The newest offset that no reader can get any more.
    trimmed: Offset,
    /// The offset before the first one of this log.
    origin: Offset,
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

/// Part of a catch-up.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Offsets that are gone: first and last.
    pub(crate) missing: Option<(Offset, Offset)>,
    pub(crate) records: Vec<Arc<Record>>,
}

impl Ring {
    /// An empty ring that continues after `head`.
    pub(crate) fn new(options: HistoryOptions, epoch: Epoch, head: Offset) -> Self {
        Self { options, epoch, records: VecDeque::new(), bytes: 0, head, trimmed: head, origin: head }
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

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }

    /// The newest offset that no reader can get any more.
    #[cfg(test)]
    pub(crate) const fn trimmed(&self) -> Offset {
        self.trimmed
    }

    pub(crate) fn position(&self) -> Position {
        Position { epoch: self.epoch.clone(), offset: self.head }
    }

    /// Takes the next record. The caller has checked that its offset is `head + 1`.
    pub(crate) fn push(&mut self, record: &Arc<Record>, now: Time) {
        assert_eq!(record.offset, Some(self.head + 1), "records arrive in order");
        self.head += 1;
        self.bytes += u64::from(record.cost());
        self.records.push_back(record.clone());
        self.trim(now);
    }

    /// Drops what is over a bound. Returns when the oldest remaining record reaches its age.
    pub(crate) fn trim(&mut self, now: Time) -> Option<Time> {
        while let Some(oldest) = self.records.front() {
            let expires = oldest.admitted.after(self.options.age);
            let over = self.records.len() > self.options.records as usize || self.bytes > u64::from(self.options.bytes);
            if !over && expires > now {
                return Some(expires);
            }
            self.drop_oldest();
        }
        None
    }

    /// Drops everything, for the budget over all channels. Returns the bytes freed.
    pub(crate) fn clear(&mut self) -> u64 {
        self.records = VecDeque::new();
        self.trimmed = self.head;
        std::mem::take(&mut self.bytes)
    }

    fn drop_oldest(&mut self) {
        if let Some(oldest) = self.records.pop_front() {
            self.bytes -= u64::from(oldest.cost());
            self.trimmed += 1;
        }
        if self.records.is_empty() {
            // An idle channel gives its storage back.
            self.records.shrink_to(0);
        }
    }

    /// Resolves where a subscription starts.
    pub(crate) fn window(&self, start: &Start) -> Window {
        let live = Window { position: self.head, recovered: None, gap: None };
        match start {
            Start::Now => live,
            Start::Rewind(count) => {
                Window { position: self.trimmed.max(self.head.saturating_sub(u64::from(*count))), ..live }
            }
            Start::Beginning(epoch) => self.since(epoch, self.origin),
            Start::Since(position) => self.since(&position.epoch, position.offset),
        }
    }

    fn since(&self, epoch: &Epoch, offset: Offset) -> Window {
        // "Before the first" is a place of its own: a memory channel may begin above 1.
        let offset = if offset == 0 { self.origin } else { offset };
        if *epoch != self.epoch || offset > self.head {
            let gap = Gap { range: None, reason: GapReason::Epoch };
            return Window { position: self.trimmed, recovered: Some(false), gap: Some(gap) };
        }
        if offset < self.trimmed {
            let gap = Gap { range: Some((offset + 1, self.trimmed)), reason: GapReason::Window };
            return Window { position: self.trimmed, recovered: Some(false), gap: Some(gap) };
        }
        Window { position: offset, recovered: Some(true), gap: None }
    }

    /// Reads from `next` on, at most `records_max` records and a page of bytes, but at least one record if there is any.
    pub(crate) fn page(&self, next: Offset, records_max: usize) -> Page {
        let mut page = Page::default();
        let first = next.max(self.trimmed + 1);
        if first > next && next <= self.head {
            page.missing = Some((next, self.trimmed));
        }
        let skip = usize::try_from(first - self.trimmed - 1).unwrap_or(usize::MAX);
        let mut bytes = 0;
        for record in self.records.iter().skip(skip).take(records_max) {
            bytes += record.cost() as usize;
            if bytes > limits::PAGE_BYTES && !page.records.is_empty() {
                break;
            }
            page.records.push(record.clone());
        }
        page
    }
}
