//! A log in memory that keeps everything it ever ordered, so that checkers can compare.
//!
//! - One epoch for the life of the node.
//! - A forgotten channel's successor starts above the highest offset any forgotten channel had.
//! - A persisted channel begins at 1, is never forgotten, and can be read; replaced records are not there any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::history::{At, Block};
use crate::id::ChannelKey;
use crate::position::{Epoch, Offset, Position};
use crate::record::Record;

#[derive(Debug)]
pub(crate) struct MemoryLog {
    epoch: Epoch,
    heads: BTreeMap<ChannelKey, Offset>,
    high_water: Offset,
    records: BTreeMap<(ChannelKey, Offset), Arc<Record>>,
    persisted: BTreeSet<ChannelKey>,
}

impl MemoryLog {
    pub(crate) fn new() -> Self {
        let epoch = Epoch::parse("e").expect("letters are an epoch");
        Self { epoch, heads: BTreeMap::new(), high_water: 0, records: BTreeMap::new(), persisted: BTreeSet::new() }
    }

    pub(crate) fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    pub(crate) fn open(&mut self, channel: &ChannelKey) -> Offset {
        *self.heads.entry(channel.clone()).or_insert(self.high_water)
    }

    pub(crate) fn open_persisted(&mut self, channel: &ChannelKey) -> Offset {
        self.persisted.insert(channel.clone());
        *self.heads.entry(channel.clone()).or_insert(0)
    }

    /// A stretch of a persisted channel, of at most so many records.
    pub(crate) fn read(&self, channel: &ChannelKey, from: Offset, latest: bool, max: usize) -> Block {
        let to = self.head(channel);
        let mut block = Block { reached: to, ..Block::default() };
        for ((_, offset), record) in self.records.range((channel.clone(), from)..=(channel.clone(), to)) {
            if latest && self.is_replaced(record) {
                continue;
            }
            if block.records.len() == max {
                block.reached = block.records.last().and_then(|record| record.offset).expect("the log numbers records");
                break;
            }
            assert!(*offset >= from);
            block.records.push(record.clone());
        }
        block
    }

    /// The offset of an id, or of the first record at a time or later.
    pub(crate) fn locate(&self, channel: &ChannelKey, at: &At) -> Option<Offset> {
        let mut records = self.records.range((channel.clone(), 0)..=(channel.clone(), Offset::MAX));
        let fits = |record: &Record| match at {
            At::Position(position) => record.offset == Some(position.offset),
            At::Id(id) => record.id == *id,
            At::Time(time) => record.time >= *time,
        };
        records.find(|(_, record)| fits(record)).map(|((_, offset), _)| *offset)
    }

    /// Whether a newer record has the same key.
    pub(crate) fn is_replaced(&self, record: &Record) -> bool {
        let newer = (record.channel.clone(), record.offset.unwrap_or_default() + 1);
        let end = (record.channel.clone(), Offset::MAX);
        record.key.is_some() && self.records.range(newer..=end).any(|(_, it)| it.key == record.key)
    }

    pub(crate) fn append(&mut self, mut record: Record) -> Arc<Record> {
        let head = self.heads.get_mut(&record.channel).expect("a channel is opened before it is appended to");
        *head += 1;
        record.epoch = self.epoch.clone();
        record.offset = Some(*head);
        let record = Arc::new(record);
        self.records.insert((record.channel.clone(), *head), record.clone());
        record
    }

    pub(crate) fn forget(&mut self, channel: &ChannelKey) {
        if self.persisted.contains(channel) {
            return;
        }
        let head = self.heads.remove(channel).expect("a channel is forgotten once");
        self.high_water = self.high_water.max(head);
    }

    /// The process has ended, and what was in memory with it.
    pub(crate) fn forget_memory(&mut self) {
        let gone: Vec<ChannelKey> = self.heads.keys().filter(|it| !self.persisted.contains(it)).cloned().collect();
        gone.iter().for_each(|channel| self.forget(channel));
    }

    /// Where the channel stands, or would stand.
    pub(crate) fn head(&self, channel: &ChannelKey) -> Offset {
        let unknown = if self.persisted.contains(channel) { 0 } else { self.high_water };
        self.heads.get(channel).copied().unwrap_or(unknown)
    }

    pub(crate) fn record(&self, channel: &ChannelKey, offset: Offset) -> Option<&Arc<Record>> {
        self.records.get(&(channel.clone(), offset))
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.values()
    }

    pub(crate) fn position(&self, offset: Offset) -> Position {
        Position { epoch: self.epoch.clone(), offset }
    }
}
