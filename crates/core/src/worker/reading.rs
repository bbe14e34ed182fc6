//! A page of history under way: which stretches it reads, what it takes of them, and where it ends.
//!
//! - Forward is one stretch, the whole window. Backward goes from the window's end to its beginning in stretches no longer than a block,
//!   each of which is read oldest first, because that is how a log reads; so a page costs little more than what it brings.
//! - A page ends by messages, by bytes, and before a second gap, because it tells one: the next page begins with that.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;

use super::Worker;
use super::channel::ready;
use super::history::Reader;
use super::input::LogFailure;
use super::publishing::log_failure;
use crate::history::{Direction, Found, HistoryPage, Page, PageBounds, Rest, Stretch, Wanted};
use crate::id::SlotKey;
use crate::inbox::{Actor, Inbox};
use crate::limits;
use crate::position::{Epoch, Gap, GapReason, Offset, Position};
use crate::publish::Origin;
use crate::record::Record;
use crate::rejection::{Rejection, RejectionKind};

type Range = (Offset, Offset);

/// A page under way.
#[derive(Debug)]
pub(crate) struct Reading {
    origin: Origin,
    home: SlotKey,
    direction: Direction,
    gap: Option<Gap>,
    /// The whole window …
    after: Offset,
    until: Offset,
    /// … and the stretch that is read: from `next` up to `end`.
    next: Offset,
    end: Offset,
    limit: usize,
    /// It takes no more.
    is_full: bool,
    /// In order.
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    back: Back,
    /// Only what is pending for them in an inbox.
    inbox: Option<Actor>,
}

/// What a backward page knows besides.
#[derive(Debug, Default)]
struct Back {
    /// It does not begin before the message after this one, which bounds the offsets it looks at.
    lowest: Offset,
    /// Its messages begin after this one.
    begins_after: Offset,
    /// Of its stretch, in order.
    records: VecDeque<Arc<Record>>,
    bytes: usize,
    /// What is missing of its stretch, newest only.
    missing: Option<(Range, GapReason)>,
    /// Something of its stretch belongs to the next page.
    is_cut: bool,
}

impl Worker {
    /// Reads until the page is full or its end is reached, or waits for a block.
    pub(crate) fn read_on(&mut self, mut reading: Box<Reading>) {
        let bounds = PageBounds { records_max: limits::HISTORY_PAGE_MAX as usize, now: self.now.time };
        while !reading.is_done() {
            let Some(home) = ready(&mut self.homes, reading.home) else { break };
            if !reading.pass_over(home.inbox.as_deref()) {
                break;
            }
            let reason = |range: Option<Range>| home.ring.missing_because(range.map_or(0, |range| range.1));
            let floor = home.ring.floor();
            if floor >= reading.end {
                let missing = Some((reading.next, reading.end));
                let nothing = Page { missing, reached: reading.end, ..Page::default() };
                reading.take(nothing, reason(missing), None);
                continue;
            }
            let (missing, from) = match home.ring.page(reading.next, bounds) {
                Found::Here(page) => {
                    let reason = reason(page.missing);
                    reading.take(page, reason, home.inbox.as_deref());
                    continue;
                }
                Found::InLog { missing, from } => (missing, from),
            };
            let key = reading.home;
            match self.blocks.want(key, from, floor, Reader::History(reading)) {
                Wanted::Here(block, Reader::History(back)) => {
                    reading = back;
                    let page = Page::of_block(block, missing, from, bounds);
                    let reason = reason(page.missing);
                    reading.take(page, reason, home.inbox.as_deref());
                }
                Wanted::Here(_, Reader::Pull(_) | Reader::Attach(_) | Reader::Consumer { .. }) | Wanted::Waits => {
                    return;
                }
                Wanted::Ask { from } => return self.read_log(key, from),
            }
        }
        let home = ready(&mut self.homes, reading.home);
        let known = home.map(|home| {
            let count = |by: &Actor| home.inbox.as_ref().map_or(0, |inbox| inbox.count(by));
            (home.ring.epoch().clone(), home.skipped, reading.inbox.as_ref().map(count))
        });
        let Some((epoch, skipped, pending)) = known else {
            let rejection = Rejection::new(RejectionKind::Unavailable, "the channel was closed meanwhile");
            return self.answer_history(reading.origin, Err(rejection.retry_after_ms(0)));
        };
        if skipped == GapReason::Replaced {
            reading.drop_replaced();
        }
        let (origin, page) = reading.finish(epoch, pending);
        self.answer_history(origin, Ok(page));
    }

