//! Sockets to a server that may be killed at any moment: HTTP, WebSocket and Server-Sent Events.
//!
//! What the other side does is an `io::Result`, because an end without a word is what these tests are about. What it must not do, and
//! an answer that does not come at all, is a panic.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use realtime_connector_wire::websocket::handshake::client_key;
use realtime_connector_wire::websocket::{self, Decoder, Limits, Message, Opcode, Role};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long any answer may take. Generous, because a busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(60);
const LIMITS: Limits = Limits { message_bytes_max: 1 << 24, frame_bytes_max: 1 << 24, fragments_max: 1 };

/// A socket and what was read from it too early.
#[derive(Debug)]
pub(crate) struct Line {
    addr: SocketAddr,
    socket: TcpStream,
    unread: Vec<u8>,
}

/// An answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

impl Line {
    pub(crate) async fn connect(addr: SocketAddr) -> io::Result<Self> {
        let socket = within("connecting", TcpStream::connect(addr)).await?;
        socket.set_nodelay(true)?;
        Ok(Self { addr, socket, unread: Vec::new() })
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        within("sending", self.socket.write_all(bytes)).await
    }

    /// Reads more. It may be given up halfway without a loss.
    async fn more(&mut self) -> io::Result<()> {
        match within("receiving", self.socket.read_buf(&mut self.unread)).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// Everything up to a blank line, without it.
    fn block(&mut self, end: &[u8]) -> Option<String> {
        let length = self.unread.windows(end.len()).position(|window| window == end)?;
        let block: Vec<u8> = self.unread.drain(..length + end.len()).collect();
        Some(String::from_utf8(block[..length].to_vec()).expect("heads and events are UTF-8"))
    }

    async fn head(&mut self) -> io::Result<(u16, String)> {
        loop {
            if let Some(head) = self.block(b"\r\n\r\n") {
                let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
                return Ok((status.unwrap_or_else(|| panic!("no status line: {head}")), head));
            }
            self.more().await?;
        }
    }

    async fn ask(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<(u16, String)> {
        let (addr, length) = (self.addr, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {addr}\r\ncontent-length: {length}\r\n{headers}\r\n");
        self.send(&[head.as_bytes(), body].concat()).await?;
        self.head().await
    }

    /// One request on a connection that stays.
    pub(crate) async fn request(&mut self, method: &str, path: &str, body: Option<&Value>) -> io::Result<Answer> {
        self.request_as("", method, path, body).await
    }

    /// The same with the token of a session, for what an event stream has to say.
    pub(crate) async fn request_as(
        &mut self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> io::Result<Answer> {
        let mut headers = if token.is_empty() { String::new() } else { format!("authorization: Bearer {token}\r\n") };
        headers.push_str(if body.is_some() { "content-type: application/json\r\n" } else { "" });
        let body = body.map(Value::to_string).unwrap_or_default();
        let (status, head) = self.ask(method, path, &headers, body.as_bytes()).await?;
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length = length.unwrap_or_else(|| panic!("no length: {head}"));
        while self.unread.len() < length {
            self.more().await?;
        }
        let body = self.unread.drain(..length).collect();
        Ok(Answer { status, head, body })
    }
}

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    WebSocket,
    Sse,
}

/// A connection of a client, over either provider.
#[derive(Debug)]
pub(crate) struct Stream {
    line: Line,
    decoder: Option<Decoder>,
}

/// A frame, and the cursor behind it if there is one.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) frame: Value,
    pub(crate) cursor: Option<String>,
}

impl Stream {
    /// Opens `/ws` with this query.
    pub(crate) async fn websocket(addr: SocketAddr, query: &str) -> io::Result<Self> {
        let mut line = Line::connect(addr).await?;
        let key = client_key(*b"a nonce for test");
        let key = std::str::from_utf8(&key).expect("base64 is text");
        let headers = format!(
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n"
        );
        let (status, head) = line.ask("GET", &format!("/ws{query}"), &headers, b"").await?;
        assert_eq!(status, 101, "{head}");
        Ok(Self { line, decoder: Some(Decoder::new(Role::Client)) })
    }

    /// Opens `/sse` with this query and the last cursor.
    pub(crate) async fn sse(addr: SocketAddr, query: &str, cursor: Option<&str>) -> io::Result<Self> {
        let mut line = Line::connect(addr).await?;
        let cursor = cursor.map(|cursor| format!("last-event-id: {cursor}\r\n")).unwrap_or_default();
        let (status, head) = line.ask("GET", &format!("/sse?format=frames{query}"), &cursor, b"").await?;
        assert_eq!(status, 200, "{head}");
        Ok(Self { line, decoder: None })
    }

    /// Sends a frame over a WebSocket.
    pub(crate) async fn send(&mut self, frame: &Value) -> io::Result<()> {
        assert!(self.decoder.is_some(), "an event stream has no way back");
        self.send_raw(Opcode::Text, frame.to_string().as_bytes()).await
    }

    async fn send_raw(&mut self, opcode: Opcode, payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::new();
        websocket::encode_masked(&mut bytes, opcode, *b"mask", payload);
        self.line.send(&bytes).await
    }

    /// The next frame; heartbeats are answered and passed over. It may be given up halfway without a loss.
    pub(crate) async fn next(&mut self) -> io::Result<Item> {
        loop {
            let next = if self.decoder.is_some() { self.next_message().await? } else { self.next_event() };
            match next {
                Some(item) if item.frame["op"] == "ping" => {}
                Some(item) => return Ok(item),
                None => self.line.more().await?,
            }
        }
    }

    /// The next frame with this `op`.
    pub(crate) async fn next_op(&mut self, op: &str) -> io::Result<Item> {
        loop {
            let item = self.next().await?;
            assert_ne!(item.frame["op"], "error", "{}", item.frame);
            if item.frame["op"] == op {
                return Ok(item);
            }
        }
    }

    fn next_event(&mut self) -> Option<Item> {
        loop {
            let block = self.line.block(b"\n\n")?;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            let cursor = field("id").map(str::to_owned);
            if let Some(data) = field("data") {
                let frame = serde_json::from_str(data).unwrap_or_else(|error| panic!("no JSON ({error}): {block}"));
                return Some(Item { frame, cursor });
            }
            // A heartbeat, perhaps with a cursor, which nobody here needs: no message was before it.
        }
    }

    async fn next_message(&mut self) -> io::Result<Option<Item>> {
        let decoder = self.decoder.as_mut().expect("a WebSocket");
        let mut input = &mut self.line.unread[..];
        let before = input.len();
        let message = decoder.decode(&mut input, &LIMITS).expect("the server keeps the rules");
        let (mut item, mut pong) = (None, None);
        match message {
            Some(Message::Text(text)) => {
                let frame = serde_json::from_str(text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"));
                item = Some(Item { frame, cursor: None });
            }
            Some(Message::Ping(payload)) => pong = Some(payload.to_vec()),
            Some(Message::Close { code, reason }) => {
                return Err(io::Error::other(format!("closed: {code:?} {reason}")));
            }
            Some(Message::Pong(_)) => {}
            Some(Message::Binary(_)) => panic!("a binary message"),
            None => {
                let left = input.len();
                self.line.unread.drain(..before - left);
                return Ok(None);
            }
        }
        let left = input.len();
        self.line.unread.drain(..before - left);
        if let Some(payload) = pong {
            self.send_raw(Opcode::Pong, &payload).await?;
        }
        // What was no frame of the protocol is followed by another look.
        Ok(Some(item.unwrap_or(Item { frame: serde_json::json!({"op": "ping"}), cursor: None })))
    }
}
