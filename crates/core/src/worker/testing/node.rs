//! The node: what it holds, how clients and calls get in, and how time passes.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::client::{Client, Stage};
use super::handed::HandedBooks;
use super::log::MemoryLog;
use super::render;
use super::rng::Rng;
use super::state::MemoryState;
use super::streams::Streams;
use crate::command::{Command, Connect, Listen, Subscribe};
use crate::consumers::Order;
use crate::frame::Dialect;
use crate::history::HistoryPage;
use crate::id::{Audience, ChannelKey, ConnectionId, SlotKey, WorkerId};
use crate::options::Options;
use crate::permissions::Identity;
use crate::position::{Position, Start};
use crate::rejection::{Lost, Rejection};
use crate::session::{self, Protocol, Provider, Reply};
use crate::time::{Now, Time, UnixMs};
use crate::worker::{Call, Input, Lifecycle, Opened, PeerMessage, Setup, Worker};

/// The node's number in connection ids.
pub(crate) const NODE: u32 = 7;

/// How a node is built and driven.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) workers: usize,
    pub(crate) seed: u64,
    /// Takes everything in a fixed order; otherwise the seed decides what runs when, and how far.
    pub(crate) steady: bool,
    /// The log answers later, not in the same turn.
    pub(crate) late_log: bool,
    /// How many percent of the questions to the log of persisted channels it cannot answer.
    pub(crate) log_failures: usize,
    /// Frames in one write, at most.
    pub(crate) batch: usize,
    pub(crate) options: Options,
}

impl Plan {
    /// A steady node with default options.
    pub(crate) fn steady(workers: usize) -> Self {
        Self {
            workers,
            seed: 0,
            steady: true,
            late_log: false,
            log_failures: 0,
            batch: 64,
            options: Options::default(),
        }
    }
}

/// Who waits for the answer to a ticket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    /// A client that sent its command by POST.
    Client(usize),
    /// The application.
    Api,
}

/// What one worker owes another, and has been allowed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Debt {
    pub(crate) requests: u32,
    pub(crate) entries: u32,
    pub(crate) bytes: u64,
}

/// Places of one worker's connections.
#[derive(Debug, Default)]
pub(super) struct Places {
    generations: Vec<u32>,
    free: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) plan: Plan,
    pub(crate) workers: Vec<Worker>,
    pub(crate) now: Now,
    pub(crate) rng: Rng,
    pub(crate) log: MemoryLog,
    pub(crate) state: MemoryState,
    pub(crate) clients: Vec<Client>,
    /// Messages by sender and receiver: `from * workers + to`.
    pub(super) queues: Vec<VecDeque<PeerMessage>>,
    /// What `to` has taken and `from` has not been told, same index.
    pub(super) rooms: Vec<VecDeque<(u32, u64)>>,
    pub(super) debts: Vec<Debt>,
    /// The log takes questions and answers none; with [`Plan::late_log`].
    pub(crate) log_stalls: bool,
    /// Blocks that a worker has asked of the log and not got, and the most there ever were.
    pub(super) reads: Vec<usize>,
    pub(crate) reads_most: usize,
    /// Answers of the log, by worker.
    pub(super) completions: Vec<VecDeque<Input>>,
    /// Calls and answers of the authenticator, by worker.
    pub(super) front: Vec<VecDeque<Input>>,
    pub(super) places: Vec<Places>,
    pub(super) tickets: BTreeMap<u64, Caller>,
    next_ticket: u64,
    /// Answers to the application's calls.
    pub(crate) answers: VecDeque<String>,
    /// Pages of history that the application got.
    pub(crate) pages: VecDeque<HistoryPage>,
    pub(crate) lifecycle: VecDeque<String>,
    /// Orders to consumers that came by call, by ticket.
    pub(super) orders: BTreeMap<u64, (ChannelKey, Order)>,
    pub(crate) handed: HandedBooks,
    /// Things that happened, to notice rest.
    pub(super) progress: u64,
    /// Messages that were queued when their connection ended, and offsets in excluded gaps.
    pub(super) discarded: (u64, u64),
    /// Ephemeral messages on their way to a home, or there.
    pub(super) signals: u64,
    /// The process has been killed, and its figures began anew.
    pub(super) restarted: bool,
    /// Calls of `handle_timeout`.
    pub(crate) wakes: u64,
    /// A running hash over everything anybody could observe.
    pub(crate) digest: u64,
    /// The latest observations, if asked for at build time.
    recent: VecDeque<String>,
}

