//! Plays a transcript against a server: one client per name, each with its two lanes, over one of the two providers.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::client::sse::Sse;
use super::client::{PATIENCE, Received, Response, Ws, http, request};
use super::transcript::{Captures, Lane, Line, Opening, Outgoing, Step, Transcript};

/// Frames that wait for the player. No transcript has more; a reader waits when it is full.
const WAITING_MAX: usize = 4_096;

/// A client may be idle while others play; the player itself is not patient.
const FOREVER: Duration = Duration::from_secs(3_600);

/// How clients reach the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Provider {
    WebSocket,
    Sse,
}

/// What arrives for a client.
#[derive(Debug)]
enum Arrival {
    Frame(Value),
    /// The connection has ended; on WebSocket with this number.
    Ended(Option<u16>),
}

/// How a client sends.
#[derive(Debug)]
enum Uplink {
    /// To the task that owns the socket.
    Socket(mpsc::Sender<String>),
    /// One POST for each frame.
    Posts { path: String, bearer: String },
}

#[derive(Debug)]
struct Client {
    uplink: Uplink,
    arrivals: mpsc::Receiver<Arrival>,
    answers: VecDeque<Value>,
    stream: VecDeque<Value>,
    ended: Option<Option<u16>>,
    /// Numbers the pings that prove silence; far above those of the transcripts.
    probe: u64,
    reader: JoinHandle<()>,
}

/// The state of one play.
#[derive(Debug)]
pub(crate) struct Player {
    addr: SocketAddr,
    provider: Provider,
    captures: Captures,
    clients: BTreeMap<String, Client>,
}

impl Player {
    pub(crate) fn new(addr: SocketAddr, provider: Provider) -> Self {
        Self { addr, provider, captures: Captures::default(), clients: BTreeMap::new() }
    }

    /// Plays all lines.
    ///
    /// # Errors
    /// The number of the line that did not come true, and why.
    pub(crate) async fn play(mut self, transcript: &Transcript) -> Result<(), (usize, String)> {
        for Line { number, step } in &transcript.lines {
            self.step(step).await.map_err(|error| (*number, error))?;
        }
        let last = transcript.lines.last().map_or(0, |line| line.number);
        for (name, client) in &mut self.clients {
            client.prove_silence(self.addr).await.map_err(|error| (last, format!("at the end: {name}: {error}")))?;
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Open { client, how, refused } => self.open(client, how, refused.as_ref()).await,
            Step::From { client, text, times } => {
                let text = match text {
                    Outgoing::Raw(text) => text.clone(),
                    Outgoing::Frame(frame) => self.captures.fill(frame)?.to_string(),
                };
                let addr = self.addr;
                for _ in 0..*times {
                    self.client(client)?.send(addr, &text).await?;
                }
                Ok(())
            }
            Step::To { client, frame, times } => {
                for turn in 0..*times {
                    let lane = Lane::of(frame);
                    let actual = self.client(client)?.next(lane).await;
                    let actual = actual.map_err(|error| format!("{error}\n  expected {frame}"))?;
                    let matched = self.captures.matches(frame, &actual);
                    matched.map_err(|error| {
                        format!("{error} (time {})\n  expected {frame}\n  got      {actual}", turn + 1)
                    })?;
                }
                Ok(())
            }
            Step::Http { method, path, body, status, answer, times } => {
                for _ in 0..*times {
                    self.http(method, path, body.as_ref(), *status, answer).await?;
                }
                Ok(())
            }
            Step::Pass { ms } => {
                tokio::time::sleep(Duration::from_millis(*ms)).await;
                Ok(())
            }
            Step::Silent { client } => {
                let addr = self.addr;
                self.client(client)?.prove_silence(addr).await
            }
            Step::Close { client } => {
                let client = self.clients.remove(client).ok_or("is not open")?;
                client.reader.abort();
                // The socket closes when its task is gone.
                drop(client.reader.await);
                Ok(())
            }
            Step::Closed { client, code } => {
                let provider = self.provider;
                let mut client = self.clients.remove(client).ok_or("is not open")?;
                client.expect_end(*code, provider).await
            }
        }
    }

    fn client(&mut self, name: &str) -> Result<&mut Client, String> {
        self.clients.get_mut(name).ok_or_else(|| format!("{name} is not open"))
    }

    async fn http(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        status: u16,
        answer: &Value,
    ) -> Result<(), String> {
        let path = self.captures.fill_text(path)?;
        let body = body.map(|body| self.captures.fill(body)).transpose()?;
        let response = http(self.addr, method, &path, body.as_ref()).await;
        let text = String::from_utf8_lossy(&response.body).into_owned();
        if response.status != status {
            return Err(format!("{method} {path}: status {}, expected {status}\n  got      {text}", response.status));
        }
        let actual = serde_json::from_str(&text).unwrap_or(Value::String(text.clone()));
        self.captures.matches(answer, &actual).map_err(|error| {
            format!("{method} {path}: {}\n  expected {answer}\n  got      {text}", error.replacen("frame", "answer", 1))
        })
    }

