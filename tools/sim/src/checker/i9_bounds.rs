//! I9: every queue stays within its bound.

use std::collections::BTreeMap;

use super::{Journals, Verdict};

/// The fullest that each kind of queue was, and its bound.
#[derive(Clone, Debug, Default)]
pub struct Gauges(BTreeMap<&'static str, (u64, u64)>);

impl Gauges {
    /// Notes how much waits in a queue of this name. All queues of a name have one bound.
    pub fn note(&mut self, name: &'static str, value: u64, bound: u64) {
        let gauge = self.0.entry(name).or_insert((0, bound));
        if value > gauge.0 {
            *gauge = (value, bound);
        }
    }

    /// Takes in what another one has noted.
    pub fn merge(&mut self, other: &Self) {
        for (name, (value, bound)) in &other.0 {
            self.note(name, *value, *bound);
        }
    }

    /// The fullest that a kind of queue was; 0 if nobody looked.
    #[must_use]
    pub fn fullest(&self, name: &str) -> u64 {
        self.0.get(name).map_or(0, |gauge| gauge.0)
    }
}

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    for (name, (value, bound)) in &journals.gauges.0 {
        if value > bound {
            verdict.violations.push(format!("I9 {name}: {value} waited, and the bound is {bound}"));
        }
    }
}
