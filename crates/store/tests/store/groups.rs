//! Groups, readers beside them, and housekeeping that keeps up.

use realtime_connector_core::id::UserId;
use realtime_connector_core::options::Retention;
use realtime_connector_core::publish::Publisher;
use realtime_connector_core::time::{Now, Time, UnixMs};
use realtime_connector_store::sqlite::{Options, Sqlite, check};
use realtime_connector_store::{Append, Change, Completion, Log, LogError, State, StateCompletion, Table};
use rusqlite::Connection;

use crate::support::{Folder, HOME, Hands, Worker, append, channel, open};

/// More than one round of housekeeping removes.
const MANY: u64 = 5_000;

#[test]
fn a_bad_operation_fails_alone() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    let ada = || Some(Publisher::User(UserId::parse("ada").unwrap()));
    worker.log.append(HOME, 1, Append { idempotent: ada(), ..append("a", "m1", "x") });
    assert!(matches!(worker.answer(), Completion::Committed { .. }));
    let operator = Connection::open(folder.database()).unwrap();
    operator.execute_batch("UPDATE dedup SET crc = crc + 1; BEGIN IMMEDIATE").unwrap();
    // While the lock is held these come together, and one of them meets the damage.
    for (ticket, id) in [(2, "m2"), (3, "m1"), (4, "m3"), (5, "m4")] {
        let idempotent = if id == "m1" { ada() } else { None };
        worker.log.append(HOME, ticket, Append { idempotent, ..append("a", id, "x") });
    }
    operator.execute_batch("COMMIT").unwrap();
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.push(match worker.answer() {
            Completion::Committed { ticket, record, .. } => (ticket, record.offset),
            Completion::Failed { ticket, error: LogError::Corrupt { .. }, .. } => (ticket.unwrap(), None),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(answers, [(2, Some(2)), (3, None), (4, Some(3)), (5, Some(4))]);
    assert_eq!(worker.everything("a").unwrap().len(), 4);
}

#[test]
fn readers_beside_the_writer_see_a_prefix_without_a_hole() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    std::thread::scope(|scope| {
        let mut writer = Worker::new(&store);
        scope.spawn(move || {
            for number in 0..MANY {
                writer.log.append(HOME, number, append("a", &format!("m{number}"), "x"));
                if number % 64 == 63 {
                    (0..64).for_each(|_| assert!(matches!(writer.answer(), Completion::Committed { .. })));
                }
            }
            (0..MANY % 64).for_each(|_| assert!(matches!(writer.answer(), Completion::Committed { .. })));
        });
        let mut reader = Worker::new(&store);
        scope.spawn(move || {
            let mut from = 1;
            while from <= MANY {
                let Completion::Read { records, through, head, .. } = reader.read("a", from) else { panic!("a read") };
                let offsets = records.iter().map(|record| record.offset.unwrap());
                assert!(offsets.eq(from..=through) && through <= head);
                assert!(records.iter().all(|record| record.id.as_str() == format!("m{}", record.offset.unwrap() - 1)));
                from = through + 1;
            }
        });
    });
    drop(store);
    assert!(check(&folder.database()).unwrap().is_sound());
}

/// Homes went on promising what retention had taken meanwhile.
#[test]
fn a_commit_says_how_far_the_channel_is_trimmed() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    worker.log.open(HOME, &channel("a"), Retention { records: 3, ..Retention::default() });
    worker.answer();
    let mut before = 0;
    for number in 1..=10 {
        let Completion::Committed { record, trimmed, .. } = worker.append("a", &format!("m{number}"), "x") else {
            panic!("an append")
        };
        assert_eq!((record.offset, trimmed), (Some(number), before));
        let Completion::Read { trimmed, .. } = worker.read("a", 1) else { panic!("a read") };
        before = trimmed;
    }
    assert_eq!(before, 7);
}

#[test]
fn changes_and_records_are_made_in_the_order_given() {
    let folder = Folder::in_memory();
    let store = open(&folder);
    let mut worker = Worker::new(&store);
    for number in 0..100_u64 {
        worker.log.append(HOME, number, append("a", &format!("m{number}"), "x"));
        let (key, value) = (b"at".as_slice().into(), number.to_be_bytes().into());
        worker.state.apply(number, vec![Change::Put { table: Table::Cursors, key, value }]);
    }
    for number in 0..100 {
        assert!(matches!(worker.answer(), Completion::Committed { ticket, .. } if ticket == number));
        assert_eq!(worker.state_answer(), StateCompletion::Applied { ticket: number });
    }
}

