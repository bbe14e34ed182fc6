//! Clocks that jump and a process that is frozen: no offset, no order, no connection suffers from it.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use crate::line::Provider;
use crate::node::Node;
use crate::people::{Crowd, Listener, Message, history};
use sim::checker::Journals;

/// Heartbeats so short that a frozen process misses many.
const HEARTBEATS: &str =
    "[providers.websocket]\nheartbeatInterval = \"500ms\"\n[providers.sse]\nheartbeatInterval = \"500ms\"\n";
/// Longer than the 10 s after which a WebSocket that does not answer a Ping is gone.
const FROZEN: Duration = Duration::from_secs(12);
/// Several heartbeats, in which a server that misjudged its clients would disconnect them.
const AFTERWARDS: Duration = Duration::from_secs(3);
const CHANNEL: &str = "orders";

/// A library that gives a process another clock.
fn faketime() -> Option<PathBuf> {
    let folders = fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok).map(|entry| entry.path());
    let folders = folders.chain([PathBuf::from("/usr/lib")]);
    folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

async fn gather(node: &Node, count: usize) -> Crowd {
    let listeners = [Provider::WebSocket, Provider::Sse].into_iter().cycle().take(count).enumerate();
    let listeners = listeners.map(|(number, provider)| Listener {
        name: format!("listener-{number} ({provider:?})"),
        addr: node.addr,
        provider,
        channels: vec![CHANNEL.to_owned()],
        restless: None,
    });
    Crowd::gather(listeners.collect()).await
}

fn message(seq: u64) -> Message {
    Message { channel: CHANNEL.to_owned(), publisher: "server".to_owned(), seq }
}

async fn publish(node: &Node, journals: &mut Journals, seqs: std::ops::Range<u64>) {
    for seq in seqs {
        let answer = node.publish(&message(seq).body()).await;
        journals.sent.push(message(seq).sent(Some((&answer, true))));
    }
}

/// Everybody is still on their first connection, and has heard everything.
async fn finish(node: &mut Node, crowd: Crowd, mut journals: Journals, count: usize) {
    tokio::time::sleep(AFTERWARDS).await;
    assert_eq!(crowd.came(), count, "nobody was disconnected");
    journals.heard = crowd.hear_out(node, &[CHANNEL.to_owned()]).await;
    journals.heard.push(history(node, CHANNEL).await);
    node.stop();
    node.check_store();
    journals.check().assert_flawless();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_changes_nothing_but_the_time_told() {
    let Some(library) = faketime() else {
        eprintln!("SKIPPED a_clock_that_jumps_changes_nothing_but_the_time_told: no faketime here");
        return;
    };
    let mut node = Node::new(HEARTBEATS);
    let clock = node.folder().join("clock");
    fs::write(&clock, "+0").expect("a file");
    node.environment = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec();
    node.start().await;
    let count = 10;
    let crowd = gather(&node, count).await;
    let mut journals = Journals::default();
    publish(&node, &mut journals, 0..10).await;
    let time = node.publish(&json!({"type": "t", "channel": "aside"})).await;
    for (index, jump) in (1..).zip(["+1h", "-1h", "+10y", "+0"]) {
        fs::write(&clock, jump).expect("a file");
        let from = index * 10;
        publish(&node, &mut journals, from..from + 10).await;
        // An id is remembered for five minutes, whatever the clock on the wall says.
        let again = node.publish(&message(from - 1).body()).await;
        assert_eq!(again["duplicate"], true, "{jump}: {again}");
        journals.sent.push(message(from - 1).sent(Some((&again, true))));
        tokio::time::sleep(AFTERWARDS / 4).await;
    }
    let page = node.http("GET", &format!("/api/history?channel={CHANNEL}&limit=50"), None).await.json();
    let times: Vec<u64> =
        page["messages"].as_array().expect("a list").iter().filter_map(|it| it["time"].as_u64()).collect();
    let (first, last) = (times.iter().min().expect("messages"), times.iter().max().expect("messages"));
    assert!(last - first > 9 * 365 * 86_400 * 1_000, "the clock has jumped: {first} to {last}; {time}");
    finish(&mut node, crowd, journals, count).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_was_frozen_disconnects_nobody_and_loses_nothing() {
    let mut node = Node::new(HEARTBEATS);
    node.start().await;
    let count = 200;
    let crowd = gather(&node, count).await;
    let mut journals = Journals::default();
    publish(&node, &mut journals, 0..20).await;
    node.signal("-STOP");
    // A client publishes meanwhile, and is answered afterwards.
    let body = message(20).body();
    let waiting = node.http("POST", "/api/broadcast", Some(&body));
    let (answer, ()) = tokio::join!(waiting, async {
        tokio::time::sleep(FROZEN).await;
        node.signal("-CONT");
    });
    assert_eq!(answer.status, 200, "{}", answer.text());
    journals.sent.push(message(20).sent(Some((&answer.json(), true))));
    publish(&node, &mut journals, 21..40).await;
    finish(&mut node, crowd, journals, count).await;
}
