//! An inbox against a model of it, and its way into rows and back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Actor, Inbox, Loading, Policy, Taker};
use crate::acks::Which;
use crate::history::Block;
use crate::id::{AppId, ChannelKey, DeviceId, EventType, MessageId, UserId};
use crate::limits;
use crate::options::InboxOptions;
use crate::position::{Epoch, Offset};
use crate::record::Record;
use crate::state::Change;
use crate::time::{Time, UnixMs};
use crate::worker::testing::Rng;

const DEVICES: [&str; 3] = ["phone", "laptop", "tablet"];

fn channel() -> ChannelKey {
    ChannelKey::user(AppId::default(), UserId::parse("ada").expect("a user"))
}

fn epoch(name: &str) -> Epoch {
    Epoch::parse(name).expect("an epoch")
}

fn device(name: &str) -> DeviceId {
    DeviceId::parse(name).expect("a device")
}

fn record(offset: Offset) -> Record {
    Record {
        channel: channel(),
        epoch: epoch("e"),
        offset: Some(offset),
        id: MessageId::parse("m").expect("an id"),
        time: UnixMs(0),
        admitted: Time::default(),
        user: None,
        event_type: EventType::parse("t").expect("a type"),
        data: Bytes::new(),
        key: None,
        meta: None,
        ttl: None,
        exclude: Box::default(),
    }
}

/// What is pending, and which devices have acked it; all of [`DEVICES`] that are known count.
#[derive(Default)]
struct Model {
    pending: BTreeMap<Offset, BTreeSet<String>>,
    known: BTreeSet<String>,
}

impl Model {
    fn release(&mut self) {
        let known = &self.known;
        self.pending.retain(|_, acked| known.is_empty() || !known.is_subset(acked));
    }

    fn check(&self, inbox: &Inbox, seed: u64) {
        assert_eq!(inbox.len() as usize, self.pending.len(), "seed {seed}");
        for name in &self.known {
            let wanted = self.pending.iter().filter(|(_, acked)| !acked.contains(name)).map(|(offset, _)| *offset);
            let wanted: Vec<Offset> = wanted.collect();
            let device = device(name);
            assert_eq!(inbox.begins_after(Some(&device)), wanted.first().map(|it| it - 1), "seed {seed}: {name}");
            for offset in self.pending.keys() {
                assert_eq!(
                    inbox.wants(Some(&device), *offset),
                    wanted.contains(offset),
                    "seed {seed}: {name} {offset}"
                );
            }
        }
    }
}

/// Reads an inbox of the store again, out of its rows and all messages up to `head`.
fn reload(rows: &BTreeMap<Box<[u8]>, Box<[u8]>>, life: &str, head: Offset, options: &InboxOptions) -> Inbox {
    let mut loading = Loading::new(epoch(life), head, 0);
    let rows: Vec<_> = rows.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    loading.take_rows(&channel(), &rows, options);
    let mut reads = 0;
    while let Some(from) = loading.wants() {
        reads += 1;
        assert!(reads < 1_000, "it gets on");
        let records = (from..=head).take(3).map(|offset| Arc::new(record(offset))).collect();
        loading.take_block(&Block { records, reached: (from + 2).min(head), ..Block::default() }, options);
    }
    loading.finish(options, Time::default())
}

fn write(rows: &mut BTreeMap<Box<[u8]>, Box<[u8]>>, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Put { key, value, .. } | Change::Max { key, value, .. } => drop(rows.insert(key, value)),
            Change::Delete { key, .. } => drop(rows.remove(&key)),
        }
    }
}

#[test]
fn each_device_is_remembered_message_by_message() {
    let options = InboxOptions { policy: Policy::Each, age: Duration::from_secs(3_600), ..InboxOptions::default() };
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let (mut inbox, mut model, mut head) = (Inbox::default(), Model::default(), 0);
        let mut rows = BTreeMap::new();
        for _ in 0..60 {
            let name = *rng.pick(&DEVICES);
            match rng.below(10) {
                0..4 => {
                    head += 1;
                    inbox.admit(&record(head), options.age);
                    model.pending.insert(head, BTreeSet::new());
                }
                4 => {
                    inbox.greet(Some(&device(name)), UnixMs(1));
                    model.known.insert(name.to_owned());
                }
                5 if rng.percent(20) => {
                    inbox.ack(&Actor::All, (&Which::UpTo(head / 2), &[]), options.policy, UnixMs(1));
                    model.pending.retain(|offset, _| *offset > head / 2);
                }
                6 => {
                    // The process ends, and the rows are what is left.
                    if let Some(changes) = inbox.take_changes(&channel(), &epoch("e"), Time::default()) {
                        write(&mut rows, changes);
                    }
                    inbox = reload(&rows, "e", head, &options);
                }
                _ => {
                    let which = if rng.percent(50) {
                        Which::UpTo(rng.below(head as usize + 1) as u64)
                    } else {
                        Which::Offsets(vec![1 + rng.below(head as usize + 1) as u64])
                    };
                    let left = inbox.ack(&Actor::Device(Some(device(name))), (&which, &[]), options.policy, UnixMs(1));
                    model.known.insert(name.to_owned());
                    let before: BTreeSet<Offset> = model.pending.keys().copied().collect();
                    for (offset, acked) in &mut model.pending {
                        let covered = match &which {
                            Which::UpTo(last) => offset <= last,
                            Which::Offsets(offsets) => offsets.contains(offset),
                        };
                        if covered {
                            acked.insert(name.to_owned());
                        }
                    }
                    model.release();
                    let gone: Vec<Offset> = before.into_iter().filter(|it| !model.pending.contains_key(it)).collect();
                    assert_eq!(left, gone, "seed {seed}");
                }
            }
            model.release();
            model.check(&inbox, seed);
        }
    }
}

