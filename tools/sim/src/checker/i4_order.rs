//! I4: offsets rise within a connection, all agree on what is at an offset, and each publisher's messages are in its order.

use std::collections::BTreeMap;

use super::{Journals, Label, Position, Verdict};

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    let mut at: BTreeMap<(&str, Position), (&Label, String)> = BTreeMap::new();
    for (channel, label, position) in journals.acknowledged() {
        let before = at.entry((channel, position.clone())).or_insert_with(|| (label, "an answer".to_owned()));
        if before.0 != label {
            verdict.violations.push(format!("I4 {channel}: {position} was acknowledged for {label:?} and {before:?}"));
        }
    }
    for journal in &journals.heard {
        for (position, label) in journal.messages() {
            let before = at.entry((&journal.channel, position.clone())).or_insert_with(|| (label, journal.to_string()));
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
