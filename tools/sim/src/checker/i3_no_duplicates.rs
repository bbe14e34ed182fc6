//! I3: a message has one offset, whoever asks and however often, and a subscriber hears it once; a cut may repeat what was not kept
//! yet.

use std::collections::{BTreeMap, BTreeSet};

use super::{Journals, Label, Position, Verdict};

/// A message within the life of its log that knows it: channel, epoch, publisher and number.
type Name<'a> = (&'a str, &'a str, &'a str, u64);

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    let heard = journals.heard.iter().flat_map(|it| it.messages().map(move |(at, label)| (&*it.channel, label, at)));
    let heard: Vec<(&str, &Label, Position)> = heard.collect();
    let all = journals.acknowledged().chain(heard.iter().map(|(channel, label, at)| (*channel, *label, at)));
    let mut places: BTreeMap<Name<'_>, &Position> = BTreeMap::new();
    for (channel, label, position) in all {
        // What lies in memory is forgotten with the process.
        let life = if journals.in_memory.contains(channel) { position.epoch.as_str() } else { "" };
        let place = places.entry((channel, life, &label.publisher, label.seq)).or_insert(position);
        if *place != position {
            verdict.violations.push(format!("I3 {channel}: {label:?} is at {place} and at {position}"));
        }
    }
    repeats(journals, verdict);
    let mut signals = BTreeSet::new();
    for signal in &journals.signals {
        if !signals.insert(signal) {
            let (listener, channel, label) = signal;
            verdict.violations.push(format!("I3 {listener} in {channel}: the signal {label:?} came twice"));
        }
    }
}

fn repeats(journals: &Journals, verdict: &mut Verdict) {
    for journal in &journals.heard {
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
                    .is_none_or(|kept| kept.epoch != position.epoch || kept.offset < position.offset);
                if may_repeat && segment.count(epoch, *offset) == 1 {
                    verdict.repeats += 1;
                } else {
                    verdict.violations.push(format!("I3 {journal}: {position} came twice"));
                }
            }
        }
    }
}
