//! One checker for the journals of publishers and subscribers: invariants I1 to I6, with a function each.
//!
//! - A publisher notes each message and what it was told. A subscriber notes, per channel, where each of its connections begins, what
//!   it hears, and what it would not ask for again.
//! - The checker knows nothing of sockets and of the server, so that any test can bring its journals, and it can be tested itself.
//! - A violation is a text that begins with the invariant's name. Loss that was told by a gap is no violation; it is counted.

mod journal;
mod tests;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use journal::{Heard, Journal, Journals, Label, Outcome, Position, Sent};

/// What the checker says.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<String>,
    /// Acknowledged messages that a gap told some subscriber to be lost.
    pub(crate) told_losses: usize,
    /// Messages that came twice as they may: those of a write that was cut off.
    pub(crate) repeats: usize,
    pub(crate) acknowledged: usize,
    pub(crate) heard: usize,
}

impl Verdict {
    /// Panics if anything is wrong, and if anything was lost: with a store and long retention nothing may be.
    #[track_caller]
    pub(crate) fn assert_flawless(&self) {
        let shown = self.violations.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.violations.is_empty(), "{} violations:\n{shown}", self.violations.len());
        assert_eq!(self.told_losses, 0, "acknowledged messages were told to be lost");
    }
}

impl Journals {
    /// Checks everything.
    pub(crate) fn check(&self) -> Verdict {
        let mut verdict = Verdict {
            acknowledged: self.acknowledged().count(),
            heard: self.heard.iter().flat_map(|it| &it.heard).filter(|it| matches!(it, Heard::Message { .. })).count(),
            ..Verdict::default()
        };
        self.i1_no_loss(&mut verdict);
        self.i2_no_invention(&mut verdict);
        self.i3_no_duplicates(&mut verdict);
        self.i4_order(&mut verdict);
        self.i5_gaps(&mut verdict);
        self.i6_seam(&mut verdict);
        verdict
    }

    /// Channel, label and position of every answer that says yes.
    fn acknowledged(&self) -> impl Iterator<Item = (&str, &Label, &Position)> {
        self.sent.iter().filter_map(|sent| match &sent.outcome {
            Outcome::Acknowledged { position, .. } => Some((sent.channel.as_str(), &sent.label, position)),
            Outcome::Refused | Outcome::Unknown => None,
        })
    }

    /// I1: who stayed has heard everything acknowledged after it came, or was told of the loss.
    fn i1_no_loss(&self, verdict: &mut Verdict) {
        for journal in self.heard.iter().filter(|journal| journal.is_complete) {
            let Some(begin) = journal.segments().next().map(|segment| segment.position) else {
                verdict.violations.push(format!("I1 {journal}: it never came"));
                continue;
            };
            let heard: BTreeSet<_> = journal.messages().map(|(position, _)| position).collect();
            let told = journal.told_lost();
            for (_, label, position) in self.acknowledged().filter(|(channel, ..)| *channel == journal.channel) {
                let is_before = position.epoch == begin.epoch && position.offset <= begin.offset;
                if is_before || heard.contains(position) {
                    continue;
                }
                let is_told = told.iter().any(|(epoch, range)| match range {
                    Some((from, to)) => *epoch == position.epoch && (*from..=*to).contains(&position.offset),
                    None => *epoch != position.epoch,
                });
                if is_told {
                    verdict.told_losses += 1;
                } else {
                    verdict
                        .violations
                        .push(format!("I1 {journal}: {label:?} at {position} was acknowledged, not heard"));
                }
            }
        }
    }

    /// I2: what is heard was published there with that content, and not refused.
    fn i2_no_invention(&self, verdict: &mut Verdict) {
        let mut published: BTreeMap<(&str, &Label), bool> = BTreeMap::new();
        for sent in &self.sent {
            *published.entry((&sent.channel, &sent.label)).or_default() |= sent.outcome != Outcome::Refused;
        }
        for journal in &self.heard {
            for (position, label) in journal.messages() {
                match published.get(&(journal.channel.as_str(), label)) {
                    Some(true) => {}
                    Some(false) => {
                        verdict.violations.push(format!("I2 {journal}: {label:?} at {position} was refused"));
                    }
                    None => verdict.violations.push(format!("I2 {journal}: {label:?} at {position} is invented")),
                }
            }
        }
    }

    /// I3: a message has one offset, whoever asks and however often, and a subscriber hears it once; a cut may repeat what was not
    /// kept yet.
    fn i3_no_duplicates(&self, verdict: &mut Verdict) {
        let mut places: BTreeMap<(&str, &str, u64), &Position> = BTreeMap::new();
        let heard = self.heard.iter().flat_map(|it| it.messages().map(move |(at, label)| (&*it.channel, label, at)));
        let heard: Vec<(&str, &Label, Position)> = heard.collect();
        let all = self.acknowledged().chain(heard.iter().map(|(channel, label, at)| (*channel, *label, at)));
        for (channel, label, position) in all {
            let place = places.entry((channel, &label.publisher, label.seq)).or_insert(position);
            if *place != position {
                verdict.violations.push(format!("I3 {channel}: {label:?} is at {place} and at {position}"));
            }
        }
        for journal in &self.heard {
            let mut seen: BTreeSet<Position> = BTreeSet::new();
            for segment in journal.segments() {
                for (epoch, offset, _) in &segment.messages {
                    let position = Position { epoch: (*epoch).to_owned(), offset: *offset };
                    if seen.insert(position.clone()) {
                        continue;
                    }
                    let may_repeat = segment
                        .kept_before
                        .as_ref()
                        .is_none_or(|kept| kept.epoch == position.epoch && kept.offset < position.offset);
                    if may_repeat && segment.count(epoch, *offset) == 1 {
                        verdict.repeats += 1;
                    } else {
                        verdict.violations.push(format!("I3 {journal}: {position} came twice"));
                    }
                }
            }
        }
    }

