//! What the examples share: a server on any free port, and real clients of both kinds that print what they receive.

#[path = "../../crates/server/tests/support/client.rs"]
#[expect(dead_code, reason = "the examples use a part of it")]
mod client;

use std::net::SocketAddr;

use client::Ws;
use client::sse::Sse;
use realtime_connector::Config;
use serde_json::{Value, json};

/// A configuration for any free port of this machine. Without authentication this is dev mode: loopback only.
pub(crate) fn any_port() -> Config {
    Config { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..Config::default() }
}

/// A client that is connected, by one provider or the other.
pub(crate) struct Client {
    name: &'static str,
    link: Link,
}

enum Link {
    WebSocket(Box<Ws>),
    Sse(Box<Sse>),
}

impl Client {
    /// What `new WebSocket('/ws?' + query)` does in a browser.
    pub(crate) async fn websocket(name: &'static str, addr: SocketAddr, query: &str) -> Self {
        let mut ws = Ws::connect(addr, &format!("/ws?{query}")).await;
        ws.recv_op("connected").await;
        Self { name, link: Link::WebSocket(Box::new(ws)) }
    }

    /// What `new EventSource('/sse?' + query)` does in a browser.
    pub(crate) async fn event_source(name: &'static str, addr: SocketAddr, query: &str) -> Self {
        let mut sse = Sse::connect(addr, &format!("/sse?{query}"), &[]).await;
        sse.next_named("$connected").await;
        Self { name, link: Link::Sse(Box::new(sse)) }
    }

    /// Waits for a message and prints it.
    pub(crate) async fn print_next(&mut self) {
        let (event_type, data): (String, Value) = match &mut self.link {
            Link::WebSocket(ws) => {
                let mut frame = ws.recv_op("message").await;
                (frame["type"].as_str().unwrap_or_default().to_owned(), frame["data"].take())
            }
            Link::Sse(sse) => {
                let event = sse.next_event().await;
                let data = event.json();
                (event.event, data)
            }
        };
        println!("{:<22} received {event_type} {data}", self.name);
    }

    /// Asks the server for a sign of life and prints that nothing came before it.
    pub(crate) async fn print_silence(&mut self) {
        if let Link::WebSocket(ws) = &mut self.link {
            ws.send_json(&json!({"op": "ping", "ref": 1})).await;
            let frame = ws.recv_json().await;
            assert_eq!(frame["op"], "pong", "a message for somebody else: {frame}");
            println!("{:<22} received nothing", self.name);
        }
    }
}

// Not every example has somebody who must not hear.
const _: () = {
    let _ = Client::print_silence;
};
