//! The test client against the server itself: what every other test over sockets relies on.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;

use std::net::SocketAddr;

use client::sse::Sse;
use client::{Ws, http};
use realtime_connector::{Builder, Config, RealtimeConnector};
use serde_json::json;

async fn start() -> (RealtimeConnector, SocketAddr) {
    let config = Config { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), workers: 2, ..Config::default() };
    let rc = Builder::new(config).build().expect("the configuration is sound");
    let serving = rc.serve().await.expect("any port will do");
    let addr = serving.local_addr();
    (rc, addr)
}

#[tokio::test]
async fn a_message_reaches_both_providers_with_its_data_as_it_was() {
    let (rc, addr) = start().await;
    let mut ws = Ws::connect(addr, "/ws?channel=orders").await;
    assert_eq!(ws.recv_json().await["op"], "connected");
    let mut sse = Sse::connect(addr, "/sse?channel=orders", &[]).await;
    assert_eq!(sse.next_event().await.event, "$connected");
    assert_eq!(sse.retry_ms, Some(1_000));

    let body = json!({"type": "update", "channel": "orders", "data": {"text": "two\nlines", "n": 1}});
    let answer = http(addr, "POST", "/api/broadcast", Some(&body)).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    assert_eq!(answer.json()["connections"], 2);

    let frame = ws.recv_op("message").await;
    assert_eq!((&frame["type"], &frame["data"]), (&json!("update"), &body["data"]));
    let event = sse.next_event().await;
    assert_eq!((event.event.as_str(), event.json()), ("update", body["data"].clone()));
    assert_ne!(event.id, "", "a message moves the cursor");

    ws.send_json(&json!({"op": "ping", "ref": 1})).await;
    assert_eq!(ws.recv_json().await["ref"], 1);
    ws.close().await;
    rc.shutdown().await;
}

#[tokio::test]
async fn a_refused_opening_is_an_answer() {
    let (rc, addr) = start().await;
    let refused = Ws::open(addr, "/ws?channel=a*", &[]).await.expect_err("'*' is no part of a name");
    assert_eq!((refused.status, &refused.json()["field"]), (400, &json!("channel")));
    let sse = Sse::open(addr, "/nowhere", &[]).await;
    assert_eq!(sse.head.status, 404);
    rc.shutdown().await;
}
