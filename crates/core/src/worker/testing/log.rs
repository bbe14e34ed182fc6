//! A log in memory that keeps everything it ever ordered, so that checkers can compare.
//!
//! - One epoch for the life of the node.
//! - A forgotten channel's successor starts above the highest offset any forgotten channel had.
//! - A persisted channel begins at 1, is never forgotten, and can be read; replaced records are not there any more, nor those that were
//!   trimmed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::history::{At, Block};
use crate::id::ChannelKey;
use crate::position::{Epoch, Offset, Position};
use crate::record::Record;
use crate::worker::LogFailure;

#[derive(Debug)]
pub(crate) struct MemoryLog {
    epoch: Epoch,
    heads: BTreeMap<ChannelKey, Offset>,
    high_water: Offset,
    records: BTreeMap<(ChannelKey, Offset), Arc<Record>>,
    persisted: BTreeSet<ChannelKey>,
    /// What retention has taken of persisted channels.
    floors: BTreeMap<ChannelKey, Offset>,
    damaged: BTreeSet<(ChannelKey, Offset)>,
}

impl MemoryLog {
    pub(crate) fn new() -> Self {
        let epoch = Epoch::parse("e").expect("letters are an epoch");
        Self {
            epoch,
            heads: BTreeMap::new(),
            high_water: 0,
            records: BTreeMap::new(),
            persisted: BTreeSet::new(),
            floors: BTreeMap::new(),
            damaged: BTreeSet::new(),
        }
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

    /// Nobody can read anything of a persisted channel up to here any more.
    pub(crate) fn trim(&mut self, channel: &ChannelKey, through: Offset) {
        let head = self.heads.get(channel).copied().unwrap_or_default();
        let floor = self.floor(channel).max(through.min(head));
        self.floors.insert(channel.clone(), floor);
    }

    /// A record of a persisted channel is not what it was.
    pub(crate) fn damage(&mut self, channel: &ChannelKey, offset: Offset) {
        self.damaged.insert((channel.clone(), offset));
    }

    /// The newest offset of a persisted channel that cannot be read any more.
    pub(crate) fn floor(&self, channel: &ChannelKey) -> Offset {
        self.floors.get(channel).copied().unwrap_or_default()
    }

    /// A stretch of a persisted channel, of at most so many records. A damaged one ends it, and is an error at its beginning.
    pub(crate) fn read(
        &self,
        channel: &ChannelKey,
        from: Offset,
        latest: bool,
        max: usize,
    ) -> Result<Block, LogFailure> {
        let (to, floor) = (self.head(channel), self.floor(channel));
        let (asked, from) = (from, from.max(floor + 1).min(to + 1));
        let mut block = Block { reached: to, floor, ..Block::default() };
        for ((_, offset), record) in self.records.range((channel.clone(), from)..(channel.clone(), to + 1)) {
            assert!(*offset >= from);
            let damaged = self.damaged.contains(&(channel.clone(), *offset));
            if damaged && *offset == asked {
                return Err(LogFailure::Damaged);
            }
            if damaged || block.records.len() == max {
                block.reached = offset - 1;
                break;
            }
            if !(latest && self.is_replaced(record)) {
                block.records.push(record.clone());
            }
        }
        Ok(block)
    }

    /// The offset of an id, or of the first record at a time or later.
    pub(crate) fn locate(&self, channel: &ChannelKey, at: &At) -> Option<Offset> {
        let first = self.floor(channel) + 1;
        let mut records = self.records.range((channel.clone(), first)..=(channel.clone(), Offset::MAX));
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

    /// Whether nobody can read it any more, although it is above the floor.
    pub(crate) fn is_damaged(&self, channel: &ChannelKey, offset: Offset) -> bool {
        self.damaged.contains(&(channel.clone(), offset))
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
