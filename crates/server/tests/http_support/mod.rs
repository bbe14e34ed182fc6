//! A server in this process, and bytes in and out of its socket, for the tests of its HTTP side.

#![expect(dead_code, reason = "each test uses a part of it")]

use std::net::SocketAddr;
use std::time::Duration;

use realtime_connector::config::{ApiKey, Auth};
use realtime_connector::{Builder, Config, RealtimeConnector, Serving};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A WebSocket handshake but for its first line and its Host.
pub(crate) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// How long anything may take before a test gives up: more than every deadline of the server, because a busy machine is no failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// The API key of servers with keys.
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";

/// A server at work.
pub(crate) struct Server {
    pub(crate) addr: SocketAddr,
    pub(crate) connector: RealtimeConnector,
    serving: Serving,
}

impl Server {
    /// In dev mode, without the playground.
    pub(crate) async fn dev() -> Self {
        Self::start(Config::default()).await
    }

    /// With an API key, for anonymous listeners.
    pub(crate) async fn with_key() -> Self {
        Self::start(config_with_key()).await
    }

    pub(crate) async fn start(config: Config) -> Self {
        Self::build(Builder::new(any_port(config)).playground(false)).await
    }

    pub(crate) async fn with_playground() -> Self {
        Self::build(Builder::new(any_port(Config::default()))).await
    }

    async fn build(builder: Builder) -> Self {
        let connector = builder.build().expect("a good configuration");
        let serving = connector.serve().await.expect("a free port");
        Self { addr: serving.local_addr(), connector, serving }
    }

    /// Writes `bytes` and reads until the server closes.
    pub(crate) async fn exchange(&self, bytes: impl AsRef<[u8]>) -> Vec<Answer> {
        let mut socket = self.connect().await;
        // The server may close before everything is written, which is its right.
        drop(socket.write_all(bytes.as_ref()).await);
        Answer::all(&read_to_end(&mut socket).await)
    }

    /// Writes `bytes` and reads one whole answer, whether the server closes or not.
    pub(crate) async fn ask(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let mut socket = self.connect().await;
        socket.write_all(bytes.as_ref()).await.expect("the server reads");
        let mut read = Vec::new();
        loop {
            let mut chunk = [0; 4096];
            let count =
                tokio::time::timeout(PATIENCE, socket.read(&mut chunk)).await.expect("in time").expect("it answers");
            read.extend_from_slice(&chunk[..count]);
            let answer = Answer::all(&read).into_iter().next();
            let declared = answer.as_ref().and_then(|answer| answer.header("content-length")?.parse().ok());
            match answer {
                Some(answer) if answer.status == 101 || declared == Some(answer.body.len()) || count == 0 => {
                    return answer;
                }
                Some(_) | None => assert!(count > 0, "the server closed: {read:?}"),
            }
        }
    }

    /// One request with a whole answer, after which the server closes.
    pub(crate) async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n", self.addr);
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !body.is_empty() {
            head += &format!("content-length: {}\r\n", body.len());
        }
        let mut answers = self.exchange([(head + "\r\n").as_bytes(), body].concat()).await;
        assert_eq!(answers.len(), 1, "one answer to {method} {path}: {answers:?}");
        answers.remove(0)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &[], b"").await
    }

    /// A request with a JSON body.
    pub(crate) async fn send(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.request(method, path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr).await.expect("the server listens")
    }

    /// Opens a stream of frames and returns its id; it lasts as long as the socket.
    pub(crate) async fn stream(&self, query: &str) -> Stream {
        self.stream_as(query, "").await.0
    }

    /// Opens a stream with more headers, and returns its `connected` too.
    pub(crate) async fn stream_as(&self, query: &str, headers: &str) -> (Stream, Value) {
        let mut socket = self.connect().await;
        let head = format!("GET /sse?format=frames&{query} HTTP/1.1\r\nhost: {}\r\n{headers}\r\n", self.addr);
        socket.write_all(head.as_bytes()).await.expect("the server reads");
        let mut stream = Stream { socket, read: Vec::new(), id: String::new() };
        let connected = stream.frame("connected").await;
        stream.id = connected["connectionId"].as_str().expect("an id").to_owned();
        (stream, connected)
    }

    /// That it still answers, which is asked after everything bad.
    #[track_caller]
    pub(crate) fn is_alive(&self) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let live = self.get("/health/live").await;
            assert_eq!((live.status, live.body.as_slice()), (200, &b"ok\n"[..]), "{caller}");
        }
    }

    pub(crate) async fn stop(self) {
        self.connector.shutdown().await;
        self.serving.wait().await;
    }
}

