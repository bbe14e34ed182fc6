//! A user is away for 50 messages and has two devices: each policy does what it says, and killing the server in between changes nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::line::Stream;
use crate::node::Node;

const MESSAGES: u64 = 50;
/// A message that waits for nobody: who gets it has got everything that waited before. Whoever still catches up does not get it, so it
/// is sent until it comes.
const FENCE: &str = "fence";
static FENCES: AtomicU64 = AtomicU64::new(0);

async fn restart(node: &mut Node) {
    node.kill();
    node.start().await;
}

/// Publishes while nobody is there, with a kill in the middle.
async fn publish_while_away(node: &mut Node) {
    for seq in 1..=MESSAGES {
        let told = node.publish(&json!({"type": "t", "userId": "ada", "data": seq})).await;
        assert_eq!((&told["queued"], &told["position"]["offset"]), (&json!(true), &json!(seq)), "{told}");
        if seq == MESSAGES / 2 {
            restart(node).await;
        }
    }
}

async fn websocket(node: &Node, query: &str) -> Stream {
    let mut stream = Stream::websocket(node.addr, &format!("?userId=ada{query}")).await.expect("it listens");
    stream.next_op("connected").await.expect("it answers");
    stream
}

/// Which messages come before everything that is published now; gaps must be told as acked.
async fn messages(node: &Node, stream: &mut Stream) -> Vec<u64> {
    let first = FENCES.fetch_add(1, Ordering::Relaxed);
    let mut offsets = Vec::new();
    loop {
        let Ok(item) = tokio::time::timeout(Duration::from_millis(50), stream.next()).await else {
            let number = FENCES.fetch_add(1, Ordering::Relaxed);
            node.publish(&json!({"type": FENCE, "userId": "ada", "data": number, "ephemeral": true})).await;
            continue;
        };
        let frame = item.expect("it stays").frame;
        match frame["op"].as_str() {
            Some("message") if frame["type"] == FENCE => {
                if frame["data"].as_u64().is_some_and(|number| number > first) {
                    return offsets;
                }
            }
            Some("message") => {
                assert_eq!(frame["data"], frame["offset"], "{frame}");
                offsets.push(frame["offset"].as_u64().expect("an offset"));
            }
            Some("gap") => assert_eq!((&frame["reason"], &frame["lost"]), (&json!("acked"), &json!(false)), "{frame}"),
            op => panic!("{op:?}: {frame}"),
        }
    }
}

async fn ack(stream: &mut Stream, fields: Value) {
    let mut frame = json!({"op": "ack", "ref": 1, "consumer": "$inbox"});
    frame.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    stream.send(&frame).await.expect("it is there");
    assert_eq!(stream.next_op("ok").await.expect("it answers").frame["ref"], 1);
}

