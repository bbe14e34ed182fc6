//! A small client for tests and examples: HTTP, WebSocket and Server-Sent Events over a plain socket.
//!
//! - It shares nothing with the server but the wire crate's WebSocket codec, in its client role.
//! - Whatever goes wrong is a panic that says so: a test has nothing better to do with it. Nothing waits longer than
//!   [`PATIENCE`].
//! - Include it with `#[path = "support/client.rs"] mod client;`; who uses only a part of it says
//!   `#[expect(dead_code, reason = "this test uses a part of it")]`.

#[path = "sse.rs"]
pub(crate) mod sse;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use realtime_connector_wire::websocket::handshake::{accept_key, client_key};
use realtime_connector_wire::websocket::{self, Decoder, Limits, Message, Opcode, Role};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long any answer may take. Generous, because a busy machine is no failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);
/// What a server may send in one message.
const LIMITS: Limits =
    Limits { message_bytes_max: 64 * 1024 * 1024, frame_bytes_max: 64 * 1024 * 1024, fragments_max: 1_000_000 };

/// An HTTP answer. The body is whole, unless the answer is a stream that was opened with [`Sse::open`].
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first header of this name, given in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text body")
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {:?}", self.text()))
    }
}

/// One request on a connection of its own. A body is sent as JSON.
pub(crate) async fn http(addr: SocketAddr, method: &str, path: &str, body: Option<&Value>) -> Response {
    let body = body.map(Value::to_string);
    let json = body.as_ref().map(|_| ("content-type", "application/json"));
    request(addr, method, path, json.as_slice(), body.as_deref().unwrap_or_default().as_bytes()).await
}

/// One request on a connection of its own, with exactly these headers besides `Host`, `Content-Length` and `Connection`.
pub(crate) async fn request(
    addr: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Response {
    let mut wire = Wire::connect(addr).await;
    let length = body.len().to_string();
    let fixed = [("content-length", &*length), ("connection", "close")];
    wire.send_head(addr, method, path, fixed.iter().chain(headers)).await;
    wire.send(body).await;
    let (mut response, framing) = wire.receive_head().await;
    while let Some(bytes) = wire.receive_body(&mut Some(framing)).await {
        response.body.extend_from_slice(&bytes);
        if let Framing::Length(length) = framing
            && response.body.len() >= length
        {
            break;
        }
    }
    response
}

/// How a body ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClose,
}

/// A socket and what was read from it too early.
#[derive(Debug)]
struct Wire {
    socket: TcpStream,
    unread: Vec<u8>,
    /// How long reading may take.
    patience: Duration,
}

impl Wire {
    async fn connect(addr: SocketAddr) -> Self {
        Self::on(within("connecting", TcpStream::connect(addr)).await.expect("the server accepts"))
    }

    fn on(socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("a TCP socket");
        Self { socket, unread: Vec::new(), patience: PATIENCE }
    }

    async fn send(&mut self, bytes: &[u8]) {
        within("sending", self.socket.write_all(bytes)).await.expect("the server reads");
    }

