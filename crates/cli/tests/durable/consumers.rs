//! Durable consumers under random kills of the server and random crashes of members: nothing that was acked comes again, and nothing is
//! lost. Members are connected by WebSocket and by SSE + POST, or ask by HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::line::{Line, Stream};
use crate::node::Node;
use crate::people::Random;

const ROUNDS: u32 = 10;
/// The longest life between two kills.
const LIFE_MS_MAX: u64 = 1_200;
const AGAIN: Duration = Duration::from_millis(10);
/// One in so many deliveries kills its member, and one in so many is forgotten.
const CRASHES: u64 = 60;
const FORGETS: u64 = 40;
/// How long everything may take in the end. A busy machine is no failure.
const PATIENCE: Duration = Duration::from_secs(120);

/// What happened, in the order in which somebody knew of it.
#[derive(Debug, Default)]
struct Journal {
    published: BTreeSet<u64>,
    delivered: BTreeSet<u64>,
    /// When each message was answered to be done.
    acked: BTreeMap<u64, u64>,
    deliveries: u64,
    again: u64,
    crashes: u64,
    clock: u64,
}

/// A journal that everybody writes, and what is needed to reach the server.
#[derive(Clone, Debug)]
struct World {
    addr: SocketAddr,
    journal: Arc<Mutex<Journal>>,
    stop: watch::Receiver<bool>,
    /// Nobody crashes any more.
    calm: watch::Receiver<bool>,
}

/// What a member does with a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Ack,
    Forget,
    Crash,
}

impl World {
    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn now(&self) -> u64 {
        let mut journal = self.journal.lock().expect("nobody panics with it");
        journal.clock += 1;
        journal.clock
    }

    /// A delivery has come to somebody who began to ask for messages at `since`.
    fn got(&self, delivery: &Value, since: u64, random: &mut Random) -> (u64, Deed) {
        let offset = delivery["message"]["offset"].as_u64().expect("an offset");
        let attempt = delivery["attempt"].as_u64().expect("a count");
        let mut journal = self.journal.lock().expect("nobody panics with it");
        journal.clock += 1;
        journal.deliveries += 1;
        journal.delivered.insert(offset);
        journal.again += u64::from(attempt > 1);
        assert!((1..=5).contains(&attempt), "message {offset} for the {attempt}th time");
        if let Some(acked) = journal.acked.get(&offset) {
            // What was on its way when the ack was answered may still arrive; what was asked for later may not.
            assert!(
                *acked > since,
                "message {offset} was acked at {acked}, and comes to somebody who asked at {since}"
            );
        }
        let deed = match random.below(CRASHES * FORGETS) {
            _ if *self.calm.borrow() => Deed::Ack,
            chance if chance % CRASHES == 0 => Deed::Crash,
            chance if chance % FORGETS == 1 => Deed::Forget,
            _ => Deed::Ack,
        };
        journal.crashes += u64::from(deed == Deed::Crash);
        (offset, deed)
    }

    fn acked(&self, offset: u64) {
        let mut journal = self.journal.lock().expect("nobody panics with it");
        journal.clock += 1;
        let now = journal.clock;
        journal.acked.entry(offset).or_insert(now);
    }

    async fn post(&self, path: &str, body: &Value) -> io::Result<(u16, Value)> {
        let mut line = Line::connect(self.addr).await?;
        let answer = line.request("POST", path, Some(body)).await?;
        Ok((answer.status, answer.json()))
    }
}

fn consume(name: &str) -> Value {
    json!({"op": "consume", "ref": 1, "channel": "jobs", "consumer": name, "group": "team", "from": "all",
           "ackWaitMs": 1_500, "maxPending": 6})
}

