//! `slow`: healthy readers beside some that never read.
//!
//! Phases without and with the stalled ones take turns. In each, messages are published at a steady pace; the healthy
//! ones must get all of them in order. Then the stalled ones start to read: a message they did not get must lie behind a
//! `gap`, anything else is silent loss.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Bench, Entry};
use crate::check::Checker;
use crate::child::Running;
use crate::conn::News;
use crate::failure::{Failure, Result};
use crate::load::{Load, Opening};
use crate::payload::{self, Label};
use crate::peers::{Place, Setup, Wanted};
use crate::procfs::{Memory, Tree};
use crate::publisher::Publisher;
use crate::report::Table;
use crate::stats::{self, Latencies};

/// What the kernel makes of it is about double; small enough that a stalled reader is noticed after a few messages.
const RECEIVE_BUFFER: usize = 4096;
/// Pace of the publisher.
const TICK: Duration = Duration::from_millis(10);
/// After the last message: what has not come by then is lost.
const LAST_PATIENCE: Duration = Duration::from_secs(10);
/// A woken reader that gets nothing for so long gets nothing more.
const SILENCE: Duration = Duration::from_secs(2);
/// Bound on reading after waking.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(20);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Readers that read.
    pub(crate) healthy: usize,
    /// Readers that do not.
    pub(crate) stalled: usize,
    /// Seconds of each phase.
    pub(crate) seconds: u64,
    /// Pairs of phases.
    pub(crate) pairs: u32,
    /// Messages published every 10 ms.
    pub(crate) per_tick: u32,
}

/// What became of the stalled readers.
#[derive(Clone, Copy, Debug, Default)]
struct Outcome {
    replayed: usize,
    gap: usize,
    disconnected: usize,
    silent_loss: usize,
}

/// A stalled reader after it was woken.
#[derive(Clone, Debug, Default)]
struct Reader {
    next: u32,
    gaps: u32,
    jumps: u32,
    closed: bool,
}

/// How it ended for a stalled reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Replayed,
    Gap,
    Disconnected,
    SilentLoss,
}

impl Reader {
    fn arrived(&mut self, seq: u32) {
        self.jumps += u32::from(seq != self.next);
        self.next = seq + 1;
    }

    /// Each jump needs a gap that announces it, and so does an end that never came.
    fn fate(&self, total: u32) -> Fate {
        let ends_early = u32::from(self.next < total);
        if self.closed {
            Fate::Disconnected
        } else if self.jumps + ends_early > self.gaps {
            Fate::SilentLoss
        } else if self.gaps > 0 {
            Fate::Gap
        } else {
            Fate::Replayed
        }
    }
}

struct Arena<'a> {
    setup: &'a Setup,
    wish: &'a Wish,
    entry: &'a Entry,
    place: Place,
    tree: Tree,
    load: Load,
    publisher: Publisher,
    checker: Checker,
}

struct Score {
    label: String,
    /// Of our own server silent loss is a failure, of others a figure.
    ours: bool,
    version: String,
    p50: [Vec<f64>; 2],
    p99: [Vec<f64>; 2],
    base: Memory,
    peak_rss: u64,
    after_rss: u64,
    outcome: Outcome,
    messages: u32,
}

/// Runs and reports.
///
/// # Errors
/// A healthy reader loses something; our own server loses something silently.
pub(crate) fn run(bench: &mut Bench, wish: &Wish) -> Result<()> {
    let mut scores = Vec::new();
    for entry in bench.entries().into_iter().filter(|entry| entry.wanted.is_some()) {
        let Some(running) = bench.start(&entry)? else { continue };
        scores.push(measure(bench, wish, &entry, &running)?);
    }
    bench.progress.clear();
    print(bench, wish, &scores)?;
    for score in &scores {
        if score.ours && score.outcome.silent_loss > 0 {
            let lost = score.outcome.silent_loss;
            return Err(Failure::Delivery(format!(
                "{}: {lost} stalled readers lost messages without a gap",
                score.label
            )));
        }
    }
    Ok(())
}

fn measure(bench: &mut Bench, wish: &Wish, entry: &Entry, running: &Rc<Running>) -> Result<Score> {
    let setup = bench.setup.clone();
    let place = Place { addr: running.addr, channel: "bench-slow".to_owned(), since: None };
    let mut load = Load::new(Rc::clone(&entry.peer), place.clone(), entry.transport, setup.guard.clone())?;
    load.open(wish.healthy, Opening::default())?;
    let mut arena = Arena {
        setup: &setup,
        wish,
        entry,
        tree: running.tree(),
        publisher: Publisher::connect(Rc::clone(&entry.peer), place.clone(), &setup.guard)?,
        place,
        load,
        checker: Checker::new(wish.healthy),
    };
    let mut score = Score {
        label: entry.label(),
        ours: entry.wanted == Some(Wanted::Server),
        version: running.version.clone(),
        p50: [Vec::new(), Vec::new()],
        p99: [Vec::new(), Vec::new()],
        base: Memory::default(),
        peak_rss: 0,
        after_rss: 0,
        outcome: Outcome::default(),
        messages: 0,
    };
    for pair in 1..=wish.pairs {
        bench.progress.stage(&format!("{}: pair {pair} of {}, healthy readers alone", entry.label(), wish.pairs));
        arena.phase(&mut score, 0)?;
        if pair == 1 {
            score.base = arena.tree.memory();
        }
        bench.progress.stage(&format!("{}: pair {pair} of {}, with stalled readers", entry.label(), wish.pairs));
        arena.stalled_phase(&mut score)?;
    }
    score.after_rss = arena.tree.memory().rss;
    Ok(score)
}

