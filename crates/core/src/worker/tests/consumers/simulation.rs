//! Members that come, crash, ack, forget and come back, on nodes with tiny limits, late logs, broken logs and restarts.
//!
//! While it runs, what homes hand out is checked ([`crate::worker::testing`]): nothing that was acked or given up comes again, the count
//! of deliveries is right, and keys keep their order. At the end everybody acks, and every message must be done or a dead letter.
//!
//! `REALTIME_SEEDS` and `REALTIME_SEED` as in the other simulation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::acks::{AckOf, AckOutcome, Acknowledge, Which};
use crate::command::{Command, Connect, Consume};
use crate::consumers::{From, Membership, Order, Terms};
use crate::frame::Dialect;
use crate::id::{AppId, ChannelKey, ChannelName, ConsumerName};
use crate::options::{HistoryOptions, Retention, Rule};
use crate::pattern::Pattern;
use crate::position::Offset;
use crate::rejection::Lost;
use crate::worker::Call;
use crate::worker::channel::HomeState;
use crate::worker::testing::{Node, Plan, Rng, Stage, identify};

const SEEDS: u64 = 120;
const OPERATIONS: usize = 250;
/// Deliveries that a member keeps in mind.
const MEMORY: usize = 200;

/// Consumers that are there from the beginning: a group and one without members to compete.
const NAMES: [&str; 2] = ["team", "solo"];

#[derive(Debug)]
struct Member {
    client: usize,
    member: Membership,
    seen: usize,
    /// What it was handed and may speak of, also late and twice.
    in_mind: Vec<Offset>,
}

#[derive(Debug)]
struct Simulation {
    node: Node,
    rng: Rng,
    persisted: bool,
    /// Whether members leave politely and read slowly, so that deliveries are given back.
    polite: bool,
    members: BTreeMap<String, Member>,
    next_ref: u64,
    published: u64,
}

fn jobs() -> ChannelName {
    ChannelName::parse("jobs").expect("a name")
}

fn channel() -> ChannelKey {
    ChannelKey::named(AppId::default(), jobs())
}

fn name(text: &str) -> ConsumerName {
    ConsumerName::parse(text).expect("a name")
}

