//! The event stream side of the test client.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::net::TcpStream;

use super::{Framing, Response, Wire};

/// One event of a stream, as `EventSource` would dispatch it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct SseEvent {
    /// `message` where the stream says nothing.
    pub(crate) event: String,
    /// The last id seen so far.
    pub(crate) id: String,
    /// Lines joined by LF.
    pub(crate) data: String,
}

impl SseEvent {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", self.data))
    }
}

/// A Server-Sent Events client, by the parsing rules of the WHATWG HTML standard, section 9.2.6.
#[derive(Debug)]
pub(crate) struct Sse {
    wire: Wire,
    framing: Option<Framing>,
    /// Status and headers of the answer.
    pub(crate) head: Response,
    text: Vec<u8>,
    last_id: String,
    /// The last `retry:` seen, in milliseconds.
    pub(crate) retry_ms: Option<u64>,
    /// Comments seen so far: the heartbeat.
    pub(crate) comments: usize,
}

impl Sse {
    /// Opens a stream; the server must agree.
    pub(crate) async fn connect(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut sse = Self::open(addr, path, headers).await;
        if sse.head.status != 200 {
            let body = sse.rest().await;
            panic!("{path}: refused with {}: {}", sse.head.status, String::from_utf8_lossy(&body));
        }
        let content_type = sse.head.header("content-type").unwrap_or_default();
        assert!(content_type.starts_with("text/event-stream"), "{content_type}");
        sse
    }

    /// Sends the request; `head` says what came of it.
    pub(crate) async fn open(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Self {
        Self::request(Wire::connect(addr).await, addr, "GET", path, headers, b"").await
    }

    /// Opens a stream over a socket with properties of its own; `head` says what came of it.
    pub(crate) async fn open_on(socket: TcpStream, path: &str, headers: &[(&str, &str)]) -> Self {
        let addr = socket.peer_addr().expect("a connected socket");
        Self::request(Wire::on(socket), addr, "GET", path, headers, b"").await
    }

    /// Opens a stream with a `connect` frame as the body of a POST; `head` says what came of it.
    pub(crate) async fn post(addr: SocketAddr, path: &str, body: &[u8]) -> Self {
        let length = body.len().to_string();
        let headers = [("content-type", "application/json"), ("content-length", &*length)];
        Self::request(Wire::connect(addr).await, addr, "POST", path, &headers, body).await
    }

    async fn request(
        mut wire: Wire,
        addr: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Self {
        let fixed = [("accept", "text/event-stream")];
        wire.send_head(addr, method, path, fixed.iter().chain(headers)).await;
        wire.send(body).await;
        let (head, framing) = wire.receive_head().await;
        let framing = Some(framing);
        Self { wire, framing, head, text: Vec::new(), last_id: String::new(), retry_ms: None, comments: 0 }
    }

    /// Waits for this long, from now on, whenever something shall come.
    pub(crate) const fn set_patience(&mut self, patience: Duration) {
        self.wire.patience = patience;
    }

    /// The next event that has data.
    pub(crate) async fn next_event(&mut self) -> SseEvent {
        match self.next_event_or_end().await {
            Some(event) => event,
            None => panic!("the stream ended"),
        }
    }

    /// The next event that has data; `None` at the end of the stream.
    pub(crate) async fn next_event_or_end(&mut self) -> Option<SseEvent> {
        let (mut name, mut data) = (String::new(), None::<String>);
        loop {
            let line = self.next_line().await?;
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match (line.is_empty(), field) {
                (true, _) => match data.take() {
                    Some(data) => {
                        let event = if name.is_empty() { "message".to_owned() } else { name };
                        return Some(SseEvent { event, id: self.last_id.clone(), data });
                    }
                    None => name.clear(),
                },
                (false, "") => self.comments += 1,
                (false, "event") => name = value.to_owned(),
                (false, "id") => self.last_id = value.to_owned(),
                (false, "retry") => self.retry_ms = value.parse().ok(),
                (false, "data") => {
                    data = Some(match data {
                        Some(lines) => format!("{lines}\n{value}"),
                        None => value.to_owned(),
                    });
                }
                (false, _) => {}
            }
        }
    }

    /// The next event of this name; others are passed over.
    pub(crate) async fn next_named(&mut self, name: &str) -> SseEvent {
        loop {
            let event = self.next_event().await;
            if event.event == name {
                return event;
            }
        }
    }

    /// Reads on until a heartbeat has come that was not counted before.
    pub(crate) async fn next_comment(&mut self) {
        let before = self.comments;
        while self.comments == before {
            let line = self.next_line().await.expect("the stream goes on");
            self.comments += usize::from(line.starts_with(':'));
        }
    }

    async fn next_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.text.drain(..=end).collect();
                return Some(String::from_utf8(line[..end].to_vec()).expect("a stream is UTF-8"));
            }
            let bytes = self.wire.receive_body(&mut self.framing).await?;
            self.text.extend_from_slice(&bytes);
        }
    }

    /// The rest of the body.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        while let Some(bytes) = self.wire.receive_body(&mut self.framing).await {
            body.extend_from_slice(&bytes);
            if matches!(self.framing, Some(Framing::Length(length)) if body.len() >= length) {
                break;
            }
        }
        body
    }
}
