//! What is planted in the notes about a durable consumer is found.

use std::collections::BTreeMap;

use super::{Duty, Happened, Journals, Position, Word, Work};

fn place(offset: u64) -> Position {
    Position { epoch: "e".to_owned(), offset }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

/// A note in short. `jA` joins with a second to ack, `sA` is answered; `hA1.2` is handed message 1 for the second time; `bA1` bounces
/// it, `gA` gives back. `dA1` says done, `xA1` dead, `rA1` retry, `uA1` done up to; `D1`, `X1` and `UA1` are their answers. `+1.5` died
/// after five deliveries, `q` and `Q` requeue and its answer, `p1` purges, `!` is a crash, and `~300` passes milliseconds.
fn note(word: &str) -> Option<Happened> {
    let (verb, rest) = word.split_at(1);
    let by = || rest[..1].to_owned();
    let of = |word| Happened::Said { by: by(), places: vec![place(number(&rest[1..]))], word };
    let confirmed = |word| Happened::Confirmed { places: vec![place(number(rest))], word };
    let pair = |text: &str| {
        text.split_once('.').map(|(one, other)| (place(number(one)), number(other) as u8)).expect("a pair")
    };
    Some(match verb {
        "j" => Happened::Joined { by: by(), wait_us: 1_000_000 },
        "s" => Happened::Seated { by: by() },
        "h" => {
            let (place, attempt) = pair(&rest[1..]);
            Happened::Handed { to: by(), place, attempt }
        }
        "b" => Happened::Bounced { by: by(), offset: number(&rest[1..]) },
        "g" => Happened::GaveBack { by: by() },
        "d" => of(Word::Done),
        "x" => of(Word::Dead),
        "r" => of(Word::Retry),
        "u" => Happened::SaidUpTo { by: by(), place: place(number(&rest[1..])), word: Word::Done },
        "D" => confirmed(Word::Done),
        "X" => confirmed(Word::Dead),
        "U" => Happened::ConfirmedUpTo { by: by(), place: place(number(&rest[1..])), word: Word::Done },
        "+" => {
            let (place, attempts) = pair(rest);
            Happened::Died { place, attempts }
        }
        "q" => Happened::Requeues,
        "Q" => Happened::Requeued,
        "p" => Happened::Purges(place(number(rest))),
        "!" => Happened::Crashed,
        _ => return None,
    })
}

/// Messages 1 and 2 bear a key, 3 has none. Both members are there from the beginning.
#[track_caller]
fn check(script: &str, is_complete: bool, expected: &[&str]) {
    let (mut at_us, mut happened) = (0, Vec::new());
    for word in "jA sA jB sB".split(' ').chain(script.split_whitespace()) {
        match note(word) {
            Some(note) => happened.push((at_us, note)),
            None => at_us += 1_000 * number(&word[1..]),
        }
    }
    let keyed = || Work { key: Some("k".to_owned()), may_go: false };
    let work = BTreeMap::from([(place(1), keyed()), (place(2), keyed()), (place(3), Work::default())]);
    let duty = Duty { consumer: "c".to_owned(), happened, work, is_complete };
    let verdict = Journals { duties: vec![duty], ..Journals::default() }.check();
    let found = &verdict.violations;
    let fits = found.len() == expected.len() && found.iter().zip(expected).all(|(one, part)| one.contains(part));
    assert!(
        fits && found.iter().all(|text| text.starts_with("I8 c: ")),
        "{script}: {found:#?}, where {expected:?} was"
    );
}

#[test]
fn an_ack_that_was_answered_is_final() {
    check("hA3.1 dA3 D3", false, &[]);
    check("hA3.1 dA3 D3 hB3.2", false, &["e-3 was acked, and comes again"]);
    check("hA3.1 dA3 D3 ! hB3.2", false, &["e-3 was acked, and comes again"]);
    // Nobody was answered.
    check("hA3.1 dA3 ! hB3.2", false, &[]);
    check("hA1.1 hA3.1 uA3 UA3 ! hB3.2", false, &["e-3 was acked, and comes again"]);
    // By then it was another one's.
    check("hA3.1 ~2000 hB3.2 uA3 UA3 ! hB3.3", false, &[]);
}

#[test]
fn a_dead_letter_comes_again_only_if_it_is_requeued() {
    check("hA3.1 xA3 +3.1 X3 ! hB3.2", false, &["e-3 is a dead letter, and comes again"]);
    check("hA3.1 xA3 +3.1 hB3.2", false, &["e-3 is a dead letter, and comes again"]);
    check("hA3.1 xA3 +3.1 ! hB3.2", false, &[]);
    check("hA3.1 xA3 +3.1 X3 q Q hB3.1", false, &[]);
    check("hA3.1 +3.1", false, &["e-3 is given up after 1 deliveries, and nobody has said so"]);
}

#[test]
fn one_member_holds_a_message_at_a_time() {
    check("hA3.1 ~500 hB3.2", false, &["e-3 goes to B, and is with A"]);
    check("hA3.1 ~1000 hB3.2", false, &[]);
    check("hA3.1 rA3 hB3.2", false, &[]);
    check("hA3.1 gA hB3.1", false, &[]);
    check("hA3.1 bA3 hB3.1", false, &[]);
    check("hA3.1 jA sA hA3.2", false, &[]);
    check("hA3.1 ! hB3.2", false, &[]);
    // Saying something about what another one has changes nothing.
    check("hA3.1 dB3 hB3.2", false, &["e-3 goes to B, and is with A"]);
}

#[test]
fn deliveries_are_counted() {
    check("hA3.2", false, &["e-3: delivery 2, where 1 to 1 is right"]);
    check("hA3.1 ~2000 hB3.1", false, &["e-3: delivery 1, where 2 to 2 is right"]);
    check("hA3.1 ~2000 hB3.3", false, &["e-3: delivery 3, where 2 to 2 is right"]);
    check("hA3.1 gA hB3.2", false, &[]);
    check("hA3.1 ! hB3.1", false, &[]);
    check("hA3.1 ! hB3.3", false, &[]);
    check("hA3.1 ~2000 hA3.2 ! hB3.2", false, &["e-3: delivery 2, where 3 to 4 is right"]);
    let five = "hA3.1 ~2000 hA3.2 ~2000 hA3.3 ~2000 hA3.4 ~2000 hA3.5 ~2000";
    check(&format!("{five} +3.5"), false, &[]);
    check(&format!("{five} hA3.6"), false, &["e-3: delivery 6, where"]);
}

#[test]
fn messages_with_one_key_come_in_their_order() {
    check("hA1.1 dA1 hA2.1", false, &[]);
    check("hA2.1", false, &["e-2 is handed out before e-1"]);
    check("hA1.1 hB2.1", false, &["e-2 is handed out before e-1"]);
    check("hA1.1 hB3.1", false, &[]);
    check("p1 hA2.1", false, &[]);
    // The ack was lost with the process, and the younger one waits again.
    check("hA1.1 dA1 hA2.1 ! hA1.2 hA2.2", false, &["e-2 is handed out before e-1"]);
}

#[test]
fn what_nobody_has_done_has_to_come() {
    let all = "hA1.1 dA1 hA2.1 dA2 hA3.1";
    check(&format!("{all} dA3"), true, &[]);
    check(&format!("{all} dA3"), false, &[]);
    check(&format!("{all} rA3"), true, &["1 messages, the first of them e-3, are neither over nor come again"]);
    check(&format!("{all} xA3 +3.1"), true, &[]);
    check(&format!("{all} ~2000 hB3.2 dA3"), true, &["1 messages, the first of them e-3, are neither"]);
    check("p2 hA3.1 dA3", true, &[]);
    check("", true, &["3 messages, the first of them e-1, are neither"]);
    // Nobody was answered that it was given back.
    check(&format!("{all} xA3 +3.1 X3 q ! "), true, &[]);
}
