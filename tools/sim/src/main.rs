//! `cargo run --release -p sim -- --seeds 200`: runs seeds and says which of them break a promise.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use sim::Detail;
use sim::report::{Summary, json_of, regressions, write_failure};

/// Between two words about how far it is.
const PROGRESS: Duration = Duration::from_secs(2);

/// Simulates nodes, disks and clients, and checks what they are promised. Each seed is one run; the same seed is the same run.
#[derive(Debug, Parser)]
#[command(name = "sim", version)]
struct Cli {
    /// Runs so many seeds, and before them those that have failed once.
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Runs this seed alone.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Shows everything that happens in that run.
    #[arg(long, requires = "seed")]
    trace: bool,
    /// Stops at the first seed that fails.
    #[arg(long)]
    first: bool,
    /// Prints one JSON object per seed, and one about all.
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match work(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            let _ = writeln!(io::stderr(), "sim: {error}");
            ExitCode::from(2)
        }
    }
}

fn work(cli: &Cli) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let detail = if cli.trace { Detail::All } else { Detail::Digest };
    let seeds: Vec<u64> = match cli.seed {
        Some(seed) => vec![seed],
        None => regressions().map(|it| it.0).chain(cli.from..cli.from.saturating_add(cli.seeds)).collect(),
    };
    let mut summary = Summary::default();
    let (begun, mut told) = (Instant::now(), Instant::now());
    for (index, seed) in seeds.iter().enumerate() {
        let run = sim::run(*seed, detail);
        summary.add(&run);
        if cli.json {
            writeln!(out, "{}", json_of(&run))?;
        } else if !run.is_good() {
            write_failure(&mut out, &run)?;
        } else if cli.seed.is_some() {
            writeln!(out, "seed {seed}: {} bytes, digest {:016x}", run.bytes, run.digest)?;
        }
        if cli.first && !run.is_good() {
            break;
        }
        if told.elapsed() >= PROGRESS {
            told = Instant::now();
            let (done, rate) = (index + 1, (index + 1) as f64 / begun.elapsed().as_secs_f64());
            let failed = summary.failed.len();
            writeln!(io::stderr(), "{done} of {} seeds, {rate:.0} a second, {failed} failed", seeds.len())?;
        }
    }
    if cli.json {
        writeln!(out, "{}", summary.json())?;
    } else {
        summary.write(&mut out)?;
    }
    Ok(summary.failed.is_empty())
}
