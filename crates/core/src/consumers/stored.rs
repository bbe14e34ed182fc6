//! Consumers in the state beside the log.
//!
//! | table | key after the channel | value |
//! |---|---|---|
//! | cursors | consumer | version, flags, when it was used, newest offset handed out, lost, letters dropped, epoch, what is done |
//! | pending acks | consumer, offset | deliveries, not before |
//! | dead letters | consumer, offset | deliveries, when, reason |
//!
//! What the newest offset handed out covers, and is not done, was delivered once, unless it has a row of pending acks: from the second
//! delivery on, for what is held back for its key, and for dead letters that were given back. What is done as far as the cursor goes,
//! and has such a row, is not done. So a row goes before, or together with, the cursor that makes its message done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Consumer;
use crate::acks::Acked;
use crate::id::{ChannelKey, ConsumerName};
use crate::limits;
use crate::position::{Epoch, Gap, GapReason, Offset};
use crate::state::{Change, Table, key};
use crate::time::{Now, UnixMs};

const VERSION: u8 = 1;
const GROUP: u8 = 1;
/// Nobody was told that the log has begun a new life.
const UNTOLD_EPOCH: u8 = 2;

/// What the state says of a message that is not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempts {
    /// Deliveries that were made, or were about to be.
    pub(super) count: u8,
    /// It does not come before; 0 is at once.
    pub(super) until: UnixMs,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Letter {
    pub(super) attempts: u8,
    pub(super) reason: Arc<str>,
    pub(super) time: UnixMs,
}

/// What has changed since the last write. Bounded by the window and the dead letters.
#[derive(Debug, Default)]
pub(super) struct Dirt {
    pub(super) cursor: bool,
    pub(super) rows: BTreeMap<Offset, Option<Attempts>>,
    pub(super) letters: BTreeSet<Offset>,
    /// Messages that are handed out once their rows are written.
    pub(super) counting: Vec<Offset>,
}

impl Dirt {
    pub(super) fn is_empty(&self) -> bool {
        !self.cursor && self.rows.is_empty() && self.letters.is_empty() && self.counting.is_empty()
    }
}

impl Attempts {
    fn to_bytes(self) -> Box<[u8]> {
        [self.count].into_iter().chain(self.until.0.to_be_bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (count, rest) = bytes.split_first()?;
        Some(Self { count: *count, until: UnixMs(u64::from_be_bytes(rest.try_into().ok()?)) })
    }
}

impl Letter {
    fn to_bytes(&self) -> Box<[u8]> {
        let head = [self.attempts].into_iter().chain(self.time.0.to_be_bytes());
        head.chain(self.reason.bytes()).collect()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (attempts, rest) = bytes.split_first()?;
        let (time, reason) = rest.split_first_chunk()?;
        let reason = std::str::from_utf8(reason).ok()?.into();
        Some(Self { attempts: *attempts, reason, time: UnixMs(u64::from_be_bytes(*time)) })
    }
}

/// The key of a consumer's row, or of that of one of its messages.
fn row_key(channel: &ChannelKey, consumer: &ConsumerName, offset: Option<Offset>) -> Box<[u8]> {
    let name = consumer.as_str().as_bytes();
    match offset {
        None => key(channel, &[name]),
        Some(offset) => key(channel, &[name, &offset.to_be_bytes()]),
    }
}

/// The consumer and the message that a key is about. `None` for one that [`row_key`] did not make.
fn read_key(channel: &ChannelKey, bytes: &[u8]) -> Option<(ConsumerName, Option<Offset>)> {
    let rest = bytes.strip_prefix(&*key(channel, &[]))?;
    let (length, rest) = rest.split_first()?;
    let (name, rest) = rest.split_at_checked(usize::from(*length))?;
    let name = ConsumerName::parse(std::str::from_utf8(name).ok()?).ok()?;
    match rest.split_first() {
        None => Some((name, None)),
        Some((8, offset)) => Some((name, Some(Offset::from_be_bytes(offset.try_into().ok()?)))),
        Some(_) => None,
    }
}

impl Consumer {
    /// What the state has to be told, in the order in which it may be told in parts. Returns who waits for a count.
    pub(super) fn write(&mut self, channel: &ChannelKey, out: &mut Changes) -> Vec<Offset> {
        let dirt = std::mem::take(&mut self.dirt);
        let at = |offset| row_key(channel, &self.name, Some(offset));
        for (offset, row) in dirt.rows {
            match row {
                Some(row) => {
                    out.puts.push(Change::Put { table: Table::PendingAcks, key: at(offset), value: row.to_bytes() });
                }
                None => out.deletes.push(Change::Delete { table: Table::PendingAcks, key: at(offset) }),
            }
        }
        for offset in dirt.letters {
            match self.letters.get(&offset) {
                Some(letter) => {
                    out.puts.push(Change::Put { table: Table::DeadLetters, key: at(offset), value: letter.to_bytes() });
                }
                None => out.deletes.push(Change::Delete { table: Table::DeadLetters, key: at(offset) }),
            }
        }
        if dirt.cursor {
            let key = row_key(channel, &self.name, None);
            out.cursors.push(Change::Put { table: Table::Cursors, key, value: self.to_bytes() });
        }
        dirt.counting
    }