impl Arena<'_> {
    fn stalled_phase(&mut self, score: &mut Score) -> Result<()> {
        let opening = Opening { receive_buffer: Some(RECEIVE_BUFFER), stalled: true, users: false };
        let peer = Rc::clone(&self.entry.peer);
        let mut stalled = Load::new(peer, self.place.clone(), self.entry.transport, self.setup.guard.clone())?;
        stalled.open(self.wish.stalled, opening)?;
        let round = self.phase(score, 1)?;
        let outcome = self.recover(&mut stalled, round)?;
        score.outcome.replayed += outcome.replayed;
        score.outcome.gap += outcome.gap;
        score.outcome.disconnected += outcome.disconnected;
        score.outcome.silent_loss += outcome.silent_loss;
        drop(stalled);
        // Otherwise closing them would be charged to the next phase.
        self.setup.guard.sleep(Duration::from_millis(300))
    }

    /// Publishes at a steady pace; the healthy readers get everything. Returns the number of the round.
    fn phase(&mut self, score: &mut Score, which: usize) -> Result<u32> {
        let ticks = u32::try_from(self.wish.seconds * 1000 / TICK.as_millis() as u64).unwrap_or(u32::MAX);
        let total = ticks * self.wish.per_tick;
        let round = self.checker.begin(total);
        score.messages = total;
        let latencies = RefCell::new(Latencies::default());
        let mut sent_at: Vec<Instant> = Vec::with_capacity(total as usize);
        let started = Instant::now();
        for tick in 0..ticks {
            self.setup.guard.check()?;
            let first = tick * self.wish.per_tick;
            let labels = (first..first + self.wish.per_tick).map(|seq| Label { round, seq });
            let payloads: Vec<String> = labels.map(payload::write).collect();
            sent_at.resize(sent_at.len() + payloads.len(), Instant::now());
            self.publisher.publish(&payloads)?;
            let until = started + TICK * (tick + 1);
            loop {
                self.drain(until.saturating_duration_since(Instant::now()), &sent_at, &latencies)?;
                if Instant::now() >= until {
                    break;
                }
            }
            self.publisher.collect()?;
            if tick % 20 == 0 {
                score.peak_rss = score.peak_rss.max(if which == 1 { self.tree.memory().rss } else { 0 });
            }
        }
        let last = Instant::now();
        while !self.checker.complete() && last.elapsed() < LAST_PATIENCE {
            self.setup.guard.check()?;
            self.drain(Duration::from_millis(20), &sent_at, &latencies)?;
        }
        self.checker.finish();
        if let Some(faults) = self.checker.verdict() {
            return Err(Failure::Delivery(format!("{}: healthy readers: {faults}", self.entry.label())));
        }
        let [p50, p99] = latencies.into_inner().percentiles_ms([50.0, 99.0]);
        score.p50[which].push(p50);
        score.p99[which].push(p99);
        Ok(round)
    }

    fn drain(&mut self, wait: Duration, sent_at: &[Instant], latencies: &RefCell<Latencies>) -> Result<()> {
        let (checker, label) = (&mut self.checker, self.entry.label());
        self.load.drain(wait, &mut |conn, news| {
            match news {
                News::Message(message) => {
                    if let Some(sent) = sent_at.get(message.seq as usize) {
                        latencies.borrow_mut().add(sent.elapsed());
                    }
                    checker.arrived(conn, message);
                }
                News::Gap => return Err(Failure::Delivery(format!("{label}: healthy reader {conn} got a gap"))),
                News::Closed(why) => {
                    return Err(Failure::Delivery(format!("{label}: healthy reader {conn}: {why}")));
                }
                News::Ready => {}
            }
            Ok(())
        })
    }

    /// Lets the stalled readers read and says what became of them.
    fn recover(&mut self, stalled: &mut Load, round: u32) -> Result<Outcome> {
        let total = self.wish.per_tick * u32::try_from(self.wish.seconds * 1000 / TICK.as_millis() as u64).unwrap_or(0);
        let mut readers = vec![Reader::default(); stalled.len()];
        stalled.wake()?;
        let (started, mut heard) = (Instant::now(), Instant::now());
        let done = |reader: &Reader| reader.closed || reader.next == total;
        while !readers.iter().all(done) && heard.elapsed() < SILENCE && started.elapsed() < RECOVERY_PATIENCE {
            self.setup.guard.check()?;
            stalled.drain(Duration::from_millis(20), &mut |slot, news| {
                let reader = &mut readers[slot];
                heard = Instant::now();
                match news {
                    News::Message(label) if label.round == round => reader.arrived(label.seq),
                    News::Gap => reader.gaps += 1,
                    News::Closed(_) => reader.closed = true,
                    News::Message(_) | News::Ready => {}
                }
                Ok(())
            })?;
            // The healthy ones still have to answer pings.
            self.drain(Duration::ZERO, &[], &RefCell::new(Latencies::default()))?;
        }
        let mut outcome = Outcome::default();
        for reader in &readers {
            match reader.fate(total) {
                Fate::Replayed => outcome.replayed += 1,
                Fate::Gap => outcome.gap += 1,
                Fate::Disconnected => outcome.disconnected += 1,
                Fate::SilentLoss => outcome.silent_loss += 1,
            }
        }
        Ok(outcome)
    }
}

