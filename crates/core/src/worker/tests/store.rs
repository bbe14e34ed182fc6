//! Crowds at the store: how much is asked of it at once, and what happens while it does not answer.

use std::time::Duration;

use crate::limits;
use crate::options::{HistoryOptions, Retention, Rule};
use crate::pattern::Pattern;
use crate::worker::testing::{Node, Plan};

const CHANNELS: usize = 200;

/// A node with stored channels, of which nothing but the newest message lies in memory.
fn node(workers: usize) -> Node {
    let mut plan = Plan { late_log: true, ..Plan::steady(workers) };
    plan.options.rules.push(Rule {
        pattern: Pattern::parse("c:*").expect("a pattern"),
        history: HistoryOptions { records: 1, ..HistoryOptions::default() },
        message_events: false,
        retention: Some(Retention::default()),
        latest_per_key: false,
    });
    let mut node = Node::new(plan);
    for number in 0..CHANNELS {
        for _ in 0..3 {
            node.publish_by_call(&format!("c:{number} x"));
            node.settle();
        }
    }
    node.answers.clear();
    node
}

/// Somebody comes back to each channel.
fn come_back(node: &mut Node) -> Vec<usize> {
    let clients = (0..CHANNELS).map(|number| node.join_with("ada", &format!("c:{number}@0"))).collect();
    node.settle();
    clients
}

fn read(node: &Node, clients: &[usize]) -> u64 {
    clients.iter().map(|client| node.clients[*client].messages_written).sum()
}

/// The store refused what was too much, and each worker asked again for all of it twice a second.
#[test]
fn a_crowd_that_comes_back_asks_the_store_for_no_more_than_it_takes() {
    for workers in [1, 4] {
        let mut node = node(workers);
        node.log_stalls = true;
        let clients = come_back(&mut node);
        assert_eq!(node.reads_most, limits::LOG_READS);
        node.log_stalls = false;
        node.settle();
        assert_eq!(read(&node, &clients), 3 * CHANNELS as u64, "everybody has everything, and no time has passed");
        assert_eq!(node.reads_most, limits::LOG_READS);
        node.check_rest();
    }
}

/// Each attempt left one more deadline behind than there was.
#[test]
fn a_store_that_stays_away_is_asked_again_at_its_pace() {
    let mut node = node(1);
    node.plan.log_failures = 100;
    let clients = come_back(&mut node);
    let before = node.workers[0].deadlines();
    node.pass(Duration::from_secs(5));
    let asked = node.workers[0].figures().log_reads;
    node.pass(Duration::from_secs(60));
    let again = node.workers[0].figures().log_reads - asked;
    let attempts = 60_000 / limits::LOG_RETRY.as_millis() as u64;
    assert!(again <= attempts * CHANNELS as u64, "{again} questions in {attempts} attempts");
    let deadlines = node.workers[0].deadlines();
    assert!(deadlines <= before + CHANNELS, "{deadlines} deadlines, {before} before");
    node.plan.log_failures = 0;
    node.pass(limits::LOG_RETRY);
    assert_eq!(read(&node, &clients), 3 * CHANNELS as u64);
    node.check_rest();
}