async fn pending(node: &Node) -> Value {
    let answer = node.http("GET", "/api/inbox?userId=ada", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["pending"].clone()
}

async fn wait_until_nothing_is_pending(node: &Node) {
    while pending(node).await != json!(0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn from(first: u64) -> Vec<u64> {
    (first..=MESSAGES).collect()
}

#[tokio::test]
async fn any_one_device_acks_for_all() {
    let mut node = Node::new("");
    node.start().await;
    publish_while_away(&mut node).await;

    let mut phone = websocket(&node, "&deviceId=phone&inbox=manual").await;
    assert_eq!(messages(&node, &mut phone).await, from(1));
    let even: Vec<u64> = from(1).into_iter().filter(|offset| offset % 2 == 0).collect();
    ack(&mut phone, json!({"offsets": even})).await;
    restart(&mut node).await;

    let odd: Vec<u64> = from(1).into_iter().filter(|offset| offset % 2 == 1).collect();
    let mut phone = websocket(&node, "&deviceId=phone&inbox=manual").await;
    assert_eq!(messages(&node, &mut phone).await, odd);
    let mut laptop =
        Stream::sse(node.addr, "&userId=ada&deviceId=laptop&inbox=manual", None).await.expect("it listens");
    laptop.next_op("connected").await.expect("it answers");
    assert_eq!(messages(&node, &mut laptop).await, odd);
    ack(&mut phone, json!({"upTo": MESSAGES})).await;
    let told = laptop.next_op("inbox").await.expect("it is told").frame;
    assert_eq!((&told["pending"], &told["cancelled"]), (&json!(0), &json!(odd)), "{told}");
    restart(&mut node).await;

    let mut laptop = websocket(&node, "&deviceId=laptop&inbox=manual").await;
    assert_eq!(messages(&node, &mut laptop).await, Vec::<u64>::new());
    assert_eq!(pending(&node).await, json!(0));
    node.stop();
}

#[tokio::test]
async fn each_device_gets_every_message_once() {
    let mut node = Node::new("[inbox]\npolicy = \"each\"\n");
    node.start().await;
    for device in ["phone", "laptop"] {
        let mut stream = websocket(&node, &format!("&deviceId={device}")).await;
        assert_eq!(messages(&node, &mut stream).await, Vec::<u64>::new());
    }
    publish_while_away(&mut node).await;

    let mut phone = websocket(&node, "&deviceId=phone&inbox=manual").await;
    assert_eq!(messages(&node, &mut phone).await, from(1));
    ack(&mut phone, json!({"upTo": MESSAGES})).await;
    restart(&mut node).await;

    let mut phone = websocket(&node, "&deviceId=phone&inbox=manual").await;
    assert_eq!(messages(&node, &mut phone).await, Vec::<u64>::new());
    assert_eq!(pending(&node).await, json!(MESSAGES));
    let mut laptop = websocket(&node, "&deviceId=laptop&inbox=manual").await;
    assert_eq!(messages(&node, &mut laptop).await, from(1));
    ack(&mut laptop, json!({"offsets": [3]})).await;
    restart(&mut node).await;

    let mut laptop = websocket(&node, "&deviceId=laptop&inbox=manual").await;
    let left: Vec<u64> = from(1).into_iter().filter(|offset| *offset != 3).collect();
    assert_eq!(messages(&node, &mut laptop).await, left);
    ack(&mut laptop, json!({"upTo": MESSAGES})).await;
    restart(&mut node).await;
    for device in ["phone", "laptop"] {
        let mut stream = websocket(&node, &format!("&deviceId={device}&inbox=manual")).await;
        assert_eq!(messages(&node, &mut stream).await, Vec::<u64>::new());
    }
    assert_eq!(pending(&node).await, json!(0));
    node.stop();
}

#[tokio::test]
async fn whoever_proves_that_messages_arrived_does_not_get_them_again() {
    let mut node = Node::new("");
    node.start().await;
    publish_while_away(&mut node).await;
    // It reads and answers no Ping: a write that has left proves nothing.
    let mut cut = websocket(&node, "").await;
    cut.next_op("message").await.expect("it comes");
    drop(cut);
    restart(&mut node).await;

    let mut stream = websocket(&node, "").await;
    assert_eq!(messages(&node, &mut stream).await, from(1));
    let reading = tokio::spawn(async move { while stream.next().await.is_ok() {} });
    wait_until_nothing_is_pending(&node).await;
    // A proof has no answer that would say when it is on the disk; an ack after it has one.
    let safe = node.http("POST", "/api/ack", Some(&json!({"consumer": "$inbox", "userId": "ada", "upTo": 1}))).await;
    assert_eq!(safe.status, 200, "{}", safe.text());
    restart(&mut node).await;
    reading.await.expect("its connection has ended");
    let mut stream = websocket(&node, "").await;
    assert_eq!(messages(&node, &mut stream).await, Vec::<u64>::new());

    let mut stream = Stream::sse(node.addr, "&userId=eve", None).await.expect("it listens");
    stream.next_op("connected").await.expect("it answers");
    node.publish(&json!({"type": "t", "userId": "eve", "data": 1})).await;
    let cursor = stream.next_op("message").await.expect("it comes").cursor;
    drop(stream);
    restart(&mut node).await;
    let count = |answer: crate::line::Answer| answer.json()["pending"].clone();
    assert_eq!(count(node.http("GET", "/api/inbox?userId=eve", None).await), json!(1));
    let mut stream = Stream::sse(node.addr, "&userId=eve", cursor.as_deref()).await.expect("it listens");
    stream.next_op("connected").await.expect("it answers");
    assert_eq!(count(node.http("GET", "/api/inbox?userId=eve", None).await), json!(0));
    node.stop();
}
