//! Bounds, and what one process leaves to the next. The scripts and the simulation are in [`crate::worker`]'s tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::members::Member;
use super::window::{Item, Place};
use super::{Applied, Consumer, ConsumerInfo, Consumers, Membership, Seat, Terms};
use crate::acks::{AckOutcome, Which};
use crate::history::{Page, Ring};
use crate::id::{
    AppId, ChannelKey, ChannelName, ConnectionKey, ConsumerName, EventType, MessageId, MessageKey, SlotKey, WorkerId,
};
use crate::limits;
use crate::options::HistoryOptions;
use crate::position::{Epoch, GapReason, Offset};
use crate::record::Record;
use crate::state::{Change, Row, Table};
use crate::time::{Now, Time, UnixMs};

impl Consumer {
    /// The connections that sit here, by the names of their members, and whether they are thought to be slow.
    pub(crate) fn seated(&self) -> Vec<(WorkerId, ConnectionKey, ConsumerName, bool)> {
        let seat = |member: &Member| match member.seat {
            Seat::Session { worker, connection } => Some((worker, connection, member.name.clone(), member.slow)),
            Seat::Calls(_) | Seat::Gone => None,
        };
        self.members.iter().filter_map(seat).collect()
    }

    /// What must hold between any two inputs.
    pub(crate) fn check(&self) {
        self.window.check();
        assert!(self.acked.ranges() <= limits::ACK_RANGES_MAX);
        assert!(self.window.len() <= limits::CONSUMER_WINDOW && self.letters.len() <= limits::DEAD_LETTERS_MAX);
        for member in &self.members {
            let of =
                |item: &&Item| matches!(item.place, Place::Out { .. }) && item.holder.as_ref() == Some(&member.name);
            let held: Vec<u64> =
                self.window.items().map(|it| it.1).filter(of).map(|item| u64::from(item.record.cost())).collect();
            assert_eq!((held.len(), held.iter().sum()), (member.held as usize, member.held_bytes), "{}", member.name);
        }
        let out = self.window.items().filter(|(_, item)| matches!(item.place, Place::Out { .. })).count();
        assert_eq!(out, self.members.iter().map(|member| member.held as usize).sum(), "each delivery has its holder");
        for (offset, item) in self.window.items() {
            assert_eq!(self.acked.contains(offset), item.again, "{offset} is in the window and not done");
            assert!(!self.letters.contains_key(&offset), "{offset} is no dead letter");
        }
        let mut offset = self.acked.next_open(0);
        while offset <= self.scanned {
            assert!(self.window.get(offset).is_some(), "{offset} is not done, and nowhere");
            offset = self.acked.next_open(offset);
        }
    }
}

/// A consumer of the channel `jobs` with one member, who holds at most so many.
fn consumers(pending_max: u32) -> Consumers {
    let name = ConsumerName::parse("worker").expect("a name");
    let epoch = Epoch::parse("e").expect("an epoch");
    let mut consumer = Consumer::new(name.clone(), false, epoch, 0, now());
    let member = Membership { consumer: name.clone(), group: None };
    let terms = Terms { pending_max, ..Terms::default() };
    let seat = Seat::Session { worker: WorkerId(0), connection: SlotKey { slot: 1, generation: 1 } };
    consumer.seat(&member, &terms, seat, now()).expect("the first member");
    let mut consumers = Consumers::default();
    consumers.list.insert(name, consumer);
    consumers
}

fn only(consumers: &mut Consumers) -> &mut Consumer {
    consumers.list.values_mut().next().expect("there is one")
}

fn channel() -> ChannelKey {
    ChannelKey::named(AppId::default(), ChannelName::parse("jobs").expect("a name"))
}

fn now() -> Now {
    Now { time: Time::from_ms(1_000), wall: UnixMs(1_700_000_000_000) }
}

