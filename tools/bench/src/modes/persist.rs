//! `persist`: messages per second that are answered when they are on the disk, beside one sync per message.

use std::fs::File;
use std::io::{Seek, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::json;

use super::Bench;
use crate::child::TempDir;
use crate::failure::{Failure, Result, Trying};
use crate::lanes::{Lanes, Slice};
use crate::limits;
use crate::payload::{self, Label};
use crate::peers::{self, Place, PublishBy, Wanted};
use crate::report::Table;
use crate::stats::{self, Latencies};

/// Floor and server take turns in slices, so that both see the same disk.
const SLICE: Duration = Duration::from_millis(500);
/// The floor's file, which is there from the beginning and written round and round, as a write-ahead log is: a file that grows costs
/// more to sync.
const FLOOR_BYTES: usize = 4 << 20;
const CHANNEL: &str = "bench-persist";

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Connections that publish, one message under way each.
    pub(crate) concurrency: usize,
    /// Seconds of slices for each.
    pub(crate) seconds: u64,
    /// Where store and floor write.
    pub(crate) disk: Option<PathBuf>,
}

/// The floor, or the server over one way to publish.
struct Side {
    label: &'static str,
    lanes: Option<Lanes>,
    stored: u64,
    per_second: Vec<f64>,
    ratios: Vec<f64>,
    latencies: Latencies,
}

impl Side {
    fn new(label: &'static str, lanes: Option<Lanes>) -> Self {
        let (per_second, ratios) = (Vec::new(), Vec::new());
        Self { label, lanes, stored: 0, per_second, ratios, latencies: Latencies::default() }
    }
}

/// Runs and reports.
///
/// # Errors
/// The server cannot be had, or a message is not stored.
pub(crate) fn run(bench: &mut Bench, wish: &Wish) -> Result<()> {
    limits::fit(2 * wish.concurrency, bench.setup.descriptors)?;
    // The server has another working directory than we have.
    let disk = wish.disk.clone().unwrap_or_else(std::env::temp_dir).canonicalize().trying("finding the disk")?;
    let folder = TempDir::below(&disk)?;
    let mut setup = bench.setup.clone();
    setup.server_args.extend(super::store_at(folder.path()));
    bench.progress.stage("starting a server with a store");
    let running = peers::make(Wanted::Server, &setup).start(&setup)?;
    let place = Place { addr: running.addr, channel: CHANNEL.to_owned(), since: None };
    let lanes = |by| Lanes::open(place.clone(), by, wish.concurrency, &setup.guard).map(Some);
    let mut sides = [
        Side::new("floor: write + fdatasync", None),
        Side::new("realtime-connector, HTTP", lanes(PublishBy::Http)?),
        Side::new("realtime-connector, WebSocket", lanes(PublishBy::WebSocket)?),
    ];
    let mut floor = File::create(folder.path().join("floor")).trying("making the floor's file")?;
    floor.write_all(&vec![0; FLOOR_BYTES]).and_then(|()| floor.sync_all()).trying("making the floor's file")?;
    bench.progress.stage("publishing to the store");
    let turns = (wish.seconds * 1000).div_ceil(SLICE.as_millis() as u64).max(1);
    for turn in 0..=turns {
        let mut floor_per_second = f64::NAN;
        for side in &mut sides {
            bench.progress.show(&format!("slice {turn} of {turns}: {}", side.label));
            let mut latencies = Latencies::default();
            let slice = match &mut side.lanes {
                Some(lanes) => lanes.run(SLICE, &mut latencies)?,
                None => sync_one_by_one(&mut floor, &mut latencies)?,
            };
            if side.lanes.is_none() {
                floor_per_second = slice.per_second();
            }
            // The first turn does not count: files and pools are made in it.
            if turn > 0 {
                side.stored += slice.stored;
                side.per_second.push(slice.per_second());
                side.ratios.push(slice.per_second() / floor_per_second);
                side.latencies.append(&latencies);
            }
        }
    }
    bench.progress.clear();
    print(bench, wish, &sides, &running.version)
}

/// What a program does that makes each message last before it takes the next.
fn sync_one_by_one(file: &mut File, latencies: &mut Latencies) -> Result<Slice> {
    let (started, mut slice) = (Instant::now(), Slice::default());
    while started.elapsed() < SLICE {
        let message = payload::write(Label { round: 1, seq: 0 });
        let began = Instant::now();
        let at = file.stream_position().trying("writing the floor's file")?;
        if at + message.len() as u64 > FLOOR_BYTES as u64 {
            file.rewind().trying("writing the floor's file")?;
        }
        file.write_all(message.as_bytes()).trying("writing the floor's file")?;
        file.sync_data().trying("syncing the floor's file")?;
        latencies.add(began.elapsed());
        slice.stored += 1;
    }
    slice.time = started.elapsed();
    Ok(slice)
}

fn print(bench: &mut Bench, wish: &Wish, sides: &[Side], version: &str) -> Result<()> {
    let mut rows = Vec::new();
    let mut bars = Vec::new();
    let mut all = Vec::new();
    for side in sides {
        let [p50, p99] = side.latencies.percentiles_ms([50.0, 99.0]);
        let (low, high) = stats::range(&side.ratios);
        let ratio = stats::median(&side.ratios);
        if side.stored == 0 {
            return Err(Failure::Delivery(format!("{}: nothing was stored", side.label)));
        }
        rows.push(vec![
            side.label.to_owned(),
            format!("{:.0}", stats::median(&side.per_second)),
            format!("{ratio:.2}"),
            format!("{low:.2} – {high:.2}"),
            format!("{p50:.2}"),
            format!("{p99:.2}"),
            side.stored.to_string(),
        ]);
        all.push(json!({
            "label": side.label,
            "perSecond": side.per_second,
            "ratios": side.ratios,
            "latencyMs": { "p50": p50, "p99": p99 },
            "stored": side.stored,
        }));
        bars.push((side.label.to_owned(), ratio));
    }
    let columns = vec!["", "stored per s", "per sync of the floor", "range", "p50 ms", "p99 ms", "stored"];
    let title = format!(
        "persist: {} connections, one message of 150 B on its way each, answered when stored, {} s",
        wish.concurrency, wish.seconds
    );
    let notes = [
        version.to_owned(),
        "Per sync of the floor: median over the turns of messages per second divided by those of the floor's slice beside \
         it. More is better."
            .to_owned(),
    ];
    let json = json!({ "concurrency": wish.concurrency, "seconds": wish.seconds, "scores": all });
    bench.report.section(&title, &Table { columns, rows }, &[("messages per sync of the floor", bars)], &notes, json)
}
