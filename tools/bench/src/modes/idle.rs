//! `idle`: growth of the server's resident memory per idle, subscribed connection.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Bench, Entry};
use crate::contest::Contestant;
use crate::failure::Result;
use crate::limits;
use crate::load::Opening;
use crate::procfs::Memory;
use crate::report::Table;
use crate::stats::Latencies;

/// Before memory is read: delayed frees, first heartbeats, a garbage collection.
const SETTLE: Duration = Duration::from_secs(3);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Connections in the end.
    pub(crate) connections: usize,
    /// Of these, how many come first so that one-time allocations do not count.
    pub(crate) warm_up: usize,
    /// Each with a user id of its own.
    pub(crate) users: bool,
}

/// The result of one entry.
#[derive(Debug)]
pub(crate) struct Score {
    /// Name in tables.
    pub(crate) label: String,
    version: String,
    connections: usize,
    warm_up: usize,
    before: Memory,
    after: Memory,
    after_broadcast: Memory,
    connect_time: Duration,
}

impl Score {
    fn per_connection(&self, before: u64, after: u64) -> f64 {
        (after as f64 - before as f64) / (self.connections - self.warm_up).max(1) as f64
    }

    /// Bytes of RSS per connection.
    pub(crate) fn rss(&self) -> f64 {
        self.per_connection(self.before.rss, self.after.rss)
    }

    fn anon(&self) -> f64 {
        self.per_connection(self.before.anon, self.after.anon)
    }

    fn rss_after_broadcast(&self) -> f64 {
        self.per_connection(self.before.rss, self.after_broadcast.rss)
    }
}

/// Runs and reports.
///
/// # Errors
/// The connections do not fit, or one is lost.
pub(crate) fn run(bench: &mut Bench, wish: &Wish) -> Result<()> {
    let mut scores = Vec::new();
    for entry in bench.entries() {
        scores.extend(measure(bench, wish, &entry)?);
    }
    print(bench, wish, &scores)
}

/// Measures one entry with a server of its own; `None` if it cannot be had.
///
/// # Errors
/// As [`run`].
pub(crate) fn measure(bench: &mut Bench, wish: &Wish, entry: &Entry) -> Result<Option<Score>> {
    limits::fit(wish.connections, bench.setup.descriptors)?;
    let Some(running) = bench.start(entry)? else { return Ok(None) };
    let opening = Opening { users: wish.users, ..Opening::default() };
    let warm_up = wish.warm_up.min(wish.connections);
    bench.progress.stage(&format!("{} idle connections: {}", wish.connections, entry.label()));
    let mut contestant = Contestant::enter(entry, &running, &bench.setup, (warm_up, opening))?;
    let broadcast = |contestant: &mut Contestant| {
        contestant.round(1, Duration::from_millis(1), &mut Latencies::default())?;
        contestant.idle(SETTLE)
    };
    broadcast(&mut contestant)?;
    let before = contestant.tree.memory();
    let started = Instant::now();
    contestant.grow(wish.connections, opening)?;
    let connect_time = started.elapsed();
    contestant.idle(SETTLE)?;
    let after = contestant.tree.memory();
    // Shows that all of them are really there, and what a first message leaves behind.
    broadcast(&mut contestant)?;
    let after_broadcast = contestant.tree.memory();
    bench.progress.clear();
    Ok(Some(Score {
        label: entry.label(),
        version: running.version.clone(),
        connections: wish.connections,
        warm_up,
        before,
        after,
        after_broadcast,
        connect_time,
    }))
}

fn print(bench: &mut Bench, wish: &Wish, scores: &[Score]) -> Result<()> {
    let kib = |bytes: u64| format!("{:.1}", bytes as f64 / 1_048_576.0);
    let rows = scores
        .iter()
        .map(|score| {
            vec![
                score.label.clone(),
                format!("{:.0}", score.rss()),
                format!("{:.0}", score.anon()),
                format!("{:.0}", score.rss_after_broadcast()),
                kib(score.before.rss),
                kib(score.after.rss),
                format!("{:.1}", score.connect_time.as_secs_f64()),
            ]
        })
        .collect();
    let columns = vec![
        "",
        "RSS B per connection",
        "of it anonymous",
        "after a broadcast",
        "RSS MiB before",
        "RSS MiB with all",
        "s to connect",
    ];
    let title = format!(
        "idle memory: {} connections, the first {} not counted{}",
        wish.connections,
        wish.warm_up,
        if wish.users { ", each with a user of its own where the server knows users" } else { "" }
    );
    let mut notes: Vec<String> = scores.iter().map(|score| format!("{}: {}", score.label, score.version)).collect();
    notes.push("Memory of the processes only; the kernel's socket buffers come on top for everybody alike.".to_owned());
    let json = json!({ "connections": wish.connections, "scores": scores.iter().map(score_json).collect::<Vec<_>>() });
    bench.report.section(&title, &Table { columns, rows }, &[], &notes, json)
}

/// A score with what it was computed from.
pub(crate) fn score_json(score: &Score) -> Value {
    let memory = |memory: Memory| json!({ "rss": memory.rss, "anon": memory.anon, "peak": memory.peak });
    json!({
        "label": score.label,
        "version": score.version,
        "warmUp": score.warm_up,
        "rssPerConnection": score.rss(),
        "anonPerConnection": score.anon(),
        "rssPerConnectionAfterBroadcast": score.rss_after_broadcast(),
        "before": memory(score.before),
        "after": memory(score.after),
        "afterBroadcast": memory(score.after_broadcast),
        "connectSeconds": score.connect_time.as_secs_f64(),
    })
}