fn record(offset: Offset, key: Option<&str>) -> Arc<Record> {
    Arc::new(Record {
        channel: channel(),
        epoch: Epoch::parse("e").expect("an epoch"),
        offset: Some(offset),
        id: MessageId::parse("m").expect("an id"),
        time: UnixMs(0),
        admitted: Time::default(),
        user: None,
        event_type: EventType::parse("t").expect("a type"),
        data: Bytes::from_static(b"1"),
        key: key.map(|key| MessageKey::parse(key).expect("a key")),
        meta: None,
        ttl: None,
        exclude: Box::default(),
    })
}

/// Lets a consumer take in what it wants of a channel of so many messages.
fn read(consumer: &mut Consumer, head: Offset, key: Option<&str>) {
    while let Some(wanted) = consumer.wanted(head, false) {
        let last = head.min(wanted.offset + wanted.records_max as u64 - 1);
        let records = (wanted.offset..=last).map(|offset| record(offset, key)).collect();
        consumer.take_in(wanted, Page { missing: None, records, reached: last }, GapReason::Window, now());
        consumer.check();
    }
}

fn hand_out(consumer: &mut Consumer) -> Vec<Offset> {
    let mut offsets = Vec::new();
    while let Some(pair) = consumer.next_pair(now()) {
        let out = consumer.hand_out(pair, now()).expect("it is there");
        offsets.push(out.delivery.record.offset.expect("an offset"));
    }
    offsets
}

type Rows = BTreeMap<(Table, Box<[u8]>), Box<[u8]>>;

fn write(rows: &mut Rows, changes: Vec<Change>) {
    for change in changes {
        match change {
            Change::Put { table, key, value } | Change::Max { table, key, value } => {
                drop(rows.insert((table, key), value))
            }
            Change::Delete { table, key } => drop(rows.remove(&(table, key))),
        }
    }
}

/// What the state would hold after these writes.
fn state(consumers: &mut Consumers) -> Rows {
    let mut rows = Rows::new();
    write_all(consumers, &mut rows);
    rows
}

fn write_all(consumers: &mut Consumers, rows: &mut Rows) {
    while let Some(mut part) = consumers.begin_write(&channel(), true) {
        loop {
            assert!(part.len() <= limits::CHANGES_MAX);
            write(rows, part);
            match consumers.applied() {
                Applied::More(more) => part = more,
                Applied::All(_) => break,
            }
        }
    }
}

/// The consumers that the next process finds.
fn reopened(rows: &Rows, epoch: &str) -> Consumers {
    let mut consumers = Consumers::unread();
    while let Some(scan) = consumers.next_scan(&channel()) {
        let of = rows.iter().filter(|((table, key), _)| *table == scan.table && key.starts_with(&scan.prefix));
        let after = of.filter(|((_, key), _)| scan.after.as_ref().is_none_or(|after| key > after));
        let mut found: Vec<Row> = after.map(|((_, key), value)| (key.clone(), value.clone())).collect();
        // Pages of three, so that there are some.
        let more = found.len() > 3;
        found.truncate(3);
        consumers.take_rows(&channel(), &found, more, now());
    }
    let ring = Ring::persisted(HistoryOptions::default(), Epoch::parse(epoch).expect("an epoch"), 50, 0);
    consumers.fit(&channel(), &ring, now());
    consumers
}

#[test]
fn what_is_held_back_is_bounded() {
    let mut consumers = consumers(1_000);
    let consumer = only(&mut consumers);
    read(consumer, 5_000, Some("k"));
    assert_eq!(consumer.window.len(), limits::CONSUMER_WINDOW);
    assert_eq!(hand_out(consumer), [1]);
    let member = Membership { consumer: consumer.name.clone(), group: None };
    consumer.ack(&member, &Which::UpTo(1), &AckOutcome::Done, now(), &mut || 0).expect("it is its own");
    read(consumer, 5_000, Some("k"));
    assert_eq!(consumer.window.len(), limits::CONSUMER_WINDOW);
    assert_eq!(hand_out(consumer), [2]);
}

