//! Contestants and how they are measured: slices of rounds, in turn, each beside a slice of the floor.
//!
//! A round publishes its messages, then naps and drains in turns until every connection has all of them; only then
//! comes the next. The naps keep the server from being charged for waking us once per message.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::check::Checker;
use crate::child::Running;
use crate::conn::News;
use crate::failure::{Failure, Result};
use crate::guard::Guard;
use crate::load::{Load, Opening};
use crate::modes::Entry;
use crate::payload::{self, Label};
use crate::peers::{Place, Setup};
use crate::procfs::Tree;
use crate::publisher::Publisher;
use crate::report::Progress;
use crate::stats::{self, Latencies};

/// Between the end of a round's deliveries and reading the CPU clocks: the server finishes its turn and sleeps.
const SETTLE: Duration = Duration::from_millis(4);
/// Between the last handshake and the first round.
const SETTLE_OPENED: Duration = Duration::from_millis(500);
/// A round that takes longer has lost something.
const ROUND_PATIENCE: Duration = Duration::from_secs(15);

/// What a round is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// Messages per round.
    pub(crate) burst: u32,
    /// Between drains.
    pub(crate) nap: Duration,
    /// Rounds go on for this long in each slice …
    pub(crate) slice: Duration,
    /// … or up to this number.
    pub(crate) rounds_max: u32,
    /// Slices of each contestant, after one that does not count.
    pub(crate) slices: u32,
}

/// A server with its connections, ready for rounds.
pub(crate) struct Contestant {
    /// Name in tables.
    pub(crate) label: String,
    /// Name and version.
    pub(crate) version: String,
    /// Its processes.
    pub(crate) tree: Tree,
    load: Load,
    publisher: Publisher,
    checker: Checker,
    guard: Guard,
    // Last, so that connections are closed before the server is stopped.
    _running: Rc<Running>,
}

/// What one slice cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slice {
    /// CPU time of the server, nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Deliveries confirmed.
    pub(crate) delivered: u64,
    /// Bytes that arrived.
    pub(crate) bytes: u64,
    /// Rounds.
    pub(crate) rounds: u32,
    /// Threads of the server ended meanwhile: CPU time is then less exact.
    pub(crate) threads_ended: bool,
}

/// The result of a contestant.
#[derive(Debug)]
pub(crate) struct Score {
    /// Name in tables.
    pub(crate) label: String,
    /// Name and version.
    pub(crate) version: String,
    /// Each counted slice.
    pub(crate) slices: Vec<Slice>,
    /// CPU per delivered message of each slice divided by that of the floor beside it.
    pub(crate) ratios: Vec<f64>,
    /// From publish to drain, one sample per connection and round.
    pub(crate) latencies: Latencies,
}

impl Slice {
    /// Microseconds of CPU per delivered message.
    pub(crate) fn cpu_us(&self) -> f64 {
        self.cpu_ns as f64 / 1000.0 / self.delivered.max(1) as f64
    }
}

impl Score {
    /// Median microseconds of CPU per delivered message.
    pub(crate) fn cpu_us(&self) -> f64 {
        stats::median(&self.slices.iter().map(Slice::cpu_us).collect::<Vec<_>>())
    }

    /// Median ratio to the floor.
    pub(crate) fn ratio(&self) -> f64 {
        stats::median(&self.ratios)
    }

    /// Bytes on the wire per delivered message, framing included, TCP not.
    pub(crate) fn wire_bytes(&self) -> f64 {
        let bytes: u64 = self.slices.iter().map(|slice| slice.bytes).sum();
        bytes as f64 / self.delivered().max(1) as f64
    }

    /// All deliveries.
    pub(crate) fn delivered(&self) -> u64 {
        self.slices.iter().map(|slice| slice.delivered).sum()
    }
}

impl Contestant {
    /// Connects `count` subscribers and a publisher to a running server.
    ///
    /// # Errors
    /// The server refuses or loses one of them.
    pub(crate) fn enter(
        entry: &Entry,
        running: &Rc<Running>,
        setup: &Setup,
        (count, opening): (usize, Opening),
    ) -> Result<Self> {
        let (peer, transport) = (&entry.peer, entry.transport);
        // A channel per contestant: two of them may share a server.
        let channel = format!("bench-{transport}").to_lowercase();
        let place = Place { addr: running.addr, channel, since: None };
        let mut load = Load::new(Rc::clone(peer), place.clone(), transport, setup.guard.clone())?;
        load.open(count, opening)?;
        let publisher = Publisher::connect(Rc::clone(peer), place, &setup.guard)?;
        setup.guard.sleep(SETTLE_OPENED)?;
        Ok(Self {
            label: entry.label(),
            version: running.version.clone(),
            tree: running.tree(),
            load,
            publisher,
            checker: Checker::new(count),
            guard: setup.guard.clone(),
            _running: Rc::clone(running),
        })
    }

