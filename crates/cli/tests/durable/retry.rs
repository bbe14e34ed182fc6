//! A publisher that repeats the same id across kills: one message, one offset, and it is told so.

use std::time::Duration;

use serde_json::json;

use crate::line::{Line, Stream};
use crate::node::Node;
use crate::people::{Message, Random, history};
use sim::checker::{Journals, Outcome};

const ROUNDS: u64 = 12;
/// Between the first attempt and the kill, in half of the rounds; in the others the kill comes at once, so that both happen.
const WAIT_US_MAX: u64 = 6_000;

/// Sends a message without waiting for the answer, and kills the server.
async fn send_and_kill(node: &mut Node, message: &Message, by_http: bool, random: &mut Random) {
    let wait = Duration::from_micros(random.below(2) * random.below(WAIT_US_MAX));
    if by_http {
        let mut line = Line::connect(node.addr).await.expect("it listens");
        // What it may still have answered is not looked at: the publisher died as well.
        let body = message.body();
        drop(tokio::time::timeout(wait, line.request("POST", "/api/broadcast", Some(&body))).await);
    } else {
        let mut stream = user(node, message).await;
        let mut frame = message.body();
        (frame["op"], frame["ref"]) = (json!("publish"), json!(1));
        stream.send(&frame).await.expect("it reads");
        tokio::time::sleep(wait).await;
    }
    node.kill();
}

async fn user(node: &Node, message: &Message) -> Stream {
    let query = format!("?userId={}", message.publisher);
    Stream::websocket(node.addr, &query).await.expect("it listens")
}

#[tokio::test]
async fn the_same_id_across_kills_is_one_message_at_one_offset() {
    let mut random = Random::of_this_run();
    let mut node = Node::new("");
    let mut journals = Journals::default();
    let mut survivors = 0;
    for round in 0..ROUNDS {
        let by_http = round % 2 == 0;
        let publisher = if by_http { "server" } else { "ada" }.to_owned();
        let message = Message { channel: "orders".to_owned(), publisher, seq: round };
        node.start().await;
        send_and_kill(&mut node, &message, by_http, &mut random).await;
        journals.sent.push(message.sent(None));
        node.start().await;
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = if by_http {
                node.publish(&message.body()).await
            } else {
                let mut stream = user(&node, &message).await;
                let mut frame = message.body();
                (frame["op"], frame["ref"]) = (json!("publish"), json!(1));
                stream.send(&frame).await.expect("it reads");
                stream.next_op("ok").await.expect("it answers").frame
            };
            answers.push(message.sent(Some((&answer, true))));
        }
        let Outcome::Acknowledged { duplicate: survived, .. } = answers[0].outcome else { panic!("{answers:?}") };
        let Outcome::Acknowledged { duplicate, .. } = answers[1].outcome else { panic!("{answers:?}") };
        assert!(duplicate, "the second answer says that it is a duplicate: {answers:?}");
        survivors += u64::from(survived);
        journals.sent.extend(answers);
        node.kill();
    }
    node.start().await;
    // The same id for other content is refused, also by a process that never saw the first one.
    let mut other = Message { channel: "orders".to_owned(), publisher: "server".to_owned(), seq: 0 }.body();
    other["data"] = json!("something else");
    let refused = node.http("POST", "/api/broadcast", Some(&other)).await;
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("conflict")), "{}", refused.text());
    let told = history(&node, "orders").await;
    assert_eq!(told.heard.len() as u64, 1 + ROUNDS, "each message is there once");
    journals.heard.push(told);
    println!("{survivors} of {ROUNDS} messages were stored before the kill");
    node.stop();
    node.check_store();
    journals.check().assert_flawless();
}
