//! An event stream that comes back: what its cursor says, and what is told when there is nothing to read from it.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/server.rs"]
mod server;

use client::http;
use client::sse::Sse;
use serde_json::{Value, json};
use server::Server;

const URL: &str = "/sse?format=frames&userId=ada&channel=orders&channel=quiet";

async fn publish(server: &Server, body: Value) {
    assert_eq!(http(server.addr, "POST", "/api/broadcast", Some(&body)).await.status, 200);
}

async fn to_channel(server: &Server, channel: &str, data: &str) {
    publish(server, json!({"type": "t", "channel": channel, "data": data})).await;
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

/// What `connected` says of each channel: its name and `recovered`.
fn recovered(connected: &Value) -> Vec<(String, Value)> {
    let subscriptions = connected["subscriptions"].as_array().expect("a list");
    let mut said: Vec<_> = subscriptions
        .iter()
        .map(|it| (it["channel"].as_str().expect("a name").to_owned(), it["recovered"].clone()))
        .collect();
    said.sort_by(|a, b| a.0.cmp(&b.0));
    said
}

fn all_say(names: &[&str], recovered: bool) -> Vec<(String, Value)> {
    names.iter().map(|name| ((*name).to_owned(), json!(recovered))).collect()
}

/// A cursor left out channels at position 0, so the first message of a quiet channel, of everyone and of a user was lost without a
/// gap when it was published while the stream was cut.
#[tokio::test]
async fn the_first_message_of_a_quiet_channel_is_not_lost() {
    let server = Server::start(2).await;
    let mut sse = Sse::connect(server.addr, URL, &[]).await;
    let (_, at_once) = frame(&mut sse, "connected").await;
    to_channel(&server, "orders", "a").await;
    let (_, after_one) = frame(&mut sse, "message").await;
    drop(sse);
    to_channel(&server, "quiet", "b").await;
    publish(&server, json!({"type": "t", "data": "c"})).await;
    publish(&server, json!({"type": "t", "data": "d", "userId": "ada"})).await;

    for (cursor, expected) in [(after_one, &["b", "c", "d"][..]), (at_once, &["a", "b", "c", "d"])] {
        let mut sse = Sse::connect(server.addr, URL, &[("last-event-id", &cursor)]).await;
        let (connected, _) = frame(&mut sse, "connected").await;
        assert_eq!(recovered(&connected), all_say(&["$all", "$user", "orders", "quiet"], true));
        let mut data = Vec::new();
        for _ in expected {
            data.push(frame(&mut sse, "message").await.0["data"].as_str().expect("text").to_owned());
        }
        data.sort();
        assert_eq!(data, expected);
    }
    server.stop().await;
}

/// A cursor of another server was told as a loss for the channels of the URL only, and `$all` and `$user` began at the head.
#[tokio::test]
async fn a_cursor_that_does_not_open_is_told_as_a_loss_everywhere() {
    let server = Server::start(2).await;
    publish(&server, json!({"type": "t", "data": "c"})).await;
    publish(&server, json!({"type": "t", "data": "d", "userId": "ada"})).await;
    let mut sse = Sse::connect(server.addr, URL, &[("last-event-id", "of-another-server")]).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    assert_eq!(recovered(&connected), all_say(&["$all", "$user", "orders", "quiet"], false));
    let (mut gaps, mut data) = (Vec::new(), Vec::new());
    while gaps.len() + data.len() < 6 {
        let frame = sse.next_event().await.json();
        match frame["op"].as_str() {
            Some("gap") => {
                assert_eq!((&frame["reason"], &frame["lost"]), (&json!("epoch"), &json!(true)));
                gaps.push(frame["channel"].as_str().expect("a name").to_owned());
            }
            _ => data.push(frame["data"].as_str().expect("text").to_owned()),
        }
    }
    gaps.sort();
    data.sort();
    assert_eq!(gaps, ["$all", "$user", "orders", "quiet"]);
    assert_eq!(data, ["c", "d"], "what is retained follows");
    server.stop().await;
}

/// The same for a cursor with more channels than it has room for.
#[tokio::test]
async fn a_cursor_without_room_for_its_positions_is_told_as_a_loss_everywhere() {
    let server = Server::start(1).await;
    let channels: String = (0..41).map(|it| format!("&channel=c{it}")).collect();
    let url = format!("/sse?format=frames&userId=ada{channels}");
    let mut sse = Sse::connect(server.addr, &url, &[]).await;
    let (_, cursor) = frame(&mut sse, "connected").await;
    drop(sse);
    publish(&server, json!({"type": "t", "data": "c"})).await;
    let mut sse = Sse::connect(server.addr, &url, &[("last-event-id", &cursor)]).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    let said = recovered(&connected);
    assert_eq!(said.len(), 43, "41 channels, $all and $user");
    assert!(said.iter().all(|(_, recovered)| *recovered == json!(false)), "{said:?}");
    server.stop().await;
}
