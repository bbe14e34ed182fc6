//! Killed at any moment: what was acknowledged is there, for everybody, and nobody has to do anything about it.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::line::Provider;
use crate::node::Node;
use crate::people::{By, Crowd, Listener, Publisher, Random, history};
use sim::checker::Journals;

const ROUNDS: u32 = 20;
const PER_SECOND: u32 = 200;
/// The longest life between two kills.
const LIFE_MS_MAX: u64 = 1_400;
/// A process that is killed while it starts lives at most so long.
const START_MS_MAX: u64 = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_twenty_kills_and_every_subscriber_goes_on() {
    let mut random = Random::of_this_run();
    let channels = ["orders", "chat", "prices"].map(str::to_owned).to_vec();
    let mut node = Node::new("");
    node.start().await;
    let providers = [Provider::WebSocket, Provider::Sse];
    let listeners = (0..6).map(|number| Listener {
        name: format!("listener-{number} ({:?})", providers[number % 2]),
        addr: node.addr,
        provider: providers[number % 2],
        channels: channels.clone(),
        restless: None,
    });
    let crowd = Crowd::gather(listeners.collect()).await;
    let (stop, stopped) = watch::channel(false);
    let mut publishers = JoinSet::new();
    for (number, by) in [By::Http, By::WebSocket, By::Http, By::WebSocket].into_iter().enumerate() {
        let (name, channels, random) = (format!("publisher-{number}"), channels.clone(), random.split());
        let publisher = Publisher { name, addr: node.addr, by, channels, per_second: PER_SECOND, random };
        publishers.spawn(publisher.publish(stopped.clone()));
    }
    let mut longest = Duration::ZERO;
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(random.below(LIFE_MS_MAX))).await;
        node.kill();
        if random.below(4) == 0 {
            node.spawn();
            tokio::time::sleep(Duration::from_millis(random.below(START_MS_MAX))).await;
            node.kill();
        }
        longest = longest.max(node.start().await);
    }
    stop.send_replace(true);
    let mut journals = Journals::default();
    while let Some(ended) = publishers.join_next().await {
        journals.sent.extend(ended.expect("a good publisher"));
    }
    journals.heard = crowd.hear_out(&node, &channels).await;
    for channel in &channels {
        journals.heard.push(history(&node, channel).await);
    }
    node.stop();
    let stored = node.check_store();
    let verdict = journals.check();
    println!(
        "{ROUNDS} kills: {} attempts, {} acknowledged, {stored} stored, {} heard, {} repeated after a cut",
        journals.sent.len(),
        verdict.acknowledged,
        verdict.heard,
        verdict.repeats
    );
    println!("the longest time from a start to ready: {longest:?}");
    verdict.assert_flawless();
    assert!(verdict.acknowledged > ROUNDS as usize, "too little happened");
}
