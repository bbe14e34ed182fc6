//! I2: what is heard was published there with that content, and not refused.

use std::collections::BTreeMap;

use super::{Journals, Label, Outcome, Verdict};

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    let mut published: BTreeMap<(&str, &Label), bool> = BTreeMap::new();
    for sent in &journals.sent {
        *published.entry((&sent.channel, &sent.label)).or_default() |= sent.outcome != Outcome::Refused;
    }
    for journal in &journals.heard {
        for (position, label) in journal.messages() {
            match published.get(&(journal.channel.as_str(), label)) {
                Some(true) => {}
                Some(false) => verdict.violations.push(format!("I2 {journal}: {label:?} at {position} was refused")),
                None => verdict.violations.push(format!("I2 {journal}: {label:?} at {position} is invented")),
            }
        }
    }
    for (listener, channel, label) in &journals.signals {
        match published.get(&(channel.as_str(), label)) {
            Some(true) => {}
            Some(false) => {
                verdict.violations.push(format!("I2 {listener} in {channel}: the signal {label:?} was refused"))
            }
            None => verdict.violations.push(format!("I2 {listener} in {channel}: the signal {label:?} is invented")),
        }
    }
}
