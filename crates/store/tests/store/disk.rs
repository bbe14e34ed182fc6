//! A full disk refuses and heals; a failed sync ends writing.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use realtime_connector_store::sqlite::{Options, Sqlite, check};
use realtime_connector_store::{Completion, LogError};

use crate::support::{Folder, Worker, open};

const CHILD: &str = "STORE_TEST_SYNC";

/// A small disk; unmounted at the end.
struct Mount(PathBuf);

impl Mount {
    /// `None` where mounting is not allowed.
    fn new(folder: &Folder, size: &str) -> Option<Self> {
        let path = folder.0.join("small");
        fs::create_dir_all(&path).unwrap();
        let options = format!("size={size}");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&path).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(path))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).output());
    }
}

#[test]
fn a_full_disk_refuses_and_heals() {
    let folder = Folder::new();
    let Some(mount) = Mount::new(&folder, "1m") else {
        eprintln!("SKIPPED a_full_disk_refuses_and_heals: no file system can be mounted here");
        return;
    };
    let (database, ballast) = (mount.0.join("store.db"), mount.0.join("ballast"));
    fs::write(&ballast, vec![1; 300 * 1024]).unwrap();
    let store = Sqlite::open(&database, Options::default()).unwrap();
    let mut worker = Worker::new(&store);
    let data = "x".repeat(8 * 1024);
    let mut acked = Vec::new();
    let mut fill = |worker: &mut Worker, from: u64| {
        for number in from.. {
            match worker.append("a", &format!("m{number}"), &data) {
                Completion::Committed { record, .. } => acked.push((record.offset.unwrap(), record.id.to_string())),
                Completion::Failed { error, .. } => return (error, acked.clone()),
                other => panic!("{other:?}"),
            }
        }
        unreachable!("the disk is small");
    };
    let (error, before) = fill(&mut worker, 0);
    assert_eq!(error, LogError::Full);
    assert!(!before.is_empty());
    let seen = |worker: &mut Worker| {
        let records = worker.everything("a").unwrap().into_iter();
        records.map(|(offset, id, _)| (offset, id)).collect::<Vec<_>>()
    };
    assert_eq!(seen(&mut worker), before, "what was acknowledged can be read on a full disk");
    assert!(matches!(worker.append("a", "again", &data), Completion::Failed { error: LogError::Full, .. }));
    fs::remove_file(&ballast).unwrap();
    let (error, after) = fill(&mut worker, 1_000);
    assert_eq!(error, LogError::Full);
    assert!(after.len() > before.len(), "with space there is room again");
    assert_eq!(seen(&mut worker), after);
    drop((worker, store));
    let store = Sqlite::open(&database, Options::default()).unwrap();
    assert_eq!(seen(&mut Worker::new(&store)), after, "a store on a full disk opens and reads");
    drop(store);
    assert!(check(&database).unwrap().is_sound());
}

/// Appends ten times and says what came of it; does nothing in an ordinary run of the tests.
#[test]
fn a_child_appends() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Sqlite::open(&PathBuf::from(path), Options::default()).unwrap();
    let mut worker = Worker::new(&store);
    for number in 0..10 {
        match worker.append("a", &format!("m{number}"), "x") {
            Completion::Committed { .. } => println!("\nanswer ok"),
            Completion::Failed { error, .. } => println!("\nanswer {error:?}"),
            other => panic!("{other:?}"),
        }
    }
    println!("\nread {}", worker.everything("a").unwrap().len());
}

/// Reads three times and says what came of it; does nothing in an ordinary run of the tests.
#[test]
fn a_child_reads() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let store = Sqlite::open(&PathBuf::from(path), Options::default()).unwrap();
    let mut worker = Worker::new(&store);
    for _ in 0..3 {
        match worker.read("a", 1) {
            Completion::Read { records, .. } => println!("\nanswer {} records", records.len()),
            Completion::Failed { error, .. } => println!("\nanswer {error:?}"),
            other => panic!("{other:?}"),
        }
    }
}

/// It was told like a damaged record, which is lost for good, although the next attempt would have read it.
#[test]
fn a_read_that_fails_is_no_damage() {
    let folder = Folder::new();
    let store = open(&folder);
    Worker::new(&store).append("a", "m", &"x".repeat(1024 * 1024));
    drop(store);
    // Each thread counts its own: one page after the other of the long record, far behind all that opening reads.
    let inject = ["-f", "-o", "/dev/null", "-e", "trace=pread64", "-e", "inject=pread64:error=EIO:when=150"];
    let Some(said) = traced_child("disk::a_child_reads", &folder, &inject) else {
        eprintln!("SKIPPED a_read_that_fails_is_no_damage: no strace here");
        return;
    };
    let answers: Vec<_> = said.lines().filter(|line| line.starts_with("answer")).collect();
    // One or both of the threads that read come to it.
    let failed = answers.iter().filter(|line| line.starts_with("answer Unreadable")).count();
    let read = answers.iter().filter(|line| **line == "answer 1 records").count();
    assert!(failed > 0 && read > 0 && failed + read == 3, "{answers:?}");
}

