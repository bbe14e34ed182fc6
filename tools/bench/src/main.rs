//! Load generator: measures our server and its peers against the bare system calls, in the same run.
//!
//! One process, one thread, real sockets on loopback. Every message of every round is confirmed on every connection, in
//! order; a run that loses one fails. See `docs/performance.md` for what the figures mean.

mod check;
mod child;
mod cli;
mod conn;
mod contest;
mod failure;
mod floor;
mod guard;
mod http;
mod lanes;
mod limits;
mod load;
mod modes;
mod payload;
mod peers;
mod procfs;
mod publisher;
mod report;
mod sse;
mod stats;
mod ws;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Common, Wish};
use failure::{Failure, Result};
use guard::Guard;
use modes::Bench;
use peers::{Setup, Wanted};
use report::{Progress, Report};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(io::stderr(), "\nbench: {failure}");
            ExitCode::from(match failure {
                Failure::Delivery(_) | Failure::RatioExceeded(_) => 1,
                // As a shell reports SIGINT.
                Failure::Interrupted => 130,
                Failure::Skip(_)
                | Failure::DoesNotFit(_)
                | Failure::TimeLimit(_)
                | Failure::Protocol(_)
                | Failure::Io { .. } => 2,
            })
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    let wish = cli.command.wish();
    if let Wish::Floor { port } = wish {
        return floor::serve(port);
    }
    let mut bench = prepare(&cli.common, &wish)?;
    match wish {
        Wish::Fanout(wish) => modes::fanout::run(&mut bench, &wish)?,
        Wish::Idle(wish) => modes::idle::run(&mut bench, &wish)?,
        Wish::Connect(wish) => modes::connect::run(&mut bench, &wish)?,
        Wish::Slow(wish) => modes::slow::run(&mut bench, &wish)?,
        Wish::Persist(wish) => modes::persist::run(&mut bench, &wish)?,
        Wish::Recover(wish) => modes::recover::run(&mut bench, &wish)?,
        Wish::Peers(wish) => modes::compare::run(&mut bench, &wish)?,
        Wish::Floor { .. } => {}
    }
    if let Some(path) = &cli.common.json {
        bench.report.save(path)?;
    }
    match (cli.common.max_ratio, &bench.worst) {
        (Some(limit), Some((label, ratio))) if *ratio > limit => {
            Err(Failure::RatioExceeded(format!("{label}: ratio {ratio:.2} is above {limit}")))
        }
        _ => Ok(()),
    }
}

fn prepare(common: &Common, wish: &Wish) -> Result<Bench> {
    let descriptors = limits::raise()?;
    let against = match (common.floor_only, common.against.as_slice(), wish) {
        (true, _, _) => Vec::new(),
        (false, [], Wish::Peers(_)) => Wanted::ALL.to_vec(),
        (false, [], _) => vec![Wanted::Server],
        (false, named, _) => named.to_vec(),
    };
    let mut bench = Bench {
        setup: Setup {
            guard: Guard::install(common.limit_s)?,
            descriptors,
            server: common.server.clone(),
            server_args: common.server_args.clone(),
            publish_by: common.publish,
        },
        against,
        transports: common.transport.list(),
        report: Report::default(),
        progress: Progress::new(),
        worst: None,
    };
    bench.report.line(&report::machine_line())?;
    Ok(bench)
}
