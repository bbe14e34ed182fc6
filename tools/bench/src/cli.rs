//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::modes::{compare, connect, fanout, idle, persist, recover, slow};
use crate::peers::{PublishBy, Transport, Wanted};

/// Measures how much a realtime server costs beyond the bare system calls: CPU per delivered message, memory per idle
/// connection, cost of a connection, isolation from slow readers. The floor (bare `send` and `writev`) is always measured
/// in the same run; quote the ratio, absolute times belong to one machine.
#[derive(Debug, Parser)]
#[command(name = "bench", version)]
pub(crate) struct Cli {
    /// What to measure.
    #[command(subcommand)]
    pub(crate) command: Command,
    /// For every command.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Options of every command.
#[derive(Args, Debug)]
pub(crate) struct Common {
    /// Our own server's binary.
    #[arg(long, global = true, default_value = "target/release/realtime-connector")]
    pub(crate) server: PathBuf,
    /// A further argument for it; may be repeated.
    #[arg(long = "server-arg", global = true, allow_hyphen_values = true)]
    pub(crate) server_args: Vec<String>,
    /// How our own server is published to.
    #[arg(long, global = true, default_value = "http")]
    pub(crate) publish: PublishBy,
    /// Over what subscribers are connected.
    #[arg(long, global = true, default_value = "both")]
    pub(crate) transport: Transports,
    /// Whom to measure beside the floor; may be repeated. `peers` measures all unless told otherwise.
    #[arg(long, global = true)]
    pub(crate) against: Vec<Wanted>,
    /// Measure only the floor.
    #[arg(long, global = true, conflicts_with = "against")]
    pub(crate) floor_only: bool,
    /// Write everything to this file.
    #[arg(long, global = true)]
    pub(crate) json: Option<PathBuf>,
    /// Fail if a ratio is above this one.
    #[arg(long, global = true)]
    pub(crate) max_ratio: Option<f64>,
    /// Seconds after which the whole run is given up.
    #[arg(long, global = true, default_value_t = 900)]
    pub(crate) limit_s: u64,
}

/// One transport or both.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Transports {
    /// WebSocket.
    Ws,
    /// Server-Sent Events.
    Sse,
    /// One after the other.
    Both,
}

impl Transports {
    /// As a list.
    pub(crate) fn list(self) -> Vec<Transport> {
        match self {
            Self::Ws => vec![Transport::Ws],
            Self::Sse => vec![Transport::Sse],
            Self::Both => vec![Transport::Ws, Transport::Sse],
        }
    }
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// CPU per delivered message: one message to all (latency) or bursts of 64 (saturation).
    Fanout {
        /// Which of the two.
        #[arg(long, default_value = "latency")]
        mode: fanout::Mode,
        /// Subscribers of each contestant [default: 1000 for latency, 2000 for saturation].
        #[arg(long)]
        connections: Option<usize>,
        /// How long each contestant is measured.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// At most so many rounds in each slice of half a second.
        #[arg(long, default_value_t = u32::MAX)]
        rounds: u32,
        /// Pause between drains in microseconds; 0 drains as data comes and charges the server for waking us.
        #[arg(long, default_value_t = 1000)]
        nap_us: u64,
    },
    /// Growth of the server's resident memory per idle connection.
    Idle(IdleArgs),
    /// Connections per second and CPU per connection, opened and closed.
    Connect {
        /// Connections under way at a time.
        #[arg(long, default_value_t = 100)]
        window: usize,
        /// How long each contestant is measured.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
    },
    /// Healthy readers beside some that never read.
    Slow {
        /// Readers that read.
        #[arg(long, default_value_t = 200)]
        healthy: usize,
        /// Readers that do not.
        #[arg(long, default_value_t = 50)]
        stalled: usize,
        /// Seconds of each phase.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// Pairs of phases (without and with stalled readers).
        #[arg(long, default_value_t = 3)]
        pairs: u32,
        /// Messages published every 10 ms.
        #[arg(long, default_value_t = 4)]
        per_tick: u32,
    },
    /// Publishes per second that are answered when they are on the disk, beside one sync per message.
    Persist {
        /// Connections that publish, each with one message on its way.
        #[arg(long, default_value_t = 64)]
        concurrency: usize,
        /// How long each is measured.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Where store and floor write; a disk, or the figures mean nothing [default: the temporary directory].
        #[arg(long)]
        disk: Option<PathBuf>,
    },
    /// Many subscribers that recover one channel after a restart: reads of the store, time until all are current.
    Recover {
        /// Subscribers.
        #[arg(long, default_value_t = 10_000)]
        connections: usize,
        /// Messages that each of them missed.
        #[arg(long, default_value_t = 200)]
        messages: u32,
    },
    /// The whole comparison: latency, saturation and idle memory of all peers.
    Peers {
        /// How long each contestant is measured in each mode.
        #[arg(long, default_value_t = 8)]
        seconds: u64,
        /// For the memory part.
        #[command(flatten)]
        idle: IdleArgs,
    },
    /// The floor's own process.
    #[command(hide = true)]
    FloorServer {
        /// On 127.0.0.1.
        #[arg(long)]
        port: u16,
    },
}