    async fn send_head<'a>(
        &mut self,
        addr: SocketAddr,
        method: &str,
        path: &str,
        headers: impl Iterator<Item = &'a (&'a str, &'a str)>,
    ) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        let mut has_host = false;
        for (name, value) in headers {
            has_host |= name.eq_ignore_ascii_case("host");
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !has_host {
            head.push_str(&format!("host: {addr}\r\n"));
        }
        head.push_str("\r\n");
        self.send(head.as_bytes()).await;
    }

    /// Reads more. `false` at the end, which may also be a reset.
    async fn read_more(&mut self) -> bool {
        let read = tokio::time::timeout(self.patience, self.socket.read_buf(&mut self.unread)).await;
        matches!(read.unwrap_or_else(|_| panic!("nothing came for {:?}", self.patience)), Ok(1..))
    }

    async fn receive_line(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.unread.drain(..end + 2).collect();
                return Some(String::from_utf8(line[..end].to_vec()).expect("a head is text"));
            }
            if !self.read_more().await {
                return None;
            }
        }
    }

    async fn receive_head(&mut self) -> (Response, Framing) {
        let line = self.receive_line().await.expect("an HTTP answer, not the end");
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.receive_line().await.expect("a whole head");
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let response = Response { status, headers, body: Vec::new() };
        let framing = match (response.header("content-length"), response.header("transfer-encoding")) {
            (_, Some("chunked")) => Framing::Chunked,
            (Some(length), _) => Framing::Length(length.parse().expect("a length")),
            (None, _) if matches!(status, 101 | 204 | 304) => Framing::Length(0),
            (None, _) => Framing::UntilClose,
        };
        (response, framing)
    }

    /// The next piece of a body; `None` at its end. `framing` becomes `None` with it.
    async fn receive_body(&mut self, framing: &mut Option<Framing>) -> Option<Vec<u8>> {
        match (*framing)? {
            Framing::Length(0) => None,
            Framing::Length(_) | Framing::UntilClose => {
                if self.unread.is_empty() && !self.read_more().await {
                    *framing = None;
                    return None;
                }
                Some(std::mem::take(&mut self.unread))
            }
            Framing::Chunked => {
                let chunk = self.receive_chunk().await;
                if chunk.is_none() {
                    *framing = None;
                }
                chunk
            }
        }
    }

    async fn receive_chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.receive_line().await?;
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or_else(|_| panic!("no chunk size: {size:?}"));
        while self.unread.len() < size + 2 {
            if !self.read_more().await {
                return None;
            }
        }
        let mut chunk: Vec<u8> = self.unread.drain(..size + 2).collect();
        assert!(chunk.ends_with(b"\r\n"), "a chunk ends with its line");
        chunk.truncate(size);
        (size > 0).then_some(chunk)
    }
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

/// What a WebSocket peer said.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Received {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
    /// The stream has ended.
    End,
}

/// A WebSocket client.
#[derive(Debug)]
pub(crate) struct Ws {
    wire: Wire,
    /// The answer to the handshake.
    pub(crate) head: Response,
    decoder: Decoder,
    received: VecDeque<Received>,
    sent: u32,
    /// Whether pings are answered as they come.
    pub(crate) answers_pings: bool,
}

impl Ws {
    /// Connects; the server must agree.
    pub(crate) async fn connect(addr: SocketAddr, path: &str) -> Self {
        match Self::open(addr, path, &[]).await {
            Ok(ws) => ws,
            Err(response) => panic!("{path}: refused with {}: {}", response.status, response.text()),
        }
    }

    /// Connects with further headers. A refusal is its answer.
    pub(crate) async fn open(addr: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Self, Response> {
        Self::shake_hands(Wire::connect(addr).await, addr, path, headers).await
    }

    /// Connects over a socket with properties of its own; the server must agree.
    pub(crate) async fn connect_on(socket: TcpStream, path: &str) -> Self {
        let addr = socket.peer_addr().expect("a connected socket");
        match Self::shake_hands(Wire::on(socket), addr, path, &[]).await {
            Ok(ws) => ws,
            Err(response) => panic!("{path}: refused with {}: {}", response.status, response.text()),
        }
    }

    async fn shake_hands(
        mut wire: Wire,
        addr: SocketAddr,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Response> {
        let key = client_key(*b"a nonce for test");
        let key = std::str::from_utf8(&key).expect("base64 is text");
        let fixed = [
            ("connection", "Upgrade"),
            ("upgrade", "websocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", key),
        ];
        wire.send_head(addr, "GET", path, fixed.iter().chain(headers)).await;
        let (mut response, framing) = wire.receive_head().await;
        if response.status != 101 {
            let mut framing = Some(framing);
            while let Some(bytes) = wire.receive_body(&mut framing).await {
                response.body.extend_from_slice(&bytes);
                if matches!(framing, Some(Framing::Length(length)) if response.body.len() >= length) {
                    break;
                }
            }
            return Err(response);
        }
        let accept = accept_key(key.as_bytes());
        assert_eq!(response.header("sec-websocket-accept").map(str::as_bytes), Some(&accept[..]));
        let decoder = Decoder::new(Role::Client);
        Ok(Self { wire, head: response, decoder, received: VecDeque::new(), sent: 0, answers_pings: true })
    }

    /// Waits for this long, from now on, whenever something shall come.
    pub(crate) const fn set_patience(&mut self, patience: Duration) {
        self.wire.patience = patience;
    }

    /// Sends one frame, final and masked.
    pub(crate) async fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        self.sent = self.sent.wrapping_add(0x9e37_79b9);
        let mut frame = Vec::new();
        websocket::encode_masked(&mut frame, opcode, self.sent.to_be_bytes(), payload);
        self.wire.send(&frame).await;
    }

    /// Sends bytes as they are.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        self.wire.send(bytes).await;
    }

