//! Turns of workers that nobody runs: the test says what comes when.
//!
//! Connections are pumped, so that no socket and no other thread takes part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::FutureExt;
use mio::Events;
use realtime_connector_core::command::{Connect, Listen, Publish, Subscribe, Target};
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, EventType, MessageId, SlotKey, WorkerId};
use realtime_connector_core::options::{Bounds, Options};
use realtime_connector_core::permissions::{Grants, Identity};
use realtime_connector_core::position::Start;
use realtime_connector_core::publish::{Origin, Publisher};
use realtime_connector_core::session::{Client, Protocol, Provider};
use realtime_connector_core::worker::publishing::draft;
use realtime_connector_core::worker::{Call, Input, Worker};
use realtime_connector_wire::websocket::{self, Decoder, Limits, Message, Opcode, Role};

use realtime_connector_store::sqlite::Sqlite;
use realtime_connector_store::{Log, Wake};

use super::front::FrontMessage;
use super::worker::WorkerLoop;
use super::{Adoption, Clock, Engine, Kept, Logs, Node, Outlets, Place, Stream, fresh_secret, setup};
use crate::transport::pump::{self, TaskEnd};

/// The workers of a node, on this thread.
struct Stage {
    node: Arc<Node>,
    loops: Vec<WorkerLoop>,
    _outlets: Outlets,
}

/// The other end of a connection.
struct Peer {
    task: TaskEnd,
    decoder: Decoder,
}

fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("a name")
}

impl Stage {
    fn new(workers: usize, options: Options) -> Self {
        Self::with_store(workers, options, None)
    }

    fn with_store(workers: usize, options: Options, store: Option<&Sqlite>) -> Self {
        let kept = Kept { secret: fresh_secret(), store: None };
        let (node, polls, outlets) = Engine::prepare(options, workers, None, kept).expect("polls");
        let loops = polls.into_iter().enumerate().map(|(index, poll)| {
            let clock = Clock::new(Instant::now());
            let core = Worker::new(setup(&node, index), clock.now());
            let logs = Logs::new(node.epoch.clone(), store, Arc::new(|| {}));
            let mut worker = WorkerLoop::new(node.clone(), index, poll, core, clock, logs);
            worker.carry_out();
            worker.settle();
            worker
        });
        let mut stage = Self { loops: loops.collect(), node, _outlets: outlets };
        stage.settle();
        stage
    }

    fn turn(&mut self, worker: usize) {
        self.loops[worker].turn(&Events::with_capacity(1));
    }

    /// Runs turns of one worker, which may be short ones, until it has no credits left.
    fn use_up_credits(&mut self, worker: usize) {
        while self.loops[worker].core.takes_commands() {
            assert_eq!(self.loops[worker].sleep_time(), Some(Duration::ZERO), "nobody asks for the rest");
            self.turn(worker);
        }
    }

    /// Runs turns until nobody has anything to do.
    fn settle(&mut self) {
        for _ in 0..1_000 {
            (0..self.loops.len()).for_each(|worker| self.turn(worker));
            if self.loops.iter_mut().all(|worker| worker.sleep_time() != Some(Duration::ZERO)) {
                return;
            }
        }
        panic!("the workers do not come to rest");
    }

    /// A WebSocket whose URL said everything, at a worker of the test's choice.
    fn join(&self, worker: usize, channels: &[&str]) -> Peer {
        let (end, task) = pump::pair();
        let subscribe = |name: &&str| Subscribe { listen: Listen::Named(channel(name)), start: Start::Now };
        let connect = Connect { subscriptions: channels.iter().map(subscribe).collect(), ..Connect::default() };
        self.node.talking.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let address = std::net::SocketAddr::from(([127, 0, 0, 1], 4_000));
        self.node.doors[worker].send(FrontMessage::Adopt(Box::new(Adoption {
            stream: Stream::Pumped(end),
            prelude: Bytes::new(),
            head: Bytes::new(),
            dialect: Dialect::WebSocketJson,
            client: Client { provider: Provider::WebSocket, address, user_agent: None, protocol: Protocol::Http2 },
            identity: Some(Identity::anonymous(Grants::ALL)),
            token: None,
            connect: Some(connect),
            reference: None,
            place: Place::take(&Arc::default(), 1).expect("a place"),
        })));
        Peer { task, decoder: Decoder::new(Role::Client) }
    }

    /// A channel at home at this worker.
    fn at_home(&self, worker: usize) -> String {
        let mut names = (0..).map(|index| format!("news{index}"));
        let home = |name: &str| self.node.home(&ChannelKey::named(AppId::default(), channel(name)));
        names.find(|name| usize::from(home(name).0) == worker).expect("there are many names")
    }

