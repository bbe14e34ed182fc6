//! I1: who stayed has heard everything acknowledged after it came, or a gap has told it otherwise.

use std::collections::BTreeSet;

use super::{Journals, Verdict};

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    let age = |epoch: &str| journals.epochs.iter().position(|it| it == epoch);
    for journal in journals.heard.iter().filter(|journal| journal.is_complete) {
        let Some(begin) = journal.segments().next().map(|segment| segment.since.clone().unwrap_or(segment.position))
        else {
            verdict.violations.push(format!("I1 {journal}: it never came"));
            continue;
        };
        let heard: BTreeSet<_> = journal.messages().map(|(position, _)| position).collect();
        let begin_age = age(&begin.epoch);
        for (_, label, position) in journals.acknowledged().filter(|(channel, ..)| *channel == journal.channel) {
            let is_before = if position.epoch == begin.epoch {
                position.offset <= begin.offset
            } else {
                age(&position.epoch).zip(begin_age).is_some_and(|(one, other)| one < other)
            };
            if is_before || heard.contains(position) {
                continue;
            }
            match journal.was_told(position) {
                Some(true) => verdict.told_losses += 1,
                Some(false) => verdict.told_skips += 1,
                None => verdict
                    .violations
                    .push(format!("I1 {journal}: {label:?} at {position} was acknowledged, not heard")),
            }
        }
    }
}