impl Node {
    pub(crate) fn new(plan: Plan) -> Self {
        let count = plan.workers;
        let mut rng = Rng::new(plan.seed);
        let now = Now { time: Time::from_ms(5_000), wall: UnixMs(1_700_000_000_000) };
        let setup = |id: usize, random: u64| Setup {
            id: WorkerId(u8::try_from(id).expect("few")),
            workers: count,
            node: NODE,
            seed: 99,
            random,
            options: plan.options.clone(),
        };
        let workers = (0..count).map(|id| Worker::new(setup(id, rng.number()), now)).collect();
        let mut node = Self {
            workers,
            now,
            rng,
            log: MemoryLog::new(),
            state: MemoryState::default(),
            clients: Vec::new(),
            queues: (0..count * count).map(|_| VecDeque::new()).collect(),
            rooms: (0..count * count).map(|_| VecDeque::new()).collect(),
            debts: vec![Debt::default(); count * count],
            log_stalls: false,
            reads: vec![0; count],
            reads_most: 0,
            completions: (0..count).map(|_| VecDeque::new()).collect(),
            front: (0..count).map(|_| VecDeque::new()).collect(),
            places: (0..count).map(|_| Places::default()).collect(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            answers: VecDeque::new(),
            pages: VecDeque::new(),
            lifecycle: VecDeque::new(),
            orders: BTreeMap::new(),
            handed: HandedBooks::default(),
            progress: 0,
            discarded: (0, 0),
            signals: 0,
            restarted: false,
            wakes: 0,
            digest: 0xcbf2_9ce4_8422_2325,
            recent: VecDeque::new(),
            plan,
        };
        (0..count).for_each(|worker| node.carry_out(worker));
        node
    }

    /// A connection is handed to a worker. With `connect` its URL has said everything.
    pub(crate) fn open(
        &mut self,
        name: &str,
        worker: usize,
        dialect: Dialect,
        identity: Option<Identity>,
        connect: Option<Connect>,
    ) -> usize {
        let key = self.reserve(worker);
        let provider = if dialect.is_sse() { Provider::Sse } else { Provider::WebSocket };
        let address = SocketAddr::from(([127, 0, 0, 1], 4_000));
        let client = session::Client { provider, address, user_agent: None, protocol: Protocol::Http1 };
        let known = identity.clone().unwrap_or_default();
        let asked_first = connect.as_ref().map_or_else(BTreeMap::new, |connect| starts(connect, &known));
        let first = connect.clone().unwrap_or_default();
        let opened = Opened { connection: key, dialect, client, identity, connect, reference: None };
        self.clients.push(Client {
            name: name.to_owned(),
            worker,
            key,
            id: ConnectionId { node: NODE, worker: WorkerId(u8::try_from(worker).expect("few")), key },
            dialect,
            app: known.app,
            user: known.user,
            inputs: VecDeque::from([Input::Opened(Box::new(opened))]),
            socket: VecDeque::new(),
            socket_max: usize::MAX,
            blocked: false,
            paused: false,
            reads: true,
            answers: true,
            stage: Stage::Open,
            lost: false,
            journal: VecDeque::new(),
            streams: Streams::default(),
            asked: BTreeMap::new(),
            asked_first,
            first,
            unnumbered: false,
            steered: false,
            cursor: None,
            formers: Vec::new(),
            connected: false,
            next: None,
            results: Vec::new(),
            signals: Vec::new(),
            done: Vec::new(),
            deliveries: Vec::new(),
            messages_written: 0,
            excluded_written: 0,
        });
        self.clients.len() - 1
    }

    fn reserve(&mut self, worker: usize) -> SlotKey {
        let places = &mut self.places[worker];
        let slot = places.free.pop().unwrap_or_else(|| {
            places.generations.push(0);
            u32::try_from(places.generations.len() - 1).expect("few")
        });
        places.generations[slot as usize] += 1;
        SlotKey { slot, generation: places.generations[slot as usize] }
    }

    pub(super) fn release(&mut self, worker: usize, key: SlotKey) {
        self.places[worker].free.push(key.slot);
    }

    /// A client sends a command; on SSE by POST. Returns the number it bears.
    pub(crate) fn command(&mut self, client: usize, command: Command, reference: Option<u64>) {
        let reply = self.reply(client, reference);
        let it = &mut self.clients[client];
        match &command {
            Command::Connect(connect) => {
                let identity = Identity { app: it.app, user: it.user.clone(), ..Identity::default() };
                it.asked_first = starts(connect, &identity);
            }
            Command::Subscribe(subscribe) => match reference {
                Some(number) => drop(it.asked.insert(number, subscribe.start.clone())),
                None => it.unnumbered = true,
            },
            Command::Ping
            | Command::Unsubscribe { .. }
            | Command::Publish(_)
            | Command::History(_)
            | Command::Consume(_)
            | Command::Ack(_)
            | Command::Inbox(_)
            | Command::Meta { .. }
            | Command::Close => {}
        }
        it.inputs.push_back(Input::Received { connection: it.key });
        it.inputs.push_back(Input::Command { connection: it.key, command, reply });
    }

    /// A client sends what is no command.
    pub(crate) fn malformed(&mut self, client: usize, rejection: Rejection, reference: Option<u64>) {
        let reply = self.reply(client, reference);
        let it = &mut self.clients[client];
        let input = Input::Malformed { connection: it.key, rejection: Box::new(rejection), reply };
        it.inputs.push_back(input);
    }

    fn reply(&mut self, client: usize, reference: Option<u64>) -> Reply {
        if self.clients[client].is_sse() {
            Reply::Call { ticket: self.ticket(Caller::Client(client)), reference }
        } else {
            Reply::Stream(reference)
        }
    }

    /// The application calls a worker.
    pub(crate) fn call(&mut self, worker: usize, call: impl FnOnce(u64) -> Call) {
        let ticket = self.ticket(Caller::Api);
        let call = call(ticket);
        if let Call::Unsubscribe { connection, .. } = call
            && let Some(client) = self.client_at(worker, connection)
        {
            self.clients[client].steered = true;
        }
        if let Call::Consumers { channel, order } = &call {
            self.handed.said(channel, order);
            self.orders.insert(ticket, (channel.clone(), order.clone()));
        }
        if let Call::Publish(draft) = &call {
            self.signals += u64::from(draft.ephemeral);
        }
        self.front[worker].push_back(Input::Call { ticket, call });
    }

    fn ticket(&mut self, caller: Caller) -> u64 {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, caller);
        self.next_ticket
    }