/// Runs the child under `strace`; `None` where that does not work. Returns what it printed.
fn traced(folder: &Folder, arguments: &[&str]) -> Option<String> {
    traced_child("disk::a_child_appends", folder, arguments)
}

fn traced_child(child: &str, folder: &Folder, arguments: &[&str]) -> Option<String> {
    let output = Command::new("strace")
        .args(arguments)
        .arg(std::env::current_exe().unwrap())
        .args([child, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, folder.database())
        .output()
        .ok()?;
    let errors = String::from_utf8_lossy(&output.stderr).to_lowercase();
    (!errors.contains("ptrace")).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn every_answer_comes_after_a_sync() {
    let folder = Folder::new();
    let trace = folder.0.join("trace");
    let arguments = ["-f", "-o", &trace.display().to_string(), "-e", "trace=fsync,fdatasync,write"];
    if traced(&folder, &arguments).is_none() {
        eprintln!("SKIPPED every_answer_comes_after_a_sync: no strace here");
        return;
    }
    let (mut syncs, mut answers) = (0, 0);
    for line in fs::read_to_string(trace).unwrap().lines() {
        if line.contains("sync") && line.ends_with("= 0") {
            syncs += 1;
        } else if line.contains("answer ok") {
            assert!(syncs > 0, "answer {answers} has no sync of its own before it");
            (syncs, answers) = (0, answers + 1);
        }
    }
    assert_eq!(answers, 10);
}

#[test]
fn a_sync_that_fails_at_the_start_ends_writing_too() {
    // Each thread counts its own: the first is that of the folder, without which the store does not open, the third of the writer
    // that of the file, before anything is acknowledged.
    for (when, answers) in [("1", 0), ("3", 10)] {
        let (folder, killed) = (Folder::new(), Folder::new());
        let store = open(&folder);
        Worker::new(&store).append("a", "before", "x");
        for name in ["store.db", "store.db-wal", "store.db.acked"] {
            fs::copy(folder.0.join(name), killed.0.join(name)).unwrap();
        }
        let Some(said) = with_failing_syncs(&killed, when) else {
            eprintln!("SKIPPED a_sync_that_fails_at_the_start_ends_writing_too: no strace here");
            return;
        };
        let refused = said.iter().take_while(|line| *line == "answer Unavailable").count();
        assert_eq!(refused, answers, "sync {when}: {said:?}");
        let rest = if answers == 0 { None } else { Some("read 1".to_owned()) };
        assert_eq!(said.get(answers), rest.as_ref(), "sync {when}: {said:?}");
        let store = open(&killed);
        assert!(matches!(Worker::new(&store).append("a", "after", "x"), Completion::Committed { .. }));
    }
}

/// Plays the child with some syncs failing, and returns what it said.
fn with_failing_syncs(folder: &Folder, when: &str) -> Option<Vec<String>> {
    let inject = format!("inject=fsync,fdatasync:error=EIO:when={when}");
    let text = traced(folder, &["-f", "-o", "/dev/null", "-e", "trace=fsync,fdatasync", "-e", &inject])?;
    let is_said = |line: &&str| line.starts_with("answer") || line.starts_with("read");
    Some(text.lines().filter(is_said).map(str::to_owned).collect())
}

#[test]
fn a_failed_sync_ends_writing_until_a_restart() {
    // One sync that fails is as bad as all of them: the next one would say yes about data that is gone.
    for when in ["5", "8", "11", "8+"] {
        let folder = Folder::new();
        // The files exist before, so that all syncs are those of opening and appending.
        drop(open(&folder));
        let Some(said) = with_failing_syncs(&folder, when) else {
            eprintln!("SKIPPED a_failed_sync_ends_writing_until_a_restart: no strace here");
            return;
        };
        let acked = said.iter().take_while(|line| *line == "answer ok").count();
        println!("sync {when} fails: {acked} acknowledged before");
        assert!(acked < 10, "sync {when} fails: {said:?}");
        for line in &said[acked..10] {
            assert_eq!(line, "answer Unavailable", "nothing is acknowledged after sync {when} failed: {said:?}");
        }
        assert_eq!(said.get(10), Some(&format!("read {acked}")), "reads go on: {said:?}");
        let store = open(&folder);
        let found = Worker::new(&store).everything("a").unwrap();
        // The one whose sync failed may have survived.
        assert!(found.len() == acked || found.len() == acked + 1, "{acked} acknowledged, {} there", found.len());
    }
}
