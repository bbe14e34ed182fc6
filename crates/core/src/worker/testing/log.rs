//! A log in memory that keeps everything it ever ordered, so that checkers can compare.
//!
//! - One epoch for the life of the node.
//! - A forgotten channel's successor starts above the highest offset any forgotten channel had.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::id::ChannelKey;
use crate::position::{Epoch, Offset, Position};
use crate::record::Record;

#[derive(Debug)]
pub(crate) struct MemoryLog {
    epoch: Epoch,
    heads: BTreeMap<ChannelKey, Offset>,
    high_water: Offset,
    records: BTreeMap<(ChannelKey, Offset), Arc<Record>>,
}

impl MemoryLog {
    pub(crate) fn new() -> Self {
        let epoch = Epoch::parse("e").expect("letters are an epoch");
        Self { epoch, heads: BTreeMap::new(), high_water: 0, records: BTreeMap::new() }
    }

    pub(crate) fn epoch(&self) -> &Epoch {
        &self.epoch
    }

    pub(crate) fn open(&mut self, channel: &ChannelKey) -> Offset {
        *self.heads.entry(channel.clone()).or_insert(self.high_water)
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
        let head = self.heads.remove(channel).expect("a channel is forgotten once");
        self.high_water = self.high_water.max(head);
    }

    /// Where the channel stands, or would stand.
    pub(crate) fn head(&self, channel: &ChannelKey) -> Offset {
        self.heads.get(channel).copied().unwrap_or(self.high_water)
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
