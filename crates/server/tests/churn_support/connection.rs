//! A connection from its first byte to its last, with everything it must hear and must not hear.

use std::io::Write as _;
use std::net::{Shutdown, SocketAddr};
use std::ops::RangeInclusive;
use std::pin::pin;
use std::sync::Arc;

use realtime_connector_wire::websocket::{self, Opcode};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::client::sse::Sse;
use super::client::{Received, Ws, request};
use super::ledger::{CHANNELS, LOGS, Ledger, USERS, name};
use super::{PATIENCE, Random};

/// How a connection comes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Entry {
    WsUrl,
    WsFrame,
    SseUrl,
    SseBody,
}

impl Entry {
    pub(crate) fn is_websocket(self) -> bool {
        matches!(self, Self::WsUrl | Self::WsFrame)
    }
}

/// How it leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    CloseFrame,
    CloseOp,
    HalfClose,
    Drop,
}

/// The life of a connection.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) entry: Entry,
    ending: Ending,
    /// The log of its user.
    user: Option<usize>,
    channels: Vec<usize>,
    /// A channel that it subscribes to once it is connected.
    later: Option<usize>,
}

impl Plan {
    pub(crate) fn any(random: &mut Random) -> Self {
        let entry = random.one_of(&[Entry::WsUrl, Entry::WsFrame, Entry::SseUrl, Entry::SseBody]);
        let ending = match entry {
            Entry::WsUrl | Entry::WsFrame => {
                random.one_of(&[Ending::CloseFrame, Ending::CloseOp, Ending::HalfClose, Ending::Drop])
            }
            Entry::SseUrl => random.one_of(&[Ending::CloseOp, Ending::HalfClose, Ending::Drop]),
            // The test client does not POST over a socket of ours.
            Entry::SseBody => random.one_of(&[Ending::CloseOp, Ending::Drop]),
        };
        // In development mode the user stands in the URL, and a WebSocket with a user there takes no frame.
        let user = (entry != Entry::WsFrame && random.below(2) == 0).then(|| 1 + CHANNELS + random.below(USERS));
        let mut channels: Vec<_> = (0..=random.below(3)).map(|_| 1 + random.below(CHANNELS)).collect();
        channels.sort_unstable();
        channels.dedup();
        let later = if entry.is_websocket() && channels.len() > 1 { channels.pop() } else { None };
        Self { entry, ending, user, channels, later }
    }

    /// Everything it listens to.
    pub(crate) fn logs(&self) -> impl Iterator<Item = usize> {
        self.channels.iter().copied().chain(self.later).chain([0]).chain(self.user)
    }

    /// The log that a frame to this connection means. There is none that it does not listen to.
    #[track_caller]
    fn log(&self, frame: &Value) -> usize {
        let log = match frame["channel"].as_str() {
            Some("$user") => self.user,
            Some(channel) => self.logs().find(|log| *log <= CHANNELS && name(*log) == channel),
            None => None,
        };
        log.unwrap_or_else(|| panic!("{frame} is not for {self:?}"))
    }

    fn url(&self) -> String {
        let path = if self.entry.is_websocket() { "/ws" } else { "/sse" };
        let by_url = matches!(self.entry, Entry::WsUrl | Entry::SseUrl);
        let channels = self.channels.iter().filter(|_| by_url).map(|log| format!("&channel={}", name(*log)));
        let user = self.user.map(|log| format!("&userId={}", name(log)));
        format!("{path}?format=frames{}", channels.chain(user).collect::<String>())
    }

    fn connect_frame(&self) -> Value {
        let channels = self.channels.iter().map(|log| name(*log));
        let names = ["$all".to_owned()].into_iter().chain(self.user.map(|_| "$user".to_owned())).chain(channels);
        let subscriptions: Vec<_> = names.map(|name| json!({"channel": name})).collect();
        json!({"op": "connect", "subscriptions": subscriptions})
    }
}

/// What a connection heard of a log.
#[derive(Clone, Debug)]
pub(crate) struct Hearing {
    pub(crate) log: usize,
    /// Where it began: one offset where the server has told it, else somewhere in between.
    position: RangeInclusive<u64>,
    /// The first offset it heard.
    pub(crate) first: u64,
    /// From the first offset on, without a hole.
    pub(crate) payloads: Vec<u32>,
}

impl Hearing {
    fn new(log: usize, position: RangeInclusive<u64>) -> Self {
        Self { log, position, first: 0, payloads: Vec::new() }
    }

