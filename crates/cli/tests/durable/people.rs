//! Publishers that do not give up, and subscribers that come back; both write journals.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::line::{Item, Line, Provider, Stream};
use crate::node::Node;
use sim::checker::{Heard, Journal, Label, Outcome, Position, Sent};

/// Between two attempts to reach a server that is not there.
const AGAIN: Duration = Duration::from_millis(10);
/// Messages that a publisher on a WebSocket has on their way.
const WINDOW: usize = 64;
/// Bytes that the filling of a message has at most.
const FILLING_MAX: usize = 400;

/// SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    /// A seed that is printed, or the one that was given.
    pub(crate) fn of_this_run() -> Self {
        let given = std::env::var("DURABLE_SEED").ok().map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one("durable"));
        println!("DURABLE_SEED={seed}");
        Self(seed)
    }

    /// Another one, for somebody else.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }
}

/// A message of a publisher: everything about it follows from these three.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) channel: String,
    pub(crate) publisher: String,
    pub(crate) seq: u64,
}

impl Message {
    pub(crate) fn id(&self) -> String {
        format!("{}-{}", self.publisher, self.seq)
    }

    fn filling(&self) -> String {
        let mut random = Random(hash(self.id().as_bytes()));
        "x".repeat(random.below(FILLING_MAX as u64) as usize)
    }

    fn label(&self) -> Label {
        Label { publisher: self.publisher.clone(), seq: self.seq, hash: hash(self.filling().as_bytes()) }
    }

    /// As the body of a broadcast, and but for `op` and `ref` a frame. What is not live is to be stored.
    pub(crate) fn body(&self) -> Value {
        let data = json!({"publisher": self.publisher, "seq": self.seq, "filling": self.filling()});
        let mut body = json!({"type": "t", "channel": self.channel, "id": self.id(), "data": data});
        if !self.channel.starts_with("live:") {
            body["ack"] = json!("stored");
        }
        body
    }

    /// What came of an attempt, given the answer's fields and whether they say yes.
    pub(crate) fn sent(&self, answer: Option<(&Value, bool)>) -> Sent {
        let outcome = match answer {
            Some((answer, true)) => Outcome::Acknowledged {
                position: position(&answer["position"]),
                duplicate: answer["duplicate"] == true,
            },
            Some((answer, false)) => match answer["code"].as_str().expect("an error has a code") {
                "unavailable" | "timeout" | "internal" => Outcome::Unknown,
                _ => Outcome::Refused,
            },
            None => Outcome::Unknown,
        };
        Sent { channel: self.channel.clone(), label: self.label(), outcome }
    }
}

/// FNV-1a.
fn hash(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[track_caller]
fn position(value: &Value) -> Position {
    let epoch = value["epoch"].as_str().unwrap_or_else(|| panic!("no position: {value}")).to_owned();
    Position { epoch, offset: value["offset"].as_u64().expect("an offset") }
}

/// What a frame or a page of history says of a message.
fn label(message: &Value) -> Label {
    let data = &message["data"];
    let text = |name: &str| data[name].as_str().unwrap_or_else(|| panic!("not ours: {message}"));
    Label {
        publisher: text("publisher").to_owned(),
        seq: data["seq"].as_u64().expect("a number"),
        hash: hash(text("filling").as_bytes()),
    }
}

/// How a publisher reaches the server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Http,
    WebSocket,
}

/// Publishes at a pace until it is told to stop. What was not answered is mostly sent again, with the same id.
pub(crate) struct Publisher {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    pub(crate) by: By,
    pub(crate) channels: Vec<String>,
    pub(crate) per_second: u32,
    pub(crate) random: Random,
}

impl Publisher {
    pub(crate) async fn publish(self, stop: watch::Receiver<bool>) -> Vec<Sent> {
        match self.by {
            By::Http => self.by_http(stop).await,
            By::WebSocket => self.by_websocket(stop).await,
        }
    }

    fn message(&mut self, seq: u64) -> Message {
        let channel = self.channels[self.random.below(self.channels.len() as u64) as usize].clone();
        Message { channel, publisher: self.name.clone(), seq }
    }

    /// Whether a message whose fate is unknown is sent again: three of four are.
    fn insists(&mut self) -> bool {
        self.random.below(4) > 0
    }

    fn pace(&self) -> tokio::time::Interval {
        let mut pace = tokio::time::interval(Duration::from_secs(1) / self.per_second);
        pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
        pace
    }

    async fn by_http(mut self, stop: watch::Receiver<bool>) -> Vec<Sent> {
        let (mut sent, mut line, mut pace) = (Vec::new(), None::<Line>, self.pace());
        for seq in 0.. {
            pace.tick().await;
            if *stop.borrow() {
                break;
            }
            let message = self.message(seq);
            loop {
                let answer = match &mut line {
                    Some(line) => line.request("POST", "/api/broadcast", Some(&message.body())).await,
                    None => {
                        line = Some(again(|| Line::connect(self.addr)).await);
                        continue;
                    }
                };
                match answer {
                    Ok(answer) => {
                        sent.push(message.sent(Some((&answer.json(), answer.status == 200))));
                        break;
                    }
                    Err(_) => {
                        line = None;
                        sent.push(message.sent(None));
                        if !self.insists() {
                            break;
                        }
                    }
                }
            }
        }
        sent
    }

