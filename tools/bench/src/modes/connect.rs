//! `connect`: connections per second and the server's CPU per connection, opened, subscribed and closed again.

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Bench, Entry};
use crate::child::Running;
use crate::conn::News;
use crate::failure::{Failure, Result};
use crate::load::Load;
use crate::peers::{Framing, Place, Setup, Transport};
use crate::procfs::{Memory, Tree};
use crate::report::Table;
use crate::stats::{self, Latencies};
use crate::ws;

/// Slices of each contestant take turns, as in `fanout`.
const SLICE: Duration = Duration::from_secs(1);
/// After the last connection is closed the server may still clean up: that is its cost, too.
const SETTLE: Duration = Duration::from_millis(150);

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Connections under way at a time.
    pub(crate) window: usize,
    /// Seconds of churn for each contestant.
    pub(crate) seconds: u64,
}

struct Churner {
    entry: Entry,
    running: Rc<Running>,
    tree: Tree,
    before: Memory,
    opened: u64,
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
    ratios: Vec<f64>,
    latencies: Latencies,
}

/// Runs and reports.
///
/// # Errors
/// A connection is refused or closed by the server.
pub(crate) fn run(bench: &mut Bench, wish: &Wish) -> Result<()> {
    let mut churners = Vec::new();
    for entry in bench.entries() {
        let Some(running) = bench.start(&entry)? else { continue };
        churners.push(Churner {
            tree: running.tree(),
            entry,
            running,
            before: Memory::default(),
            opened: 0,
            per_second: Vec::new(),
            cpu_us: Vec::new(),
            ratios: Vec::new(),
            latencies: Latencies::default(),
        });
    }
    bench.progress.stage("opening and closing connections");
    for turn in 0..=wish.seconds {
        let mut floor_us = 0.0;
        for churner in &mut churners {
            bench.progress.show(&format!("slice {turn} of {}: {}", wish.seconds, churner.entry.label()));
            let (opened, per_second, cpu_us) = churner.slice(&bench.setup, wish.window)?;
            if turn == 0 {
                // One-time allocations are made, from here on memory should not grow.
                churner.before = churner.tree.memory();
                churner.latencies = Latencies::default();
                continue;
            }
            if churner.entry.wanted.is_none() {
                floor_us = cpu_us;
            }
            churner.opened += opened;
            churner.per_second.push(per_second);
            churner.cpu_us.push(cpu_us);
            churner.ratios.push(cpu_us / floor_us);
        }
    }
    bench.progress.clear();
    print(bench, wish, &churners)
}

impl Churner {
    /// Opens and closes for one slice: number opened, connections per second, CPU microseconds per connection.
    fn slice(&mut self, setup: &Setup, window: usize) -> Result<(u64, f64, f64)> {
        let peer = &self.entry.peer;
        let place = Place { addr: self.running.addr, channel: "bench-connect".to_owned(), since: None };
        let mut load = Load::new(Rc::clone(peer), place, self.entry.transport, setup.guard.clone())?;
        let mut farewell = Vec::new();
        if self.entry.transport == Transport::Ws && peer.framing(self.entry.transport) == Framing::Http {
            ws::write_close(&mut farewell);
        }
        let cpu = self.tree.cpu();
        let started = Instant::now();
        let mut since = vec![started; window];
        let mut opened = 0;
        let mut open = 0;
        load.start(window)?;
        while open < window {
            setup.guard.check()?;
            let mut ready = Vec::new();
            load.drain(Duration::from_millis(50), &mut |slot, news| {
                match news {
                    News::Ready => ready.push(slot),
                    News::Closed(why) => return Err(Failure::Delivery(format!("connection {slot}: {why}"))),
                    News::Message(_) | News::Gap => {}
                }
                Ok(())
            })?;
            let now = Instant::now();
            let going_on = started.elapsed() < SLICE;
            for slot in ready {
                opened += 1;
                self.latencies.add(now - since[slot]);
                if going_on {
                    load.renew(slot, &farewell)?;
                    since[slot] = now;
                } else {
                    open += 1;
                }
            }
            if started.elapsed() > SLICE * 20 {
                return Err(Failure::Protocol(format!("{}: connections get no answer", self.entry.label())));
            }
        }
        let time = started.elapsed().as_secs_f64();
        drop(load);
        setup.guard.sleep(SETTLE)?;
        let (cpu_ns, _) = self.tree.cpu().since(&cpu);
        Ok((opened, opened as f64 / time, cpu_ns as f64 / 1000.0 / opened.max(1) as f64))
    }
}

fn print(bench: &mut Bench, wish: &Wish, churners: &[Churner]) -> Result<()> {
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    let mut all = Vec::new();
    for churner in churners {
        let label = churner.entry.label();
        let ratio = stats::median(&churner.ratios);
        let [p50, p99] = churner.latencies.percentiles_ms([50.0, 99.0]);
        let after = churner.tree.memory();
        let grown_kib = (after.rss as f64 - churner.before.rss as f64) / 1024.0;
        rows.push(vec![
            label.clone(),
            format!("{:.0}", stats::median(&churner.per_second)),
            format!("{:.1}", stats::median(&churner.cpu_us)),
            format!("{ratio:.2}"),
            format!("{p50:.1}"),
            format!("{p99:.1}"),
            churner.opened.to_string(),
            format!("{grown_kib:+.0}"),
        ]);
        all.push(json!({
            "label": label,
            "version": churner.running.version,
            "perSecond": churner.per_second,
            "cpuUsPerConnection": churner.cpu_us,
            "ratios": churner.ratios,
            "latencyMs": { "p50": p50, "p99": p99 },
            "opened": churner.opened,
            "rssGrownKiB": grown_kib,
        }));
        bench.note_ratio(&label, ratio);
        bars.push((label, ratio));
    }
    let columns =
        vec!["", "connections per s", "µs CPU per connection", "ratio", "p50 ms", "p99 ms", "opened", "RSS grown KiB"];
    let title = format!("connect: {} at a time, opened, subscribed, closed, for {} s", wish.window, wish.seconds);
    let notes =
        ["The floor only accepts, reads one byte and greets: the handshake is the whole difference.".to_owned()];
    let json = json!({ "window": wish.window, "scores": all });
    bench.report.section(&title, &Table { columns, rows }, &[("ratio to the floor", bars)], &notes, json)
}
