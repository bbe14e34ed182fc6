//! Thousands who come back at once to one channel of a server that was restarted: the store is read once for all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::line::{Provider, Stream};
use crate::node::Node;

/// Clients, half of them on each provider. Each needs a descriptor here and one in the server.
const CLIENTS: usize = 2_000;
/// Connections that may be on their way in at the same time.
const HANDSHAKES: usize = 128;
const MESSAGES: usize = 300;
/// Messages that one read of the store brings.
const BLOCK: usize = 64;
/// Reads beyond the blocks there are: one that was cut short and asked for again.
const SPARE: usize = 2;

/// Where a client goes on.
#[derive(Clone, Debug)]
enum Place {
    Since(String),
    Cursor(String),
}

impl Place {
    async fn open(&self, node: std::net::SocketAddr) -> Stream {
        let stream = match self {
            Self::Since(position) => Stream::websocket(node, &format!("?channel=news&since={position}")).await,
            Self::Cursor(cursor) => Stream::sse(node, "&channel=news", Some(cursor)).await,
        };
        stream.expect("it listens")
    }
}

/// Connects once, to have something to come back with.
async fn place(node: std::net::SocketAddr, provider: Provider) -> Place {
    let stream = match provider {
        Provider::WebSocket => Stream::websocket(node, "?channel=news").await,
        Provider::Sse => Stream::sse(node, "&channel=news", None).await,
    };
    let item = stream.expect("it listens").next_op("connected").await.expect("it answers");
    let position = &item.frame["subscriptions"][0]["position"];
    match item.cursor {
        Some(cursor) => Place::Cursor(cursor),
        None => Place::Since(format!("{}-{}", position["epoch"].as_str().expect("an epoch"), position["offset"])),
    }
}

async fn hear(stream: &mut Stream, expected: u64) {
    let frame = stream.next_op("message").await.expect("it stays").frame;
    assert_eq!((&frame["offset"], &frame["data"]), (&json!(expected), &json!(expected)), "{frame}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_who_come_back_after_a_restart_cost_one_reading_of_the_store() {
    let descriptors = rlimit::increase_nofile_limit(u64::MAX).expect("a limit");
    assert!(descriptors > 2 * CLIENTS as u64, "{descriptors} descriptors are not enough");
    let mut node = Node::new("");
    node.start().await;
    let mut places = Vec::new();
    for provider in [Provider::WebSocket, Provider::Sse].into_iter().cycle().take(CLIENTS) {
        places.push(place(node.addr, provider).await);
    }
    let messages: Vec<Value> =
        (1..=MESSAGES).map(|number| json!({"type": "t", "channel": "news", "data": number, "ack": "stored"})).collect();
    for batch in messages.chunks(100) {
        let answer = node.publish(&json!({"messages": batch})).await;
        assert!(answer["results"].as_array().expect("a list").iter().all(|it| it["error"].is_null()), "{answer}");
    }
    node.kill();
    node.start().await;

    let (current, handshakes) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(HANDSHAKES)));
    let mut clients = JoinSet::new();
    for place in places {
        let (addr, current, handshakes) = (node.addr, current.clone(), handshakes.clone());
        clients.spawn(async move {
            let permit = handshakes.acquire_owned().await.expect("never closed");
            let mut stream = place.open(addr).await;
            let connected = stream.next_op("connected").await.expect("it answers").frame;
            drop(permit);
            let subscriptions = connected["subscriptions"].as_array().expect("a list");
            assert!(subscriptions.iter().all(|it| it["recovered"] == true), "{connected}");
            for number in 1..=MESSAGES as u64 {
                hear(&mut stream, number).await;
            }
            current.fetch_add(1, Ordering::SeqCst);
            hear(&mut stream, MESSAGES as u64 + 1).await;
        });
    }
    while current.load(Ordering::SeqCst) < CLIENTS {
        assert!(!clients.is_empty());
        if let Some(ended) = clients.try_join_next() {
            ended.expect("a good client");
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let reads = node.figure("store_reads_total").await as usize;
    println!("{CLIENTS} clients recovered {MESSAGES} messages each with {reads} reads of the store");
    let blocks = MESSAGES.div_ceil(BLOCK);
    assert!((1..=blocks + SPARE).contains(&reads), "{reads} reads for {blocks} blocks");
    node.publish(&json!({"type": "t", "channel": "news", "data": MESSAGES + 1})).await;
    while let Some(ended) = clients.join_next().await {
        ended.expect("a good client");
    }
    assert_eq!(node.figure("gaps_lost_total").await, 0);
    node.stop();
}