    pub(crate) fn fail_reading(&mut self, reading: Reading, failure: LogFailure) {
        self.answer_history(reading.origin, Err(log_failure(failure)));
    }
}

impl Reading {
    pub(crate) fn new(origin: Origin, home: SlotKey, window: Stretch, limit: u32, inbox: Option<Actor>) -> Self {
        let Stretch { after, until, direction, gap } = window;
        let lowest = after.max(until.saturating_sub(u64::from(limit)));
        let mut reading = Self {
            origin,
            home,
            direction,
            gap,
            after,
            until,
            next: after + 1,
            end: until,
            limit: limit as usize,
            is_full: false,
            records: VecDeque::new(),
            bytes: 0,
            back: Back { lowest, begins_after: until, ..Back::default() },
            inbox,
        };
        if direction == Direction::Backward {
            reading.begin_stretch();
        }
        reading
    }

    fn is_done(&self) -> bool {
        // A stretch that goes back is read to its end, because its end is what counts.
        self.next > self.end || (self.is_full && self.direction == Direction::Forward)
    }

    /// Of an inbox, what is not pending need not be read: it may be most of the channel. Returns whether anything is left to read.
    fn pass_over(&mut self, inbox: Option<&Inbox>) -> bool {
        if let (Some(by), Direction::Forward) = (&self.inbox, self.direction) {
            let beyond = self.end + 1;
            let shown = inbox.and_then(|inbox| inbox.next_shown(by, self.next));
            self.next = shown.unwrap_or(beyond).min(beyond).max(self.next);
        }
        !self.is_done()
    }

    /// Takes what belongs to this page out of what was read.
    fn take(&mut self, mut page: Page, reason: GapReason, inbox: Option<&Inbox>) {
        if let Some(by) = &self.inbox {
            // What waits is a list, not a stretch of offsets: what is not in it is no gap.
            let shows = |offset| inbox.is_some_and(|inbox| inbox.shows(by, offset));
            page.records.retain(|record| record.offset.is_some_and(shows));
            page.missing = None;
        }
        let missing = page.missing.map(|(first, last)| (first, last.min(self.end)));
        match self.direction {
            Direction::Forward => {
                if let Some(range) = missing
                    && !self.tell(range, reason)
                {
                    self.is_full = true;
                    return;
                }
                self.next = page.reached.max(self.next - 1) + 1;
                self.take_forward(page.records);
            }
            Direction::Backward => {
                if let Some(range) = missing {
                    self.back.miss(range, reason);
                }
                self.next = page.reached.max(self.next - 1) + 1;
                self.take_backward(page.records);
                if self.next > self.end {
                    self.end_stretch();
                }
            }
        }
    }

    fn take_forward(&mut self, records: Vec<Arc<Record>>) {
        for record in records {
            let Some(offset) = record.offset.filter(|offset| *offset <= self.end) else { break };
            if self.is_full {
                self.next = offset;
                return;
            }
            self.bytes += record.cost() as usize;
            self.records.push_back(record);
            self.is_full = self.records.len() >= self.limit || self.bytes >= limits::HISTORY_PAGE_BYTES;
        }
    }

