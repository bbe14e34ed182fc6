//! Flipped bits and cut files: a loud error, or a clean cut that the side file covers; never silence.

use std::fs;
use std::path::{Path, PathBuf};

use realtime_connector_store::sqlite::{Options, Sqlite, StoreError, check};
use realtime_connector_store::{Change, Row, Scan, State, StateCompletion, Table};

use crate::support::{Folder, Worker, open};

const CHANNELS: [&str; 3] = ["orders", "chat", "a:b"];
/// Places of the database file that are damaged, out of all its bits.
const SAMPLES: u64 = 1_500;

type Records = Vec<(u64, String, String)>;

/// What a reader gets to see.
#[derive(Clone, Debug, PartialEq)]
struct Content {
    channels: Vec<Records>,
    values: Vec<Row>,
}

fn content(path: &Path) -> Result<Content, String> {
    let store = Sqlite::open(path, Options::default()).map_err(|error| error.to_string())?;
    let mut worker = Worker::new(&store);
    let channels = CHANNELS.iter().map(|name| worker.everything(name)).collect::<Result<_, _>>()?;
    worker.state.scan(1, Scan { table: Table::Cursors, prefix: Box::default(), after: None, rows_max: 1_000 });
    match worker.state_answer() {
        StateCompletion::Scanned { rows, .. } => Ok(Content { channels, values: rows }),
        StateCompletion::Failed { error, .. } => Err(error.to_string()),
        StateCompletion::Applied { .. } => panic!("a scan applies nothing"),
    }
}

/// Writes a few groups. Payloads are of sizes that fit a page, fill one, and overflow.
fn fill(store: &Sqlite, groups: u64) {
    let mut worker = Worker::new(store);
    for number in 0..groups {
        let name = CHANNELS[(number % 3) as usize];
        worker.append(name, &format!("m{number}"), &"abc".repeat([10, 400, 2_500][(number / 3 % 3) as usize]));
        let (key, value) = (format!("key{number}").into_bytes().into(), vec![number as u8; 20].into());
        worker.state.apply(1, vec![Change::Put { table: Table::Cursors, key, value }]);
        worker.state_answer();
    }
}

const ENDS: [&str; 3] = ["", "-wal", ".acked"];

fn file(database: &Path, end: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// The files of a store as a kill would leave them.
#[derive(Clone)]
struct Files([Vec<u8>; 3]);

impl Files {
    fn take(database: &Path) -> Self {
        Self(ENDS.map(|end| fs::read(file(database, end)).unwrap_or_default()))
    }

    /// Lays them out in memory where the machine has such a folder: thousands of stores are opened, and none needs a disk.
    fn lay(&self) -> Folder {
        let folder = Folder::in_memory();
        for (bytes, end) in self.0.iter().zip(ENDS) {
            fs::write(file(&folder.database(), end), bytes).unwrap();
        }
        folder
    }

    fn flip(&self, which: usize, bit: u64) -> Self {
        let mut files = self.clone();
        files.0[which][(bit / 8) as usize] ^= 1 << (bit % 8);
        files
    }

    fn cut(&self, which: usize, bytes: usize) -> Self {
        let mut files = self.clone();
        files.0[which].truncate(bytes);
        files
    }
}

/// Runs over a range on all processors.
fn spread(range: std::ops::Range<usize>, step: usize, work: impl Fn(usize) + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (range, work) = (range.clone(), &work);
            scope.spawn(move || range.step_by(step).skip(thread).step_by(threads).for_each(work));
        }
    });
}

#[test]
fn an_acknowledged_group_that_the_log_lost_is_loud() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    fill(&store, 6);
    let files = Files::take(&folder.database());
    assert!(content(&files.lay().database()).is_ok(), "an undamaged copy opens");
    let check = |files: &Files, what: &str| {
        let opened = Sqlite::open(&files.lay().database(), Options::default());
        assert!(matches!(opened, Err(StoreError::Shorter { .. })), "{what}: {:?}", opened.err());
    };
    let end = files.0[1].len();
    spread(end - 4_096..end, 1, |byte| {
        check(&files.flip(1, byte as u64 * 8 + byte as u64 % 8), &format!("a bit of byte {byte} of the log"));
        check(&files.cut(1, byte), &format!("the log cut to {byte} bytes"));
    });
    spread(32..end - 4_096, 997, |byte| {
        check(&files.flip(1, byte as u64 * 8), &format!("a bit of byte {byte} of the log"));
        check(&files.cut(1, byte), &format!("the log cut to {byte} bytes"));
    });
    check(&files.cut(1, 0), "no log");
}

