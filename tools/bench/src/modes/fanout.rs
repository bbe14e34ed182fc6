//! `fanout`: CPU per delivered message beside the floor, one message at a time (latency) or in bursts (saturation).

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Bench, Entry};
use crate::child::Running;
use crate::contest::{self, Contestant, Plan, Score};
use crate::failure::Result;
use crate::limits;
use crate::load::Opening;
use crate::report::Table;
use crate::stats;

/// Long enough for dozens of rounds, short enough that both sides of a pair see the same weather on a shared machine.
const SLICE: Duration = Duration::from_millis(500);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// One message, wait for all, repeat.
    Latency,
    /// Bursts of 64.
    Saturation,
}

impl Mode {
    /// Connections of the published figures.
    pub(crate) fn connections(self) -> usize {
        match self {
            Self::Latency => 1000,
            Self::Saturation => 2000,
        }
    }

    fn burst(self) -> u32 {
        match self {
            Self::Latency => 1,
            Self::Saturation => 64,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Saturation => "saturation",
        }
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Which of the two.
    pub(crate) mode: Mode,
    /// Subscribers of each contestant.
    pub(crate) connections: usize,
    /// Seconds of rounds for each contestant.
    pub(crate) seconds: u64,
    /// Rounds per slice at most.
    pub(crate) rounds_max: u32,
    /// Between drains.
    pub(crate) nap: Duration,
}

/// Runs and reports.
///
/// # Errors
/// A contestant loses a message, or cannot be run.
pub(crate) fn run(bench: &mut Bench, wish: &Wish) -> Result<()> {
    let entries = bench.entries();
    let scores = measure(bench, wish, &entries)?;
    print(bench, wish, &scores)
}

/// Measures the floor and others in one contest.
///
/// # Errors
/// As [`run`].
pub(crate) fn measure(bench: &mut Bench, wish: &Wish, entries: &[Entry]) -> Result<Vec<Score>> {
    limits::fit(wish.connections * entries.len(), bench.setup.descriptors)?;
    let mut servers: Vec<(Option<crate::peers::Wanted>, Option<Rc<Running>>)> = Vec::new();
    let mut contestants = Vec::new();
    for entry in entries {
        let known = servers.iter().position(|(wanted, _)| *wanted == entry.wanted);
        let at = match known {
            Some(at) => at,
            None => {
                servers.push((entry.wanted, bench.start(entry)?));
                servers.len() - 1
            }
        };
        let Some(running) = &servers[at].1 else { continue };
        bench.progress.stage(&format!("connecting {} × {}", wish.connections, entry.label()));
        let wanted = (wish.connections, Opening::default());
        contestants.push(Contestant::enter(entry, running, &bench.setup, wanted)?);
    }
    let slices = (wish.seconds * 1000).div_ceil(SLICE.as_millis() as u64).max(1);
    let plan = Plan {
        burst: wish.mode.burst(),
        nap: wish.nap,
        slice: SLICE,
        rounds_max: wish.rounds_max,
        slices: u32::try_from(slices).unwrap_or(u32::MAX),
    };
    bench.progress.stage(&format!("{} mode", wish.mode.name()));
    let scores = contest::run(&mut contestants, &plan, &mut bench.progress)?;
    bench.progress.clear();
    for score in &scores {
        bench.note_ratio(&score.label, score.ratio());
    }
    Ok(scores)
}

fn print(bench: &mut Bench, wish: &Wish, scores: &[Score]) -> Result<()> {
    let rows = scores.iter().map(row).collect();
    let table = Table {
        columns: vec![
            "",
            "µs CPU per message",
            "ratio",
            "ratio, range",
            "B on the wire",
            "p50 ms",
            "p99 ms",
            "delivered",
        ],
        rows,
    };
    let bars: Vec<(String, f64)> = scores.iter().map(|score| (score.label.clone(), score.ratio())).collect();
    let title = format!(
        "{} mode: {} connections, {} of 150 B per round, {} s each in slices of {} ms beside the floor",
        wish.mode.name(),
        wish.connections,
        if wish.mode == Mode::Latency { "one message" } else { "64 messages" },
        wish.seconds,
        SLICE.as_millis()
    );
    let mut notes: Vec<String> = scores.iter().map(|score| format!("{}: {}", score.label, score.version)).collect();
    notes.push(format!(
        "Ratio: median over the slices of CPU per delivered message divided by the floor's slice beside it. Times are \
         from publish to drain with naps of {} µs between drains.",
        wish.nap.as_micros()
    ));
    for score in scores.iter().filter(|score| score.slices.iter().any(|slice| slice.threads_ended)) {
        notes.push(format!("{}: threads ended while it was measured, its CPU is in ticks of 10 ms.", score.label));
    }
    let json = json!({
        "mode": wish.mode.name(),
        "connections": wish.connections,
        "burst": wish.mode.burst(),
        "napUs": wish.nap.as_micros() as u64,
        "scores": scores.iter().map(score_json).collect::<Vec<_>>(),
    });
    bench.report.section(&title, &table, &[("ratio to the floor", bars)], &notes, json)
}

fn row(score: &Score) -> Vec<String> {
    let [p50, p99] = score.latencies.percentiles_ms([50.0, 99.0]);
    let (low, high) = stats::range(&score.ratios);
    vec![
        score.label.clone(),
        format!("{:.3}", score.cpu_us()),
        format!("{:.2}", score.ratio()),
        format!("{low:.2} – {high:.2}"),
        format!("{:.0}", score.wire_bytes()),
        format!("{p50:.1}"),
        format!("{p99:.1}"),
        score.delivered().to_string(),
    ]
}

/// A score with all its slices.
pub(crate) fn score_json(score: &Score) -> Value {
    let [p50, p90, p99, max] = score.latencies.percentiles_ms([50.0, 90.0, 99.0, 100.0]);
    json!({
        "label": score.label,
        "version": score.version,
        "cpuUsPerMessage": score.cpu_us(),
        "ratio": score.ratio(),
        "ratios": score.ratios,
        "wireBytesPerMessage": score.wire_bytes(),
        "delivered": score.delivered(),
        "latencyMs": { "p50": p50, "p90": p90, "p99": p99, "max": max },
        "slices": score.slices.iter().map(|slice| json!({
            "cpuNs": slice.cpu_ns,
            "delivered": slice.delivered,
            "bytes": slice.bytes,
            "rounds": slice.rounds,
        })).collect::<Vec<_>>(),
    })
}