    #[track_caller]
    fn hear(&mut self, frame: &Value) {
        let (Some(offset), Some(payload)) = (frame["offset"].as_u64(), frame["data"].as_u64()) else {
            panic!("{frame} has no offset or payload");
        };
        if self.payloads.is_empty() {
            assert!(self.position.contains(&(offset - 1)), "{frame} after position {:?}", self.position);
            self.first = offset;
        }
        let expected = self.first + self.payloads.len() as u64;
        assert_eq!(offset, expected, "a hole or a repeat before {frame}");
        self.payloads.push(u32::try_from(payload).expect("a payload of this test"));
    }

    fn has_reached(&self, offset: u64) -> bool {
        match self.payloads.len() as u64 {
            0 => offset <= *self.position.end(),
            heard => offset < self.first + heard,
        }
    }
}

/// Where the frames come from.
pub(crate) enum Stream {
    Ws(Ws),
    Sse(Sse),
}

impl Stream {
    /// Comes as planned; nothing was read yet. With it the socket once more, if it came over one of ours.
    async fn open(plan: &Plan, addr: SocketAddr) -> (Self, Option<std::net::TcpStream>) {
        let (url, frame) = (plan.url(), plan.connect_frame());
        let socket = async || {
            let socket = TcpStream::connect(addr).await.and_then(TcpStream::into_std).expect("the server accepts");
            let hand = socket.try_clone().expect("there are descriptors");
            (TcpStream::from_std(socket).expect("it was one of tokio's"), Some(hand))
        };
        let (mut sse, hand) = match plan.entry {
            Entry::WsUrl | Entry::WsFrame => {
                let (socket, hand) = socket().await;
                let mut ws = Ws::connect_on(socket, if plan.entry == Entry::WsUrl { &url } else { "/ws" }).await;
                if plan.entry == Entry::WsFrame {
                    ws.send_json(&frame).await;
                }
                ws.set_patience(PATIENCE);
                // A socket that is half closed could not.
                ws.answers_pings = false;
                return (Self::Ws(ws), hand);
            }
            Entry::SseUrl => {
                let (socket, hand) = socket().await;
                (Sse::open_on(socket, &url, &[]).await, hand)
            }
            Entry::SseBody => (Sse::post(addr, &url, frame.to_string().as_bytes()).await, None),
        };
        assert_eq!(sse.head.status, 200, "{plan:?}");
        sse.set_patience(PATIENCE);
        (Self::Sse(sse), hand)
    }

    /// The next frame; `None` at the end. A Ping comes as the frame that clients who cannot see one get.
    async fn next(&mut self) -> Option<Value> {
        let ws = match self {
            Self::Ws(ws) => ws,
            Self::Sse(sse) => return sse.next_event_or_end().await.map(|event| event.json()),
        };
        loop {
            match ws.recv().await {
                Received::Text(text) => return Some(serde_json::from_str(&text).expect("frames are JSON")),
                Received::End => return None,
                Received::Close(code, _) => assert_eq!(code, Some(1000)),
                Received::Ping(_) => return Some(json!({"op": "ping"})),
                other @ (Received::Binary(_) | Received::Pong(_)) => panic!("unexpected: {other:?}"),
            }
        }
    }
}

/// A connection at work.
pub(crate) struct Connection {
    plan: Plan,
    addr: SocketAddr,
    ledger: Arc<Ledger>,
    /// The socket, to say goodbye while the stream is read.
    hand: Option<std::net::TcpStream>,
    id: String,
    token: String,
    /// What was acknowledged before it came.
    before: [u64; LOGS],
    hearings: Vec<Hearing>,
    /// What it must have heard before it leaves, once it is told to.
    wanted: Option<[u64; LOGS]>,
    is_leaving: bool,
}

impl Connection {
    /// Comes as planned, and is connected when this returns.
    pub(crate) async fn open(plan: Plan, addr: SocketAddr, ledger: Arc<Ledger>) -> (Self, Stream) {
        let before = ledger.acknowledged();
        let (mut stream, hand) = Stream::open(&plan, addr).await;
        let connected = stream.next().await.expect("an answer to connect");
        assert_eq!(connected["op"], "connected", "{connected}");
        if let (Stream::Ws(ws), Some(log)) = (&mut stream, plan.later) {
            ws.send_json(&json!({"op": "subscribe", "ref": 1, "channel": name(log)})).await;
        }
        let text = |name: &str| connected[name].as_str().expect("a text").to_owned();
        let (id, token) = (text("connectionId"), text("sessionToken"));
        let (hearings, wanted, is_leaving) = (Vec::new(), None, false);
        let mut it = Self { plan, addr, ledger, hand, id, token, before, hearings, wanted, is_leaving };
        connected["subscriptions"].as_array().expect("a list").iter().for_each(|answer| it.begin(answer));
        // A URL asks for no position of these two, and nobody's home is asked for them: they begin where the connection's worker is,
        // which may be a message or two behind what was acknowledged.
        for log in [Some(0), it.plan.user].into_iter().flatten() {
            if it.hearing(log).is_none() {
                let possible = it.ledger.base(log)..=it.ledger.head_max(log);
                it.hearings.push(Hearing::new(log, possible));
            }
        }
        assert_eq!(it.hearings.len() + usize::from(it.plan.later.is_some()), it.plan.logs().count(), "{connected}");
        (it, stream)
    }

