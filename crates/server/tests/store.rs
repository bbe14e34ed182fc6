//! A server with a store: what a rule keeps, and what is there again after a restart.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod server;

use client::sse::Sse;
use client::{Ws, http};
use folder::Folder;
use realtime_connector::Config;
use realtime_connector::config::{Rule, Store};
use serde_json::{Value, json};
use server::Server;

async fn start(folder: &Folder, rules: Vec<Rule>) -> Server {
    let store = Store { path: folder.setting(), ..Store::default() };
    Server::start_with(Config { workers: 2, store, rules, ..Config::default() }).await
}

fn rule(pattern: &str) -> Rule {
    Rule { pattern: pattern.to_owned(), ..Rule::default() }
}

async fn publish(server: &Server, body: Value) -> Value {
    let response = http(server.addr, "POST", "/api/broadcast", Some(&body)).await;
    assert_eq!(response.status, 200, "{}", response.text());
    response.json()
}

async fn history(server: &Server, query: &str) -> Value {
    http(server.addr, "GET", &format!("/api/history?{query}"), None).await.json()
}

fn data(page: &Value) -> Vec<Value> {
    page["messages"].as_array().expect("a list").iter().map(|message| message["data"].clone()).collect()
}

/// The next frame with this `op`, and the cursor behind it.
async fn frame(sse: &mut Sse, op: &str) -> (Value, String) {
    loop {
        let event = sse.next_event().await;
        let frame = event.json();
        if frame["op"] == op {
            return (frame, event.id);
        }
        assert_eq!(frame["op"], "ping", "{op} instead of {frame}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_after_a_restart() {
    const URL: &str = "/sse?format=frames&userId=ada&channel=orders&channel=typing";
    let folder = Folder::new();
    let rules = vec![Rule { persist: Some(false), ..rule("typing") }];
    let server = start(&folder, rules.clone()).await;
    let mut sse = Sse::connect(server.addr, URL, &[]).await;
    frame(&mut sse, "connected").await;
    publish(&server, json!({"channel": "orders", "type": "t", "data": 1})).await;
    let (_, cursor) = frame(&mut sse, "message").await;
    publish(&server, json!({"channel": "typing", "type": "t", "data": "in memory"})).await;
    publish(&server, json!({"channel": "orders", "type": "t", "data": 2})).await;
    publish(&server, json!({"userId": "ada", "type": "t", "data": 3})).await;
    server.stop().await;

    let server = start(&folder, rules).await;
    publish(&server, json!({"channel": "orders", "type": "t", "data": 4})).await;
    let mut sse = Sse::connect(server.addr, URL, &[("last-event-id", &cursor)]).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    let (mut gaps, mut messages) = (Vec::new(), Vec::new());
    while gaps.len() + messages.len() < 4 {
        let frame = sse.next_event().await.json();
        match frame["op"].as_str() {
            Some("gap") => gaps.push((frame["channel"].clone(), frame["reason"].clone())),
            _ => messages.push(frame["data"].clone()),
        }
    }
    messages.sort_by_key(Value::as_u64);
    assert_eq!(gaps, [(json!("typing"), json!("epoch"))], "what was in memory only is told as lost: {connected}");
    assert_eq!(messages, [2, 3, 4]);
    server.stop().await;
}

#[tokio::test]
async fn an_id_is_remembered_over_a_restart() {
    let folder = Folder::new();
    let message = |id: &str, n: u64| json!({"channel": "orders", "type": "t", "data": n, "id": id});
    let server = start(&folder, Vec::new()).await;
    let first = publish(&server, message("o-1", 1)).await;
    publish(&server, message("o-2", 2)).await;
    server.stop().await;

    let server = start(&folder, Vec::new()).await;
    let again = publish(&server, message("o-1", 1)).await;
    assert_eq!((&again["duplicate"], &again["position"]), (&json!(true), &first["position"]));
    let other = http(server.addr, "POST", "/api/broadcast", Some(&message("o-1", 3))).await;
    assert_eq!((other.status, &other.json()["field"]), (409, &json!("id")));
    // `node` is answered before the store has been asked, and `stored` tells what came of it.
    let mut early = message("o-2", 2);
    early["ack"] = json!("node");
    assert_eq!(publish(&server, early).await["position"], Value::Null);
    assert_eq!(publish(&server, message("o-2", 2)).await["duplicate"], true);
    assert_eq!(data(&history(&server, "channel=orders").await), [2, 1], "it is not stored twice");
    server.stop().await;
}

#[tokio::test]
async fn the_newest_of_each_key_is_kept() {
    let folder = Folder::new();
    let rules = vec![Rule { latest_per_key: true, ..rule("prices") }];
    let server = start(&folder, rules.clone()).await;
    for (key, price) in [("ACME", 1), ("INIT", 2), ("ACME", 3), ("INIT", 4), ("ACME", 5)] {
        publish(&server, json!({"channel": "prices", "type": "t", "data": price, "key": key})).await;
    }
    let expected = [json!(5), json!(4)];
    assert_eq!(data(&history(&server, "channel=prices").await), expected);
    server.stop().await;

    let server = start(&folder, rules).await;
    let page = history(&server, "channel=prices").await;
    assert_eq!(data(&page), expected, "from the disk as from memory");
    let mut ws = Ws::connect(server.addr, "/ws").await;
    let since = json!({"epoch": page["position"]["epoch"], "offset": 0});
    ws.send_json(&json!({"op": "connect", "subscriptions": [{"channel": "prices", "since": since}]})).await;
    assert_eq!(ws.recv_json().await["subscriptions"][0]["recovered"], json!(true));
    let gap = ws.recv_json().await;
    let (range, why) = ((&gap["from"], &gap["to"]), (&gap["reason"], &gap["lost"]));
    assert_eq!((range, why), ((&json!(1), &json!(3)), (&json!("replaced"), &json!(false))), "{gap}");
    assert_eq!(ws.recv_json().await["data"], 4);
    assert_eq!(ws.recv_json().await["data"], 5);
    server.stop().await;
}