/// Publishes by HTTP until it is told to stop; each message until it is stored.
async fn publish(world: World, name: String) {
    let mut number = 0_u64;
    while !world.stopped() {
        number += 1;
        let key = format!("{name}-{}", number % 7);
        let mut body =
            json!({"channel": "jobs", "type": "t", "id": format!("{name}-{number}"), "data": number, "ack": "stored"});
        if !number.is_multiple_of(3) {
            body["key"] = key.into();
        }
        loop {
            match world.post("/api/broadcast", &body).await {
                Ok((200, answer)) => {
                    let offset = answer["position"]["offset"].as_u64().expect("an offset");
                    world.journal.lock().expect("nobody panics with it").published.insert(offset);
                    break;
                }
                Ok(_) | Err(_) => tokio::time::sleep(AGAIN).await,
            }
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

/// A member on a WebSocket; it comes back whenever its connection ends, and ends it itself sometimes.
async fn websocket_member(world: World, name: String, mut random: Random) {
    while !world.stopped() {
        drop(websocket_life(&world, &name, &mut random).await);
        tokio::time::sleep(AGAIN).await;
    }
}

async fn websocket_life(world: &World, name: &str, random: &mut Random) -> io::Result<()> {
    let mut stream = Stream::websocket(world.addr, &format!("?userId={name}")).await?;
    let since = world.now();
    stream.send(&consume(name)).await?;
    let mut waiting = BTreeMap::new();
    let mut next = 1_u64;
    let mut stop = world.stop.clone();
    loop {
        let frame = tokio::select! {
            item = stream.next() => item?.frame,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        match frame["op"].as_str() {
            Some("delivery") => {
                let (offset, deed) = world.got(&frame, since, random);
                match deed {
                    Deed::Crash => return Ok(()),
                    Deed::Forget => {}
                    Deed::Ack => {
                        next += 1;
                        waiting.insert(next, offset);
                        let ack =
                            json!({"op": "ack", "ref": next, "channel": "jobs", "consumer": name, "offsets": [offset]});
                        stream.send(&ack).await?;
                    }
                }
            }
            Some("ok") => {
                if let Some(offset) = waiting.remove(&frame["ref"].as_u64().expect("a number")) {
                    world.acked(offset);
                }
            }
            // A kill is near, or another member was faster: it comes again, to somebody.
            Some("error") if frame["ref"] == 1 => return Ok(()),
            _ => {}
        }
    }
}

/// A member on an event stream, which says by POST what became of its deliveries.
async fn sse_member(world: World, name: String, mut random: Random) {
    while !world.stopped() {
        drop(sse_life(&world, &name, &mut random).await);
        tokio::time::sleep(AGAIN).await;
    }
}

async fn sse_life(world: &World, name: &str, random: &mut Random) -> io::Result<()> {
    let mut stream = Stream::sse(world.addr, &format!("&userId={name}"), None).await?;
    let connected = stream.next_op("connected").await?.frame;
    let text = |field: &str| connected[field].as_str().expect("a text").to_owned();
    let (path, token) = (format!("/sse/{}", text("connectionId")), text("sessionToken"));
    let mut uplink = Line::connect(world.addr).await?;
    let since = world.now();
    let answer = uplink.request_as(&token, "POST", &path, Some(&consume(name))).await?;
    if answer.status != 200 {
        return Ok(());
    }
    let mut stop = world.stop.clone();
    loop {
        let frame = tokio::select! {
            item = stream.next() => item?.frame,
            _ = stop.wait_for(|stop| *stop) => return Ok(()),
        };
        if frame["op"] != "delivery" {
            continue;
        }
        let (offset, deed) = world.got(&frame, since, random);
        match deed {
            Deed::Crash => return Ok(()),
            Deed::Forget => {}
            Deed::Ack => {
                let ack = json!({"op": "ack", "ref": 2, "channel": "jobs", "consumer": name, "offsets": [offset]});
                let answer = uplink.request_as(&token, "POST", &path, Some(&ack)).await?;
                if answer.status == 200 {
                    world.acked(offset);
                }
            }
        }
    }
}

/// A service without a connection.
async fn http_member(world: World, name: String, mut random: Random) {
    while !world.stopped() {
        let since = world.now();
        let body = json!({"channel": "jobs", "consumer": name, "group": "team", "from": "all", "limit": 4,
                          "waitMs": 300, "ackWaitMs": 1_500});
        let Ok((200, answer)) = world.post("/api/consume", &body).await else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        for delivery in answer["deliveries"].as_array().expect("a list") {
            let (offset, deed) = world.got(delivery, since, &mut random);
            match deed {
                Deed::Crash => break,
                Deed::Forget => {}
                Deed::Ack => {
                    let ack = json!({"channel": "jobs", "consumer": name, "group": "team", "offsets": [offset]});
                    if let Ok((200, _)) = world.post("/api/ack", &ack).await {
                        world.acked(offset);
                    }
                }
            }
        }
    }
}

/// Where the group stands.
async fn group(node: &Node) -> Value {
    let answer = node.http("GET", "/api/consumers?channel=jobs", None).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["items"][0].clone()
}

/// Offsets of what the group has given up.
async fn dead_letters(node: &Node) -> BTreeSet<u64> {
    let letters = node.http("GET", "/api/dead-letters?channel=jobs&consumer=team&limit=1000", None).await.json();
    let items = letters["items"].as_array().expect("a list").iter();
    items.map(|it| it["position"]["offset"].as_u64().expect("an offset")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_kills_and_crashes_each_message_is_done_or_a_dead_letter_and_none_comes_again() {
    let mut random = Random::of_this_run();
    let mut node = Node::new("");
    node.start().await;
    let ((stop, stopped), (quiet, publishes), (calm, calmed)) =
        (watch::channel(false), watch::channel(false), watch::channel(false));
    let world = World { addr: node.addr, journal: Arc::default(), stop: stopped, calm: calmed };
    let mut people = JoinSet::new();
    for number in 0..2 {
        let world = World { stop: publishes.clone(), ..world.clone() };
        people.spawn(publish(world, format!("publisher-{number}")));
    }
    for number in 0..2 {
        people.spawn(websocket_member(world.clone(), format!("ws-{number}"), random.split()));
        people.spawn(sse_member(world.clone(), format!("sse-{number}"), random.split()));
        people.spawn(http_member(world.clone(), format!("http-{number}"), random.split()));
    }
    for _ in 0..ROUNDS {
        tokio::time::sleep(Duration::from_millis(random.below(LIFE_MS_MAX))).await;
        node.kill();
        node.start().await;
    }
    quiet.send_replace(true);
    calm.send_replace(true);
    let wait = async {
        while group(&node).await["pending"] != 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(PATIENCE, wait).await.expect("everything is done in the end");
    stop.send_replace(true);
    while let Some(ended) = people.join_next().await {
        ended.expect("a good member");
    }
    // What is done stays done.
    node.kill();
    node.start().await;
    let state = group(&node).await;
    assert_eq!((&state["pending"], &state["lost"]), (&json!(0), &json!(0)), "{state}");
    let dead = dead_letters(&node).await;
    let body = json!({"channel": "jobs", "consumer": "late", "group": "team"});
    let taken = node.http("POST", "/api/consume", Some(&body)).await.json();
    assert_eq!(taken["deliveries"], json!([]), "nothing is left");
    node.stop();
    let journal = world.journal.lock().expect("nobody panics with it");
    let published = journal.published.len();
    println!(
        "{ROUNDS} kills: {published} messages, {} deliveries, {} of them again, {} answered to be done, {} crashes, {} dead letters",
        journal.deliveries,
        journal.again,
        journal.acked.len(),
        journal.crashes,
        dead.len()
    );
    let twice: Vec<_> = journal.acked.keys().filter(|offset| dead.contains(offset)).collect();
    assert!(twice.is_empty(), "acked, and dead letters: {twice:?}");
    assert!(published > 100 && journal.crashes > 0 && journal.again > 0, "too little happened");
    let lost: Vec<_> = journal.published.difference(&journal.delivered).collect();
    assert!(lost.is_empty(), "never delivered: {lost:?}");
    // An ack whose answer was lost with the server may have been kept: its message is done, and nobody was told.
    let untold = journal.published.iter().filter(|it| !journal.acked.contains_key(it) && !dead.contains(it)).count();
    assert!(
        untold <= usize::try_from(ROUNDS).expect("few") * 6 * 6,
        "{untold} messages are done, and nobody has said so"
    );
}
