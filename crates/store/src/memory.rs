//! The log that keeps nothing but how far each channel has come, and the state that lives as long as the process.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use hashbrown::HashMap;
use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::{Epoch, Offset};

use crate::state::fits;
use crate::{Append, Change, Completion, Locate, Log, Read, Row, Scan, State, StateCompletion, Table, limits};

/// An in-process log. Its epoch is the node's boot id, so a restart begins a new life of every channel.
///
/// - It keeps no records: the ring at a channel's home does. Everything it has taken counts as trimmed.
/// - It remembers no ids: the desk at a channel's home does.
/// - A channel that was forgotten and comes back continues above the highest offset that any forgotten channel had: a reader that
///   remembers the former life can never mistake a new record for one it has. Where nothing was forgotten, channels begin at 1.
#[derive(Debug)]
pub struct MemoryLog {
    epoch: Epoch,
    heads: HashMap<ChannelKey, Offset>,
    /// The highest offset that a forgotten channel had.
    high_water: Offset,
    done: VecDeque<Completion>,
}

impl MemoryLog {
    /// An empty log of this life.
    #[must_use]
    pub fn new(epoch: Epoch) -> Self {
        Self { epoch, heads: HashMap::new(), high_water: 0, done: VecDeque::new() }
    }

    fn head(&self, channel: &ChannelKey) -> Offset {
        self.heads.get(channel).copied().unwrap_or_default()
    }
}

impl Log for MemoryLog {
    fn open(&mut self, home: SlotKey, channel: &ChannelKey, _: Retention) {
        let head = *self.heads.entry(channel.clone()).or_insert(self.high_water);
        self.done.push_back(Completion::Opened { home, epoch: self.epoch.clone(), head, trimmed: head });
    }

    fn append(&mut self, home: SlotKey, ticket: u64, append: Append) {
        let mut record = append.record;
        let high_water = self.high_water;
        let head = match self.heads.get_mut(&record.channel) {
            Some(head) => head,
            None => self.heads.entry(record.channel.clone()).or_insert(high_water),
        };
        *head += 1;
        record.offset = Some(*head);
        record.epoch = self.epoch.clone();
        self.done.push_back(Completion::Committed { home, ticket, record: Arc::from(record), trimmed: 0 });
    }

    fn read(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, read: Read) {
        let (from, head) = (read.from, self.head(channel));
        let through = from.saturating_sub(1).max(head);
        let records = Vec::new();
        self.done.push_back(Completion::Read { home, ticket, from, records, through, trimmed: head, head });
    }

    fn locate(&mut self, home: SlotKey, ticket: u64, _: &ChannelKey, _: Locate) {
        self.done.push_back(Completion::Located { home, ticket, offset: None });
    }

    fn purge(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, through: Offset) {
        let through = through.min(self.head(channel));
        self.done.push_back(Completion::Purged { home, ticket, through });
    }

    fn forget(&mut self, channel: &ChannelKey) {
        self.high_water = self.high_water.max(self.heads.remove(channel).unwrap_or_default());
    }

    fn poll(&mut self) -> Option<Completion> {
        self.done.pop_front()
    }
}

/// Table and key.
type Place = (Table, Box<[u8]>);

/// An in-process state.
#[derive(Debug, Default)]
pub struct MemoryState {
    values: BTreeMap<Place, Box<[u8]>>,
    done: VecDeque<StateCompletion>,
}

impl MemoryState {
    fn change(&mut self, change: Change) {
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

    fn rows(&self, scan: &Scan) -> (Vec<Row>, bool) {
        let from = match &scan.after {
            Some(after) if *after >= scan.prefix => Bound::Excluded((scan.table, after.clone())),
            Some(_) | None => Bound::Included((scan.table, scan.prefix.clone())),
        };
        let found = self.values.range((from, Bound::Unbounded));
        let mut found = found.take_while(|((table, key), _)| *table == scan.table && key.starts_with(&scan.prefix));
        let rows_max = scan.rows_max.clamp(1, limits::SCAN_ROWS_MAX);
        let (mut rows, mut bytes): (Vec<Row>, usize) = (Vec::new(), 0);
        for ((_, key), value) in found.by_ref() {
            bytes += key.len() + value.len();
            if rows.len() == rows_max || (bytes > limits::SCAN_BYTES_MAX && !rows.is_empty()) {
                return (rows, true);
            }
            rows.push((key.clone(), value.clone()));
        }
        (rows, false)
    }
}

impl State for MemoryState {
    fn apply(&mut self, ticket: u64, changes: Vec<Change>) {
        let fits = fits(&changes);
        if fits.is_ok() {
            changes.into_iter().for_each(|change| self.change(change));
        }
        self.done.push_back(match fits {
            Ok(()) => StateCompletion::Applied { ticket },
            Err(error) => StateCompletion::Failed { ticket, error },
        });
    }

    fn scan(&mut self, ticket: u64, scan: Scan) {
        let (rows, more) = self.rows(&scan);
        self.done.push_back(StateCompletion::Scanned { ticket, rows, more });
    }

    fn poll(&mut self) -> Option<StateCompletion> {
        self.done.pop_front()
    }
}