/// A store with many records that a clock of its own makes old, and how many rows of a kind are left in the end.
fn check_swept(append_with: impl Fn(Append) -> Append, retention: Retention, sql: &str, expected: u64) {
    let folder = Folder::in_memory();
    let hands = Hands::default();
    let mut now = Now { time: Time::from_ms(5_000), wall: UnixMs(1_700_000_000_000) };
    hands.set(now);
    let options = Options { clock: hands.clock(), ..Options::default() };
    let store = Sqlite::open(&folder.database(), options).unwrap();
    let mut worker = Worker::new(&store);
    worker.log.open(HOME, &channel("a"), retention);
    worker.answer();
    for number in 0..MANY {
        worker.log.append(HOME, number, append_with(append("a", &format!("m{number}"), "x")));
    }
    (0..MANY).for_each(|_| assert!(matches!(worker.answer(), Completion::Committed { .. })));
    now = Now { time: Time::from_ms(1_000_000), wall: UnixMs(now.wall.0 + 995_000) };
    hands.set(now);
    // One write begins a round; those that follow it need none.
    worker.append("b", "m", "x");
    drop(store);
    let count = |sql: &str| {
        let connection = Connection::open(folder.database()).unwrap();
        connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
    };
    // An orderly stop does not wait for housekeeping, so the next life goes on with it.
    let store = Sqlite::open(&folder.database(), Options { clock: hands.clock(), ..Options::default() }).unwrap();
    for _ in 0..MANY {
        if count(sql) == expected {
            break;
        }
        now = Now { time: now.time.after(std::time::Duration::from_secs(2)), ..now };
        hands.set(now);
        Worker::new(&store).append("b", "m", "x");
    }
    assert_eq!(count(sql), expected, "{sql}");
    drop(store);
    assert!(check(&folder.database()).unwrap().is_sound());
}

/// A clock that stands until it is set, and a store that goes by it.
fn by_hand(folder: &Folder) -> (Hands, Now, Sqlite) {
    let hands = Hands::default();
    let now = Now { time: Time::from_ms(5_000), wall: UnixMs(1_700_000_000_000) };
    hands.set(now);
    let store = Sqlite::open(&folder.database(), Options { clock: hands.clock(), ..Options::default() }).unwrap();
    (hands, now, store)
}

fn count(folder: &Folder, sql: &str) -> u64 {
    let connection = Connection::open(folder.database()).unwrap();
    connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap().unsigned_abs()
}

/// A channel that took more in each group than one step removes grew without end.
#[test]
fn the_busiest_channel_stays_within_its_bound() {
    let folder = Folder::in_memory();
    let (_hands, _, store) = by_hand(&folder);
    let mut worker = Worker::new(&store);
    worker.log.open(HOME, &channel("a"), Retention { records: 100, ..Retention::default() });
    worker.answer();
    let operator = Connection::open(folder.database()).unwrap();
    for group in 0..4_u64 {
        // While the lock is held they come together.
        operator.execute_batch("BEGIN IMMEDIATE").unwrap();
        for number in 0..1_000 {
            worker.log.append(HOME, number, append("a", &format!("{group}-{number}"), "x"));
        }
        operator.execute_batch("COMMIT").unwrap();
        (0..1_000).for_each(|_| assert!(matches!(worker.answer(), Completion::Committed { .. })));
    }
    assert!(count(&folder, "SELECT count(*) FROM record") <= 100 + 100 / 16);
    drop(store);
    assert!(check(&folder.database()).unwrap().is_sound());
}

/// The round began with it again and again, and never came to those behind it.
#[test]
fn a_channel_whose_row_is_damaged_does_not_keep_others_from_being_swept() {
    let folder = Folder::in_memory();
    let (hands, mut now, store) = by_hand(&folder);
    let mut worker = Worker::new(&store);
    let minute = Retention { age: std::time::Duration::from_secs(60), ..Retention::default() };
    for name in ["a", "b", "c"] {
        worker.log.open(HOME, &channel(name), minute);
        worker.answer();
        worker.append(name, "m", "x");
        worker.log.forget(&channel(name));
    }
    let operator = Connection::open(folder.database()).unwrap();
    operator.execute_batch("UPDATE channel SET crc = crc + 1 WHERE name = 'b'").unwrap();
    let left =
        "SELECT group_concat(name, '') FROM channel JOIN record ON channel.id = record.channel WHERE name != 'z'";
    for _ in 0..10 {
        now = Now { time: now.time.after(minute.age), wall: UnixMs(now.wall.0 + 60_000) };
        hands.set(now);
        worker.append("z", "m", "x");
    }
    worker.append("z", "m", "x");
    assert_eq!(operator.query_row(left, [], |row| row.get::<_, String>(0)).unwrap(), "b");
}

#[test]
fn housekeeping_keeps_up_with_what_comes() {
    let forever = Retention::default();
    let minute = Retention { age: std::time::Duration::from_secs(60), ..forever };
    let records = "SELECT count(*) FROM record WHERE channel = 1";
    check_swept(|append| append, minute, records, 0);
    let expires = |mut append: Append| {
        append.record.ttl = Some(std::time::Duration::from_secs(1));
        append
    };
    check_swept(expires, forever, "SELECT count(*) FROM record WHERE husk = 0 AND channel = 1", 0);
    let ada = Publisher::User(UserId::parse("ada").unwrap());
    let remembered = move |append| Append { idempotent: Some(ada.clone()), ..append };
    check_swept(remembered, forever, "SELECT count(*) FROM dedup", 0);
    let few = Retention { records: 100, ..forever };
    check_swept(|append| append, few, records, 100);
}