#[test]
fn the_oldest_dead_letters_go_and_are_counted() {
    let mut consumers = consumers(1_000);
    let consumer = only(&mut consumers);
    let member = Membership { consumer: consumer.name.clone(), group: None };
    let dead = AckOutcome::Dead { reason: None };
    for last in [1_000, 1_003] {
        read(consumer, last, None);
        hand_out(consumer);
        consumer.ack(&member, &Which::UpTo(last), &dead, now(), &mut || 0).expect("they are its own");
        consumer.check();
    }
    let info = consumer.info(1_003);
    assert_eq!((info.dead, info.dead_dropped, info.pending, info.position.offset), (1_000, 3, 0, 1_003));
    assert_eq!(consumer.dead_letters(0, 1).0[0].position.offset, 4);
    let rows = state(&mut consumers);
    assert_eq!(rows.keys().filter(|(table, _)| *table == Table::DeadLetters).count(), 1_000);
    assert_eq!(only(&mut reopened(&rows, "e")).info(1_003), ConsumerInfo { members: 0, ..info });
}

#[test]
fn the_next_process_knows_what_the_last_one_wrote() {
    let mut consumers = consumers(10);
    let consumer = only(&mut consumers);
    read(consumer, 20, None);
    hand_out(consumer);
    let member = Membership { consumer: consumer.name.clone(), group: None };
    let mut say = |offsets: &[Offset], outcome: AckOutcome| {
        consumer.ack(&member, &Which::Offsets(offsets.to_vec()), &outcome, now(), &mut || 0).expect("they are its own");
    };
    say(&[1, 2, 5], AckOutcome::Done);
    say(&[3, 6, 7], AckOutcome::Dead { reason: Some("why".into()) });
    say(&[4], AckOutcome::Retry { delay: Some(Duration::from_secs(60)) });
    consumer.requeue(Some(&[6])).expect("it is a dead letter");
    let rows = state(&mut consumers);
    let mut next = reopened(&rows, "e");
    let it = only(&mut next);
    assert_eq!((it.acked.clone(), it.handed), (only(&mut consumers).acked.clone(), 10));
    assert_eq!(it.letters.keys().copied().collect::<Vec<_>>(), [3, 7]);
    assert_eq!(it.again.iter().copied().collect::<Vec<_>>(), [6]);
    read(it, 20, None);
    let attempts =
        |offset| it.window.get(offset).map(|item| (item.attempts, matches!(item.place, Place::Waits { .. })));
    assert_eq!((attempts(4), attempts(6)), (Some((1, true)), Some((0, false))), "one waits, one is as new");
    assert_eq!((attempts(8), attempts(11)), (Some((1, false)), Some((0, false))), "one was out, one was not");
    it.check();
}

#[test]
fn another_epoch_begins_at_its_first_message() {
    let mut consumers = consumers(10);
    let consumer = only(&mut consumers);
    read(consumer, 20, None);
    hand_out(consumer);
    let member = Membership { consumer: consumer.name.clone(), group: None };
    let dead = AckOutcome::Dead { reason: None };
    consumer.ack(&member, &Which::Offsets(vec![1, 2]), &dead, now(), &mut || 0).expect("they are its own");
    let mut rows = state(&mut consumers);
    let mut next = reopened(&rows, "f");
    let it = only(&mut next);
    assert_eq!((it.position().offset, it.letters.len()), (0, 0));
    assert_eq!(it.take_gap().map(|gap| (gap.range, gap.reason)), Some((None, GapReason::Epoch)));
    read(it, 20, None);
    assert!(it.window.items().all(|(_, item)| item.attempts == 0), "nothing of it was ever handed out");
    // What was kept of the former life goes with the next write.
    write(&mut rows, next.begin_write(&channel(), true).expect("something has changed"));
    assert_eq!(rows.keys().map(|(table, _)| *table).collect::<Vec<_>>(), [Table::Cursors]);
}

