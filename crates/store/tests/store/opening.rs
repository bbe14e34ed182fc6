//! What opens, what does not, and what is said then.

use std::fs;
use std::path::Path;

use realtime_connector_store::sqlite::{Options, Sqlite, check, stats};
use realtime_connector_store::{Completion, LogError};
use rusqlite::Connection;

use crate::support::{Folder, Worker, open};

/// A store with three groups, to which something was done, and how its opening fails.
fn check_refused(expected: &str, meddle: impl Fn(&Path)) {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    for id in ["m1", "m2", "m3"] {
        worker.append("a", id, "x");
    }
    drop(store);
    meddle(&folder.database());
    let error = Sqlite::open(&folder.database(), Options::default()).err().map(|error| error.to_string());
    assert!(error.as_ref().is_some_and(|error| error.contains(expected)), "{error:?} does not say {expected:?}");
}

fn side(database: &Path) -> std::path::PathBuf {
    database.with_file_name("store.db.acked")
}

fn sql(database: &Path, text: &str) {
    Connection::open(database).unwrap().execute_batch(text).unwrap();
}

#[test]
fn a_store_that_cannot_be_trusted_says_what_to_do() {
    check_refused("has format 99, this version knows formats up to 1", |path| sql(path, "PRAGMA user_version = 99"));
    check_refused("is not a store of this program", |path| sql(path, "PRAGMA application_id = 7"));
    check_refused("group 3 was acknowledged, the newest one found is 0", |path| fs::remove_file(path).unwrap());
    check_refused("group 3 was acknowledged, the newest one found is 0", |path| fs::write(path, "").unwrap());
    check_refused("it is missing", |path| fs::remove_file(side(path)).unwrap());
    check_refused("it is damaged", |path| fs::write(side(path), "something").unwrap());
    check_refused("it belongs to another database", |path| {
        let other = Folder::in_memory();
        drop(open(&other));
        fs::copy(side(&other.database()), side(path)).unwrap();
    });
    check_refused("is damaged: the row of channel 1 has a wrong sum", |path| sql(path, "UPDATE channel SET head = 9"));
    check_refused("is damaged: the row about the whole database has a wrong sum", |path| {
        sql(path, "UPDATE meta SET grp = 9");
    });
    check_refused("file is not a database", |path| fs::write(path, "something else entirely".repeat(100)).unwrap());
}

#[test]
fn a_second_process_is_kept_out() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let error = Sqlite::open(&folder.database(), Options::default()).err().unwrap().to_string();
    assert!(error.contains("in use by another process"), "{error}");
    drop(store);
    open(&folder);
}

#[test]
fn an_accepted_loss_begins_a_new_epoch_everywhere() {
    let folder = Folder::in_memory();
    let epoch = |worker: &mut Worker, name| match worker.open(name) {
        Completion::Opened { epoch, head, .. } => (epoch, head),
        other => panic!("{other:?}"),
    };
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    worker.append("a", "m1", "x");
    let (first, _) = epoch(&mut worker, "a");
    let old = ["store.db", "store.db-wal"].map(|name| fs::read(folder.0.join(name)).unwrap());
    worker.append("a", "m2", "x");
    let newest = fs::read(side(&folder.database())).unwrap();
    drop(store);

    let copy = Folder::in_memory();
    fs::write(copy.database(), &old[0]).unwrap();
    fs::write(copy.0.join("store.db-wal"), &old[1]).unwrap();
    fs::write(side(&copy.database()), newest).unwrap();
    assert!(Sqlite::open(&copy.database(), Options::default()).is_err());
    let store = Sqlite::open(&copy.database(), Options { accept_loss: true, ..Options::default() }).unwrap();
    let mut worker = Worker::new(&store);
    let (second, _) = epoch(&mut worker, "a");
    assert_ne!(first, second);
    assert_eq!(epoch(&mut worker, "new").0, second);
    assert!(matches!(worker.append("a", "m3", "x"), Completion::Committed { record, .. } if record.offset == Some(2)));
    let ids: Vec<_> = worker.everything("a").unwrap().into_iter().map(|(_, id, _)| id).collect();
    assert_eq!(ids, ["m1", "m3"], "what was not lost is kept");
    drop(store);
    // The loss is accepted once: afterwards the store opens like any other, in its new life.
    let store = open(&copy);
    assert_eq!(epoch(&mut Worker::new(&store), "a").0, second);
    assert!(check(&copy.database()).unwrap().is_sound());
}

#[test]
fn a_lock_of_an_operator_refuses_writes_and_no_reads() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    worker.append("a", "m1", "x");
    let operator = Connection::open(folder.database()).unwrap();
    operator.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = worker.append("a", "m2", "x");
    assert!(matches!(refused, Completion::Failed { error: LogError::Busy, .. }), "{refused:?}");
    assert_eq!(worker.everything("a").unwrap().len(), 1);
    operator.execute_batch("ROLLBACK").unwrap();
    assert!(matches!(worker.append("a", "m3", "x"), Completion::Committed { .. }));
    assert_eq!(worker.everything("a").unwrap()[1].1, "m3");
}

#[test]
fn a_store_can_be_looked_at_while_it_is_open() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    for id in ["m1", "m2", "m3"] {
        worker.append("a", id, "x");
    }
    let report = check(&folder.database()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert_eq!((report.channels, report.records, report.group, report.acknowledged), (1, 3, 3, Some(3)));
    // Opening a channel that is known as it is asks nothing of the disk, and a made-up name leaves nothing there.
    drop((worker, store));
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    for name in ["a", "a", "nobody"] {
        worker.open(name);
    }
    let after = check(&folder.database()).unwrap();
    assert_eq!((after.channels, after.group), (1, 3));
    worker.append("a", "m4", "x");
    let stats = stats(&folder.database()).unwrap();
    assert_eq!((stats.format, stats.channels, stats.records, stats.group), (1, 1, 4, 4));
    assert!(stats.wal_bytes > 0 && stats.bytes > 3 * 192);
}

#[test]
fn handles_of_a_closed_store_refuse() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    drop(store);
    let refused = worker.append("a", "m1", "x");
    assert!(matches!(refused, Completion::Failed { error: LogError::Unavailable, .. }), "{refused:?}");
}

#[test]
fn nothing_is_acknowledged_on_top_of_a_log_that_was_not_moved() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    Worker::new(&store).append("a", "m1", "x");
    // As a kill leaves it, with somebody who reads.
    let copy = Folder::in_memory();
    for name in ["store.db", "store.db-wal", "store.db.acked"] {
        fs::copy(folder.0.join(name), copy.0.join(name)).unwrap();
    }
    let operator = Connection::open(copy.database()).unwrap();
    operator.execute_batch("BEGIN; SELECT * FROM meta").unwrap();
    let store = open(&copy);
    let mut worker = Worker::new(&store);
    let refused = worker.append("a", "m2", "x");
    assert!(matches!(refused, Completion::Failed { error: LogError::Busy, .. }), "{refused:?}");
    assert_eq!(worker.everything("a").unwrap().len(), 1, "reads do not wait for that");
    operator.execute_batch("COMMIT").unwrap();
    assert!(matches!(worker.append("a", "m3", "x"), Completion::Committed { .. }));
}
