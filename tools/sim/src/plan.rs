//! What a seed decides before anything happens: how many of everything, how small the bounds, how bad the luck.

use std::time::Duration;

use realtime_connector_core::options::{Bounds, HistoryOptions, Options, Retention, Rule};
use realtime_connector_core::pattern::Pattern;

use crate::disk::Manners;
use crate::rng::Rng;

/// Named channels: two are stored, one is in memory, and the last one is what the node's default says.
pub(crate) const CHANNELS: [&str; 4] = ["orders", "chat", "live", "news"];
const STORED: [&str; 2] = ["orders", "chat"];
const IN_MEMORY: &str = "live";

/// How a run is set up.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    /// Of one life of a node, at most.
    pub(crate) workers_max: u64,
    pub(crate) people: usize,
    /// How long things happen and go wrong.
    pub(crate) active_us: u64,
    /// Between two things that one person does, at most.
    pub(crate) pause_us_max: u64,
    /// How long somebody who was cut off stays away, at most.
    pub(crate) away_us_max: u64,
    pub(crate) options: Options,
    /// The ring of channels in memory is so small that a reader may lose what was there a moment ago.
    pub(crate) tight_memory: bool,
    /// The same for stored channels: little is kept, or records are damaged.
    pub(crate) tight_store: bool,
    pub(crate) damages: bool,
    pub(crate) manners: Manners,
    /// Between two faults, at most; `None` for a lucky run.
    pub(crate) fault_us_max: Option<u64>,
}

impl Plan {
    pub(crate) fn new(rng: &mut Rng) -> Self {
        let tight_memory = rng.percent(35);
        let damages = rng.percent(8);
        let few_kept = rng.percent(12);
        let default_is_stored = rng.percent(50);
        // Some runs are long enough for ids, sessions and idle channels to be forgotten.
        let is_long = rng.percent(15);
        let active_us = if is_long { rng.within(200, 900) } else { rng.within(5, 40) } * 1_000_000;
        let people = rng.within(3, 16) as usize;
        // A run of any length does about as much.
        let operations = *rng.pick(&[300, 600, 1_200, 2_400]);
        Self {
            nodes: if rng.percent(15) { 2 } else { 1 },
            workers_max: rng.within(1, 4),
            people,
            active_us,
            pause_us_max: 2 * active_us * people as u64 / operations,
            away_us_max: if is_long { *rng.pick(&[1_500_000, 30_000_000, 250_000_000]) } else { 1_500_000 },
            options: options(rng, tight_memory, few_kept, default_is_stored),
            tight_memory,
            tight_store: few_kept || damages,
            damages,
            manners: manners(rng),
            fault_us_max: rng.percent(85).then(|| active_us / rng.within(1, 8)),
        }
    }
}

fn manners(rng: &mut Rng) -> Manners {
    Manners {
        delay_us_max: *rng.pick(&[0, 500, 5_000, 60_000]),
        refuse_percent: *rng.pick(&[0, 0, 0, 2, 10]),
        break_permille: *rng.pick(&[0, 0, 5, 20]),
        full: false,
    }
}

fn options(rng: &mut Rng, tight_memory: bool, few_kept: bool, default_is_stored: bool) -> Options {
    let channels = 4 + rng.below(3) as u32;
    let retention =
        if few_kept { Retention { records: rng.within(5, 40), ..Retention::default() } } else { Retention::default() };
    let history = HistoryOptions {
        records: if tight_memory { rng.below(20) as u32 } else { 2_000 },
        bytes: if tight_memory && rng.percent(30) { 2_000 } else { 4_000_000 },
        age: Duration::from_secs(if tight_memory { rng.within(2, 60) } else { 600 }),
    };
    let rule = |name: &str, history: HistoryOptions, retention: Option<Retention>| Rule {
        pattern: Pattern::parse(name).expect("a pattern"),
        history,
        retention,
        latest_per_key: false,
        message_events: false,
    };
    // What is stored is read from the disk as soon as it has left a small ring.
    let ring = HistoryOptions { records: rng.below(12) as u32, ..HistoryOptions::default() };
    let mut rules: Vec<Rule> = STORED.iter().map(|name| rule(name, ring, Some(retention))).collect();
    rules.push(rule(IN_MEMORY, history, None));
    Options {
        channels_per_connection: channels,
        outbox_records: rng.within(1, 12) as u32,
        outbox_bytes: if rng.percent(20) { 900 } else { 200_000 },
        history_total_bytes: if tight_memory && rng.percent(20) { 4_000 } else { 50_000_000 },
        history: if default_is_stored { ring } else { history },
        retention: default_is_stored.then_some(retention),
        // What is acked is not simulated yet.
        inbox: None,
        rules,
        bounds: Bounds {
            credits: channels + 4 + rng.below(8) as u32,
            deliveries: rng.within(1, 16) as u32,
            delivery_bytes: if rng.percent(20) { 800 } else { 200_000 },
            page_records: rng.within(1, 8) as usize,
            channels: 1_000,
            walk_steps: 1,
        },
        ..Options::default()
    }
}
