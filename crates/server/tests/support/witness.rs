//! Bystanders: connections that must not notice what a test does to another one.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::client::sse::Sse;
use super::client::{PATIENCE, Ws, http};
use super::server::Server;

const FOREVER: Duration = Duration::from_secs(3_600);
/// The type of messages that only count.
const COUNT: &str = "count";

/// A server with a bystander on each provider. They read all the time, as browsers do.
#[derive(Debug)]
pub(crate) struct Witness {
    pub(crate) server: Server,
    ws: mpsc::Receiver<Value>,
    sse: mpsc::Receiver<Value>,
    said: u64,
}

impl Witness {
    /// Both bystanders are subscribed when this returns.
    pub(crate) async fn start(server: Server) -> Self {
        let mut ws = Ws::connect(server.addr, "/ws?channel=witness&userId=witness").await;
        assert_eq!(ws.recv_json().await["op"], "connected");
        let path = "/sse?channel=witness&userId=witness&format=frames";
        let mut sse = Sse::connect(server.addr, path, &[]).await;
        assert_eq!(sse.next_event().await.json()["op"], "connected");
        ws.set_patience(FOREVER);
        sse.set_patience(FOREVER);
        let (seen, ws_seen) = mpsc::channel(16);
        tokio::spawn(async move { while tell(&seen, ws.recv_json().await).await {} });
        let (seen, sse_seen) = mpsc::channel(16);
        tokio::spawn(async move { while tell(&seen, sse.next_event().await.json()).await {} });
        Self { server, ws: ws_seen, sse: sse_seen, said: 0 }
    }

    /// The server still answers, both bystanders still live, and nothing but this reaches them.
    pub(crate) async fn check(&mut self, after: &str) {
        self.said += 1;
        let body = json!({"type": "check", "channel": "witness", "data": self.said});
        let answer = http(self.server.addr, "POST", "/api/broadcast", Some(&body)).await;
        assert_eq!(answer.status, 200, "after {after}");
        for seen in [&mut self.ws, &mut self.sse] {
            let frame = tokio::time::timeout(PATIENCE, seen.recv()).await;
            let frame = frame.unwrap_or_else(|_| panic!("a bystander hears nothing after {after}"));
            let frame = frame.unwrap_or_else(|| panic!("a bystander was disconnected after {after}"));
            assert_eq!((&frame["op"], &frame["data"]), (&json!("message"), &json!(self.said)), "after {after}");
        }
    }

    /// Connections of the server, the two bystanders not counted.
    pub(crate) async fn others(&self) -> u64 {
        count_connections(self.server.addr).await - 2
    }

    /// Waits until so many connections are left beside the bystanders.
    pub(crate) async fn wait_for_others(&self, expected: u64) {
        let started = Instant::now();
        loop {
            let others = self.others().await;
            if others == expected {
                return;
            }
            assert!(
                started.elapsed() < 2 * PATIENCE,
                "{others} connections beside the bystanders, expected {expected}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// Passes on what a bystander heard, but for heartbeats and what only counts. `false` when the test is over.
async fn tell(seen: &mpsc::Sender<Value>, frame: Value) -> bool {
    frame["type"] == COUNT || frame["op"] == "ping" || seen.send(frame).await.is_ok()
}

/// How many connections everyone is, by the answer to a message that is in no log.
pub(crate) async fn count_connections(addr: SocketAddr) -> u64 {
    let answer = http(addr, "POST", "/api/broadcast", Some(&json!({"type": COUNT, "ephemeral": true}))).await;
    answer.json()["connections"].as_u64().unwrap_or_else(|| panic!("no count: {}", answer.text()))
}
