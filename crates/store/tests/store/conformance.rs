//! Every back end through the same suite.

use realtime_connector_core::position::Epoch;
use realtime_connector_core::time::Now;
use realtime_connector_store::conformance::{self, Backend, Capabilities};
use realtime_connector_store::sqlite::{Options, Sqlite, SqliteLog, SqliteState};
use realtime_connector_store::{MemoryLog, MemoryState, Wake};

use crate::support::{Folder, Hands};

struct Memory;

impl Backend for Memory {
    type Log = MemoryLog;
    type State = MemoryState;

    fn log(&mut self, _: Wake) -> MemoryLog {
        MemoryLog::new(Epoch::parse("e1").unwrap())
    }

    fn state(&mut self, _: Wake) -> MemoryState {
        MemoryState::default()
    }

    fn set_clock(&mut self, _: Now) {}

    fn reopen(&mut self) {
        unreachable!("it does not last");
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { keeps: false, lasts: false }
    }
}

struct File {
    store: Option<Sqlite>,
    hands: Hands,
    folder: Folder,
}

impl File {
    fn new() -> Self {
        let mut file = Self { store: None, hands: Hands::default(), folder: Folder::new() };
        file.reopen();
        file
    }
}

impl Backend for File {
    type Log = SqliteLog;
    type State = SqliteState;

    fn log(&mut self, wake: Wake) -> SqliteLog {
        self.store.as_ref().unwrap().log(wake)
    }

    fn state(&mut self, wake: Wake) -> SqliteState {
        self.store.as_ref().unwrap().state(wake)
    }

    fn set_clock(&mut self, now: Now) {
        self.hands.set(now);
    }

    fn reopen(&mut self) {
        self.store = None;
        let options = Options { clock: self.hands.clock(), ..Options::default() };
        self.store = Some(Sqlite::open(&self.folder.database(), options).unwrap());
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { keeps: true, lasts: true }
    }
}

#[test]
fn memory_is_a_log() {
    conformance::log(|| Memory);
}

#[test]
fn memory_is_a_state() {
    conformance::state(|| Memory);
}

#[test]
fn sqlite_is_a_log() {
    conformance::log(File::new);
}

#[test]
fn sqlite_is_a_state() {
    conformance::state(File::new);
}
