//! Killed at any moment: what was acknowledged is there, nothing else was made up, order is kept.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use realtime_connector_core::id::UserId;
use realtime_connector_core::publish::Publisher;
use realtime_connector_store::sqlite::{Options, Sqlite, check};
use realtime_connector_store::{Append, Completion, Log};

use crate::support::{Folder, HOME, Worker, append, channel, open};

const ROUNDS: u64 = 20;
const PUBLISHERS: u64 = 4;
const CHANNELS: [&str; 3] = ["orders", "chat", "prices"];
/// Appends a publisher has on their way.
const WINDOW: u64 = 16;
/// The publisher that asks a store that was reopened for its first answer.
const US: u64 = PUBLISHERS;
const CHILD: &str = "STORE_TEST_KILL";

/// Ends a line, so that one that was cut by the kill is not taken for whole.
const END: &str = ".";

/// Message `seq` of a publisher in a round: everything about it follows from these.
fn message(round: u64, publisher: u64, seq: u64) -> (&'static str, Append) {
    let name = CHANNELS[((seq / 3 + publisher) % 3) as usize];
    let id = format!("{round}-{publisher}-{seq}");
    let user = UserId::parse(&format!("u{publisher}")).unwrap();
    let append = Append { idempotent: Some(Publisher::User(user)), ..append(name, &id, &data(&id)) };
    (name, append)
}

fn data(id: &str) -> String {
    let number = id.bytes().fold(7_usize, |number, byte| number * 31 % 9_973 + usize::from(byte));
    format!("{id}:{}", "x".repeat(number % 3_000))
}

/// Publishes until it is killed; does nothing in an ordinary run of the tests.
#[test]
fn a_child_publishes() {
    let Ok(place) = std::env::var(CHILD) else { return };
    let (round, path) = place.split_once(' ').unwrap();
    let round: u64 = round.parse().unwrap();
    let store = Sqlite::open(&PathBuf::from(path), Options::default()).unwrap();
    std::thread::scope(|scope| {
        for publisher in 0..PUBLISHERS {
            let worker = Worker::new(&store);
            scope.spawn(move || publish(worker, round, publisher));
        }
    });
}

fn publish(mut worker: Worker, round: u64, publisher: u64) {
    for seq in 0_u64.. {
        worker.log.append(HOME, seq, message(round, publisher, seq).1);
        if seq < WINDOW {
            continue;
        }
        match worker.answer() {
            Completion::Committed { record, .. } => {
                let line = format!("\nack {publisher} {} {} {END}\n", record.offset.unwrap(), record.id);
                std::io::stdout().write_all(line.as_bytes()).unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

fn start(round: u64, folder: &Folder) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::a_child_publishes", "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, format!("{round} {}", folder.database().display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Offset and id of everything acknowledged until `count` acks have come and the child is dead.
fn kill_after(count: usize, mut child: Child) -> Vec<(u64, String)> {
    let mut acks = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["ack", _, offset, id, END] = words[..] {
            acks.push((offset.parse().unwrap(), id.to_owned()));
            if acks.len() == count {
                child.kill().unwrap();
            }
        }
    }
    child.wait().unwrap();
    acks
}

#[test]
fn what_was_acknowledged_survives_twenty_kills() {
    let folder = Folder::new();
    let mut acked: BTreeMap<String, u64> = BTreeMap::new();
    let (mut seed, mut longest) = (0x5eed_u64, Duration::ZERO);
    for round in 0..ROUNDS {
        seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        let acks = kill_after(1 + (seed >> 33) as usize % 400, start(round, &folder));
        acked.extend(acks.into_iter().map(|(offset, id)| (id, offset)));
        let began = Instant::now();
        let store = open(&folder);
        let mut worker = Worker::new(&store);
        worker.append(CHANNELS[0], &format!("{round}-{US}-0"), &data(&format!("{round}-{US}-0")));
        longest = longest.max(began.elapsed());
        let found = verify(&mut worker, &acked, round);
        retry(&mut worker, &found, round);
    }
    let report = check(&folder.database()).unwrap();
    assert!(report.is_sound(), "{report:#?}");
    println!("{} acknowledged over {ROUNDS} kills, {} in the log", acked.len(), report.records);
    println!("the longest time from opening to the first answer: {longest:?}");
}

/// Compares the log with the journal of acknowledgements. Returns every id with its offset.
fn verify(worker: &mut Worker, acked: &BTreeMap<String, u64>, round: u64) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for name in CHANNELS {
        let mut newest: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (index, (offset, id, text)) in worker.everything(name).unwrap().into_iter().enumerate() {
            assert_eq!(offset, index as u64 + 1, "offsets of {name} have no hole");
            assert_eq!(text, data(&id), "the content of {id} is what was published");
            let parts: Vec<u64> = id.split('-').map(|part| part.parse().unwrap()).collect();
            let [from, publisher, seq] = parts[..] else { panic!("{id} was published by nobody") };
            let to = if publisher == US { CHANNELS[0] } else { message(from, publisher, seq).0 };
            assert!(from <= round && to == name, "{id} was not published to {name}");
            let before = newest.insert((from, publisher), seq);
            assert!(before.is_none_or(|before| before < seq), "{id} comes after {before:?}");
            assert_eq!(found.insert(id.clone(), offset), None, "{id} is there once");
        }
    }
    for (id, offset) in acked {
        assert_eq!(found.get(id), Some(offset), "{id} was acknowledged");
    }
    found
}

/// What every publisher had on its way is sent again, as a client does: each message ends up in the log once.
fn retry(worker: &mut Worker, found: &BTreeMap<String, u64>, round: u64) {
    let mut places = BTreeSet::new();
    for publisher in 0..PUBLISHERS {
        let next = (0_u64..).find(|seq| !found.contains_key(&format!("{round}-{publisher}-{seq}"))).unwrap();
        for seq in next.saturating_sub(2)..next + 2 {
            let (name, append) = message(round, publisher, seq);
            let id = append.record.id.to_string();
            worker.log.append(HOME, 0, append);
            let offset = match (worker.answer(), found.get(&id)) {
                (Completion::Duplicate { position, .. }, Some(offset)) => {
                    assert_eq!(position.offset, *offset, "{id} is where it was");
                    *offset
                }
                (Completion::Committed { record, .. }, None) => record.offset.unwrap(),
                (other, before) => panic!("{id}, found at {before:?}: {other:?}"),
            };
            assert!(places.insert((channel(name), offset)), "no two at one offset");
        }
    }
}
