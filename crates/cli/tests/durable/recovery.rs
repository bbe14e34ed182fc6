//! Coming back, again and again: nothing twice when nothing happened, and no hole when everything happens at once.

use std::time::Duration;

use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::line::{Provider, Stream};
use crate::node::Node;
use crate::people::{By, Crowd, Listener, Message, Publisher, Random, heads, history};
use sim::checker::Journals;

/// A channel in memory, with room for everybody who is away.
const CONFIG: &str =
    "[history]\nmessages = 1000000\nbytes = \"64MiB\"\n[[rules]]\npattern = \"live:*\"\npersist = false\n";
const RECOVERIES: usize = 100;
/// A message that is in no log, by which a test sees that nothing was before it.
const FENCE: &str = "fence";

/// The next frame is the fence, and moves no position.
async fn expect_fence(node: &Node, stream: &mut Stream, user: &str) {
    node.publish(&json!({"type": FENCE, "userId": user, "ephemeral": true})).await;
    let frame = stream.next().await.expect("it stays").frame;
    assert_eq!((frame["op"].as_str(), frame["type"].as_str()), (Some("message"), Some(FENCE)), "{frame}");
}

#[tokio::test]
async fn a_hundred_recoveries_without_new_messages_deliver_nothing() {
    let mut node = Node::new(CONFIG);
    node.start().await;
    for channel in ["orders", "live:orders"] {
        let last = 5;
        let mut told = json!(null);
        for seq in 1..=last {
            let message = Message { channel: channel.to_owned(), publisher: "server".to_owned(), seq };
            told = node.publish(&message.body()).await;
        }
        let epoch = told["position"]["epoch"].as_str().expect("an epoch").to_owned();
        let since = format!("?channel={channel}&userId=ada&since={epoch}-{last}");
        let mut cursor = None;
        for number in 0..RECOVERIES {
            let mut stream = Stream::websocket(node.addr, &since).await.expect("it listens");
            let connected = stream.next_op("connected").await.expect("it answers").frame;
            let subscription = &connected["subscriptions"][0];
            assert_eq!(
                (&subscription["recovered"], &subscription["head"]),
                (&json!(true), &json!(last)),
                "{connected}"
            );
            expect_fence(&node, &mut stream, "ada").await;

            let query = format!("&channel={channel}&userId=bob");
            let mut stream = Stream::sse(node.addr, &query, cursor.as_deref()).await.expect("it listens");
            let item = stream.next_op("connected").await.expect("it answers");
            let subscriptions = item.frame["subscriptions"].as_array().expect("a list");
            let recovered = subscriptions.iter().find(|it| it["channel"] == channel).expect("its channel");
            assert_eq!(recovered["recovered"], if number == 0 { json!(null) } else { json!(true) }, "{recovered}");
            assert_eq!(recovered["position"]["offset"], last, "{recovered}");
            cursor = item.cursor;
            expect_fence(&node, &mut stream, "bob").await;
        }
    }
    node.stop();
}

/// Messages that each publisher gets through before the test ends.
const MESSAGES: u64 = 6_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovery_while_messages_come_at_full_rate_has_no_hole_and_no_repeat() {
    let mut random = Random::of_this_run();
    let mut node = Node::new(CONFIG);
    node.start().await;
    let channels = ["orders", "live:orders"].map(str::to_owned).to_vec();
    let listeners = [Provider::WebSocket, Provider::Sse, Provider::WebSocket, Provider::Sse].into_iter().enumerate();
    let listeners = listeners.map(|(number, provider)| Listener {
        name: format!("listener-{number} ({provider:?})"),
        addr: node.addr,
        provider,
        channels: channels.clone(),
        restless: Some(random.split()),
    });
    let crowd = Crowd::gather(listeners.collect()).await;
    let (stop, stopped) = watch::channel(false);
    let mut publishers = JoinSet::new();
    for (number, channel) in channels.iter().enumerate() {
        let (name, channels, random) = (format!("publisher-{number}"), vec![channel.clone()], random.split());
        let publisher = Publisher { name, addr: node.addr, by: By::WebSocket, channels, per_second: 20_000, random };
        publishers.spawn(publisher.publish(stopped.clone()));
    }
    while heads(&node, &channels).await.values().any(|head| *head < MESSAGES) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send_replace(true);
    let mut journals = Journals::default();
    while let Some(ended) = publishers.join_next().await {
        journals.sent.extend(ended.expect("a good publisher"));
    }
    let came = crowd.came();
    journals.heard = crowd.hear_out(&node, &channels).await;
    for channel in &channels {
        journals.heard.push(history(&node, channel).await);
    }
    node.stop();
    let verdict = journals.check();
    println!(
        "{came} recoveries, {} acknowledged, {} heard, {} repeated",
        verdict.acknowledged, verdict.heard, verdict.repeats
    );
    verdict.assert_flawless();
    assert!(came > RECOVERIES, "only {came} recoveries");
}