/// An open stream of Server-Sent Events.
pub(crate) struct Stream {
    pub(crate) socket: TcpStream,
    read: Vec<u8>,
    pub(crate) id: String,
}

impl Stream {
    /// The next frame with this `op`; others are passed over.
    pub(crate) async fn frame(&mut self, op: &str) -> Value {
        loop {
            while let Some(end) = self.read.windows(2).position(|pair| pair == b"\n\n") {
                let block: Vec<u8> = self.read.drain(..end + 2).collect();
                let block = String::from_utf8(block).expect("a stream is UTF-8");
                let data = block.lines().find_map(|line| line.strip_prefix("data: "));
                let frame: Option<Value> = data.map(|data| serde_json::from_str(data).expect("a frame is JSON"));
                if let Some(frame) = frame.filter(|frame| frame["op"] == op) {
                    return frame;
                }
            }
            let mut chunk = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut chunk)).await;
            let count = read.expect("a frame in time").expect("the stream works");
            assert!(count > 0, "the stream ended before a frame '{op}'");
            self.read.extend_from_slice(&chunk[..count]);
        }
    }
}

/// Reads until the server closes. A reset is an end too: the server may have had bytes left that it did not want.
pub(crate) async fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut bytes)).await;
    drop(read.unwrap_or_else(|_| panic!("the server did not close; it said {:?}", String::from_utf8_lossy(&bytes))));
    bytes
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// Every answer in what a server wrote; the body of the last one may have no declared length.
    fn all(mut bytes: &[u8]) -> Vec<Self> {
        let mut answers = Vec::new();
        while let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = std::str::from_utf8(&bytes[..end]).expect("a head is text");
            let mut lines = head.split("\r\n");
            let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
            let pairs = lines.filter_map(|line| line.split_once(": "));
            let headers: Vec<_> = pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
            let mut answer = Self { status: status.expect("a status"), headers, body: Vec::new() };
            bytes = &bytes[end + 4..];
            let declared = answer.header("content-length").and_then(|length| length.parse().ok());
            let bodiless = answer.status < 200 || answer.status == 304;
            let length = if bodiless { 0 } else { declared.unwrap_or(bytes.len()).min(bytes.len()) };
            answer.body = bytes[..length].to_vec();
            bytes = &bytes[length..];
            answers.push(answer);
        }
        answers
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        let text = String::from_utf8_lossy(&self.body);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("no JSON ({error}): {text}"))
    }

    /// The body of a refusal: its code, and the field at fault.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String, Option<String>) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let body = self.json();
        assert_eq!(body["status"], self.status, "{body}");
        assert!(body["message"].is_string() && body["retryable"].is_boolean(), "{body}");
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        (self.status, text("code").expect("a code"), text("field"))
    }

    /// That it is such a refusal.
    #[track_caller]
    pub(crate) fn refuses(&self, status: u16, code: &str, field: Option<&str>) {
        assert_eq!(self.problem(), (status, code.to_owned(), field.map(str::to_owned)));
    }
}

/// A configuration on any free port.
pub(crate) fn any_port(config: Config) -> Config {
    Config { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..config }
}

pub(crate) fn config_with_key() -> Config {
    let api_keys = vec![ApiKey { key: KEY.into(), name: Some("tests".to_owned()) }];
    Config { auth: Auth { api_keys, anonymous: true, ..Auth::default() }, ..Config::default() }
}