    /// Sends bytes to a server that may have closed already, for as long as it takes.
    pub(crate) async fn try_send_raw(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.wire.socket.write_all(bytes).await
    }

    /// The socket alone, with what was not read yet still in it.
    pub(crate) fn into_socket(self) -> TcpStream {
        self.wire.socket
    }

    /// Sends as much as goes while nothing is received, and says how many bytes that were.
    pub(crate) async fn send_until_stalled(&mut self, bytes: &[u8]) -> usize {
        const STALL: Duration = Duration::from_millis(500);
        let mut sent = 0;
        while sent < bytes.len() {
            match tokio::time::timeout(STALL, self.wire.socket.write(&bytes[sent..])).await {
                Ok(written) => sent += written.expect("the server reads"),
                Err(_) => break,
            }
        }
        sent
    }

    /// Sends bytes and reads whatever comes meanwhile, for a peer that waits to be read.
    pub(crate) async fn send_while_reading(&mut self, bytes: &[u8]) {
        let (mut read, mut write) = self.wire.socket.split();
        let mut sent = 0;
        while sent < bytes.len() {
            let step = async {
                tokio::select! {
                    written = write.write(&bytes[sent..]) => sent += written.expect("the server reads"),
                    count = read.read_buf(&mut self.wire.unread) => assert_ne!(count.expect("a stream"), 0, "the end"),
                }
            };
            within("sending or receiving", step).await;
        }
    }

    pub(crate) async fn send_text(&mut self, text: &str) {
        self.send(Opcode::Text, text.as_bytes()).await;
    }

    pub(crate) async fn send_json(&mut self, value: &Value) {
        self.send_text(&value.to_string()).await;
    }

    /// Whatever comes next.
    pub(crate) async fn recv(&mut self) -> Received {
        loop {
            if let Some(received) = self.received.pop_front() {
                if let (Received::Ping(payload), true) = (&received, self.answers_pings) {
                    let payload = payload.clone();
                    self.send(Opcode::Pong, &payload).await;
                }
                return received;
            }
            let has_more = !self.wire.unread.is_empty() || self.wire.read_more().await;
            if !has_more {
                return Received::End;
            }
            let mut bytes = std::mem::take(&mut self.wire.unread);
            let mut input = &mut bytes[..];
            while let Some(message) = self.decoder.decode(&mut input, &LIMITS).expect("the server keeps the rules") {
                self.received.push_back(match message {
                    Message::Text(text) => Received::Text(text.to_owned()),
                    Message::Binary(bytes) => Received::Binary(bytes.to_vec()),
                    Message::Ping(payload) => Received::Ping(payload.to_vec()),
                    Message::Pong(payload) => Received::Pong(payload.to_vec()),
                    Message::Close { code, reason } => Received::Close(code, reason.to_owned()),
                });
            }
        }
    }

    /// The next frame of the protocol; pings and pongs are passed over.
    pub(crate) async fn recv_json(&mut self) -> Value {
        loop {
            match self.recv().await {
                Received::Text(text) => return serde_json::from_str(&text).expect("frames are JSON"),
                Received::Ping(_) | Received::Pong(_) => {}
                other @ (Received::Binary(_) | Received::Close(..) | Received::End) => {
                    panic!("expected a frame, got {other:?}")
                }
            }
        }
    }

    /// The next frame with this `op`; others are passed over.
    pub(crate) async fn recv_op(&mut self, op: &str) -> Value {
        loop {
            let frame = self.recv_json().await;
            if frame["op"] == op {
                return frame;
            }
        }
    }

    /// Reads on to the server's close frame and gives its code.
    pub(crate) async fn recv_close(&mut self) -> Option<u16> {
        loop {
            match self.recv().await {
                Received::Close(code, _) => return code,
                Received::End => panic!("the stream ended without a close frame"),
                Received::Text(_) | Received::Binary(_) | Received::Ping(_) | Received::Pong(_) => {}
            }
        }
    }

    /// Says goodbye and waits for the answer.
    pub(crate) async fn close(&mut self) {
        let mut body = Vec::new();
        websocket::encode_close(&mut body, Some(1000), "");
        self.send(Opcode::Close, &body[2..]).await;
        assert_eq!(self.recv_close().await, Some(1000));
    }
}
