//! The checker finds what was planted, and nothing else.

use super::{Account, Heard, Journal, Journals, Label, Outcome, Position, Sent};

fn position(offset: u64) -> Position {
    Position { epoch: "e".to_owned(), offset }
}

fn label(seq: u64) -> Label {
    Label { publisher: "p".to_owned(), seq, hash: seq }
}

fn sent(seq: u64, outcome: Outcome) -> Sent {
    Sent { channel: "c".to_owned(), label: label(seq), outcome }
}

fn acknowledged(offset: u64) -> Outcome {
    Outcome::Acknowledged { position: position(offset), duplicate: false }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// What a subscriber noted, in short: `<3` comes from 3, a number is a message at that offset, `.` is kept, `x4-5` is loss.
fn heard(script: &str) -> Vec<Heard> {
    let note = |word: &str| match word.split_at(1) {
        ("<", from) => {
            let position = position(number(from));
            Heard::Came { since: Some(position.clone()), position, head: 0, recovered: Some(true) }
        }
        (".", _) => Heard::Kept,
        ("x", range) => {
            let (from, to) = range.split_once('-').expect("a range");
            let (from, to) = (number(from), number(to));
            Heard::Gap { range: Some((from, to)), lost: true, position: position(to) }
        }
        _ => {
            let (offset, seq) = word.split_once('=').unwrap_or((word, word));
            Heard::Message { offset: number(offset), label: label(number(seq)) }
        }
    };
    script.split(' ').map(note).collect()
}

/// The names of the invariants that are violated, each once, when five messages were published and this was heard.
#[track_caller]
fn check(script: &str, expected: &str) {
    let journal =
        |script| Journal { listener: "l".to_owned(), channel: "c".to_owned(), heard: heard(script), is_complete: true };
    let sent = (1..=5).map(|seq| sent(seq, acknowledged(seq))).chain([sent(9, Outcome::Refused)]).collect();
    let verdict =
        Journals { sent, heard: vec![journal("<0 1 2 3 4 5"), journal(script)], ..Journals::default() }.check();
    let mut names: Vec<_> = verdict.violations.iter().map(|text| &text[..2]).collect();
    names.dedup();
    assert_eq!(names.join(" "), expected, "{script}: {:#?}", verdict.violations);
}

/// What one subscriber heard, when these messages were acknowledged; as [`check`] otherwise.
#[track_caller]
fn check_heard(sent: Vec<Sent>, heard: Vec<Heard>, expected: &str) {
    let journal = Journal { listener: "l".to_owned(), channel: "c".to_owned(), heard, is_complete: true };
    check_journals(&Journals { sent, heard: vec![journal], ..Journals::default() }, expected);
}

#[track_caller]
fn check_journals(journals: &Journals, expected: &str) {
    let verdict = journals.check();
    let mut names: Vec<_> = verdict.violations.iter().filter_map(|text| text.split(' ').next()).collect();
    names.dedup();
    assert_eq!(names.join(" "), expected, "{:#?}", verdict.violations);
}

fn came(since: Option<Position>, position: Position, recovered: Option<bool>) -> Heard {
    let head = position.offset;
    Heard::Came { since, position, head, recovered }
}

fn message(offset: u64, seq: u64) -> Heard {
    Heard::Message { offset, label: label(seq) }
}

fn gap(range: Option<(u64, u64)>, lost: bool, position: Position) -> Heard {
    Heard::Gap { range, lost, position }
}

fn in_epoch(epoch: &str, offset: u64) -> Position {
    Position { epoch: epoch.to_owned(), offset }
}

/// A checker that finds nothing proves nothing.
#[test]
fn the_checker_finds_what_was_planted() {
    check("<0 1 2 3 4 5", "");
    check("<2 3 4 5", "");
    check("<0 1 2 . 3 <2 3 4 5", "");
    check("<0 1 2 . <2 3 4 5", "");
    check("<0 1 2 3 4", "I1");
    check("<0 1 2 4 5", "I1 I5 I6");
    check("<0 1 2 . <3 4 5", "I1 I6");
    check("<0 1 2 3 4 5 6=7", "I2");
    check("<0 1 2 3 4 5 6=9", "I2");
    check("<0 1 2 . <1 2 3 4 5", "I3 I6");
    check("<0 1 2 2 3 4 5", "I3 I4 I6");
    check("<0 1 2 3 4 5 6=5", "I3 I4");
    check("<0 1 2=3 3=2 4 5", "I3 I4");
    check("<0 1 3 2 4 5", "I4 I5 I6");
    check("<0 1 2 x3-3 4 5", "I5");
    check("<0 1 2 x4-4 5", "I1 I5");
}

#[test]
fn loss_that_was_told_is_counted_and_not_a_violation() {
    let mut heard = heard("<0 1 2 x3-3 4 5");
    heard[0] = Heard::Came { since: None, position: position(0), head: 0, recovered: None };
    let journal = Journal { listener: "l".to_owned(), channel: "c".to_owned(), heard, is_complete: true };
    let sent = (1..=5).map(|seq| sent(seq, acknowledged(seq))).collect();
    let verdict = Journals { sent, heard: vec![journal], ..Journals::default() }.check();
    assert_eq!((verdict.violations, verdict.told_losses), (Vec::new(), 1));
}

#[test]
fn one_message_has_one_offset_also_for_its_publisher() {
    let sent = vec![sent(1, acknowledged(1)), sent(1, Outcome::Unknown), sent(1, acknowledged(2))];
    let verdict = Journals { sent, ..Journals::default() }.check();
    assert!(verdict.violations.iter().any(|text| text.starts_with("I3")), "{:?}", verdict.violations);
}

#[test]
fn whoever_is_not_recovered_is_told_what_is_missing() {
    let sent = || (1..=5).map(|seq| sent(seq, acknowledged(seq))).collect::<Vec<_>>();
    let first = || [came(None, position(0), None), message(1, 1)];
    let again = |rest: &[Heard]| first().into_iter().chain(rest.iter().cloned()).collect::<Vec<_>>();
    let window = came(Some(position(1)), position(4), Some(false));
    check_heard(sent(), again(&[window.clone(), gap(Some((2, 4)), true, position(4)), message(5, 5)]), "");
    check_heard(sent(), again(&[window.clone(), message(5, 5)]), "I5");
    check_heard(sent(), again(&[window, gap(Some((3, 4)), true, position(4)), message(5, 5)]), "I5");
    // Removed on purpose, which is no loss, and a gap says so.
    let purged = came(Some(position(1)), position(4), Some(true));
    check_heard(sent(), again(&[purged.clone(), gap(Some((2, 4)), false, position(4)), message(5, 5)]), "");
    check_heard(sent(), again(&[purged, message(5, 5)]), "I1 I5 I6");
}

#[test]
fn a_new_epoch_is_told_between_epochs_only() {
    let sent = |epoch: &str| vec![sent(1, Outcome::Acknowledged { position: in_epoch(epoch, 1), duplicate: false })];
    let heard = |epoch: &str, told: &[Heard]| {
        let old = in_epoch("e", 3);
        let came_back = came(Some(old.clone()), in_epoch(epoch, 0), Some(false));
        [came(None, old, None), came_back].into_iter().chain(told.iter().cloned()).chain([message(1, 1)]).collect()
    };
    check_heard(sent("f"), heard("f", &[gap(None, true, in_epoch("f", 0))]), "");
    check_heard(sent("f"), heard("f", &[]), "I5");
    check_heard(sent("e"), heard("e", &[gap(None, true, in_epoch("e", 0))]), "I5");
}

#[test]
fn what_lies_in_memory_may_be_published_again_in_the_next_epoch() {
    let at = |epoch: &str| sent(1, Outcome::Acknowledged { position: in_epoch(epoch, 1), duplicate: false });
    let mut journals = Journals { sent: vec![at("e"), at("f")], ..Journals::default() };
    check_journals(&journals, "I3");
    journals.in_memory.insert("c".to_owned());
    check_journals(&journals, "");
}

#[test]
fn nobody_hears_what_was_before_they_came() {
    let sent = vec![sent(1, Outcome::Acknowledged { position: in_epoch("e", 1), duplicate: false })];
    let heard = vec![came(None, in_epoch("f", 0), None)];
    let journal = Journal { listener: "l".to_owned(), channel: "c".to_owned(), heard, is_complete: true };
    let mut journals = Journals { sent, heard: vec![journal], ..Journals::default() };
    check_journals(&journals, "I1");
    journals.epochs = vec!["e".to_owned(), "f".to_owned()];
    check_journals(&journals, "");
    journals.epochs.reverse();
    check_journals(&journals, "I1");
}

#[test]
fn signals_are_published_ones_and_come_once() {
    let signal = |seq| ("l".to_owned(), "c".to_owned(), label(seq));
    let heard = |signals: Vec<_>| Journals {
        sent: vec![sent(1, Outcome::Unknown), sent(2, Outcome::Refused)],
        signals,
        ..Journals::default()
    };
    check_journals(&heard(vec![signal(1)]), "");
    check_journals(&heard(vec![signal(2)]), "I2");
    check_journals(&heard(vec![signal(3)]), "I2");
    check_journals(&heard(vec![signal(1), signal(1)]), "I3");
}

#[test]
fn queues_and_counters_are_compared() {
    let mut journals = Journals::default();
    journals.gauges.note("a queue", 3, 3);
    journals.accounts.push(Account { name: "messages".to_owned(), counted: 7, seen: 7 });
    check_journals(&journals, "");
    journals.gauges.note("a queue", 4, 3);
    check_journals(&journals, "I9");
    journals.accounts.push(Account { name: "gaps".to_owned(), counted: 1, seen: 2 });
    check_journals(&journals, "I9 I15");
}