    async fn open(&mut self, name: &str, how: &Opening, refused: Option<&Value>) -> Result<(), String> {
        let opened = match (self.provider, how) {
            (Provider::WebSocket, Opening::Query(query)) => {
                let path = format!("/ws{}", self.query_text(query, &[])?);
                Ws::open(self.addr, &path, &[]).await.map(spawn_socket).map_err(|response| frame_of(&response))
            }
            (Provider::WebSocket, Opening::Connect(fields)) => {
                let frame = self.connect_frame(fields)?;
                let mut ws = Ws::connect(self.addr, "/ws").await;
                ws.send_json(&frame).await;
                match refused {
                    None => Ok(spawn_socket(ws)),
                    Some(_) => Err(ws.recv_json().await),
                }
            }
            (Provider::Sse, Opening::Query(query)) => {
                let path = format!("/sse{}", self.query_text(query, &[("format", "frames")])?);
                spawn_stream(Sse::open(self.addr, &path, &[]).await).await
            }
            (Provider::Sse, Opening::Connect(fields)) => {
                let frame = self.connect_frame(fields)?;
                spawn_stream(Sse::post(self.addr, "/sse", frame.to_string().as_bytes()).await).await
            }
        };
        match (opened, refused) {
            (Ok(client), None) => {
                self.clients.insert(name.to_owned(), client);
                Ok(())
            }
            (Err(actual), Some(expected)) => self
                .captures
                .matches(expected, &actual)
                .map_err(|error| format!("{error}\n  expected {expected}\n  got      {actual}")),
            (Ok(client), Some(expected)) => {
                client.reader.abort();
                Err(format!("was opened\n  expected {expected}"))
            }
            (Err(actual), None) => Err(format!("was refused\n  got      {actual}")),
        }
    }

    fn connect_frame(&self, fields: &serde_json::Map<String, Value>) -> Result<Value, String> {
        let mut frame = self.captures.fill(&Value::Object(fields.clone()))?;
        frame["op"] = json!("connect");
        Ok(frame)
    }

    fn query_text(&self, query: &[(String, String)], more: &[(&str, &str)]) -> Result<String, String> {
        let mut text = form_urlencoded::Serializer::new(String::from("?"));
        for (name, value) in query {
            text.append_pair(name, &self.captures.fill_text(value)?);
        }
        text.extend_pairs(more);
        Ok(text.finish())
    }
}

impl Client {
    /// A client whose first frame on SSE, `connected`, says where to send.
    fn new(uplink: Uplink, arrivals: mpsc::Receiver<Arrival>, reader: JoinHandle<()>) -> Self {
        let (answers, stream) = Default::default();
        Self { uplink, arrivals, answers, stream, ended: None, probe: 1_000_000_000, reader }
    }

    async fn send(&mut self, addr: SocketAddr, text: &str) -> Result<(), String> {
        match &self.uplink {
            Uplink::Socket(sender) => {
                // A socket that has ended takes nothing more, as any client finds out; what was said then is lost.
                drop(sender.send(text.to_owned()).await);
                Ok(())
            }
            Uplink::Posts { path, bearer } => {
                let headers = [("content-type", "application/json"), ("authorization", &**bearer)];
                let response = request(addr, "POST", path, &headers, text.as_bytes()).await;
                if response.status == 204 {
                    assert_eq!(response.text(), "", "204 has no body");
                    return Ok(());
                }
                let frame = frame_of(&response);
                if let Value::Array(frames) = frame {
                    self.answers.extend(frames);
                } else {
                    self.answers.push_back(frame);
                }
                Ok(())
            }
        }
    }

    /// Takes an arrival into its lane. `false` when it took longer than patience.
    async fn receive(&mut self) -> bool {
        match tokio::time::timeout(PATIENCE, self.arrivals.recv()).await {
            Ok(Some(Arrival::Frame(frame))) => {
                if frame["op"] == "ping" && frame.get("ref").is_none() {
                    return true; // A heartbeat.
                }
                match Lane::of(&frame) {
                    Lane::Answers => self.answers.push_back(frame),
                    Lane::Stream => self.stream.push_back(frame),
                }
                true
            }
            Ok(Some(Arrival::Ended(code))) => {
                self.ended = Some(code);
                true
            }
            Ok(None) => {
                self.ended.get_or_insert(None);
                true
            }
            Err(_) => false,
        }
    }

    async fn next(&mut self, lane: Lane) -> Result<Value, String> {
        loop {
            let queue = match lane {
                Lane::Answers => &mut self.answers,
                Lane::Stream => &mut self.stream,
            };
            if let Some(frame) = queue.pop_front() {
                return Ok(frame);
            }
            if let Some(code) = self.ended {
                return Err(format!("the connection ended ({code:?}) and no frame came"));
            }
            if !self.receive().await {
                return Err(format!("no frame came within {PATIENCE:?}; waiting {}", self.waiting()));
            }
        }
    }

    fn waiting(&self) -> String {
        format!("answers {:?}, stream {:?}", Vec::from_iter(&self.answers), Vec::from_iter(&self.stream))
    }

