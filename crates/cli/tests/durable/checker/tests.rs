//! The checker finds what was planted, and nothing else.

use super::{Heard, Journal, Journals, Label, Outcome, Position, Sent};

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
    let verdict = Journals { sent, heard: vec![journal("<0 1 2 3 4 5"), journal(script)] }.check();
    let mut names: Vec<_> = verdict.violations.iter().map(|text| &text[..2]).collect();
    names.dedup();
    assert_eq!(names.join(" "), expected, "{script}: {:#?}", verdict.violations);
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
    let verdict = Journals { sent, heard: vec![journal] }.check();
    assert_eq!((verdict.violations, verdict.told_losses), (Vec::new(), 1));
}

#[test]
fn one_message_has_one_offset_also_for_its_publisher() {
    let sent = vec![sent(1, acknowledged(1)), sent(1, Outcome::Unknown), sent(1, acknowledged(2))];
    let verdict = Journals { sent, heard: Vec::new() }.check();
    assert!(verdict.violations.iter().any(|text| text.starts_with("I3")), "{:?}", verdict.violations);
}
