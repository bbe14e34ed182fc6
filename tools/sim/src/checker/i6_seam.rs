//! I6: a connection goes on exactly where the one before ended, and its replay passes over into what is live without hole or repeat.

use super::journal::Segment;
use super::{Journal, Journals, Verdict};

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    for journal in &journals.heard {
        for segment in journal.segments().filter(|segment| segment.recovered != Some(false)) {
            seam(journal, &segment, verdict);
        }
    }
}

fn seam(journal: &Journal, segment: &Segment<'_>, verdict: &mut Verdict) {
    let position = &segment.position;
    if segment.recovered.is_none() && segment.head != position.offset {
        let head = segment.head;
        verdict.violations.push(format!("I6 {journal}: it begins at {position}, and the head is {head}"));
    }
    // What was removed on purpose is passed over first, and a gap says so, unless the connection ends before it.
    let is_cut = segment.messages.is_empty() && segment.gaps == 0;
    let skips = segment.begins_with_skip || is_cut;
    if segment.since.as_ref().is_some_and(|since| since != position && !(skips && since < position)) {
        verdict.violations.push(format!("I6 {journal}: {:?} was asked for, not {position}", segment.since));
    }
    let last = segment.last_before.as_ref().filter(|last| last.epoch == position.epoch);
    if last.is_some_and(|last| last.offset < position.offset) && !skips {
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