    /// Everything that the state knows of it goes.
    pub(super) fn erase(&self, channel: &ChannelKey) -> Vec<Change> {
        let at = |offset| row_key(channel, &self.name, Some(offset));
        // Each message that may have a row: those of the window, those it has not come to, and those whose row is to go.
        let rows = self.window.up_to(Offset::MAX).map(|(offset, _)| offset).chain(self.known.keys().copied());
        let rows = rows.chain(self.dirt.rows.keys().copied()).collect::<BTreeSet<_>>().into_iter();
        let rows = rows.map(|offset| Change::Delete { table: Table::PendingAcks, key: at(offset) });
        let letters = self.letters.keys().chain(&self.dirt.letters).collect::<BTreeSet<_>>().into_iter();
        let letters = letters.map(|offset| Change::Delete { table: Table::DeadLetters, key: at(*offset) });
        let cursor = Change::Delete { table: Table::Cursors, key: row_key(channel, &self.name, None) };
        rows.chain(letters).chain([cursor]).collect()
    }

    fn to_bytes(&self) -> Box<[u8]> {
        let epoch = self.epoch.as_str().as_bytes();
        let untold = self.gap.as_ref().is_some_and(|gap| gap.reason == GapReason::Epoch);
        let flags = if self.is_group { GROUP } else { 0 } | if untold { UNTOLD_EPOCH } else { 0 };
        let numbers = [self.used.0, self.handed, self.lost, self.letters_dropped];
        let mut bytes = vec![VERSION, flags];
        bytes.extend(numbers.into_iter().flat_map(u64::to_be_bytes));
        bytes.push(u8::try_from(epoch.len()).expect("an epoch is at most 64 bytes"));
        bytes.extend_from_slice(epoch);
        bytes.extend_from_slice(&self.acked.to_bytes());
        bytes.into()
    }

    fn from_bytes(name: ConsumerName, bytes: &[u8], now: Now) -> Option<Self> {
        let ([VERSION, flags], rest) = bytes.split_first_chunk()? else { return None };
        let (numbers, rest) = rest.split_first_chunk::<32>()?;
        let number = |at: usize| numbers[8 * at..].first_chunk().map(|bytes| u64::from_be_bytes(*bytes));
        let (length, rest) = rest.split_first()?;
        let (epoch, acked) = rest.split_at_checked(usize::from(*length))?;
        let epoch = Epoch::parse(std::str::from_utf8(epoch).ok()?)?;
        let acked = Acked::from_bytes(acked)?;
        let mut consumer = Self::new(name, flags & GROUP != 0, epoch, acked.floor(), now);
        (consumer.dirt.cursor, consumer.fresh) = (false, false);
        (consumer.used, consumer.handed) = (UnixMs(number(0)?), number(1)?.max(acked.floor()));
        (consumer.lost, consumer.letters_dropped) = (number(2)?, number(3)?);
        consumer.acked = acked;
        consumer.gap = (flags & UNTOLD_EPOCH != 0).then_some(Gap { range: None, reason: GapReason::Epoch });
        Some(consumer)
    }

    fn take_row(&mut self, table: Table, offset: Offset, value: &[u8]) {
        if table == Table::DeadLetters {
            // A crash between the parts of a write may have left the letter of what is not given up, or was given back.
            if !self.acked.contains(offset) || self.again.contains(&offset) {
                self.dirt.letters.insert(offset);
            } else if let Some(letter) = Letter::from_bytes(value) {
                self.letters.insert(offset, letter);
            }
        } else if let Some(attempts) = Attempts::from_bytes(value) {
            if self.acked.contains(offset) {
                self.again.insert(offset);
            }
            self.known.insert(offset, attempts);
        }
    }

    /// The log began a new life: what it was before is not there any more, and the consumer begins at the first message.
    pub(super) fn begin_anew(&mut self, epoch: &Epoch) {
        self.dirt.cursor = true;
        self.dirt.rows.extend(std::mem::take(&mut self.known).into_keys().map(|offset| (offset, None)));
        self.dirt.letters.extend(std::mem::take(&mut self.letters).into_keys());
        self.again.clear();
        self.epoch = epoch.clone();
        self.acked = Acked::default();
        (self.scanned, self.handed) = (0, 0);
        self.gap = Some(Gap { range: None, reason: GapReason::Epoch });
    }
}

/// Changes by the order in which they may be made in parts.
#[derive(Debug, Default)]
pub(super) struct Changes {
    pub(super) puts: Vec<Change>,
    pub(super) deletes: Vec<Change>,
    pub(super) cursors: Vec<Change>,
}

impl Changes {
    pub(super) fn in_order(self) -> Vec<Change> {
        self.puts.into_iter().chain(self.deletes).chain(self.cursors).collect()
    }
}

/// Reads a row of a table into the consumers of a channel.
pub(super) fn read_row(
    list: &mut BTreeMap<ConsumerName, Consumer>,
    channel: &ChannelKey,
    table: Table,
    row: (&[u8], &[u8]),
    now: Now,
) {
    match read_key(channel, row.0) {
        Some((name, None)) if table == Table::Cursors && list.len() < limits::CONSUMERS_PER_CHANNEL => {
            if let Some(consumer) = Consumer::from_bytes(name.clone(), row.1, now) {
                list.insert(name, consumer);
            }
        }
        Some((name, Some(offset))) => {
            if let Some(consumer) = list.get_mut(&name) {
                consumer.take_row(table, offset, row.1);
            }
        }
        Some((_, None)) | None => {}
    }
}