#[test]
fn rows_of_another_life_of_the_log_count_for_nothing() {
    let options = InboxOptions::default();
    let mut inbox = Inbox::default();
    for offset in 1..=5 {
        inbox.admit(&record(offset), options.age);
    }
    inbox.ack(&Actor::All, (&Which::UpTo(4), &[]), options.policy, UnixMs(0));
    let mut rows = BTreeMap::new();
    write(&mut rows, inbox.take_changes(&channel(), &epoch("e"), Time::default()).expect("something left"));
    assert_eq!(reload(&rows, "e", 7, &options).len(), 3);
    assert_eq!(reload(&rows, "f", 7, &options).len(), 7);
}

#[test]
fn only_the_newest_are_read_when_more_lie_in_the_log_than_may_wait() {
    let options = InboxOptions { messages: 4, ..InboxOptions::default() };
    let inbox = reload(&BTreeMap::new(), "e", 10, &options);
    assert_eq!((inbox.len(), inbox.first(), inbox.dropped_up_to()), (4, Some(7), 6));
}

#[test]
fn the_device_unseen_longest_gives_way() {
    let mut inbox = Inbox::default();
    for number in 0..limits::INBOX_DEVICES as u64 {
        inbox.greet(Some(&device(&format!("d{number}"))), UnixMs(number));
    }
    inbox.admit(&record(1), Duration::from_secs(60));
    let all_but_the_first = |inbox: &mut Inbox| {
        let numbers = 1..limits::INBOX_DEVICES as u64;
        let acks = numbers.map(|it| Actor::Device(Some(device(&format!("d{it}")))));
        acks.flat_map(|by| inbox.ack(&by, (&Which::UpTo(1), &[]), Policy::Each, UnixMs(99))).count()
    };
    assert_eq!(all_but_the_first(&mut inbox), 0, "the first one has not acked");
    inbox.greet(Some(&device("new")), UnixMs(100));
    assert_eq!(inbox.len(), 1, "it waits for the new one");
    assert_eq!(inbox.ack(&Actor::Device(Some(device("new"))), (&Which::UpTo(1), &[]), Policy::Each, UnixMs(101)), [1]);
    // With a week gone without any of them nobody is waited for but who comes.
    inbox.admit(&record(2), Duration::from_secs(60));
    let later = UnixMs(200 + limits::INBOX_DEVICE_AGE.as_millis() as u64);
    inbox.greet(Some(&device("new")), later);
    assert_eq!(inbox.ack(&Actor::Device(Some(device("new"))), (&Which::UpTo(2), &[]), Policy::Each, later), [2]);
}

#[test]
fn a_write_that_failed_is_made_again_and_whoever_waited_for_it_is_told() {
    let options = InboxOptions::default();
    let mut inbox = Inbox::default();
    inbox.admit(&record(1), options.age);
    inbox.ack(&Actor::All, (&Which::UpTo(1), &[]), options.policy, UnixMs(0));
    inbox.wait(crate::publish::Origin::Call { ticket: 1 }, crate::event::Outcome::Done);
    let take = |inbox: &mut Inbox, ms| inbox.take_changes(&channel(), &epoch("e"), Time::from_ms(ms));
    let first = take(&mut inbox, 0).expect("something left");
    inbox.wait(crate::publish::Origin::Call { ticket: 2 }, crate::event::Outcome::Done);
    assert_eq!(take(&mut inbox, 0), None, "one write at a time");
    assert_eq!(inbox.saved(false, Time::from_ms(0)).len(), 1);
    assert!(inbox.is_saving());
    assert_eq!(take(&mut inbox, 0), None, "after a failure there is a pause");
    let again = take(&mut inbox, limits::LOG_RETRY.as_millis() as u64).expect("it is due");
    assert_eq!(again[0], first[0]);
    assert_eq!(inbox.saved(true, Time::from_ms(9_999)).len(), 1);
    assert!(!inbox.is_saving());
}

/// A Pong may be sent unasked, with whatever in it, also while messages wait to be written.
#[test]
fn a_pong_to_no_ping_proves_nothing() {
    let mut taker = Taker::default();
    taker.note_pushed(7);
    assert_eq!(taker.probe(), Some(7));
    taker.take_pong(Offset::from_be_bytes(*b"17000000"));
    assert_eq!(taker.untold_proof(), None);
    taker.take_pong(7);
    assert_eq!(taker.untold_proof(), Some(7));
}
