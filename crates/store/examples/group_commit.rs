//! What a persisted append costs: groups against one sync per message, in the same run.
//!
//! `cargo run --release -p realtime-connector-store --example group_commit [FOLDER]`
//!
//! Absolute numbers belong to a disk; the ratio is what carries over.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Instant;

use bytes::Bytes;
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, EventType, MessageId, SlotKey, UserId};
use realtime_connector_core::position::Epoch;
use realtime_connector_core::publish::Publisher;
use realtime_connector_core::record::Record;
use realtime_connector_core::time::{Time, UnixMs};
use realtime_connector_store::sqlite::{Options, Sqlite, SqliteLog, stats};
use realtime_connector_store::{Append, Completion, Log};

const HOME: SlotKey = SlotKey { slot: 1, generation: 1 };
/// As in the measurements of the fan-out.
const DATA_BYTES: usize = 150;
const CHANNELS: u64 = 100;

struct Run {
    log: SqliteLog,
    rung: Receiver<()>,
    number: u64,
    idempotent: bool,
}

impl Run {
    fn new(store: &Sqlite, idempotent: bool) -> Self {
        let (ring, rung) = sync_channel(1);
        let log = store.log(Arc::new(move || ring.try_send(()).unwrap_or(())));
        Self { log, rung, number: 0, idempotent }
    }

    /// Appends `count` records with `window` of them on their way. Returns appends per second.
    fn rate(&mut self, count: u64, window: u64) -> f64 {
        let began = Instant::now();
        let (mut sent, mut done) = (0, 0);
        while done < count {
            while sent < count && sent - done < window {
                self.number += 1;
                self.log.append(HOME, self.number, append(self.number, self.idempotent));
                sent += 1;
            }
            match self.log.poll() {
                Some(Completion::Committed { .. }) => done += 1,
                Some(other) => panic!("{other:?} answers an append"),
                None => self.rung.recv().expect("the store lives"),
            }
        }
        count as f64 / began.elapsed().as_secs_f64()
    }
}

fn append(number: u64, idempotent: bool) -> Append {
    let name = ChannelName::parse(&format!("channel:{}", number % CHANNELS)).expect("a name");
    let user = UserId::parse("ada").expect("a name");
    let record = Record {
        channel: ChannelKey::named(AppId(0), name),
        epoch: Epoch::none(),
        offset: None,
        id: MessageId::parse(&format!("{:016x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).expect("an id"),
        time: UnixMs(0),
        admitted: Time::default(),
        user: Some(user.clone()),
        event_type: EventType::parse("order.created").expect("a type"),
        data: Bytes::from(vec![b'x'; DATA_BYTES]),
        key: None,
        meta: None,
        ttl: None,
        exclude: Box::default(),
    };
    Append { record: Box::new(record), idempotent: idempotent.then_some(Publisher::User(user)), replaces: false }
}

#[expect(clippy::print_stdout, reason = "printing is what it is for")]
fn main() {
    let folder = std::env::args().nth(1).map_or_else(std::env::temp_dir, PathBuf::from);
    let path = folder.join(format!("group-commit-{}.db", std::process::id()));
    let store = Sqlite::open(&path, Options::default()).expect("a new store");
    let mut plain = Run::new(&store, false);
    plain.rate(1_000, 1_000);
    println!("appends of {DATA_BYTES} bytes to {CHANNELS} channels, per second:");
    for round in 1..=3 {
        let single = plain.rate(500, 1);
        let groups = plain.rate(30_000, 4_096);
        println!("{round}: one sync each {single:.0}, in groups {groups:.0}, ratio {:.1}", groups / single);
    }
    let single = plain.rate(500, 1);
    let groups = Run::new(&store, true).rate(30_000, 4_096);
    println!("with remembered ids: in groups {groups:.0}, ratio {:.1}", groups / single);
    drop(store);
    let stats = stats(&path).expect("the store opens");
    println!("{} records, {} bytes of file each", stats.records, stats.file_bytes / stats.records.max(1));
    remove(&path);
}

fn remove(path: &Path) {
    for end in ["", "-wal", "-shm", ".acked"] {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        // A file that is not there need not go.
        drop(std::fs::remove_file(Path::new(&name)));
    }
}