    fn take_backward(&mut self, records: Vec<Arc<Record>>) {
        let back = &mut self.back;
        for record in records {
            if record.offset.is_none_or(|offset| offset > self.end) {
                break;
            }
            back.bytes += record.cost() as usize;
            back.records.push_back(record);
            // The newest count: it goes on and lets the oldest go.
            let count = |back: &Back| self.records.len() + back.records.len();
            let over = |back: &Back| count(back) > self.limit || self.bytes + back.bytes > limits::HISTORY_PAGE_BYTES;
            while over(back) && count(back) > 1 {
                let Some(oldest) = back.records.front().and_then(|record| record.offset) else { break };
                back.begin_after(oldest);
            }
        }
    }

    /// Goes on below what has been read.
    fn begin_stretch(&mut self) {
        let end = self.back.begins_after;
        let aligned = end.saturating_sub(1) / limits::BLOCK_RECORDS * limits::BLOCK_RECORDS;
        (self.next, self.end) = (aligned.max(self.back.lowest) + 1, end);
        // Until something of it is left out, the page reaches down to the beginning of its stretch.
        self.back.begins_after = self.next - 1;
    }

    /// Puts a stretch before those that were read before it.
    fn end_stretch(&mut self) {
        if let Some((range, why)) = self.back.missing.take()
            && !self.tell(range, why)
        {
            self.back.begin_after(range.1);
        }
        self.is_full |= self.back.is_cut;
        self.bytes += std::mem::take(&mut self.back.bytes);
        while let Some(record) = self.back.records.pop_back() {
            self.records.push_front(record);
        }
        if !self.is_full && self.back.begins_after > self.back.lowest {
            self.begin_stretch();
        }
    }

    /// Tells what is missing, if this page has no other gap to tell.
    fn tell(&mut self, (first, last): Range, why: GapReason) -> bool {
        match &mut self.gap {
            None => self.gap = Some(Gap { range: Some((first, last)), reason: why }),
            Some(Gap { range: Some((_, to)), reason }) if *reason == why && *to + 1 == first => *to = last,
            Some(Gap { range: Some((from, _)), reason }) if *reason == why && last + 1 == *from => *from = first,
            Some(_) => return false,
        }
        true
    }

    /// A page that waited for a block may have taken a message before the one that replaced it.
    fn drop_replaced(&mut self) {
        let mut newest = HashMap::new();
        for record in &self.records {
            if let Some(key) = &record.key {
                newest.insert(key.clone(), record.offset);
            }
        }
        self.records.retain(|record| record.key.as_ref().is_none_or(|key| newest[key] == record.offset));
    }

    fn finish(self, epoch: Epoch, pending: Option<u32>) -> (Origin, HistoryPage) {
        let direction = self.direction;
        let rest = |after, until| (after < until).then(|| Rest { epoch: epoch.clone(), after, until, direction });
        let (covered, next, records) = match direction {
            Direction::Forward => {
                let reached = (self.next - 1).min(self.until);
                (reached, rest(reached, self.until), self.records.into())
            }
            Direction::Backward => {
                (self.until, rest(self.after, self.back.begins_after), self.records.into_iter().rev().collect())
            }
        };
        let position = Position { epoch: epoch.clone(), offset: covered };
        (self.origin, HistoryPage { records, position, next, gap: self.gap, pending })
    }
}

impl Back {
    /// The page begins after this offset: what is older belongs to the next one.
    fn begin_after(&mut self, offset: Offset) {
        while let Some(oldest) = self.records.front().filter(|record| record.offset.is_some_and(|at| at <= offset)) {
            self.bytes -= oldest.cost() as usize;
            self.records.pop_front();
        }
        self.missing = self.missing.filter(|(range, _)| range.1 > offset);
        self.begins_after = offset;
        self.is_cut = true;
    }

    /// A range is missing of the stretch. An older one that does not touch it belongs to the next page.
    fn miss(&mut self, range: Range, why: GapReason) {
        let mut first = range.0;
        match self.missing {
            Some((older, reason)) if older.1 + 1 == range.0 && reason == why => first = older.0,
            Some((older, _)) => self.begin_after(older.1),
            None => {}
        }
        self.missing = Some(((first, range.1), why));
    }
}