    /// A `ping` that comes back shows that everything said before it has arrived.
    async fn prove_silence(&mut self, addr: SocketAddr) -> Result<(), String> {
        // The answer of a POST may overtake the stream by one turn of the worker; a second one may not.
        let times = if matches!(self.uplink, Uplink::Posts { .. }) { 2 } else { 1 };
        for _ in 0..times {
            self.probe += 1;
            let probe = json!({"op": "ping", "ref": self.probe});
            self.send(addr, &probe.to_string()).await?;
            let answer = self.next(Lane::Answers).await?;
            if answer["op"] != "pong" || answer["ref"] != self.probe {
                return Err(format!("is not silent\n  got      {answer}"));
            }
        }
        while let Ok(arrival) = self.arrivals.try_recv() {
            match arrival {
                Arrival::Frame(frame) if frame["op"] == "ping" => {}
                Arrival::Frame(frame) => self.stream.push_back(frame),
                Arrival::Ended(code) => return Err(format!("the connection ended ({code:?})")),
            }
        }
        match (self.answers.pop_front(), self.stream.pop_front()) {
            (None, None) => Ok(()),
            (Some(frame), _) | (None, Some(frame)) => Err(format!("is not silent\n  got      {frame}")),
        }
    }

    async fn expect_end(&mut self, code: u16, provider: Provider) -> Result<(), String> {
        let goaway = self.next(Lane::Stream).await?;
        if goaway["op"] != "goaway" || goaway["code"] != code {
            return Err(format!("expected goaway with {code}\n  got      {goaway}"));
        }
        while self.ended.is_none() {
            if !self.receive().await {
                return Err(format!("the connection did not end within {PATIENCE:?}"));
            }
        }
        let number = (provider == Provider::WebSocket).then_some(code);
        if self.ended != Some(number) {
            return Err(format!("ended with {:?}, expected {number:?}", self.ended));
        }
        match self.stream.pop_front() {
            None => Ok(()),
            Some(frame) => Err(format!("goaway was not the last frame\n  got      {frame}")),
        }
    }
}

/// A frame of the server. Fields that nest deeper than this JSON library follows stay what they are: text.
fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| {
        let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("frames are JSON objects");
        let value = |raw: &RawValue| serde_json::from_str(raw.get()).unwrap_or_else(|_| json!(raw.get()));
        fields.into_iter().map(|(name, raw)| (name, value(&raw))).collect()
    })
}

/// The frame an HTTP answer stands for: a problem is an error without `op`.
fn frame_of(response: &Response) -> Value {
    let mut frame = response.json();
    if response.header("content-type") == Some("application/problem+json") {
        assert_eq!(frame["status"], response.status, "the status stands in the problem");
        frame["op"] = json!("error");
    }
    frame
}

fn spawn_socket(mut ws: Ws) -> Client {
    ws.set_patience(FOREVER);
    let (sender, mut outgoing): (mpsc::Sender<String>, _) = mpsc::channel(WAITING_MAX);
    let (arrived, arrivals) = mpsc::channel(WAITING_MAX);
    let reader = tokio::spawn(async move {
        loop {
            let arrival = tokio::select! {
                // Giving up on it loses nothing: what was read stays in the client.
                received = ws.recv() => match received {
                    Received::Text(text) => Arrival::Frame(parse(&text)),
                    Received::Ping(_) | Received::Pong(_) => continue,
                    Received::Binary(bytes) => panic!("binary: {bytes:?}"),
                    Received::Close(code, _) => Arrival::Ended(code),
                    Received::End => Arrival::Ended(None),
                },
                Some(text) = outgoing.recv() => {
                    ws.send_text(&text).await;
                    continue;
                }
            };
            let ended = matches!(arrival, Arrival::Ended(_));
            if arrived.send(arrival).await.is_err() || ended {
                return;
            }
        }
    });
    Client::new(Uplink::Socket(sender), arrivals, reader)
}

/// Reads `connected`, which says where to send, and then the rest in a task.
///
/// # Errors
/// The error that was answered instead of a stream.
async fn spawn_stream(mut sse: Sse) -> Result<Client, Value> {
    if sse.head.status != 200 {
        let mut response = sse.head.clone();
        response.body = sse.rest().await;
        return Err(frame_of(&response));
    }
    let connected = sse.next_event().await.json();
    let text = |name: &str| connected[name].as_str().unwrap_or_else(|| panic!("no {name}: {connected}")).to_owned();
    let path = format!("/sse/{}", text("connectionId"));
    let bearer = format!("Bearer {}", text("sessionToken"));
    let (arrived, arrivals) = mpsc::channel(WAITING_MAX);
    sse.set_patience(FOREVER);
    let reader = tokio::spawn(async move {
        let mut next = Arrival::Frame(connected);
        loop {
            let ended = matches!(next, Arrival::Ended(_));
            if arrived.send(next).await.is_err() || ended {
                return;
            }
            next = match sse.next_event_or_end().await {
                Some(event) => {
                    assert_eq!(event.event, "message", "format=frames has no event names");
                    Arrival::Frame(parse(&event.data))
                }
                None => Arrival::Ended(None),
            };
        }
    });
    Ok(Client::new(Uplink::Posts { path, bearer }, arrivals, reader))
}