    async fn by_websocket(mut self, stop: watch::Receiver<bool>) -> Vec<Sent> {
        let (mut sent, mut pace, mut seq) = (Vec::new(), self.pace(), 0);
        let mut pending: VecDeque<Message> = VecDeque::new();
        let query = format!("?userId={}", self.name);
        'again: loop {
            let mut stream = again(|| Stream::websocket(self.addr, &query)).await;
            for message in &pending {
                if stream.send(&frame(message)).await.is_err() {
                    continue 'again;
                }
            }
            let lost: io::Result<()> = async {
                loop {
                    let is_stopping = *stop.borrow();
                    if is_stopping && pending.is_empty() {
                        return Ok(());
                    }
                    tokio::select! {
                        _ = pace.tick(), if !is_stopping && pending.len() < WINDOW => {
                            let message = self.message(seq);
                            seq += 1;
                            pending.push_back(message.clone());
                            stream.send(&frame(&message)).await?;
                        }
                        item = stream.next() => {
                            let Item { frame, .. } = item?;
                            let Some(reference) = frame["ref"].as_u64() else { continue };
                            let answered = pending.iter().position(|message| message.seq + 1 == reference);
                            let message = pending.remove(answered.expect("it was asked")).expect("it is there");
                            sent.push(message.sent(Some((&frame, frame["op"] == "ok"))));
                        }
                    }
                }
            }
            .await;
            if lost.is_ok() {
                return sent;
            }
            sent.extend(pending.iter().map(|message| message.sent(None)));
            pending.retain(|_| self.insists());
        }
    }
}

/// A message as a frame; its number is its reference.
fn frame(message: &Message) -> Value {
    let mut frame = message.body();
    (frame["op"], frame["ref"]) = (json!("publish"), json!(message.seq + 1));
    frame
}

/// Tries until it works.
async fn again<T, F: Future<Output = io::Result<T>>>(mut attempt: impl FnMut() -> F) -> T {
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(_) => tokio::time::sleep(AGAIN).await,
        }
    }
}

/// The offset of each channel that a listener stays for.
pub(crate) type Goal = BTreeMap<String, u64>;

/// Listens to channels, comes back when it is cut off, and leaves when it has reached its goal.
pub(crate) struct Listener {
    pub(crate) name: String,
    pub(crate) addr: SocketAddr,
    pub(crate) provider: Provider,
    pub(crate) channels: Vec<String>,
    /// Leaves and comes back by itself, after a random number of frames.
    pub(crate) restless: Option<Random>,
}

/// What a listener knows.
struct Memory {
    provider: Provider,
    journals: BTreeMap<String, Journal>,
    positions: BTreeMap<String, Position>,
    cursor: Option<String>,
}

impl Listener {
    /// Adds to `came` each time that it is connected.
    pub(crate) async fn listen(self, came: Arc<AtomicUsize>, mut until: watch::Receiver<Option<Goal>>) -> Vec<Journal> {
        let journal = |channel: &String| Journal {
            listener: self.name.clone(),
            channel: channel.clone(),
            heard: Vec::new(),
            is_complete: false,
        };
        let mut memory = Memory {
            provider: self.provider,
            journals: self.channels.iter().map(|channel| (channel.clone(), journal(channel))).collect(),
            positions: BTreeMap::new(),
            cursor: None,
        };
        let mut restless = self.restless.clone();
        loop {
            let (mut stream, connected) = again(|| self.connect(&memory)).await;
            memory.note(connected);
            came.fetch_add(1, Ordering::SeqCst);
            let mut left = restless.as_mut().map_or(u64::MAX, |random| random.below(300));
            loop {
                if until.borrow().as_ref().is_some_and(|goal| memory.has_reached(goal)) {
                    return memory.finish();
                }
                if left == 0 {
                    break;
                }
                tokio::select! {
                    item = stream.next() => match item {
                        Ok(item) => memory.note(item),
                        Err(_) => break,
                    },
                    _ = until.changed() => {}
                }
                left -= 1;
            }
        }
    }

    async fn connect(&self, memory: &Memory) -> io::Result<(Stream, Item)> {
        let mut stream = match self.provider {
            Provider::WebSocket => {
                let mut stream = Stream::websocket(self.addr, "").await?;
                let subscription = |channel: &String| match memory.positions.get(channel) {
                    Some(Position { epoch, offset }) => {
                        json!({"channel": channel, "since": {"epoch": epoch, "offset": offset}})
                    }
                    None => json!({"channel": channel}),
                };
                let subscriptions: Vec<_> = self.channels.iter().map(subscription).collect();
                stream.send(&json!({"op": "connect", "ref": 1, "subscriptions": subscriptions})).await?;
                stream
            }
            Provider::Sse => {
                let query: String = self.channels.iter().map(|channel| format!("&channel={channel}")).collect();
                Stream::sse(self.addr, &query, memory.cursor.as_deref()).await?
            }
        };
        let connected = stream.next_op("connected").await?;
        Ok((stream, connected))
    }
}