fn print(bench: &mut Bench, wish: &Wish, scores: &[Score]) -> Result<()> {
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    let mut all = Vec::new();
    for score in scores {
        let pair_ratio = |of: &[Vec<f64>; 2]| {
            let ratios: Vec<f64> = of[1].iter().zip(&of[0]).map(|(with, without)| with / without).collect();
            stats::median(&ratios)
        };
        let (ratio_p50, ratio_p99) = (pair_ratio(&score.p50), pair_ratio(&score.p99));
        let mib = |bytes: u64| format!("{:.1}", bytes as f64 / 1_048_576.0);
        let outcome = score.outcome;
        rows.push(vec![
            score.label.clone(),
            format!("{:.2} → {:.2}", stats::median(&score.p50[0]), stats::median(&score.p50[1])),
            format!("{:.2} → {:.2}", stats::median(&score.p99[0]), stats::median(&score.p99[1])),
            format!("{ratio_p50:.2}"),
            format!("{ratio_p99:.2}"),
            format!("{} → {} → {}", mib(score.base.rss), mib(score.peak_rss), mib(score.after_rss)),
            format!("{}/{}/{}/{}", outcome.replayed, outcome.gap, outcome.disconnected, outcome.silent_loss),
        ]);
        bars.push((score.label.clone(), ratio_p99));
        bench.note_ratio(&score.label, ratio_p99);
        all.push(json!({
            "label": score.label,
            "version": score.version,
            "p50Ms": { "alone": score.p50[0], "withStalled": score.p50[1] },
            "p99Ms": { "alone": score.p99[0], "withStalled": score.p99[1] },
            "ratioP50": ratio_p50,
            "ratioP99": ratio_p99,
            "rss": { "base": score.base.rss, "peak": score.peak_rss, "after": score.after_rss },
            "stalled": {
                "replayed": outcome.replayed,
                "gap": outcome.gap,
                "disconnected": outcome.disconnected,
                "silentLoss": outcome.silent_loss,
            },
        }));
    }
    let columns = vec![
        "",
        "p50 ms alone → with stalled",
        "p99 ms alone → with stalled",
        "ratio p50",
        "ratio p99",
        "RSS MiB base → peak → after",
        "replayed/gap/closed/silent loss",
    ];
    let title = format!(
        "slow readers: {} healthy beside {} that do not read, {} messages every 10 ms for {} s, {} pairs of phases",
        wish.healthy, wish.stalled, wish.per_tick, wish.seconds, wish.pairs
    );
    let mut notes: Vec<String> = scores.iter().map(|score| format!("{}: {}", score.label, score.version)).collect();
    notes.push("Every healthy reader got every message in order, or there would be no table.".to_owned());
    let bars = [("p99 with stalled readers / p99 without", bars)];
    bench.report.section(&title, &Table { columns, rows }, &bars, &notes, json!({ "scores": all }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of five messages; `g` is a gap, `x` the end of the connection.
    fn check(script: &str, expected: Fate) {
        let mut reader = Reader::default();
        for word in script.chars() {
            match word {
                'g' => reader.gaps += 1,
                'x' => reader.closed = true,
                seq => reader.arrived(seq.to_digit(10).unwrap()),
            }
        }
        assert_eq!(reader.fate(5), expected, "{script}");
    }

    #[test]
    fn what_is_missing_must_lie_behind_a_gap() {
        check("01234", Fate::Replayed);
        check("0g34", Fate::Gap);
        check("01234g", Fate::Gap);
        check("01g", Fate::Gap);
        check("0g2g4", Fate::Gap);
        check("01x", Fate::Disconnected);
        for loss in ["034", "0123", "", "0g24", "g1g3", "0121234"] {
            check(loss, Fate::SilentLoss);
        }
    }
}
