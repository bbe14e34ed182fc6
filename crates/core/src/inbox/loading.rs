//! Loading: an inbox of the store is there again when its rows and its messages have been read.

use std::sync::Arc;

use super::pending::Inbox;
use super::rows::Rows;
use crate::history::Block;
use crate::id::ChannelKey;
use crate::options::InboxOptions;
use crate::position::{Epoch, Offset};
use crate::record::Record;
use crate::state::Row;
use crate::time::Time;

/// An inbox that is being read. Its home opens when it is done.
#[derive(Debug)]
pub(crate) struct Loading {
    pub(crate) epoch: Epoch,
    pub(crate) head: Offset,
    pub(crate) floor: Offset,
    rows: Rows,
    /// Everything up to here has been looked at.
    reached: Offset,
    inbox: Inbox,
}

impl Loading {
    pub(crate) fn new(epoch: Epoch, head: Offset, floor: Offset) -> Self {
        Self { epoch, head, floor, rows: Rows::default(), reached: 0, inbox: Inbox::default() }
    }

    /// The rows have been read.
    pub(crate) fn take_rows(&mut self, channel: &ChannelKey, rows: &[Row], options: &InboxOptions) {
        let rows = Rows::read(channel, &self.epoch, rows);
        // What lies below the newest messages that an inbox holds was dropped, or is now.
        let newest = rows.done.newest_open(self.head, u64::from(options.messages));
        let inbox = &mut self.inbox;
        inbox.head = self.head;
        (inbox.announced, inbox.untold) = (rows.announced.min(self.head), rows.untold);
        inbox.dropped_up_to = rows.dropped_up_to.min(self.head);
        rows.stale.iter().for_each(|device| inbox.saving.forget(device.clone()));
        self.rows = rows;
        self.pass(newest.max(self.floor));
    }

    /// Goes on after this offset. What was not acked up to there, and has not been read, is lost.
    fn pass(&mut self, to: Offset) {
        if self.rows.done.open_within(self.reached + 1, to) > 0 {
            self.inbox.dropped_up_to = self.inbox.dropped_up_to.max(to);
        }
        self.reached = self.reached.max(to);
    }

    /// What to read next; `None` when everything is there.
    pub(crate) fn wants(&self) -> Option<Offset> {
        let next = self.rows.done.next_open(self.reached);
        (next <= self.head).then_some(next)
    }

    /// A block of messages has been read.
    pub(crate) fn take_block(&mut self, block: &Block, options: &InboxOptions) {
        let open = |record: &&Arc<Record>| {
            let offset = record.offset.unwrap_or_default();
            offset > self.reached && offset <= self.head && !self.rows.done.contains(offset)
        };
        for record in block.records.iter().filter(open) {
            self.inbox.admit(record, options.age);
        }
        for offset in block.damaged.iter().filter(|offset| **offset <= self.head && !self.rows.done.contains(**offset))
        {
            self.inbox.dropped_up_to = self.inbox.dropped_up_to.max(*offset);
        }
        self.floor = self.floor.max(block.floor.min(self.head));
        self.reached = self.reached.max(block.reached.max(self.reached + 1));
    }

    /// Everything has been read. Devices are put into place now, so that what all of them have acked leaves.
    pub(crate) fn finish(mut self, options: &InboxOptions, now: Time) -> Inbox {
        let rows = self.rows;
        for (place, (device, acked)) in rows.devices.into_iter().enumerate() {
            self.inbox.devices.push(device);
            for offset in self.inbox.offsets().filter(|offset| acked.contains(*offset)).collect::<Vec<_>>() {
                self.inbox.restore_ack(offset, Some(place));
            }
        }
        for offset in self.inbox.offsets().filter(|offset| rows.anonymous.contains(*offset)).collect::<Vec<_>>() {
            self.inbox.restore_ack(offset, None);
        }
        if options.policy == super::Policy::Any {
            // They were known when every device counted.
            while !self.inbox.devices.is_empty() {
                self.inbox.forget(0);
            }
        }
        self.inbox.lose(self.floor);
        self.inbox.release();
        self.inbox.fit(options, now);
        self.inbox
    }
}
