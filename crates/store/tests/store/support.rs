//! Folders, clocks and handles that wait.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, EventType, MessageId, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::Epoch;
use realtime_connector_core::record::Record;
use realtime_connector_core::time::{Now, Time, UnixMs};
use realtime_connector_store::sqlite::{Clock, Options, Sqlite, SqliteLog, SqliteState};
use realtime_connector_store::{Append, Completion, Log, Read, State, StateCompletion, Wake};

pub(crate) const HOME: SlotKey = SlotKey { slot: 1, generation: 1 };

/// A folder that is removed at the end.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        Self::inside(&std::env::temp_dir())
    }

    /// Where syncs cost nothing, if the machine has such a place.
    pub(crate) fn in_memory() -> Self {
        let memory = PathBuf::from("/dev/shm");
        if memory.is_dir() { Self::inside(&memory) } else { Self::new() }
    }

    fn inside(place: &Path) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = place.join(format!("store-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("store.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A clock that a test sets.
#[derive(Clone, Default)]
pub(crate) struct Hands(Arc<Mutex<Now>>);

impl Hands {
    pub(crate) fn set(&self, now: Now) {
        *self.0.lock().unwrap() = now;
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.0.clone();
        Arc::new(move || *hands.lock().unwrap())
    }
}

/// Handles of one worker that wait for their answers.
pub(crate) struct Worker {
    pub(crate) log: SqliteLog,
    pub(crate) state: SqliteState,
    rung: Receiver<()>,
}

impl Worker {
    pub(crate) fn new(store: &Sqlite) -> Self {
        let (ring, rung) = sync_channel(1);
        let wake: Wake = Arc::new(move || ring.try_send(()).unwrap_or(()));
        Self { log: store.log(wake.clone()), state: store.state(wake), rung }
    }

    pub(crate) fn answer(&mut self) -> Completion {
        loop {
            if let Some(completion) = self.log.poll() {
                return completion;
            }
            self.rung.recv().unwrap();
        }
    }

    pub(crate) fn state_answer(&mut self) -> StateCompletion {
        loop {
            if let Some(completion) = self.state.poll() {
                return completion;
            }
            self.rung.recv().unwrap();
        }
    }

    pub(crate) fn open(&mut self, name: &str) -> Completion {
        self.log.open(HOME, &channel(name), Retention::default());
        self.answer()
    }

    pub(crate) fn append(&mut self, name: &str, id: &str, data: &str) -> Completion {
        self.log.append(HOME, 1, append(name, id, data));
        self.answer()
    }

    pub(crate) fn read(&mut self, name: &str, from: u64) -> Completion {
        self.log.read(HOME, 2, &channel(name), Read { from, records_max: 1_000, bytes_max: usize::MAX });
        self.answer()
    }

    /// Id and data of everything that can be read; the error if some of it cannot.
    pub(crate) fn everything(&mut self, name: &str) -> Result<Vec<(u64, String, String)>, String> {
        let (mut found, mut from) = (Vec::new(), 1);
        loop {
            match self.read(name, from) {
                Completion::Read { records, through, head, .. } => {
                    found.extend(records.iter().map(|record| {
                        let data = String::from_utf8_lossy(&record.data).into_owned();
                        (record.offset.unwrap(), record.id.to_string(), data)
                    }));
                    if through >= head {
                        return Ok(found);
                    }
                    from = through + 1;
                }
                Completion::Failed { error, .. } => return Err(error.to_string()),
                other => panic!("{other:?} answers no read"),
            }
        }
    }
}

pub(crate) fn open(folder: &Folder) -> Sqlite {
    Sqlite::open(&folder.database(), Options::default()).unwrap()
}

pub(crate) fn channel(name: &str) -> ChannelKey {
    ChannelKey::named(AppId(0), ChannelName::parse(name).unwrap())
}

pub(crate) fn append(name: &str, id: &str, data: &str) -> Append {
    let record = Record {
        channel: channel(name),
        epoch: Epoch::none(),
        offset: None,
        id: MessageId::parse(id).unwrap(),
        time: UnixMs(1_700_000_000_000),
        admitted: Time::default(),
        user: None,
        event_type: EventType::parse("t").unwrap(),
        data: Bytes::copy_from_slice(data.as_bytes()),
        key: None,
        meta: None,
        ttl: None,
        exclude: Box::default(),
    };
    Append { record: Box::new(record), idempotent: None, replaces: false }
}