    /// I4: offsets rise within a connection, all agree on what is at an offset, and each publisher's messages are in its order.
    fn i4_order(&self, verdict: &mut Verdict) {
        let mut at: BTreeMap<(&str, Position), (&Label, String)> = BTreeMap::new();
        for (channel, label, position) in self.acknowledged() {
            let before = at.entry((channel, position.clone())).or_insert_with(|| (label, "an answer".to_owned()));
            if before.0 != label {
                verdict
                    .violations
                    .push(format!("I4 {channel}: {position} was acknowledged for {label:?} and {before:?}"));
            }
        }
        for journal in &self.heard {
            for (position, label) in journal.messages() {
                let before = at.entry((&journal.channel, position.clone())).or_insert((label, journal.to_string()));
                if before.0 != label {
                    verdict.violations.push(format!("I4 {journal}: {label:?} at {position}, but {before:?}"));
                }
            }
            for segment in journal.segments() {
                let rises = |pair: &[(&str, u64, &Label)]| pair[0].1 < pair[1].1 || pair[0].0 != pair[1].0;
                if !segment.messages.windows(2).all(rises) {
                    verdict.violations.push(format!("I4 {journal}: offsets fall after {}", segment.position));
                }
            }
        }
        let mut newest: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
        for ((channel, position), (label, _)) in &at {
            let before = newest.insert((*channel, position.epoch.as_str(), label.publisher.as_str()), label.seq);
            if before.is_some_and(|before| before >= label.seq) {
                verdict.violations.push(format!("I4 {channel}: {label:?} at {position} comes after {before:?}"));
            }
        }
    }

    /// I5: each offset is covered, by a message or by a gap, without a hole; `recovered: true` is true, and `false` tells a loss.
    fn i5_gaps(&self, verdict: &mut Verdict) {
        for journal in &self.heard {
            let mut covered: Option<Position> = None;
            let mut may_lose = true;
            for heard in &journal.heard {
                match heard {
                    Heard::Kept => {}
                    Heard::Came { position, recovered, .. } => {
                        covered = Some(position.clone());
                        may_lose = *recovered != Some(true);
                    }
                    Heard::Message { offset, .. } => {
                        let Some(covered) = &mut covered else { continue };
                        if *offset > covered.offset + 1 {
                            let hole = format!("{} to {}", covered.offset + 1, offset - 1);
                            verdict.violations.push(format!("I5 {journal}: {hole} are missing without a gap"));
                        }
                        covered.offset = covered.offset.max(*offset);
                    }
                    Heard::Gap { range, lost, position } => {
                        let Some(covered) = &mut covered else { continue };
                        if range
                            .is_some_and(|(from, to)| from != covered.offset + 1 || to < from || position.offset != to)
                        {
                            verdict.violations.push(format!("I5 {journal}: {heard:?} does not follow {covered}"));
                        }
                        if *lost && !may_lose && *covered < *position {
                            verdict.violations.push(format!("I5 {journal}: recovered, and then {heard:?}"));
                        }
                        *covered = position.clone();
                    }
                }
            }
            for segment in journal.segments().filter(|it| it.recovered == Some(false) && !it.messages.is_empty()) {
                if !segment.begins_with_loss {
                    verdict
                        .violations
                        .push(format!("I5 {journal}: not recovered at {}, without a gap", segment.position));
                }
            }
        }
    }

    /// I6: a connection goes on exactly where the one before ended, and its replay passes over into what is live without hole or
    /// repeat.
    fn i6_seam(&self, verdict: &mut Verdict) {
        for journal in &self.heard {
            for segment in journal.segments().filter(|segment| segment.recovered != Some(false)) {
                let position = &segment.position;
                if segment.recovered.is_none() && segment.head != position.offset {
                    let head = segment.head;
                    verdict.violations.push(format!("I6 {journal}: it begins at {position}, and the head is {head}"));
                }
                if segment.since.as_ref().is_some_and(|since| since != position) {
                    verdict.violations.push(format!("I6 {journal}: {:?} was asked for, not {position}", segment.since));
                }
                let last = segment.last_before.as_ref().filter(|last| last.epoch == position.epoch);
                if last.is_some_and(|last| last.offset < position.offset) {
                    verdict.violations.push(format!("I6 {journal}: it begins at {position}, beyond {last:?}"));
                }
                let kept = segment.kept_before.as_ref().filter(|kept| kept.epoch == position.epoch);
                if kept.is_some_and(|kept| kept.offset > position.offset) {
                    verdict.violations.push(format!("I6 {journal}: it begins at {position}, before {kept:?}"));
                }
                if segment.gaps == 0 {
                    let wanted = position.offset + 1..;
                    if !segment.messages.iter().map(|(_, offset, _)| *offset).eq(wanted.take(segment.messages.len())) {
                        verdict.violations.push(format!("I6 {journal}: the replay from {position} has a seam"));
                    }
                }
            }
        }
    }
}