    /// The application publishes; what it does at the home is done at once.
    fn publish(&mut self, name: &str) {
        let publish = Publish {
            target: Target::Channel(channel(name)),
            event_type: EventType::parse("said").expect("a type"),
            data: Bytes::from_static(b"1"),
            id: None,
            key: None,
            meta: None,
            ephemeral: false,
            exclude: Vec::new(),
            ack: None,
            ttl: None,
        };
        let id = MessageId::parse("fresh").expect("an id");
        let draft = draft(AppId::default(), publish, None, Publisher::Server("key".into()), id, Origin::Nobody);
        let home = usize::from(self.node.home(&draft.channel).0);
        self.loops[home].handle(Input::Call { ticket: 0, call: Call::Publish(Box::new(draft)) });
        self.loops[home].settle();
    }
}

impl Peer {
    fn say(&self, frame: &str) {
        let mut bytes = Vec::new();
        websocket::encode_masked(&mut bytes, Opcode::Text, [1, 2, 3, 4], frame.as_bytes());
        self.task.inbound(&bytes);
    }

    /// The frames that have come, but for pings.
    fn hear(&mut self) -> Vec<String> {
        let limits = Limits { message_bytes_max: 1 << 20, frame_bytes_max: 1 << 20, fragments_max: 1 };
        let mut heard = Vec::new();
        while let Some(Some(mut bytes)) = self.task.outbound().now_or_never() {
            let mut input = &mut bytes[..];
            while let Some(message) = self.decoder.decode(&mut input, &limits).expect("the server keeps the rules") {
                if let Message::Text(text) = message {
                    heard.push(text.to_owned());
                }
            }
        }
        heard
    }

    fn count(&mut self, op: &str) -> usize {
        let op = format!("\"op\":\"{op}\"");
        self.hear().iter().filter(|frame| frame.contains(&op)).count()
    }
}

/// When the messages of one peer ended in a walk that outlived the budget, the next peer's began a second one: a panic.
#[test]
fn a_walk_makes_every_peer_wait() {
    let options = Options { bounds: Bounds { walk_steps: 1, ..Bounds::default() }, ..Options::default() };
    let mut stage = Stage::new(2, options);
    let (here, there) = (stage.at_home(0), stage.at_home(1));
    let mut peers: Vec<Peer> = (0..4).map(|_| stage.join(0, &[&here, &there])).collect();
    stage.settle();
    stage.publish(&here);
    stage.publish(&there);
    let long_ago = Instant::now().checked_sub(Duration::from_secs(60)).expect("the machine runs for longer");
    for _ in 0..4 {
        stage.loops[0].take_messages(long_ago);
    }
    stage.settle();
    for peer in &mut peers {
        assert_eq!(peer.count("message"), 2);
    }
}