    /// Opens further connections.
    ///
    /// # Errors
    /// As [`Contestant::enter`].
    pub(crate) fn grow(&mut self, count: usize, opening: Opening) -> Result<()> {
        self.load.open(count, opening)?;
        self.checker.grow(count);
        self.guard.sleep(SETTLE_OPENED)
    }

    /// Answers pings and the like.
    ///
    /// # Errors
    /// A connection is closed, or a message comes that nobody published.
    pub(crate) fn idle(&mut self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            self.guard.check()?;
            self.drain(Duration::from_millis(20), Instant::now(), &mut Latencies::default())?;
        }
        Ok(())
    }

    /// One round, confirmed on all connections.
    ///
    /// # Errors
    /// `Delivery` if anything is lost, repeated, reordered or closed.
    pub(crate) fn round(&mut self, burst: u32, nap: Duration, latencies: &mut Latencies) -> Result<()> {
        let round = self.checker.begin(burst);
        let payloads: Vec<String> = (0..burst).map(|seq| payload::write(Label { round, seq })).collect();
        let started = Instant::now();
        self.publisher.publish(&payloads)?;
        while !self.checker.complete() && started.elapsed() < ROUND_PATIENCE {
            self.guard.check()?;
            if !nap.is_zero() {
                std::thread::sleep(nap);
            }
            let wait = if nap.is_zero() { Duration::from_millis(1) } else { Duration::ZERO };
            self.drain(wait, started, latencies)?;
        }
        self.finish_round()?;
        self.publisher.collect()
    }

    fn finish_round(&mut self) -> Result<()> {
        let waiting = self.checker.waiting();
        self.checker.finish();
        match self.checker.verdict() {
            None => Ok(()),
            Some(faults) => Err(Failure::Delivery(format!(
                "{}: {waiting} of {} connections did not get the whole round: {faults}",
                self.label,
                self.load.len()
            ))),
        }
    }

    fn drain(&mut self, wait: Duration, started: Instant, latencies: &mut Latencies) -> Result<()> {
        let (checker, label) = (&mut self.checker, &self.label);
        self.load.drain(wait, &mut |conn, news| {
            match news {
                News::Message(message) => {
                    if checker.arrived(conn, message) {
                        latencies.add(started.elapsed());
                    }
                }
                News::Gap => return Err(Failure::Delivery(format!("{label}: connection {conn} got a gap"))),
                News::Closed(why) => return Err(Failure::Delivery(format!("{label}: connection {conn}: {why}"))),
                News::Ready => {}
            }
            Ok(())
        })
    }

    /// Rounds for the time of one slice.
    ///
    /// # Errors
    /// As [`Contestant::round`].
    pub(crate) fn slice(&mut self, plan: &Plan, latencies: &mut Latencies) -> Result<Slice> {
        // What came since the last turn (pings) is not this slice's business.
        self.drain(Duration::ZERO, Instant::now(), &mut Latencies::default())?;
        self.publisher.collect()?;
        std::thread::sleep(SETTLE);
        let (cpu, bytes, started) = (self.tree.cpu(), self.load.bytes_read(), Instant::now());
        let mut slice = Slice::default();
        while slice.rounds < plan.rounds_max && (slice.rounds == 0 || started.elapsed() < plan.slice) {
            self.round(plan.burst, plan.nap, latencies)?;
            slice.rounds += 1;
        }
        std::thread::sleep(SETTLE);
        (slice.cpu_ns, slice.threads_ended) = self.tree.cpu().since(&cpu);
        self.drain(Duration::ZERO, Instant::now(), &mut Latencies::default())?;
        // A message that comes twice at the very end shows here.
        self.finish_round()?;
        slice.bytes = self.load.bytes_read() - bytes;
        slice.delivered = u64::from(slice.rounds) * u64::from(plan.burst) * self.load.len() as u64;
        Ok(slice)
    }
}

/// Measures contestants in turn; the first is the floor.
///
/// # Errors
/// As [`Contestant::round`].
pub(crate) fn run(contestants: &mut [Contestant], plan: &Plan, progress: &mut Progress) -> Result<Vec<Score>> {
    let mut scores: Vec<Score> = contestants
        .iter()
        .map(|contestant| Score {
            label: contestant.label.clone(),
            version: contestant.version.clone(),
            slices: Vec::new(),
            ratios: Vec::new(),
            latencies: Latencies::default(),
        })
        .collect();
    for turn in 0..=plan.slices {
        let mut floor_us = 0.0;
        for (at, (contestant, score)) in contestants.iter_mut().zip(&mut scores).enumerate() {
            progress.show(&format!("slice {turn} of {}: {}", plan.slices, contestant.label));
            let mut latencies = Latencies::default();
            let slice = contestant.slice(plan, &mut latencies)?;
            if turn == 0 {
                continue;
            }
            if at == 0 {
                floor_us = slice.cpu_us();
            }
            score.ratios.push(slice.cpu_us() / floor_us);
            score.slices.push(slice);
            score.latencies.append(&latencies);
        }
    }
    Ok(scores)
}
