//! What a consumer takes out of its channel: in order, as far as its window has room; what is not there is passed over.

use std::sync::Arc;
use std::time::Duration;

use super::Consumer;
use super::window::{Item, Place};
use crate::history::Page;
use crate::limits;
use crate::position::{Gap, GapReason, Offset};
use crate::record::Record;
use crate::time::{Now, UnixMs};

/// What a consumer wants out of its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) offset: Offset,
    pub(crate) records_max: usize,
    again: bool,
}

impl Consumer {
    /// What it has not come to, and the log has lost, is passed over.
    pub(crate) fn catch_up_with(&mut self, floor: Offset, reason: GapReason) {
        if floor > self.scanned {
            self.pass_over(self.scanned + 1, floor, reason);
        }
    }

    /// What to read next, if there is room for it. `crowded`: the consumers of this worker hold all they may together.
    pub(crate) fn wanted(&self, head: Offset, crowded: bool) -> Option<Wanted> {
        let full = self.window.len() >= limits::CONSUMER_WINDOW
            || (self.window.len() > 0 && (crowded || self.window.bytes() >= limits::CONSUMER_WINDOW_BYTES));
        if full {
            return None;
        }
        if let Some(offset) = self.again.first() {
            return Some(Wanted { offset: *offset, records_max: 1, again: true });
        }
        let offset = self.acked.next_open(self.scanned);
        let room = limits::CONSUMER_WINDOW - self.window.len();
        (offset <= head).then(|| Wanted { offset, records_max: room.min(limits::PAGE_RECORDS), again: false })
    }

    /// Takes what was read.
    pub(crate) fn take_in(&mut self, wanted: Wanted, page: Page, reason: GapReason, now: Now) {
        if wanted.again {
            return self.take_again(wanted.offset, page, now);
        }
        self.dirt.cursor |= page.reached > self.scanned;
        if let Some((first, last)) = page.missing {
            self.pass_over(first, last, reason);
        }
        let mut next = self.scanned + 1;
        for record in page.records {
            let Some(offset) = record.offset.filter(|offset| *offset >= next) else { continue };
            self.skip(next, offset - 1);
            next = offset + 1;
            if self.acked.contains(offset) {
                continue;
            }
            let first_of_key = self.admit(offset, record, false);
            if first_of_key {
                self.start(offset, now);
            }
        }
        self.skip(next, page.reached);
        self.scanned = self.scanned.max(page.reached);
    }

    /// Messages that are not there on purpose are done.
    fn skip(&mut self, first: Offset, last: Offset) {
        self.forget_known(first, last);
        self.acked.cover(first, last);
    }

    fn forget_known(&mut self, first: Offset, last: Offset) {
        let known: Vec<Offset> =
            if first <= last { self.known.range(first..=last).map(|it| *it.0).collect() } else { Vec::new() };
        for offset in known.into_iter().filter(|offset| !self.again.contains(offset)) {
            self.known.remove(&offset);
            self.dirt.rows.insert(offset, None);
        }
    }

    /// The log has lost these.
    pub(super) fn pass_over(&mut self, first: Offset, last: Offset, reason: GapReason) {
        let lost = self.acked.open_within(first, last);
        self.skip(first, last);
        self.scanned = self.scanned.max(last);
        self.dirt.cursor = true;
        if lost == 0 {
            return;
        }
        self.lost += if reason.lost() { lost } else { 0 };
        let first = match &self.gap {
            Some(Gap { range: Some((earlier, _)), .. }) => *earlier,
            Some(Gap { range: None, .. }) => return,
            None => first,
        };
        self.gap = Some(Gap { range: Some((first, last)), reason });
    }

    /// A dead letter that was given back has been looked for.
    fn take_again(&mut self, offset: Offset, page: Page, now: Now) {
        self.again.remove(&offset);
        let found = page.records.into_iter().find(|record| record.offset == Some(offset));
        match found {
            Some(record) => {
                if self.admit(offset, record, true) {
                    self.start(offset, now);
                }
            }
            None => {
                self.lost += 1;
                self.known.remove(&offset);
                self.dirt.rows.insert(offset, None);
            }
        }
    }

    fn admit(&mut self, offset: Offset, record: Arc<Record>, again: bool) -> bool {
        let known = self.known.get(&offset);
        let before = u8::from(offset <= self.handed && !again);
        let attempts = known.map_or(before, |known| known.count);
        let counted = known.map_or(0, |known| known.count);
        let stored = known.is_some();
        let item = Item { record, attempts, counted, stored, again, holder: None, place: Place::Behind };
        self.window.insert(offset, item)
    }

    /// A message has come on its way: it may have to wait.
    fn start(&mut self, offset: Offset, now: Now) {
        let until = self.known.remove(&offset).map_or(UnixMs(0), |known| known.until);
        if until.0 > now.wall.0 {
            let left = Duration::from_millis(until.0 - now.wall.0).min(limits::ACK_DELAY_MAX);
            self.window.put(offset, Place::Waits { until: now.time.after(left) });
        } else {
            self.offer(offset);
        }
    }

    /// The application has removed everything up to here.
    pub(crate) fn purge(&mut self, through: Offset) {
        let purged: Vec<Offset> = self.window.up_to(through).map(|(offset, _)| offset).collect();
        purged.into_iter().for_each(|offset| self.finish(offset));
        self.dirt.cursor |= self.acked.open_within(1, through) > 0;
        self.skip(1, through);
        self.scanned = self.scanned.max(self.acked.floor());
        self.dismiss();
    }
}