    /// A client's connection ends by its own doing, or the network's. What it has sent is still heard; what it has not read is lost.
    pub(crate) fn lose(&mut self, client: usize, lost: Lost) {
        let it = &mut self.clients[client];
        if it.stage != Stage::Gone && !it.lost {
            it.inputs.push_back(Input::Closed { connection: it.key, lost });
            it.socket.clear();
            it.lost = true;
        }
    }

    /// Lets time pass: every deadline on the way is kept, and what it causes comes to rest.
    pub(crate) fn pass(&mut self, duration: Duration) {
        let end = self.now.time.after(duration);
        let mut here = 0;
        self.settle();
        while let Some(next) = self.workers.iter_mut().filter_map(Worker::next_deadline).min()
            && next <= end
        {
            here = if next > self.now.time { 0 } else { here + 1 };
            assert!(here < 1_000, "a deadline at {next:?} comes again and again");
            self.set_time(next.max(self.now.time));
            self.wake();
            self.settle();
        }
        self.set_time(end);
        self.settle();
    }

    /// What a client of an event stream comes back with: its channels, each from its cursor on; without one, its URL.
    pub(crate) fn resumed(&self, client: usize) -> Connect {
        let it = &self.clients[client];
        let Some(cursor) = it.cursor.clone() else { return it.first.clone() };
        let group = cursor.iter().next().cloned();
        let (epoch, offsets) = group.map_or((None, Vec::new()), |group| (Some(group.epoch), group.offsets));
        let offsets: BTreeMap<u64, u64> = offsets.into_iter().collect();
        let named = it.streams.channels().filter_map(|channel| match &channel.audience {
            Audience::Named(name) => Some((Listen::Named(name.clone()), channel.clone())),
            Audience::Everyone | Audience::User(_) => None,
        });
        let own = it.user.clone().map(|user| (Listen::OwnUser, ChannelKey::user(it.app, user)));
        let all = [(Listen::Everyone, ChannelKey::everyone(it.app))];
        let subscriptions = all.into_iter().chain(own).chain(named).map(|(listen, channel)| {
            let start = match (&epoch, offsets.get(&channel.fingerprint())) {
                (None, _) => Start::Now,
                (Some(epoch), Some(offset)) => Start::Since(Position { epoch: epoch.clone(), offset: *offset }),
                (Some(epoch), None) => Start::Beginning(epoch.clone()),
            };
            Subscribe { listen, start }
        });
        Connect { subscriptions: subscriptions.collect(), ..Connect::default() }
    }

