//! `recover`: many subscribers come back to one channel after a restart. How often is the store read, and when are all current?

use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Bench;
use crate::child::{Running, TempDir};
use crate::conn::News;
use crate::failure::{Failure, Result};
use crate::lanes;
use crate::limits;
use crate::load::Load;
use crate::payload::{self, Label};
use crate::peers::{self, Peer, Place, Setup, Transport, Wanted};
use crate::report::Table;

/// Connections on their way in at a time, as everywhere: below any listen backlog.
const HANDSHAKES_AT_ONCE: usize = 128;
/// Most messages of one request.
const BATCH: u32 = 100;
/// Messages that one read of the store brings.
const BLOCK: u32 = 64;
/// A server from which nothing comes for so long is broken.
const PATIENCE: Duration = Duration::from_secs(20);
const CHANNEL: &str = "bench-recover";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Subscribers.
    pub(crate) connections: usize,
    /// Messages that each missed.
    pub(crate) messages: u32,
}

/// The result over one transport.
struct Score {
    label: String,
    reads: u64,
    time: Duration,
    cpu_us: f64,
    bytes: u64,
}

/// Runs and reports.
///
/// # Errors
/// The server cannot be had, or somebody misses a message.
pub(crate) fn run(bench: &mut Bench, wish: &Wish) -> Result<()> {
    limits::fit(wish.connections, bench.setup.descriptors)?;
    let folder = TempDir::new()?;
    let mut setup = bench.setup.clone();
    setup.server_args.extend(super::store_at(folder.path()));
    let peer = peers::make(Wanted::Server, &setup);
    bench.progress.stage("filling a store");
    let epoch = fill(&peer.start(&setup)?, wish.messages)?;
    let (mut scores, mut version) = (Vec::new(), String::new());
    for transport in bench.transports.clone() {
        // Each with a server that has just been started, and nothing in memory.
        let running = peer.start(&setup)?;
        bench.progress.stage(&format!("{} × {transport} recover {} messages", wish.connections, wish.messages));
        scores.push(measure(&peer, &running, transport, &setup, wish, &epoch)?);
        version.clone_from(&running.version);
    }
    bench.progress.clear();
    print(bench, wish, &scores, version)
}

/// Stores the messages; returns the channel's epoch.
fn fill(running: &Running, messages: u32) -> Result<String> {
    let mut epoch = None;
    for first in (0..messages).step_by(BATCH as usize) {
        let message = |seq| {
            let data = payload::write(Label { round: 1, seq });
            format!("{{\"type\":\"x\",\"channel\":\"{CHANNEL}\",\"ack\":\"stored\",\"data\":{data}}}")
        };
        let batch: Vec<String> = (first..messages.min(first + BATCH)).map(message).collect();
        let body = format!("{{\"messages\":[{}]}}", batch.join(","));
        let answer = lanes::post(running.addr, "/api/broadcast", &body)?;
        let answer: Value = serde_json::from_str(&answer).unwrap_or_default();
        let position = &answer["results"][0]["position"];
        if position["offset"] != u64::from(first) + 1 {
            return Err(Failure::Protocol(format!("not stored: {answer}")));
        }
        epoch = position["epoch"].as_str().map(str::to_owned);
    }
    epoch.ok_or_else(|| Failure::Protocol("no messages".to_owned()))
}

fn measure(
    peer: &Rc<dyn Peer>,
    running: &Running,
    transport: Transport,
    setup: &Setup,
    wish: &Wish,
    epoch: &str,
) -> Result<Score> {
    let place = Place { addr: running.addr, channel: CHANNEL.to_owned(), since: Some(format!("{epoch}-0")) };
    let mut load = Load::new(Rc::clone(peer), place, transport, setup.guard.clone())?;
    let tree = running.tree();
    let (cpu, before, started) = (tree.cpu(), reads(running)?, Instant::now());
    let mut next = vec![0; wish.connections];
    let (mut ready, mut current, mut moved_at) = (0, 0, started);
    while current < wish.connections {
        setup.guard.check()?;
        let room = HANDSHAKES_AT_ONCE.saturating_sub(load.len() - ready);
        load.start(wish.connections.min(load.len() + room))?;
        load.drain(Duration::from_millis(20), &mut |slot, news| {
            moved_at = Instant::now();
            match news {
                News::Ready => ready += 1,
                News::Message(Label { seq, .. }) if seq == next[slot] => {
                    next[slot] += 1;
                    current += usize::from(next[slot] == wish.messages);
                }
                News::Message(label) => {
                    let wanted = next[slot];
                    return Err(Failure::Delivery(format!("connection {slot}: {label:?} instead of {wanted}")));
                }
                News::Gap => return Err(Failure::Delivery(format!("connection {slot}: a gap"))),
                News::Closed(why) => return Err(Failure::Delivery(format!("connection {slot}: {why}"))),
            }
            Ok(())
        })?;
        if moved_at.elapsed() > PATIENCE {
            return Err(Failure::Delivery(format!("{current} are current, and nothing comes for 20 s")));
        }
    }
    let time = started.elapsed();
    let (cpu_ns, _) = tree.cpu().since(&cpu);
    let delivered = wish.connections as f64 * f64::from(wish.messages);
    Ok(Score {
        label: format!("{}, {transport}", peer.name()),
        reads: reads(running)? - before,
        time,
        cpu_us: cpu_ns as f64 / 1000.0 / delivered,
        bytes: load.bytes_read(),
    })
}

/// Reads of the store so far.
fn reads(running: &Running) -> Result<u64> {
    let metrics = lanes::get(running.addr, "/metrics")?;
    let lines = metrics.lines().filter(|line| line.starts_with("realtime_store_reads_total"));
    let values: Option<Vec<u64>> = lines.map(|line| line.rsplit(' ').next()?.parse().ok()).collect();
    match values {
        Some(values) if !values.is_empty() => Ok(values.iter().sum()),
        _ => Err(Failure::Protocol("the server does not tell how often it reads its store".to_owned())),
    }
}

fn print(bench: &mut Bench, wish: &Wish, scores: &[Score], version: String) -> Result<()> {
    let blocks = wish.messages.div_ceil(BLOCK);
    let row = |score: &Score| {
        vec![
            score.label.clone(),
            score.reads.to_string(),
            blocks.to_string(),
            format!("{:.2}", score.time.as_secs_f64()),
            format!("{:.0}", wish.connections as f64 / score.time.as_secs_f64()),
            format!("{:.3}", score.cpu_us),
            format!("{:.0}", score.bytes as f64 / 1_048_576.0),
        ]
    };
    let rows = scores.iter().map(row).collect();
    let columns = vec![
        "",
        "reads of the store",
        "blocks there are",
        "s until all are current",
        "recoveries per s",
        "µs CPU per message",
        "MiB received",
    ];
    let title =
        format!("recover: {} connections, {} messages of 150 B each, after a restart", wish.connections, wish.messages);
    let notes = [
        version,
        "Reads do not grow with the connections: everybody who wants the same block waits for one read. The time includes \
         the handshakes."
            .to_owned(),
    ];
    let all: Vec<Value> = scores
        .iter()
        .map(|score| {
            json!({
                "label": score.label,
                "reads": score.reads,
                "blocks": blocks,
                "seconds": score.time.as_secs_f64(),
                "cpuUsPerMessage": score.cpu_us,
                "bytes": score.bytes,
            })
        })
        .collect();
    let json = json!({ "connections": wish.connections, "messages": wish.messages, "scores": all });
    bench.report.section(&title, &Table { columns, rows }, &[], &notes, json)
}
