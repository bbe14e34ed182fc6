//! Seeds in an ordinary test run: those that have failed once, a few hundred others, and that a seed is a run.

use std::collections::BTreeSet;

use sim::report::{Summary, regressions, write_failure};
use sim::{Detail, run};

/// Seeds of an ordinary test run; the program runs any number.
const SEEDS: u64 = 200;
/// Seeds that are run twice.
const TWICE: u64 = 10;

fn check(seeds: impl Iterator<Item = u64>) -> Summary {
    let mut summary = Summary::default();
    for seed in seeds {
        let run = run(seed, Detail::Digest);
        summary.add(&run);
        if !run.is_good() {
            let mut report = Vec::new();
            write_failure(&mut report, &run).expect("memory takes everything");
            panic!("{}", String::from_utf8_lossy(&report));
        }
    }
    summary
}

#[test]
fn whatever_happens_the_promises_hold() {
    let summary = check(0..SEEDS);
    // A run in which nothing happens proves nothing.
    let figures = summary.json();
    for figure in ["crashes", "connections", "acknowledged", "heard", "toldLosses", "repeats", "handedOutAgain", "dead"]
    {
        assert!(figures[figure].as_u64().is_some_and(|figure| figure >= SEEDS / 8), "{figure}: {figures}");
    }
}

#[test]
fn seeds_that_have_failed_once_do_not_fail_again() {
    check(regressions().map(|(seed, _)| seed));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let digests = || (0..TWICE).map(|seed| run(seed, Detail::Digest)).map(|run| (run.digest, run.bytes, run.events));
    assert_eq!(digests().collect::<Vec<_>>(), digests().collect::<Vec<_>>());
    let different: BTreeSet<_> = digests().collect();
    assert_eq!(different.len() as u64, TWICE, "different seeds do different things");
}

#[test]
fn looking_at_a_run_does_not_change_it() {
    let seed = SEEDS + 1;
    let (plain, traced) = (run(seed, Detail::Digest), run(seed, Detail::Tail));
    assert_eq!((plain.digest, plain.bytes, plain.events), (traced.digest, traced.bytes, traced.events));
    assert!(plain.tail.is_empty() && !traced.tail.is_empty());
}