/// Each of these asks for more than all credits together: the front was served without looking at them.
#[test]
fn who_comes_in_waits_for_credits() {
    let mut stage = Stage::new(2, Options::default());
    let names: Vec<String> = (0..256).map(|index| format!("channel {index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut peers: Vec<Peer> = (0..12).map(|_| stage.join(0, &names)).collect();
    stage.use_up_credits(0);
    // What it has asked of itself may still lie there when its time was up.
    let rests = (0..1_000).any(|_| {
        let rests = stage.loops[0].sleep_time() != Some(Duration::ZERO);
        stage.turn(0);
        rests
    });
    assert!(rests, "it waits for the other worker and not for time to pass");
    // What each of them is told is more than a pump holds at once.
    let mut connected = 0;
    for _ in 0..8 {
        stage.settle();
        connected += peers.iter_mut().map(|peer| peer.count("connected")).sum::<usize>();
    }
    assert_eq!(connected, peers.len());
}

/// A pump tells its worker of more only after a read that found nothing, and a short read was taken for one: the connection heard
/// its first frame and no other.
#[test]
fn a_pumped_connection_is_heard_again_and_again() {
    let mut stage = Stage::new(1, Options::default());
    let mut peer = stage.join(0, &[]);
    stage.settle();
    assert_eq!(peer.count("connected"), 1);
    for reference in 1..=2_000 {
        // Lengths that differ bring the ring to wrap at every place.
        peer.say(&format!(r#"{{"op":"ping","ref":{reference}{}}}"#, " ".repeat(reference % 61)));
        stage.settle();
        assert_eq!(peer.count("pong"), 1, "frame {reference}");
    }
    drop(peer);
    stage.settle();
    assert_eq!(stage.loops[0].core.figures().connections, 0, "its end is heard as well");
}

/// A peer that took messages while the worker was awake rang in vain, and a worker that waited for that room slept.
#[test]
fn a_worker_does_not_sleep_over_room() {
    let options = Options { bounds: Bounds { deliveries: 2, ..Bounds::default() }, ..Options::default() };
    let mut stage = Stage::new(2, options);
    let here = stage.at_home(0);
    let mut listener = stage.join(1, &[&here]);
    stage.settle();
    (0..4).for_each(|_| stage.publish(&here));
    assert!(stage.loops[0].core.wants_room(), "the notice finds no room");
    assert_ne!(stage.loops[0].sleep_time(), Some(Duration::ZERO), "there is nothing to do before the other one acts");
    stage.turn(1);
    while stage.loops[0].take_messages(Instant::now()) {}
    assert_eq!(stage.loops[0].sleep_time(), Some(Duration::ZERO), "there is room now");
    stage.settle();
    assert_eq!(listener.count("message"), 4);
}

/// Commands that need no credit and get no answer were all taken at once, however many there were.
#[test]
fn a_connection_has_a_share_of_each_turn() {
    let mut stage = Stage::new(1, Options::default());
    let mut talker = stage.join(0, &[]);
    stage.settle();
    assert_eq!(talker.count("connected"), 1);
    (0..400).for_each(|_| talker.say(r#"{"op":"meta","meta":{}}"#));
    talker.say(r#"{"op":"ping","ref":1}"#);
    stage.turn(0);
    assert_eq!(talker.count("pong"), 0, "the rest is for later");
    stage.settle();
    assert_eq!(talker.count("pong"), 1);
}

/// An order that stood in the queue of a worker without credits was never heard.
#[test]
fn orders_are_heard_past_what_waits() {
    let mut stage = Stage::new(2, Options::default());
    let names: Vec<String> = (0..256).map(|index| format!("channel {index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut peers: Vec<Peer> = (0..12).map(|_| stage.join(0, &names)).collect();
    stage.use_up_credits(0);
    stage.node.drain();
    assert_eq!(stage.loops[0].sleep_time(), Some(Duration::ZERO));
    stage.turn(0);
    stage.turn(0);
    assert!(peers[0].count("goaway") == 1, "who is here is told");
    stage.settle();
    for peer in &mut peers[1..] {
        assert_eq!(peer.count("goaway"), 1, "and so is who comes later");
    }
    assert_eq!(stage.node.talking(), 0, "everything that was said has left");
}

/// A worker that ended by itself left the others running, and calls waiting for its answers.
#[tokio::test]
async fn a_node_ends_with_the_first_of_its_workers() {
    // Without a credit the first request breaks the contract of core.
    let options = Options { bounds: Bounds { credits: 0, ..Bounds::default() }, ..Options::default() };
    let (node, engine, _outlets) = Engine::start(options, 2, None, None).expect("threads");
    let failed = node.watch_failure().wait_for(|failed| *failed).await.is_ok();
    assert!(failed && node.has_failed());
    tokio::task::spawn_blocking(|| engine.join()).await.expect("all of them end");
    assert!(node.call(WorkerId(0), Call::Figures).await.is_err());
}

/// A group of the store was taken at once, and sockets waited for all of its messages.
#[test]
fn what_the_store_answers_is_taken_as_far_as_the_budget_goes() {
    const PUBLISHED: usize = 200;
    let folder = std::env::temp_dir().join(format!("engine-store-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let store = Sqlite::open(&folder.join("store.db"), Default::default()).expect("a store");
    let options = Options { retention: Some(Default::default()), ..Options::default() };
    let mut stage = Stage::with_store(1, options, Some(&store));
    let (ring, rung) = std::sync::mpsc::sync_channel(1);
    let wake: Wake = Arc::new(move || ring.try_send(()).unwrap_or(()));
    let mut other = store.log(wake);
    // Answers come in the order of the calls: when this one is here, so are all before it.
    let mut wait = || {
        let home = SlotKey { slot: 0, generation: 1 };
        other.open(home, &ChannelKey::everyone(AppId(7)), Default::default());
        while other.poll().is_none() {
            rung.recv().expect("the store rings");
        }
    };
    stage.publish("orders");
    wait();
    stage.turn(0);
    wait();
    stage.turn(0);
    (0..PUBLISHED).for_each(|_| stage.publish("orders"));
    wait();
    stage.loops[0].settle();
    // The turn has begun long ago.
    let began = Instant::now().checked_sub(Duration::from_secs(1)).expect("the machine has been up that long");
    stage.loops[0].take_stored(began);
    let left = std::iter::from_fn(|| stage.loops[0].logs.poll_store()).count();
    assert!(left > 0 && left < PUBLISHED, "{left} of {PUBLISHED} are left for the next turn");
    drop(stage);
    drop(store);
    std::fs::remove_dir_all(folder).expect("it is ours");
}
