//! Crowds: more at once than a worker has credits for, and what is under way when the server goes down.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/server.rs"]
mod server;

use client::sse::Sse;
use client::{Ws, http, request};
use futures_util::future::join_all;
use serde_json::{Value, json};
use server::Server;

/// Each stream asks for 258 of the 1,280 credits of the only worker, and the sixth one ended it.
#[tokio::test]
async fn streams_of_many_channels_come_at_once() {
    let server = Server::start(1).await;
    let names: Vec<String> = (0..256).map(|index| format!("channel=c{index}")).collect();
    let path = format!("/sse?format=frames&{}", names.join("&"));
    let streams = join_all((0..24).map(|_| async {
        let mut stream = Sse::connect(server.addr, &path, &[]).await;
        assert_eq!(stream.next_event().await.json()["op"], "connected");
        stream
    }));
    let streams = streams.await;
    assert_eq!(http(server.addr, "GET", "/health/ready", None).await.status, 200);
    drop(streams);
    server.stop().await;
}

/// The frames of all bodies together ask for more credits than there are.
#[tokio::test]
async fn posts_of_many_publishes_come_at_once() {
    const POSTS: usize = 40;
    let server = Server::start(2).await;
    let mut stream = Sse::connect(server.addr, "/sse?format=frames", &[]).await;
    let connected = stream.next_event().await.json();
    let text = |name: &str| connected[name].as_str().expect("a text").to_owned();
    let (path, bearer) = (format!("/sse/{}", text("connectionId")), format!("Bearer {}", text("sessionToken")));
    let headers = [("content-type", "application/json"), ("authorization", &*bearer)];
    let frame = |index: usize| json!({"op": "publish", "ref": index + 1, "channel": "orders", "type": "t", "data": 1});
    let body: Value = (0..64).map(frame).collect();
    let body = body.to_string();
    let posts = (0..POSTS).map(|_| request(server.addr, "POST", &path, &headers, body.as_bytes()));
    let answers = join_all(posts).await;
    for answer in answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answers = answer.json();
        let answers = answers.as_array().expect("an answer for each");
        assert!(answers.len() == 64 && answers.iter().all(|answer| answer["op"] == "ok"), "{answers:?}");
    }
    drop(stream);
    server.stop().await;
}

/// Everything in one segment, and no frame has a number: nothing was ever written that would have had the socket read again.
#[tokio::test]
async fn who_wants_no_answers_is_heard_to_the_end() {
    let server = Server::start(2).await;
    let mut ws = Ws::connect(server.addr, "/ws?userId=ada").await;
    assert_eq!(ws.recv_json().await["op"], "connected");
    let mut bytes = Vec::new();
    let mut say = |frame: &Value| {
        let opcode = realtime_connector_wire::websocket::Opcode::Text;
        realtime_connector_wire::websocket::encode_masked(&mut bytes, opcode, [1; 4], frame.to_string().as_bytes());
    };
    (0..200).for_each(|index| say(&json!({"op": "subscribe", "channel": format!("c{index}")})));
    say(&json!({"op": "publish", "ref": 1, "channel": "c199", "type": "t", "data": 1}));
    ws.send_raw(&bytes).await;
    assert_eq!(ws.recv_op("message").await["channel"], "c199");
    server.stop().await;
}

/// What was taken is answered, however soon the end comes (I13).
#[tokio::test]
async fn publishes_under_way_are_answered_before_the_end() {
    let server = Server::start(2).await;
    let mut ws = Ws::connect(server.addr, "/ws?userId=ada").await;
    assert_eq!(ws.recv_json().await["op"], "connected");
    for reference in 1..=500 {
        let channel = format!("c{}", reference % 7);
        ws.send_json(&json!({"op": "publish", "ref": reference, "channel": channel, "type": "t", "data": 1})).await;
    }
    let rc = server.rc.clone();
    let stopping = tokio::spawn(async move { rc.shutdown().await });
    let mut answers = Vec::new();
    loop {
        let frame = ws.recv_json().await;
        match frame["op"].as_str() {
            Some("ok") => answers.push(frame["ref"].as_u64().expect("a number")),
            Some("goaway") => break,
            _ => panic!("{frame}"),
        }
    }
    answers.sort_unstable();
    let count = answers.len() as u64;
    assert_eq!(answers, (1..=count).collect::<Vec<_>>(), "none is left out before the last one");
    assert_eq!(ws.recv_close().await, Some(4200));
    stopping.await.expect("it stops");
}
