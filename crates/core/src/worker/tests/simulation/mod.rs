//! Random operations on a node with tiny limits, and what must hold whatever happens.
//!
//! - Each seed is one run: how many workers, which limits, who does what, and which worker runs when, how far.
//! - Everything that is read is checked while it is read ([`crate::worker::testing`]): I2 no invention, I3 no duplicate, I4 one
//!   order, I5 each offset covered once, I6 no hole where replay meets live, I9 the bounds of queues.
//! - From time to time everybody reads on, the node comes to rest, and everybody must have everything (I12) and the books must
//!   balance (I15). At the end all leave, time passes, and nothing may be kept.
//! - This one sees the insides of a node that never crashes. `tools/sim` drives nodes from outside, over disks that forget.
//!
//! `REALTIME_SEEDS=100000 cargo test -p realtime-connector-core simulation` runs more seeds, `REALTIME_SEED=7` that one alone, and
//! with `REALTIME_TRACE=1` a run that fails ends with what everybody saw last.

mod books;
mod inboxes;
mod past;
mod people;
mod plan;

use std::time::Duration;

use people::Simulation;

/// Seeds of an ordinary test run.
const SEEDS: u64 = 400;
/// Operations of one run.
const OPERATIONS: usize = 400;

fn number(text: Option<&str>) -> Option<u64> {
    text.map(|text| text.parse().expect("a number"))
}

fn run(seed: u64) -> u64 {
    let mut simulation = Simulation::new(seed);
    for operation in 0..OPERATIONS {
        simulation.act();
        simulation.check_bounds();
        if operation % 80 == 79 {
            simulation.check_quiet();
        }
    }
    simulation.check_quiet();
    simulation.leave();
    simulation.node.pass(Duration::from_secs(20 * 60));
    simulation.node.check_rest();
    simulation.node.check_empty();
    simulation.node.digest
}

#[test]
fn whatever_happens_the_promises_hold() {
    let only = number(option_env!("REALTIME_SEED"));
    let count = number(option_env!("REALTIME_SEEDS")).unwrap_or(SEEDS);
    for seed in only.map_or(0..count, |seed| seed..seed + 1) {
        let outcome = std::panic::catch_unwind(|| run(seed));
        if let Err(panic) = outcome {
            println!("REALTIME_SEED={seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_outputs() {
    let mut digests: Vec<u64> = (1_000..1_020).map(run).collect();
    assert_eq!(digests, (1_000..1_020).map(run).collect::<Vec<_>>());
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 20, "different seeds do different things");
}
