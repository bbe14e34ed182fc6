//! What lies on a disk: channels, their records, and the ids that are remembered.

use std::collections::BTreeMap;
use std::sync::Arc;

use realtime_connector_core::id::{ChannelKey, MessageId, SlotKey};
use realtime_connector_core::limits::DEDUP_AGE;
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::{Epoch, Offset, Position};
use realtime_connector_core::publish::Publisher;
use realtime_connector_core::record::Record;
use realtime_connector_core::state::{Change, Scan, Table};
use realtime_connector_core::time::{Now, Time, UnixMs};
use realtime_connector_store::limits::{CHANNEL_AGE, READ_BYTES_MAX, READ_RECORDS_MAX, SCAN_ROWS_MAX};
use realtime_connector_store::{Append, Completion, Locate, LogError, Read, StateCompletion};

/// Where a value of the state is: table and key.
type Place = (Table, Box<[u8]>);

/// A record as it is kept.
#[derive(Clone, Debug)]
struct Stored {
    record: Arc<Record>,
    /// In store time.
    admitted_ms: u64,
    replaced: bool,
    damaged: bool,
}

/// A channel with records, or one that had some.
#[derive(Clone, Debug)]
struct Channel {
    head: Offset,
    trimmed: Offset,
    keep: Retention,
    /// Without a hole from `trimmed` + 1 to `head`.
    records: BTreeMap<Offset, Stored>,
    touched_ms: u64,
}

/// An id that a publisher chose.
#[derive(Clone, Debug)]
struct Remembered {
    content: Vec<u8>,
    offset: Offset,
    at_ms: u64,
}

/// Everything that is kept, as of the last sync.
#[derive(Clone, Debug)]
pub(super) struct Image {
    epoch: Epoch,
    channels: BTreeMap<ChannelKey, Channel>,
    /// The highest offset of a channel that was removed.
    high_water: Offset,
    ids: BTreeMap<(ChannelKey, Publisher, MessageId), Remembered>,
    /// The state beside the log.
    values: BTreeMap<Place, Box<[u8]>>,
    /// Store time and wall time of the last write, for the next life.
    noted: (u64, UnixMs),
}

/// The store's own time: it goes on with the process, and over a restart with the wall clock unless that went backwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreTime {
    pub(super) now: Now,
    pub(super) ms: u64,
}

impl Stored {
    fn is_gone(&self, at: StoreTime) -> bool {
        let ttl = self.record.ttl.map(|ttl| ttl.as_millis() as u64);
        self.replaced || ttl.is_some_and(|ttl| self.admitted_ms.saturating_add(ttl) <= at.ms)
    }

    /// As this life of the process knows it: on its own clock.
    fn read(&self, at: StoreTime) -> Arc<Record> {
        let age = at.ms.saturating_sub(self.admitted_ms);
        let admitted = Time::from_ms(at.now.time.as_ms().saturating_sub(age));
        if admitted == self.record.admitted {
            return self.record.clone();
        }
        Arc::new(Record { admitted, ..(*self.record).clone() })
    }
}

impl Channel {
    fn bytes(&self) -> u64 {
        self.records.values().map(|stored| u64::from(stored.record.cost())).sum()
    }

    fn trim_through(&mut self, through: Offset) {
        self.trimmed = self.trimmed.max(through.min(self.head));
        self.records = self.records.split_off(&(self.trimmed + 1));
    }

    /// Applies what retention says.
    fn trim(&mut self, ms: u64) {
        self.trim_through(self.head.saturating_sub(self.keep.records));
        let mut bytes = self.bytes();
        let age_ms = self.keep.age.as_millis() as u64;
        while let Some((offset, oldest)) = self.records.first_key_value()
            && (bytes > self.keep.bytes || oldest.admitted_ms.saturating_add(age_ms) <= ms)
        {
            bytes -= u64::from(oldest.record.cost());
            self.trim_through(*offset);
        }
    }
}

impl Image {
    pub(super) fn new(epoch: Epoch) -> Self {
        let (channels, ids, values) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { epoch, channels, high_water: 0, ids, values, noted: (0, UnixMs(0)) }
    }