/// Options of the memory measurement.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct IdleArgs {
    /// Idle connections.
    #[arg(long, default_value_t = 19_000)]
    pub(crate) connections: usize,
    /// Of these, opened before memory is read first.
    #[arg(long, default_value_t = 500)]
    pub(crate) warm_up: usize,
    /// Connections without a user (by default each has one of its own).
    #[arg(long)]
    pub(crate) anonymous: bool,
}

impl IdleArgs {
    /// As the mode wants it.
    pub(crate) fn wish(self) -> idle::Wish {
        idle::Wish { connections: self.connections, warm_up: self.warm_up, users: !self.anonymous }
    }
}

/// What `fanout` is asked for with the defaults of its mode.
pub(crate) fn fanout_wish(mode: fanout::Mode, seconds: u64) -> fanout::Wish {
    let nap = Duration::from_millis(1);
    fanout::Wish { mode, connections: mode.connections(), seconds, rounds_max: u32::MAX, nap }
}

/// Any of the measurements.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    /// See the mode.
    Fanout(fanout::Wish),
    /// See the mode.
    Idle(idle::Wish),
    /// See the mode.
    Connect(connect::Wish),
    /// See the mode.
    Slow(slow::Wish),
    /// See the mode.
    Persist(persist::Wish),
    /// See the mode.
    Recover(recover::Wish),
    /// See the mode.
    Peers(compare::Wish),
    /// Not a measurement.
    Floor {
        /// Its port.
        port: u16,
    },
}

impl Command {
    /// As the modes want it.
    pub(crate) fn wish(&self) -> Wish {
        match *self {
            Self::Persist { concurrency, seconds, ref disk } => {
                Wish::Persist(persist::Wish { concurrency: concurrency.max(1), seconds, disk: disk.clone() })
            }
            Self::Recover { connections, messages } => Wish::Recover(recover::Wish { connections, messages }),
            Self::Fanout { mode, connections, seconds, rounds, nap_us } => Wish::Fanout(fanout::Wish {
                mode,
                connections: connections.unwrap_or(mode.connections()),
                seconds,
                rounds_max: rounds.max(1),
                nap: Duration::from_micros(nap_us),
            }),
            Self::Idle(args) => Wish::Idle(args.wish()),
            Self::Connect { window, seconds } => Wish::Connect(connect::Wish { window, seconds }),
            Self::Slow { healthy, stalled, seconds, pairs, per_tick } => {
                Wish::Slow(slow::Wish { healthy, stalled, seconds, pairs, per_tick })
            }
            Self::Peers { seconds, idle } => Wish::Peers(compare::Wish {
                latency: fanout_wish(fanout::Mode::Latency, seconds),
                saturation: fanout_wish(fanout::Mode::Saturation, seconds),
                idle: idle.wish(),
            }),
            Self::FloorServer { port } => Wish::Floor { port },
        }
    }
}
