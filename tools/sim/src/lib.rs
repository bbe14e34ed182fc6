//! A simulator of nodes, disks and clients, and the checker of what they are promised.
//!
//! A seed is a run: how many nodes and workers, how small their bounds, who connects how, what people do, and what goes wrong. Nodes
//! are driven by the public interface of core, as the server's engine drives it; the disk under them keeps the contract of the
//! store and forgets what was not synced. Time is virtual, everything random comes from the seed, and the same seed gives the same
//! bytes.
//!
//! | module | what it holds |
//! |---|---|
//! | [`checker`] | journals and a checker for each invariant; the tests with real processes use it too |
//! | `model` | what stands where, as the logs alone say: what clients hear is compared with it at once |
//! | `disk` | a log that is late, refuses, breaks, and loses what was not synced |
//! | `node` | K workers, their queues and connections: what the server's engine does, without sockets |
//! | `world` | the clock, people and faults |
//! | [`report`] | seeds one after the other, and what is said about them |
//!
//! What is not simulated yet: nodes that know each other (a run with several has one disk, clock and set of clients for each), inboxes
//! (the other half of I8; `world/operations.rs` says where they go), and channels that keep the latest message of a key.

pub mod checker;
mod disk;
mod model;
mod node;
mod plan;
pub mod report;
mod rng;
mod trace;
mod world;

pub use trace::Detail;

use std::panic::{AssertUnwindSafe, catch_unwind};

use checker::Verdict;
use world::World;

/// Lines of a trace that are shown of a run that failed.
const TAIL_LINES: usize = 60;

/// What came of a seed.
#[derive(Debug)]
pub struct Run {
    /// The seed.
    pub seed: u64,
    /// What the checker says.
    pub verdict: Verdict,
    /// A hash over every byte that was written and every answer.
    pub digest: u64,
    /// How many bytes that were.
    pub bytes: u64,
    /// Events of the simulation.
    pub events: u64,
    /// Times a node crashed.
    pub crashes: u64,
    /// Connections there were.
    pub connections: u64,
    /// The end of the trace, if it was asked for.
    pub tail: Vec<String>,
}

impl Run {
    /// Whether everything was as promised.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.verdict.violations.is_empty()
    }
}

/// Runs a seed. A panic, of core or of the simulator, is a violation like any other.
#[must_use]
pub fn run(seed: u64, detail: Detail) -> Run {
    let mut world = World::new(seed, detail);
    let panic = catch_unwind(AssertUnwindSafe(|| world.run())).err();
    let broken = panic.map(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        format!("panic: {}", text.unwrap_or("without a word"))
    });
    let outcome = world.end(broken);
    let mut tail = outcome.tail;
    tail.drain(..tail.len().saturating_sub(TAIL_LINES));
    Run {
        seed,
        verdict: outcome.verdict,
        digest: outcome.digest,
        bytes: outcome.bytes,
        events: outcome.events,
        crashes: outcome.crashes,
        connections: outcome.connections,
        tail,
    }
}
