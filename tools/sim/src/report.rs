//! Seeds one after the other, and what is said about them.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::{Detail, Run};

/// Seeds that have failed once: a seed and why, one per line.
const REGRESSIONS: &str = include_str!("../regressions.txt");
/// Violations of one seed that are shown.
const VIOLATIONS_SHOWN: usize = 5;

/// Seeds that have failed once, each with a line about why.
///
/// # Panics
/// Where a line is none.
pub fn regressions() -> impl Iterator<Item = (u64, &'static str)> {
    let lines = REGRESSIONS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (seed, why) = line.split_once(' ').expect("a line of regressions.txt is a seed and why");
        (seed.parse().expect("a line of regressions.txt begins with a seed"), why.trim())
    })
}

/// Sums over runs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Seeds.
    pub runs: u64,
    /// Seeds that failed.
    pub failed: Vec<u64>,
    events: u64,
    crashes: u64,
    connections: u64,
    acknowledged: usize,
    heard: usize,
    told_losses: usize,
    repeats: usize,
    handed_out: usize,
    handed_out_again: usize,
    dead: usize,
}

impl Summary {
    /// Takes in a run.
    pub fn add(&mut self, run: &Run) {
        self.runs += 1;
        if !run.is_good() {
            self.failed.push(run.seed);
        }
        self.events += run.events;
        self.crashes += run.crashes;
        self.connections += run.connections;
        self.acknowledged += run.verdict.acknowledged;
        self.heard += run.verdict.heard;
        self.told_losses += run.verdict.told_losses;
        self.repeats += run.verdict.repeats;
        self.handed_out += run.verdict.handed_out;
        self.handed_out_again += run.verdict.handed_out_again;
        self.dead += run.verdict.dead;
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "seeds": self.runs, "failed": self.failed, "events": self.events, "crashes": self.crashes,
            "connections": self.connections, "acknowledged": self.acknowledged, "heard": self.heard,
            "toldLosses": self.told_losses, "repeats": self.repeats, "handedOut": self.handed_out,
            "handedOutAgain": self.handed_out_again, "dead": self.dead,
        })
    }

    /// For people.
    ///
    /// # Errors
    /// When nothing can be written.
    pub fn write(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(
            out,
            "{} events, {} crashes, {} connections; {} messages acknowledged, {} heard, {} told to be lost, {} repeated after a cut",
            self.events, self.crashes, self.connections, self.acknowledged, self.heard, self.told_losses, self.repeats
        )?;
        writeln!(
            out,
            "{} deliveries of durable consumers, {} of them again; {} messages given up",
            self.handed_out, self.handed_out_again, self.dead
        )?;
        let failed = self.failed.len() as u64;
        writeln!(out, "{} passed, {failed} failed", self.runs - failed)
    }
}

/// A run, for programs.
#[must_use]
pub fn json_of(run: &Run) -> Value {
    json!({
        "seed": run.seed, "good": run.is_good(), "violations": run.verdict.violations, "digest": format!("{:016x}", run.digest),
        "bytes": run.bytes, "events": run.events, "crashes": run.crashes, "connections": run.connections,
        "acknowledged": run.verdict.acknowledged, "heard": run.verdict.heard,
    })
}

/// What is wrong with a run that failed, and the end of its trace: it is run again for that.
///
/// # Errors
/// When nothing can be written.
pub fn write_failure(out: &mut impl Write, run: &Run) -> io::Result<()> {
    writeln!(out, "seed {} fails:", run.seed)?;
    let again = crate::run(run.seed, Detail::Tail);
    for line in &again.tail {
        writeln!(out, "  {line}")?;
    }
    for violation in run.verdict.violations.iter().take(VIOLATIONS_SHOWN) {
        writeln!(out, "{violation}")?;
    }
    let more = run.verdict.violations.len().saturating_sub(VIOLATIONS_SHOWN);
    if more > 0 {
        writeln!(out, "and {more} more")?;
    }
    writeln!(out, "again, with every line: cargo run --release -p sim -- --seed {} --trace", run.seed)
}