impl Memory {
    fn note(&mut self, item: Item) {
        let Item { frame, cursor } = item;
        match frame["op"].as_str() {
            Some("connected") => self.come(&frame),
            Some("message") => {
                let channel = frame["channel"].as_str().expect("a channel");
                if let Some(journal) = self.journals.get_mut(channel) {
                    let offset = frame["offset"].as_u64().expect("a logged message");
                    journal.heard.push(Heard::Message { offset, label: label(&frame) });
                    self.positions.get_mut(channel).expect("it began").offset = offset;
                }
            }
            Some("gap") => {
                let channel = frame["channel"].as_str().expect("a channel");
                if let Some(journal) = self.journals.get_mut(channel) {
                    let range = frame["from"].as_u64().zip(frame["to"].as_u64());
                    let position = position(&frame["position"]);
                    journal.heard.push(Heard::Gap { range, lost: frame["lost"] == true, position: position.clone() });
                    self.positions.insert(channel.to_owned(), position);
                }
            }
            _ => {}
        }
        let is_kept = self.provider == Provider::WebSocket || cursor.is_some();
        if is_kept {
            for journal in self.journals.values_mut() {
                if !matches!(journal.heard.last(), None | Some(Heard::Kept)) {
                    journal.heard.push(Heard::Kept);
                }
            }
        }
        self.cursor = cursor.or(self.cursor.take());
    }

    fn come(&mut self, connected: &Value) {
        for subscription in connected["subscriptions"].as_array().expect("a list") {
            let channel = subscription["channel"].as_str().expect("a channel");
            let Some(journal) = self.journals.get_mut(channel) else { continue };
            assert!(subscription["error"].is_null(), "{subscription}");
            let position = position(&subscription["position"]);
            let asked = self.positions.insert(channel.to_owned(), position.clone());
            journal.heard.push(Heard::Came {
                since: asked.filter(|_| self.provider == Provider::WebSocket),
                position,
                head: subscription["head"].as_u64().expect("a head"),
                recovered: subscription["recovered"].as_bool(),
            });
        }
    }

    fn has_reached(&self, goal: &Goal) -> bool {
        goal.iter().all(|(channel, offset)| self.positions.get(channel).is_some_and(|it| it.offset >= *offset))
    }

    fn finish(self) -> Vec<Journal> {
        self.journals.into_values().map(|journal| Journal { is_complete: true, ..journal }).collect()
    }
}

/// Listeners at work.
pub(crate) struct Crowd {
    goal: watch::Sender<Option<Goal>>,
    came: Arc<AtomicUsize>,
    tasks: JoinSet<Vec<Journal>>,
}

impl Crowd {
    /// Returns when all are connected.
    pub(crate) async fn gather(listeners: Vec<Listener>) -> Self {
        let (goal, until) = watch::channel(None);
        let (came, mut tasks) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
        let count = listeners.len();
        for listener in listeners {
            tasks.spawn(listener.listen(came.clone(), until.clone()));
        }
        let crowd = Self { goal, came, tasks };
        while crowd.came() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        crowd
    }

    /// How often somebody has connected so far.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// Waits until everybody has heard everything up to the heads of these channels.
    pub(crate) async fn hear_out(mut self, node: &Node, channels: &[String]) -> Vec<Journal> {
        self.goal.send_replace(Some(heads(node, channels).await));
        let mut journals = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            journals.extend(ended.expect("a good listener"));
        }
        journals
    }
}

/// The newest place of a channel. History knows it, also if nobody has used the channel since a restart.
pub(crate) async fn head(node: &Node, channel: &str) -> Position {
    let page = node.http("GET", &format!("/api/history?channel={channel}&limit=1"), None).await.json();
    position(&page["position"])
}

/// The newest offset of each channel.
pub(crate) async fn heads(node: &Node, channels: &[String]) -> Goal {
    let mut heads = Goal::new();
    for channel in channels {
        heads.insert(channel.clone(), head(node, channel).await.offset);
    }
    heads
}

/// All that history has of a channel, page by page, as if somebody had heard it.
pub(crate) async fn history(node: &Node, channel: &str) -> Journal {
    let begin = Position { offset: 0, ..head(node, channel).await };
    let since = Some(begin.clone());
    let mut heard = vec![Heard::Came { since, position: begin.clone(), head: 0, recovered: Some(true) }];
    let mut place = format!("since={begin}");
    loop {
        let path = format!("/api/history?channel={channel}&limit=1000&{place}");
        let answer = node.http("GET", &path, None).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        let page = answer.json();
        assert!(page["gap"].is_null(), "{}", page["gap"]);
        for message in page["messages"].as_array().expect("a list") {
            let offset = message["offset"].as_u64().expect("a logged message");
            heard.push(Heard::Message { offset, label: label(message) });
        }
        match page["next"].as_str() {
            Some(next) => place = format!("cursor={next}"),
            None => break,
        }
    }
    Journal { listener: "history".to_owned(), channel: channel.to_owned(), heard, is_complete: true }
}
