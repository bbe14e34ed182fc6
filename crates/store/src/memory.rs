//! The log that keeps nothing but how far each channel has come.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashMap;
use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::position::{Epoch, Offset};
use realtime_connector_core::record::Record;

use crate::{Completion, Log};

/// An in-process log. Its epoch is the node's boot id, so a restart begins a new life of every channel.
///
/// A channel that was forgotten and comes back continues above the highest offset this log has ever assigned: a reader that
/// remembers the former life can never mistake a new record for one it has.
#[derive(Debug)]
pub struct MemoryLog {
    epoch: Epoch,
    heads: HashMap<ChannelKey, Offset>,
    high_water: Offset,
    done: VecDeque<Completion>,
}

impl MemoryLog {
    /// An empty log of this life.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, heads: HashMap::new(), high_water: 0, done: VecDeque::new() }
    }
}

impl Log for MemoryLog {
    fn open(&mut self, home: SlotKey, channel: &ChannelKey) {
        let head = *self.heads.entry(channel.clone()).or_insert(self.high_water);
        self.done.push_back(Completion::Opened { home, epoch: self.epoch.clone(), head });
    }

    fn append(&mut self, home: SlotKey, ticket: u64, mut record: Box<Record>) {
        let high_water = self.high_water;
        let head = match self.heads.get_mut(&record.channel) {
            Some(head) => head,
            None => self.heads.entry(record.channel.clone()).or_insert(high_water),
        };
        *head += 1;
        self.high_water = self.high_water.max(*head);
        record.offset = Some(*head);
        record.epoch = self.epoch.clone();
        self.done.push_back(Completion::Committed { home, ticket, record: Arc::from(record) });
    }

    fn forget(&mut self, channel: &ChannelKey) {
        self.heads.remove(channel);
    }

    fn poll(&mut self) -> Option<Completion> {
        self.done.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use realtime_connector_core::id::{AppId, ChannelName, EventType, MessageId};
    use realtime_connector_core::time::{Time, UnixMs};

    use super::*;

    const HOME: SlotKey = SlotKey { slot: 1, generation: 1 };

    fn channel(name: &str) -> ChannelKey {
        ChannelKey::named(AppId(0), ChannelName::parse(name).expect("a name"))
    }

    fn record(name: &str) -> Box<Record> {
        Box::new(Record {
            channel: channel(name),
            epoch: Epoch::none(),
            offset: None,
            id: MessageId::parse("m1").expect("an id"),
            time: UnixMs(0),
            admitted: Time::default(),
            user: None,
            event_type: EventType::parse("t").expect("a type"),
            data: Bytes::from_static(b"1"),
            key: None,
            meta: None,
            exclude: Box::default(),
        })
    }

    /// `open a` and `append a` and `forget a`, each with the offset it answers.
    fn check(script: &str) {
        let mut log = MemoryLog::new(Epoch::parse("e1").expect("an epoch"));
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.split_whitespace();
            let (verb, name) = (words.next().expect("a verb"), words.next().expect("a channel"));
            let expected = words.next().map(|offset| offset.parse::<u64>().expect("an offset"));
            match verb {
                "open" => log.open(HOME, &channel(name)),
                "append" => log.append(HOME, 7, record(name)),
                _ => log.forget(&channel(name)),
            }
            let answer = log.poll().map(|completion| match completion {
                Completion::Opened { head, .. } => head,
                Completion::Committed { record, .. } => record.offset.expect("an offset"),
            });
            assert_eq!(answer, expected, "{line}");
        }
    }

    #[test]
    fn offsets_rise_by_one_and_a_successor_starts_above_everything() {
        check(
            "open a 0
             append a 1
             append a 2
             append b 3
             open b 3
             append a 3
             append a 4
             forget a
             open a 4
             append a 5
             append c 6",
        );
    }
}