    fn hearing(&mut self, log: usize) -> Option<&mut Hearing> {
        self.hearings.iter_mut().find(|hearing| hearing.log == log)
    }

    /// Takes the answer to a subscription. It begins after everything that was acknowledged before it was asked for.
    fn begin(&mut self, answer: &Value) {
        let log = self.plan.log(answer);
        let offset = answer["position"]["offset"].as_u64().unwrap_or_else(|| panic!("{answer} has no position"));
        let possible = self.before[log]..=self.ledger.head_max(log);
        assert!(possible.contains(&offset) && answer["head"] == offset, "{answer} does not begin in {possible:?}");
        assert!(self.hearing(log).is_none(), "{answer} came twice");
        self.hearings.push(Hearing::new(log, offset..=offset));
    }

    fn take(&mut self, frame: &Value) {
        match frame["op"].as_str() {
            Some("message") => {
                let log = self.plan.log(frame);
                self.hearing(log).unwrap_or_else(|| panic!("{frame} before its subscription")).hear(frame);
            }
            Some("subscribed") => self.begin(frame),
            Some("ping") if self.plan.entry.is_websocket() && !self.is_leaving => self.send(Opcode::Pong, b""),
            Some("ping") => {}
            Some("ok" | "goaway") if self.is_leaving && self.plan.ending == Ending::CloseOp => {}
            _ => panic!("{frame} was not expected by {:?}", self.plan),
        }
    }

    /// Whether it was told to leave and has heard everything that was acknowledged by then.
    fn may_leave(&self) -> bool {
        let has_reached = |log: usize, offset: u64| {
            self.hearings.iter().any(|hearing| hearing.log == log && hearing.has_reached(offset))
        };
        self.wanted.is_some_and(|wanted| self.plan.logs().all(|log| has_reached(log, wanted[log])))
    }

    /// Listens until it may leave, and then until the server ends the stream.
    pub(crate) async fn live(mut self, mut stream: Stream, mut told: oneshot::Receiver<()>) -> Vec<Hearing> {
        loop {
            // No read is given up halfway: what it has already taken from the socket would be lost.
            let mut reading = pin!(stream.next());
            let frame = loop {
                if self.may_leave() && !self.is_leaving {
                    if self.plan.ending == Ending::Drop {
                        return self.hearings;
                    }
                    self.is_leaving = true;
                    self.say_goodbye().await;
                }
                tokio::select! {
                    frame = &mut reading => break frame,
                    _ = &mut told, if self.wanted.is_none() => self.wanted = Some(self.ledger.acknowledged()),
                }
            };
            match frame {
                Some(frame) => self.take(&frame),
                None if self.is_leaving => return self.hearings,
                None => panic!("the stream of {:?} ended by itself", self.plan),
            }
        }
    }

    async fn say_goodbye(&mut self) {
        const CLOSE: &[u8] = br#"{"op":"close"}"#;
        let (opcode, payload) = match self.plan.ending {
            Ending::Drop => return,
            Ending::HalfClose => {
                let hand = self.hand.as_ref().expect("it came over a socket of ours");
                return hand.shutdown(Shutdown::Write).expect("it is open");
            }
            Ending::CloseOp if !self.plan.entry.is_websocket() => {
                let authorization = format!("Bearer {}", self.token);
                let headers = [("authorization", &*authorization), ("content-type", "application/json")];
                let answer = request(self.addr, "POST", &format!("/sse/{}", self.id), &headers, CLOSE).await;
                return assert_eq!(answer.status, 204, "{}", answer.text());
            }
            Ending::CloseOp => (Opcode::Text, CLOSE),
            Ending::CloseFrame => (Opcode::Close, &1000_u16.to_be_bytes()[..]),
        };
        self.send(opcode, payload);
    }

    fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        websocket::encode_masked(&mut frame, opcode, *b"mask", payload);
        let hand = self.hand.as_mut().expect("it came over a socket of ours");
        hand.write_all(&frame).expect("there is room for a few bytes");
    }
}
