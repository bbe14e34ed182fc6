//! I15: what a server counts is what happened.

use super::{Journals, Verdict};

/// A counter of a server, beside what was seen from outside.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose, and of what.
    pub name: String,
    /// What the server says.
    pub counted: u64,
    /// What was seen.
    pub seen: u64,
}

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    for Account { name, counted, seen } in &journals.accounts {
        if counted != seen {
            verdict.violations.push(format!("I15 {name}: {counted} were counted, {seen} were seen"));
        }
    }
}
