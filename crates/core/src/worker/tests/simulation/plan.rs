//! How a run is set up: limits so tiny that everything is reached.

use std::time::Duration;

use super::inboxes;
use crate::options::{Bounds, HistoryOptions, Options, Retention, Rule};
use crate::pattern::Pattern;
use crate::worker::testing::{Plan, Rng};

pub(super) fn plan(rng: &mut Rng) -> Plan {
    let channels = 2 + rng.below(4) as u32;
    let options = Options {
        channels_per_connection: channels,
        outbox_records: 1 + rng.below(6) as u32,
        outbox_bytes: if rng.percent(30) { 600 } else { 100_000 },
        history_total_bytes: if rng.percent(20) { 3_000 } else { 1_000_000 },
        history: HistoryOptions {
            records: rng.below(13) as u32,
            bytes: if rng.percent(20) { 1_500 } else { 1_000_000 },
            age: Duration::from_secs(*rng.pick(&[5, 60, 600])),
        },
        bounds: Bounds {
            credits: channels + 4 + rng.below(6) as u32,
            deliveries: 1 + rng.below(8) as u32,
            delivery_bytes: if rng.percent(20) { 500 } else { 100_000 },
            page_records: 1 + rng.below(4),
            // `$all`, users and five names spread over the workers: sometimes one of them is full.
            channels: if rng.percent(20) { 2 } else { 100 },
            walk_steps: 1,
        },
        rules: rules(rng),
        retention: rng.percent(30).then(Retention::default),
        inbox: inboxes::options(rng),
        ..Options::default()
    };
    let log_failures = if rng.percent(30) { 20 } else { 0 };
    Plan {
        workers: 1 + rng.below(4),
        seed: rng.number(),
        steady: false,
        late_log: rng.percent(40),
        log_failures,
        batch: 1 + rng.below(8),
        options,
    }
}

/// Some channels are persisted, some keep the latest message of each key, and how much of them is in memory differs.
fn rules(rng: &mut Rng) -> Vec<Rule> {
    let rule = |name: &str, rng: &mut Rng| Rule {
        pattern: Pattern::parse(name).expect("a pattern"),
        history: HistoryOptions { records: rng.below(9) as u32, ..HistoryOptions::default() },
        message_events: false,
        retention: rng.percent(70).then(Retention::default),
        latest_per_key: rng.percent(30),
    };
    let mut rules = Vec::new();
    for name in ["c", "d", "e"] {
        if rng.percent(60) {
            rules.push(rule(name, rng));
        }
    }
    rules
}