    /// The whole process stands still for a while.
    pub(crate) fn freeze(&mut self, duration: Duration) {
        // Each has gone to sleep until its next deadline.
        for worker in &mut self.workers {
            worker.next_deadline();
        }
        self.set_time(self.now.time.after(duration));
        self.wake();
        self.settle();
    }

    /// The same while every worker is busy: none has gone to sleep.
    pub(crate) fn freeze_busy(&mut self, duration: Duration) {
        for at in [Duration::ZERO, duration] {
            self.set_time(self.now.time.after(at));
            for worker in 0..self.workers.len() {
                self.workers[worker].handle_timeout(self.now);
                self.carry_out(worker);
            }
        }
        self.settle();
    }

    pub(crate) fn set_time(&mut self, time: Time) {
        let passed = u64::try_from(time.since(self.now.time).as_millis()).expect("short");
        self.now = Now { time, wall: UnixMs(self.now.wall.0 + passed) };
    }

    pub(crate) fn wake(&mut self) {
        for worker in 0..self.workers.len() {
            if self.workers[worker].next_deadline().is_some_and(|at| at <= self.now.time) {
                self.wakes += 1;
                self.workers[worker].handle_timeout(self.now);
                self.carry_out(worker);
            }
        }
    }

    pub(crate) fn home_of(&self, channel: &ChannelKey) -> usize {
        usize::from(crate::worker::home_worker(channel.fingerprint(), 99, self.workers.len()).0)
    }

    /// The newest offset that the channel's history has dropped.
    pub(crate) fn trimmed(&mut self, channel: &ChannelKey) -> u64 {
        let home = self.home_of(channel);
        let floor = self.workers[home].home_of_mut(channel).map(|home| home.ring.floor());
        let persisted = self.plan.options.retention(channel).is_some();
        let unknown = if persisted { self.log.floor(channel) } else { self.log.head(channel) };
        floor.unwrap_or(unknown)
    }

    pub(super) fn note_lifecycle(&mut self, event: &Lifecycle) {
        if let Lifecycle::ConsumerDead { channel, death } = event {
            self.handed.died(channel, &death.consumer, death.letter.position.offset);
        }
        let line = render::lifecycle(event);
        self.observe("app", &line);
        self.lifecycle.push_back(line);
    }

    /// Adds to the digest, and to the recent observations.
    pub(super) fn observe(&mut self, who: &str, what: &str) {
        let bytes = who.bytes().chain([0]).chain(what.bytes()).chain(self.now.time.as_ms().to_le_bytes());
        self.digest =
            bytes.fold(self.digest, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        if option_env!("REALTIME_TRACE").is_some() {
            self.recent.push_back(format!("{:>8} {who}: {what}", self.now.time.as_ms()));
            if self.recent.len() > 300 {
                self.recent.pop_front();
            }
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        for line in self.recent.drain(..) {
            eprintln!("{line}");
        }
    }
}

fn starts(connect: &Connect, identity: &Identity) -> BTreeMap<ChannelKey, Start> {
    let key = |listen: &Listen| match (listen, &identity.user) {
        (Listen::Everyone, _) => Some(ChannelKey::everyone(identity.app)),
        (Listen::OwnUser, user) => user.clone().map(|user| ChannelKey::user(identity.app, user)),
        (Listen::Named(name), _) => Some(ChannelKey::named(identity.app, name.clone())),
    };
    connect.subscriptions.iter().filter_map(|it| Some((key(&it.listen)?, it.start.clone()))).collect()
}

/// Words for `Arc<str>` reasons.
pub(crate) fn words(text: &str) -> Arc<str> {
    text.into()
}
