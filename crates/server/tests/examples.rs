//! Runs each example as its reader would, and checks what it prints.
//!
//! Cargo builds examples whenever it builds all tests of a package; with `--test examples` alone it does not.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use client::sse::Sse;
use client::{Received, Ws, request};
use realtime_connector_wire::websocket::Opcode;
use serde_json::json;

fn command(name: &str) -> Command {
    let test = std::env::current_exe().expect("a test has a file");
    let folder = test.parent().and_then(|deps| deps.parent()).expect("target/…/deps");
    let example: PathBuf = folder.join("examples").join(name);
    assert!(example.exists(), "build the examples first: cargo build -p realtime-connector --examples");
    Command::new(example)
}

#[track_caller]
fn check(name: &str, expected: &[&str]) {
    let output = command(name).output().expect("it runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {}: {errors}", output.status);
    let text = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    // What several parties print at the same time comes in any order.
    lines.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(lines, expected, "{name}");
}

#[test]
fn broadcast_reaches_everyone_over_both_providers() {
    check(
        "broadcast",
        &[
            "the application        sent it to everyone",
            r#"ada (WebSocket)        received notification {"message":"New order received","orderId":"12345"}"#,
            r#"bob (EventSource)      received notification {"message":"New order received","orderId":"12345"}"#,
        ],
    );
}

#[test]
fn channel_reaches_its_subscribers_only() {
    check(
        "channel",
        &[
            "the application        sent it to 2 connections",
            r#"kitchen (WebSocket)    received update {"status":"processing"}"#,
            r#"screen (EventSource)   received update {"status":"processing"}"#,
            "elsewhere (WebSocket)  received nothing",
        ],
    );
}

#[test]
fn user_reaches_all_connections_of_that_user_only() {
    check(
        "user",
        &[
            "the application        sent it to 2 connections",
            r#"phone (WebSocket)      received alert {"message":"Payment successful"}"#,
            r#"laptop (EventSource)   received alert {"message":"Payment successful"}"#,
            "stranger (WebSocket)   received nothing",
        ],
    );
}

#[test]
fn event_bus_turns_events_into_messages() {
    check(
        "event_bus",
        &[
            "the event bus          heard order.created of order 12345",
            r#"kitchen (WebSocket)    received order.created {"orderId":"12345","totalCents":4200}"#,
            r#"screen (EventSource)   received order.created {"orderId":"12345","totalCents":4200}"#,
        ],
    );
}

/// An example that serves until it is stopped.
struct Running {
    child: Child,
    /// Its first line.
    line: String,
}

impl Running {
    fn start(name: &str) -> Self {
        let mut child = command(name).arg("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("it says where it is");
        Self { child, line }
    }

    fn addr(&self) -> SocketAddr {
        let (_, rest) = self.line.split_once("://").expect("an address");
        let (addr, _) = rest.split_once('/').expect("a path");
        addr.parse().expect("an address")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn embed_axum_tells_everyone_of_an_order_and_thanks_who_placed_it() {
    let example = Running::start("embed-axum");
    let addr = example.addr();
    let visit = request(addr, "GET", "/visit/ada", &[], b"").await;
    let cookie = visit.header("set-cookie").and_then(|it| it.split(';').next()).expect("a cookie").to_owned();
    assert!(
        request(addr, "GET", "/", &[], b"").await.text().contains("new EventSource('/realtime/sse?channel=orders')")
    );

    let mut ada = Sse::connect(addr, "/realtime/sse?channel=orders", &[("cookie", &cookie)]).await;
    ada.next_named("$connected").await;
    let bob = [("cookie", "visitor=bob")];
    let mut bob = Ws::open(addr, "/realtime/ws?channel=orders", &bob).await.expect("bob may listen");
    bob.recv_op("connected").await;
    assert_eq!(Sse::open(addr, "/realtime/sse?channel=orders", &[]).await.head.status, 401);

    let headers = [("cookie", &*cookie), ("content-type", "application/json")];
    let answer = request(addr, "POST", "/orders", &headers, br#"{"dish":"soup"}"#).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut told = [ada.next_event().await, ada.next_event().await].map(|event| (event.event, event.data));
    told.sort();
    let expected = [("order.created", r#"{"dish":"soup"}"#), ("thanks", r#"{"message":"thank you, ada"}"#)];
    assert_eq!(told.each_ref().map(|(name, data)| (name.as_str(), data.as_str())), expected);
    assert_eq!(bob.recv_op("message").await["data"], json!({"dish": "soup"}));
}

#[tokio::test]
async fn ws_echo_sends_back_what_it_gets() {
    let example = Running::start("ws-echo");
    let mut ws = Ws::connect(example.addr(), "/ws").await;
    ws.send(Opcode::Text, "hello".as_bytes()).await;
    assert_eq!(ws.recv().await, Received::Text("hello".into()));
    ws.close().await;
}