#[test]
fn what_is_deleted_leaves_nothing_behind_that_a_write_under_way_has_brought() {
    let mut consumers = consumers(10);
    let consumer = only(&mut consumers);
    read(consumer, 3, None);
    hand_out(consumer);
    let member = Membership { consumer: consumer.name.clone(), group: None };
    let say = |consumer: &mut Consumer, offset: Offset, outcome: AckOutcome| {
        consumer.ack(&member, &Which::Offsets(vec![offset]), &outcome, now(), &mut || 0).expect("it is its own");
    };
    say(consumer, 1, AckOutcome::Retry { delay: None });
    say(consumer, 2, AckOutcome::Dead { reason: None });
    // While the rows of these are being written …
    let part = consumers.begin_write(&channel(), true).expect("something has changed");
    let mut rows = Rows::new();
    write(&mut rows, part);
    // … they are done, and the consumer is deleted.
    let consumer = only(&mut consumers);
    say(consumer, 1, AckOutcome::Done);
    say(consumer, 2, AckOutcome::Done);
    let name = consumer.name.clone();
    assert!(consumers.delete(&channel(), &name));
    assert!(matches!(consumers.applied(), Applied::All(_)));
    write(&mut rows, consumers.begin_write(&channel(), true).expect("something has changed"));
    assert!(rows.is_empty(), "{rows:?}");
}

#[test]
fn a_consumer_that_is_used_is_not_forgotten() {
    let at = |days: u64| {
        let ms = days * 24 * 3_600 * 1_000;
        Now { time: Time::from_ms(1_000 + ms), wall: UnixMs(now().wall.0 + ms) }
    };
    let mut consumers = consumers(10);
    let mut rows = state(&mut consumers);
    // A member is there for a month, and nothing happens.
    for day in 1..=31 {
        only(&mut consumers).handle_time(at(day), &mut || 0);
        write_all(&mut consumers, &mut rows);
    }
    let mut next = reopened(&rows, "e");
    assert_eq!(next.forget_unused(&channel(), at(32)), 0);
    assert_eq!(next.forget_unused(&channel(), at(63)), 1);
}

#[test]
fn a_crash_between_the_parts_of_a_write_leaves_no_letter_of_what_comes_again() {
    let mut consumers = consumers(1_000);
    let consumer = only(&mut consumers);
    let member = Membership { consumer: consumer.name.clone(), group: None };
    read(consumer, 1_000, None);
    hand_out(consumer);
    let dead = AckOutcome::Dead { reason: None };
    consumer.ack(&member, &Which::UpTo(1_000), &dead, now(), &mut || 0).expect("they are its own");
    let mut rows = state(&mut consumers);
    assert_eq!(only(&mut consumers).requeue(None), Ok(1_000));
    write(&mut rows, consumers.begin_write(&channel(), true).expect("something has changed"));
    let mut next = reopened(&rows, "e");
    let it = only(&mut next);
    read(it, 1_000, None);
    it.check();
    assert_eq!((it.letters.len(), it.window.len()), (0, 1_000));
    write_all(&mut next, &mut rows);
    assert!(rows.keys().all(|(table, _)| *table != Table::DeadLetters), "they are gone with the next write");
}

#[test]
fn another_epoch_is_told_also_after_a_restart() {
    let mut consumers = consumers(10);
    let mut rows = state(&mut consumers);
    write_all(&mut reopened(&rows, "f"), &mut rows);
    let mut next = reopened(&rows, "f");
    assert_eq!(only(&mut next).take_gap().map(|gap| (gap.range, gap.reason)), Some((None, GapReason::Epoch)));
    write_all(&mut next, &mut rows);
    assert_eq!(only(&mut reopened(&rows, "f")).take_gap(), None);
}