fn membership(who: &str) -> Membership {
    match who {
        "solo" => Membership { consumer: name("solo"), group: None },
        who => Membership { consumer: name(who), group: Some(name("team")) },
    }
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xc0_15);
        let persisted = rng.percent(75);
        let mut plan = Plan::steady(1 + rng.below(3));
        plan.seed = seed;
        plan.steady = rng.percent(20);
        plan.late_log = rng.percent(50);
        plan.batch = 1 + rng.below(8);
        let options = &mut plan.options;
        options.outbox_records = 2 + rng.below(6) as u32;
        options.bounds.deliveries = 1 + rng.below(5) as u32;
        // What lies in memory only must not be lost, or nobody could say what has to come.
        let records = if persisted { 1 + rng.below(40) as u32 } else { 100_000 };
        options.rules.push(Rule {
            pattern: Pattern::parse("jobs").expect("a pattern"),
            history: HistoryOptions { records, bytes: u32::MAX, age: Duration::from_secs(24 * 3_600) },
            message_events: false,
            retention: persisted.then(Retention::default),
            latest_per_key: false,
        });
        let polite = rng.percent(50);
        let mut simulation =
            Self { node: Node::new(plan), rng, persisted, polite, members: BTreeMap::new(), next_ref: 0, published: 0 };
        for who in ["one", "solo"] {
            simulation.join(who);
            simulation.node.settle();
        }
        simulation
    }

    fn join(&mut self, who: &str) {
        let worker = self.rng.below(self.node.workers.len());
        let dialect = [Dialect::WebSocketJson, Dialect::SseFrames][self.rng.below(2)];
        let is_there = |it: &Member, node: &Node| node.clients[it.client].stage == Stage::Open;
        let known = self.members.get(who).filter(|it| is_there(it, &self.node)).map(|it| it.client);
        // A second connection of the same name takes over; or the same one says it again.
        let client = match known.filter(|_| self.rng.percent(50)) {
            Some(client) => client,
            None => self.node.open(who, worker, dialect, identify(who), Some(Connect::default())),
        };
        let member = membership(who);
        let terms = Terms {
            from: From::All,
            ack_wait: Duration::from_secs(1 + self.rng.below(8) as u64),
            pending_max: 1 + self.rng.below(6) as u32,
        };
        let consume = Consume { channel: jobs(), member: member.clone(), terms: Some(terms) };
        self.command(client, Command::Consume(Box::new(consume)));
        match self.members.get_mut(who) {
            Some(it) if it.client == client => {}
            Some(it) => (it.client, it.seen) = (client, 0),
            None => {
                let it = Member { client, member, seen: 0, in_mind: Vec::new() };
                self.members.insert(who.to_owned(), it);
            }
        }
    }

    fn command(&mut self, client: usize, command: Command) {
        self.next_ref += 1;
        self.node.command(client, command, Some(self.next_ref));
    }

    fn act(&mut self) {
        match self.rng.below(100) {
            0..24 => self.publish(),
            24..34 => {
                let who = ["one", "two", "three", "solo"][self.rng.below(4)];
                self.join(who);
            }
            34..66 => self.speak(),
            66..72 => self.leave(),
            72..84 => {
                let ms = [200, 1_500, 6_000, 40_000][self.rng.below(4)];
                self.node.pass(Duration::from_millis(ms));
            }
            84..88 => self.node.plan.log_failures = [0, 0, 30][self.rng.below(3)],
            88..92 => self.take(),
            92..94 => self.requeue(),
            94..97 if self.polite => {
                let client = self.rng.below(self.node.clients.len());
                self.node.clients[client].reads ^= true;
            }
            97..99 if self.persisted => self.node.restart(),
            99 if self.persisted => {
                // Everybody goes, and the home with them.
                let clients: Vec<usize> = self.members.values().map(|it| it.client).collect();
                clients.into_iter().for_each(|client| self.node.lose(client, Lost::Dropped));
                self.node.pass(Duration::from_secs(26 * 3_600));
            }
            _ => {}
        }
        if self.rng.percent(60) {
            self.node.settle();
            self.check_seats();
        } else {
            let worker = self.rng.below(self.node.workers.len());
            self.node.turn(worker);
        }
        self.listen();
    }

    fn publish(&mut self) {
        for _ in 0..1 + self.rng.below(4) {
            let key = ["", " key=a", " key=b"][self.rng.below(3)];
            self.node.publish_by_call(&format!("jobs x{key}"));
            self.published += 1;
        }
    }

    /// Members look at what they have read.
    fn listen(&mut self) {
        for it in self.members.values_mut() {
            let deliveries = &self.node.clients[it.client].deliveries;
            it.in_mind.extend(deliveries[it.seen..].iter().filter_map(|(_, record, _)| record.offset));
            it.seen = deliveries.len();
            let surplus = it.in_mind.len().saturating_sub(MEMORY);
            it.in_mind.drain(..surplus);
        }
    }

    /// A member says what became of something it was handed, now or long ago.
    fn speak(&mut self) {
        let index = self.rng.below(self.members.len());
        let Some(it) = self.members.values_mut().nth(index) else { return };
        if it.in_mind.is_empty() {
            return;
        }
        let mut offsets: Vec<Offset> = Vec::new();
        for _ in 0..1 + self.rng.below(3) {
            let latest = self.rng.percent(80);
            let at = if latest { it.in_mind.len() - 1 } else { self.rng.below(it.in_mind.len()) };
            offsets.push(it.in_mind[at]);
            if self.rng.percent(70) {
                it.in_mind.remove(at);
            }
            if it.in_mind.is_empty() {
                break;
            }
        }
        let outcome = match self.rng.below(20) {
            0..12 => AckOutcome::Done,
            12..15 => AckOutcome::Retry { delay: None },
            15..17 => AckOutcome::Retry { delay: Some(Duration::from_millis(self.rng.below(20_000) as u64)) },
            17 => AckOutcome::Dead { reason: Some(Arc::from("said so")) },
            _ => AckOutcome::Progress,
        };
        let up_to = self.rng.percent(5);
        let which = if up_to { Which::UpTo(offsets[0]) } else { Which::Offsets(offsets) };
        let (client, member) = (it.client, it.member.clone());
        if self.rng.percent(20) {
            let order = Order::Ack { member, epoch: None, which, outcome };
            return self.call(order);
        }
        let of = AckOf::Consumer { consumer: member.consumer, group: None, channel: jobs() };
        self.command(client, Command::Ack(Box::new(Acknowledge { of, epoch: None, which, outcome })));
    }

    fn call(&mut self, order: Order) {
        let home = self.node.home_of(&channel());
        self.node.call(home, |_| Call::Consumers { channel: channel(), order });
    }

    fn leave(&mut self) {
        let index = self.rng.below(self.members.len());
        let Some(it) = self.members.values().nth(index) else { return };
        let (client, member) = (it.client, it.member.clone());
        match self.rng.below(if self.polite { 4 } else { 2 }) {
            0 => self.node.lose(client, Lost::Dropped),
            1 => self.node.lose(client, Lost::Closed),
            2 => self.command(client, Command::Close),
            _ => {
                let consume = Consume { channel: jobs(), member, terms: None };
                self.command(client, Command::Consume(Box::new(consume)));
            }
        }
    }

    /// A service takes some, and may ack them by call as its name says.
    fn take(&mut self) {
        let who = ["one", "four", "solo"][self.rng.below(3)];
        let member = membership(who);
        let wait = Duration::from_secs(self.rng.below(3) as u64);
        let terms = Terms { from: From::All, ack_wait: Duration::from_secs(2), pending_max: 5 };
        let order = Order::Take { member: member.clone(), terms, limit: 1 + self.rng.below(3) as u32, wait };
        self.call(order);
        if self.rng.percent(50) {
            let last = 1 + self.rng.below(self.published as usize + 1) as u64;
            let offsets = (last.saturating_sub(3).max(1)..=last).collect();
            self.call(Order::Ack { member, epoch: None, which: Which::Offsets(offsets), outcome: AckOutcome::Done });
        }
    }

    fn requeue(&mut self) {
        let consumer = name(NAMES[self.rng.below(2)]);
        self.call(Order::Requeue { consumer, offsets: None });
    }

    fn check(&self) {
        for worker in &self.node.workers {
            let homes = worker.homes.iter_from(0).filter_map(|(_, state)| match state {
                HomeState::Ready(home) => home.consumers.as_ref(),
                HomeState::Opening { .. } => None,
            });
            let mut bytes = 0;
            for consumers in homes {
                consumers.list.values().for_each(crate::consumers::Consumer::check);
                bytes += consumers.list.values().map(crate::consumers::Consumer::bytes).sum::<u64>();
            }
            assert_eq!(worker.consumers_bytes, bytes, "bytes that consumers hold are counted right");
        }
    }

    /// With nothing on its way, homes and connections agree on who consumes.
    fn check_seats(&self) {
        let mut seats = Vec::new();
        for worker in &self.node.workers {
            for (_, state) in worker.homes.iter_from(0) {
                let HomeState::Ready(home) = state else { continue };
                let consumers = home.consumers.iter().flat_map(|consumers| consumers.list.values());
                seats.extend(consumers.flat_map(crate::consumers::Consumer::seated));
            }
        }
        let mut entries = Vec::new();
        for worker in &self.node.workers {
            for session in worker.sessions.iter_from(0) {
                for it in session.profile.extras.iter().flat_map(|extras| &extras.consuming) {
                    assert_eq!((it.joined, it.asked), (true, 0), "{}: all is answered", it.member.consumer);
                    entries.push((worker.id, session.key, it.member.consumer.clone(), it.slow));
                }
            }
        }
        seats.sort();
        entries.sort();
        assert_eq!(seats, entries, "homes and connections agree");
    }

    /// Everybody comes back and does everything: each message must be done or a dead letter.
    fn finish(&mut self) {
        self.node.plan.log_failures = 0;
        for client in 0..self.node.clients.len() {
            self.node.clients[client].reads = true;
            self.node.lose(client, Lost::Dropped);
        }
        self.node.pass(Duration::from_secs(60));
        self.members.clear();
        self.join("one");
        self.join("solo");
        for _ in 0..2_000 {
            self.node.settle();
            self.listen();
            let mut acked = false;
            for who in ["one", "solo"] {
                let it = self.members.get_mut(who).expect("it has joined");
                let offsets = std::mem::take(&mut it.in_mind);
                let (client, consumer) = (it.client, it.member.consumer.clone());
                if offsets.is_empty() {
                    continue;
                }
                acked = true;
                let of = AckOf::Consumer { consumer, group: None, channel: jobs() };
                let which = Which::Offsets(offsets);
                let ack = Acknowledge { of, epoch: None, which, outcome: AckOutcome::Done };
                self.command(client, Command::Ack(Box::new(ack)));
            }
            if !acked {
                self.node.pass(Duration::from_secs(200));
                self.listen();
                if self.members.values().all(|it| it.in_mind.is_empty()) {
                    break;
                }
            }
        }
        self.node.answers.clear();
        self.call(Order::List);
        self.node.settle();
        self.check();
        let list = self.node.answers.pop_front().expect("an answer");
        for consumer in list.trim_start_matches("consumers ").split(", ") {
            assert!(consumer.contains(" pending 0 out 0 "), "something is left: {consumer}");
            assert!(!consumer.contains(" lost "), "something was lost: {consumer}");
        }
        assert_eq!(list.matches(" at ").count(), 2, "both are there: {list}");
        self.check_settled();
        self.node.check_rest();
    }

    /// Each message was said to be over by somebody, or has died.
    fn check_settled(&self) {
        let head = self.node.log.head(&channel());
        for consumer in NAMES {
            for offset in 1..=head {
                assert!(
                    self.node.handed.is_settled(&channel(), &name(consumer), offset),
                    "{consumer}: {offset} of {head} is gone, and nobody said so"
                );
            }
        }
    }
}

fn run(seed: u64) -> (u64, u64) {
    let mut simulation = Simulation::new(seed);
    for _ in 0..OPERATIONS {
        simulation.act();
        simulation.check();
    }
    simulation.finish();
    (simulation.node.digest, simulation.node.handed.deliveries)
}

fn number(text: Option<&str>) -> Option<u64> {
    text.map(|text| text.parse().expect("a number"))
}

#[test]
fn nothing_that_was_acked_comes_again_and_everything_else_does() {
    let only = number(option_env!("REALTIME_SEED"));
    let count = number(option_env!("REALTIME_SEEDS")).unwrap_or(SEEDS);
    let mut deliveries = 0;
    for seed in only.map_or(0..count, |seed| seed..seed + 1) {
        match std::panic::catch_unwind(|| run(seed)) {
            Ok((_, handed)) => deliveries += handed,
            Err(panic) => {
                println!("REALTIME_SEED={seed} fails");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(only.is_some() || deliveries > 50 * count, "too little happened: {deliveries} deliveries");
}

#[test]
fn the_same_seed_gives_the_same_deliveries() {
    for seed in 1_000..1_010 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