    /// Store time at which a new life begins.
    pub(super) fn resume_ms(&self, wall: UnixMs) -> u64 {
        let (ms, noted) = self.noted;
        if noted.0 == 0 { 0 } else { ms + wall.0.saturating_sub(noted.0) }
    }

    /// A write begins: the clock is noted, and what is too old goes.
    pub(super) fn begin(&mut self, at: StoreTime) {
        self.noted = (at.ms, at.now.wall);
        self.keep_house(at);
    }

    fn keep_house(&mut self, at: StoreTime) {
        let forgotten_ms = DEDUP_AGE.as_millis() as u64;
        self.ids.retain(|_, id| id.at_ms.saturating_add(forgotten_ms) > at.ms);
        let removed_ms = CHANNEL_AGE.as_millis() as u64;
        let mut high_water = self.high_water;
        self.channels.retain(|_, channel| {
            channel.trim(at.ms);
            let stays = !channel.records.is_empty() || channel.touched_ms.saturating_add(removed_ms) > at.ms;
            high_water = if stays { high_water } else { high_water.max(channel.head) };
            stays
        });
        self.high_water = high_water;
    }

    pub(super) fn open(&mut self, home: SlotKey, key: &ChannelKey, keep: Retention) -> Completion {
        let (head, trimmed) = match self.channels.get_mut(key) {
            Some(channel) => {
                channel.keep = keep;
                (channel.head, channel.trimmed)
            }
            None => (self.high_water, self.high_water),
        };
        Completion::Opened { home, epoch: self.epoch.clone(), head, trimmed }
    }

    pub(super) fn append(
        &mut self,
        at: StoreTime,
        (home, ticket): (SlotKey, u64),
        append: Append,
        keep: Retention,
    ) -> Completion {
        let Append { mut record, idempotent, replaces } = append;
        let key = record.channel.clone();
        let name = idempotent.map(|publisher| (key.clone(), publisher, record.id.clone()));
        let content = content(&record);
        if let Some(known) = name.as_ref().and_then(|name| self.ids.get(name)) {
            if known.content != content {
                return Completion::Conflict { home, ticket };
            }
            let position = Position { epoch: self.epoch.clone(), offset: known.offset };
            return Completion::Duplicate { home, ticket, position, id: record.id };
        }
        let begin = self.high_water;
        let channel = self.channels.entry(key).or_insert_with(|| Channel {
            head: begin,
            trimmed: begin,
            keep,
            records: BTreeMap::new(),
            touched_ms: at.ms,
        });
        channel.head += 1;
        channel.touched_ms = at.ms;
        record.offset = Some(channel.head);
        record.epoch = self.epoch.clone();
        let record = Arc::new(*record);
        if replaces && record.key.is_some() {
            channel.records.values_mut().filter(|it| it.record.key == record.key).for_each(|it| it.replaced = true);
        }
        let admitted_ms = at.ms.saturating_sub(at.now.time.since(record.admitted).as_millis() as u64);
        let stored = Stored { record: record.clone(), admitted_ms, replaced: false, damaged: false };
        channel.records.insert(channel.head, stored);
        if let Some(name) = name {
            self.ids.insert(name, Remembered { content, offset: channel.head, at_ms: at.ms });
        }
        channel.trim(at.ms);
        let trimmed = channel.trimmed.min(channel.head - 1);
        Completion::Committed { home, ticket, record, trimmed }
    }

    pub(super) fn purge(&mut self, (home, ticket): (SlotKey, u64), key: &ChannelKey, through: Offset) -> Completion {
        let Some(channel) = self.channels.get_mut(key) else { return Completion::Purged { home, ticket, through: 0 } };
        let through = through.min(channel.head);
        channel.trim_through(through);
        Completion::Purged { home, ticket, through }
    }

