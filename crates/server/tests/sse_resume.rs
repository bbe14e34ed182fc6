//! An event stream that comes back: what its cursor says, and what is told when there is nothing to read from it.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/server.rs"]
mod server;

use client::sse::Sse;
use client::{http, request};
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

/// Messages that followed `connected` in one write had the only cursor: a stream that was cut between them left the browser with none,
/// and its channels began at the head again, without a gap.
#[tokio::test]
async fn a_stream_that_is_cut_right_after_it_began_goes_on_where_it_was() {
    let server = Server::start(2).await;
    let mut sse = Sse::connect(server.addr, URL, &[]).await;
    let (_, first) = frame(&mut sse, "connected").await;
    drop(sse);
    for data in ["a", "b"] {
        to_channel(&server, "orders", data).await;
    }
    let mut sse = Sse::connect(server.addr, URL, &[("last-event-id", &first)]).await;
    let (connected, cursor) = frame(&mut sse, "connected").await;
    assert_eq!(recovered(&connected), all_say(&["$all", "$user", "orders", "quiet"], true));
    drop(sse);
    to_channel(&server, "quiet", "c").await;
    let mut sse = Sse::connect(server.addr, URL, &[("last-event-id", &cursor)]).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    assert_eq!(recovered(&connected), all_say(&["$all", "$user", "orders", "quiet"], true));
    let mut data = Vec::new();
    for _ in 0..3 {
        data.push(frame(&mut sse, "message").await.0["data"].as_str().expect("text").to_owned());
    }
    data.sort();
    assert_eq!(data, ["a", "b", "c"]);
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

/// The same for channels that have no room in the cursor; those before them, `$all` and `$user` go on where they were. Those that were
/// subscribed by POST went on from now, and what came in between was lost without a gap.
#[tokio::test]
async fn channels_without_room_in_the_cursor_are_told_as_a_loss() {
    let server = Server::start(2).await;
    let mut sse = Sse::connect(server.addr, URL, &[]).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    let names: Vec<String> = (0..100).map(|it| format!("c{it}")).collect();
    for some in names.chunks(50) {
        let frames: Vec<_> = some
            .iter()
            .map(|it| json!({"op": "subscribe", "ref": 1, "channel": it}))
            .enumerate()
            .map(numbered)
            .collect();
        post(&server, &connected, &Value::Array(frames)).await;
    }
    to_channel(&server, "orders", "a").await;
    let (_, cursor) = frame(&mut sse, "message").await;
    assert!(cursor.len() <= 1_024, "{} characters", cursor.len());
    drop(sse);
    for name in &names {
        to_channel(&server, name, "b").await;
    }

    let mut sse = Sse::connect(server.addr, URL, &[("last-event-id", &cursor)]).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    let said = recovered(&connected);
    assert_eq!(said.len(), 104, "all that it listened to");
    let told = said.iter().filter(|(_, recovered)| *recovered == json!(false)).count();
    assert!((20..60).contains(&told), "{told} of 104 had no room");
    assert!(said.iter().filter(|(name, _)| !name.starts_with('c')).all(|(_, recovered)| *recovered == json!(true)));
    let (mut gaps, mut messages) = (0, 0);
    while gaps < told || messages < names.len() {
        let frame = sse.next_event().await.json();
        match frame["op"].as_str() {
            Some("gap") => gaps += 1,
            Some("message") => messages += 1,
            _ => {}
        }
    }
    assert_eq!((gaps, messages), (told, names.len()));
    server.stop().await;
}

/// With a `connect` frame that continues a session, and a cursor that nobody can read, channels of that session went on from now.
#[tokio::test]
async fn a_session_that_is_continued_with_an_unreadable_cursor_is_told_of_the_loss() {
    let server = Server::start(2).await;
    let mut sse = Sse::connect(server.addr, URL, &[]).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    post(&server, &connected, &json!({"op": "subscribe", "ref": 1, "channel": "chat"})).await;
    drop(sse);
    to_channel(&server, "chat", "a").await;

    let connect = json!({"op": "connect", "resume": connected["sessionToken"], "subscriptions": [{"channel": "orders", "rewind": 5}]});
    let url = "/sse?userId=ada&lastEventId=of-another-server";
    let mut sse = Sse::post(server.addr, url, connect.to_string().as_bytes()).await;
    let (connected, _) = frame(&mut sse, "connected").await;
    assert_eq!(connected["resumed"], json!(true));
    assert_eq!(recovered(&connected), all_say(&["$all", "$user", "chat", "orders", "quiet"], false));
    let mut data = None;
    while data.is_none() {
        let frame = sse.next_event().await.json();
        data = (frame["op"] == "message").then(|| frame["data"].clone());
    }
    assert_eq!(data, Some(json!("a")));
    server.stop().await;
}

fn numbered((index, mut frame): (usize, Value)) -> Value {
    frame["ref"] = json!(index + 1);
    frame
}

/// The session of a stream says something by POST.
async fn post(server: &Server, connected: &Value, body: &Value) {
    let path = format!("/sse/{}", connected["connectionId"].as_str().expect("an id"));
    let bearer = format!("Bearer {}", connected["sessionToken"].as_str().expect("a token"));
    let headers = [("authorization", &*bearer), ("content-type", "application/json")];
    let answer = request(server.addr, "POST", &path, &headers, body.to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
}