#[test]
fn a_torn_tail_that_nobody_was_told_of_is_cut() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    fill(&store, 6);
    let mut worker = Worker::new(&store);
    let before = Files::take(&folder.database());
    worker.append("chat", "last", "one");
    let mut files = Files::take(&folder.database());
    // The kill came between the commit and the note of it.
    files.0[2].clone_from(&before.0[2]);
    let known = content(&before.lay().database()).unwrap();
    let whole = content(&files.lay().database()).unwrap();
    assert_eq!(whole.channels[1].len(), known.channels[1].len() + 1);
    let (start, end) = (before.0[1].len(), files.0[1].len());
    spread(start..end, 13, |byte| {
        for torn in [files.cut(1, byte), files.flip(1, byte as u64 * 8 + 3)] {
            assert_eq!(content(&torn.lay().database()).as_ref(), Ok(&known), "byte {byte}");
        }
    });
}

/// The power fails while the log is moved into the file: of the pages that no sync has covered yet, any may be missing.
#[test]
fn pages_that_were_not_synced_into_the_file_are_still_in_the_log() {
    const PAGE: usize = 4_096;
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    let mut append = |number: u64| {
        worker.append(CHANNELS[0], &format!("m{number}"), &"abc".repeat(20_000));
        // Housekeeping comes after the answer, and before the next group.
        worker.state.apply(1, Vec::new());
        worker.state_answer();
        Files::take(&folder.database())
    };
    // The first one moves what opening has left in the log.
    let old = append(0).0[0].clone();
    let files = (1..200).map(&mut append).find(|files| files.0[0] != old).expect("the log is moved when it is long");
    let whole = content(&files.lay().database()).unwrap();
    assert!(whole.channels[0].len() > 30, "{} records", whole.channels[0].len());
    for seed in 0..20_u64 {
        let mut lost = files.clone();
        for (page, bytes) in lost.0[0].chunks_mut(PAGE).enumerate() {
            let is_synced = (page as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33 & 0xf < seed;
            if is_synced {
                continue;
            }
            // What was there before, or nothing where the file has grown.
            match old.get(page * PAGE..(page + 1) * PAGE) {
                Some(former) => bytes.copy_from_slice(former),
                None => bytes.fill(0),
            }
        }
        let shortest = lost.cut(0, old.len());
        for lost in if seed == 0 { vec![lost, shortest] } else { vec![lost] } {
            let place = lost.lay();
            assert_eq!(content(&place.database()).as_ref(), Ok(&whole), "seed {seed}");
            assert!(check(&place.database()).unwrap().is_sound(), "seed {seed}");
        }
    }
}

#[test]
fn a_flipped_bit_of_the_database_is_loud_or_changes_nothing() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    fill(&store, 60);
    drop(store);
    let files = Files::take(&folder.database());
    let whole = content(&files.lay().database()).unwrap();
    let bits = files.0[0].len() as u64 * 8;
    let counts = std::sync::Mutex::new([0_u64; 3]);
    spread(0..SAMPLES as usize, 1, |sample| {
        let bit = (sample as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) % bits;
        let damaged = files.flip(0, bit).lay();
        let found = content(&damaged.database());
        let mut counts = counts.lock().unwrap();
        match found {
            Err(_) => counts[0] += 1,
            Ok(found) if found == whole => counts[1] += 1,
            Ok(found) => {
                assert_eq!(found.channels, whole.channels, "bit {bit}: records went missing silently");
                // A key of the state that became another one is not where it is looked for; only a walk over all finds it.
                let report = check(&damaged.database()).unwrap();
                assert!(!report.is_sound(), "bit {bit}: values went missing and the check is silent");
                counts[2] += 1;
            }
        }
    });
    println!("loud, harmless, found by the check: {:?}", counts.into_inner().unwrap());
}

#[test]
fn one_place_of_the_side_file_is_enough() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    fill(&store, 6);
    let files = Files::take(&folder.database());
    for bit in (0..36 * 8).chain(4_096 * 8..4_132 * 8) {
        assert!(content(&files.flip(2, bit).lay().database()).is_ok(), "bit {bit}");
    }
    let both = files.flip(2, 100).flip(2, 4_096 * 8 + 100).lay();
    let opened = Sqlite::open(&both.database(), Options::default());
    assert!(matches!(opened, Err(StoreError::SideFile { .. })), "{:?}", opened.err());
}