    pub(super) fn read(
        &mut self,
        at: StoreTime,
        (home, ticket): (SlotKey, u64),
        key: &ChannelKey,
        read: Read,
    ) -> Completion {
        self.keep_house(at);
        let from = read.from;
        let mut through = from.saturating_sub(1);
        let Some(channel) = self.channels.get(key) else {
            return Completion::Read { home, ticket, from, records: Vec::new(), through, trimmed: 0, head: 0 };
        };
        let (trimmed, head) = (channel.trimmed, channel.head);
        through = through.max(trimmed);
        let (mut records, mut bytes) = (Vec::new(), 0);
        for (offset, stored) in channel.records.range(through + 1..) {
            if stored.damaged && *offset == from.max(trimmed + 1) {
                let error = LogError::Corrupt { what: "a record has a wrong sum".into() };
                return Completion::Failed { home, ticket: Some(ticket), error };
            }
            if stored.damaged {
                break;
            }
            if !stored.is_gone(at) {
                bytes += stored.record.cost() as usize;
                let full = records.len() == read.records_max.clamp(1, READ_RECORDS_MAX)
                    || (bytes > read.bytes_max.min(READ_BYTES_MAX) && !records.is_empty());
                if full {
                    break;
                }
                records.push(stored.read(at));
            }
            through = *offset;
        }
        Completion::Read { home, ticket, from, records, through, trimmed, head }
    }

    pub(super) fn locate(
        &mut self,
        at: StoreTime,
        (home, ticket): (SlotKey, u64),
        key: &ChannelKey,
        locate: &Locate,
    ) -> Completion {
        self.keep_house(at);
        let mut records = self.channels.get(key).into_iter().flat_map(|channel| &channel.records);
        let found = match locate {
            Locate::Id(id) => records.rfind(|(_, it)| it.record.id == *id && !it.is_gone(at)),
            Locate::Time(time) => records.find(|(_, it)| it.record.time >= *time),
        };
        Completion::Located { home, ticket, offset: found.map(|(offset, _)| *offset) }
    }

    pub(super) fn change(&mut self, changes: Vec<Change>) {
        for change in changes {
            match change {
                Change::Put { table, key, value } => drop(self.values.insert((table, key), value)),
                Change::Max { table, key, value } => {
                    let present = self.values.entry((table, key)).or_default();
                    if *present < value {
                        *present = value;
                    }
                }
                Change::Delete { table, key } => drop(self.values.remove(&(table, key))),
            }
        }
    }

    pub(super) fn scan(&self, ticket: u64, scan: &Scan) -> StateCompletion {
        let is_after = |key: &[u8]| scan.after.as_ref().is_none_or(|after| key > &**after);
        let fits =
            |(table, key): &(Table, Box<[u8]>)| *table == scan.table && key.starts_with(&scan.prefix) && is_after(key);
        let mut found = self.values.iter().filter(|(place, _)| fits(place));
        let rows_max = scan.rows_max.clamp(1, SCAN_ROWS_MAX);
        let rows = found.by_ref().take(rows_max).map(|((_, key), value)| (key.clone(), value.clone())).collect();
        StateCompletion::Scanned { ticket, rows, more: found.next().is_some() }
    }

    /// The newest offset of a channel that cannot be read any more.
    pub(super) fn trimmed(&self, key: &ChannelKey) -> Offset {
        self.channels.get(key).map_or(0, |channel| channel.trimmed)
    }

    /// Whether a record is kept.
    pub(super) fn holds(&self, key: &ChannelKey, offset: Offset) -> bool {
        self.channels.get(key).is_some_and(|channel| offset <= channel.trimmed || channel.records.contains_key(&offset))
    }

    /// Whether a record is there and cannot be read.
    pub(super) fn is_damaged(&self, key: &ChannelKey, offset: Offset) -> bool {
        self.channels.get(key).and_then(|it| it.records.get(&offset)).is_some_and(|stored| stored.damaged)
    }

    /// Damages the record in the middle of a channel; `false` if it has none.
    pub(super) fn damage(&mut self, key: &ChannelKey) -> bool {
        let Some(channel) = self.channels.get_mut(key) else { return false };
        let middle = channel.trimmed + (channel.head - channel.trimmed).div_ceil(2);
        channel.records.get_mut(&middle).map(|stored| stored.damaged = true).is_some()
    }
}

/// What must be equal for two messages with one id to be the same.
fn content(record: &Record) -> Vec<u8> {
    let mut content = record.event_type.as_str().as_bytes().to_vec();
    content.push(0);
    content.extend_from_slice(record.key.as_ref().map_or("", |key| key.as_str()).as_bytes());
    content.push(0);
    content.extend_from_slice(record.meta.as_deref().unwrap_or_default());
    content.push(0);
    content.extend_from_slice(&record.data);
    content
}
