//! People: who they are, what they remember, and what they do at random.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::books::Books;
use crate::command::{Ack, Command, Connect, Listen, Publish, Subscribe, Target};
use crate::frame::Dialect;
use crate::id::{AppId, ChannelKey, ChannelName, ConnectionId, EventType, MessageId, MessageKey, UserId};
use crate::limits;
use crate::options::{Bounds, HistoryOptions, Options, Retention, Rule};
use crate::pattern::Pattern;
use crate::permissions::{Grants, Identity};
use crate::position::{Epoch, Offset, Position, Start};
use crate::publish::{Origin, Publisher};
use crate::rejection::{Lost, Rejection};
use crate::worker::publishing::draft;
use crate::worker::testing::{Node, Plan, Rng, Stage};
use crate::worker::{Call, ConnectionQuery};

pub(super) const CHANNELS: [&str; 5] = ["a", "b", "c", "d", "e"];
const USERS: [Option<&str>; 6] = [Some("ada"), Some("bo"), Some("ada"), None, Some("eve"), Some("bo")];

/// Somebody with at most one connection at a time, who remembers where it was.
#[derive(Debug, Default)]
struct Person {
    user: Option<UserId>,
    client: Option<usize>,
    sse: bool,
    known: BTreeMap<ChannelKey, Offset>,
    /// Its latest connection.
    former: Option<ConnectionId>,
    /// Those before, as far as their session may have been continued.
    formers: Vec<ConnectionId>,
    /// Channels that its event stream has left.
    left: BTreeSet<ChannelName>,
    reference: u64,
}

#[derive(Debug)]
pub(super) struct Simulation {
    pub(super) node: Node,
    pub(super) rng: Rng,
    people: Vec<Person>,
    pub(super) books: Books,
}

fn plan(rng: &mut Rng) -> Plan {
    let channels = 2 + rng.below(4) as u32;
    let options = Options {
        channels_per_connection: channels,
        outbox_records: 1 + rng.below(6) as u32,
        outbox_bytes: if rng.percent(30) { 600 } else { 100_000 },
        history_total_bytes: if rng.percent(20) { 3_000 } else { 1_000_000 },
        history: HistoryOptions {
            records: rng.below(13) as u32,
            bytes: if rng.percent(20) { 1_500 } else { 1_000_000 },
            age: Duration::from_secs(*rng.pick(&[5, 60, 600])),
        },
        bounds: Bounds {
            credits: channels + 4 + rng.below(6) as u32,
            deliveries: 1 + rng.below(8) as u32,
            delivery_bytes: if rng.percent(20) { 500 } else { 100_000 },
            page_records: 1 + rng.below(4),
            // `$all`, users and five names spread over the workers: sometimes one of them is full.
            channels: if rng.percent(20) { 2 } else { 100 },
            walk_steps: 1,
        },
        rules: rules(rng),
        retention: rng.percent(30).then(Retention::default),
        ..Options::default()
    };
    let log_failures = if rng.percent(30) { 20 } else { 0 };
    Plan {
        workers: 1 + rng.below(4),
        seed: rng.number(),
        steady: false,
        late_log: rng.percent(40),
        log_failures,
        batch: 1 + rng.below(8),
        options,
    }
}

/// Some channels are persisted, some keep the latest message of each key, and how much of them is in memory differs.
fn rules(rng: &mut Rng) -> Vec<Rule> {
    let rule = |name: &str, rng: &mut Rng| Rule {
        pattern: Pattern::parse(name).expect("a pattern"),
        history: HistoryOptions { records: rng.below(9) as u32, ..HistoryOptions::default() },
        message_events: false,
        retention: rng.percent(70).then(Retention::default),
        latest_per_key: rng.percent(30),
    };
    let mut rules = Vec::new();
    for name in ["c", "d", "e"] {
        if rng.percent(60) {
            rules.push(rule(name, rng));
        }
    }
    rules
}

pub(super) fn channel(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("a name")
}

impl Simulation {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let node = Node::new(plan(&mut rng));
        let count = 2 + rng.below(7);
        let person = |index: usize| Person {
            user: USERS[index % USERS.len()].and_then(|name| UserId::parse(name).ok()),
            sse: index % 3 == 1,
            ..Person::default()
        };
        Self { node, rng, people: (0..count).map(person).collect(), books: Books::default() }
    }

    /// One thing happens, and then some workers do something.
    pub(super) fn act(&mut self) {
        let who = self.rng.below(self.people.len());
        self.forget_gone(who);
        match self.rng.below(100) {
            _ if self.people[who].client.is_none() => self.connect(who),
            0..18 => self.subscribe(who),
            18..26 => self.unsubscribe(who),
            26..58 => self.publish(who),
            58..66 => self.publish_by_call(),
            66..76 => self.change_pace(who),
            76..80 => self.end(who),
            80..86 => self.steer(who),
            86..88 => self.say_something(who),
            88..90 => self.trim(),
            90 => self.damage(),
            _ => self.let_time_pass(),
        }
        for _ in 0..self.rng.below(5) {
            let worker = self.rng.below(self.node.workers.len());
            self.node.turn(worker);
        }
        self.read_some();
    }

    /// Whoever has lost its connection remembers what it has read.
    fn forget_gone(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        if self.node.clients[client].stage != Stage::Gone || self.people[who].sse {
            return;
        }
        self.remember(who, client);
        self.people[who].client = None;
    }

    fn remember(&mut self, who: usize, client: usize) {
        let streams = &self.node.clients[client].streams;
        for channel in streams.channels() {
            if let Some(position) = streams.position(channel) {
                self.people[who].known.insert(channel.clone(), position);
            }
        }
    }

    fn connect(&mut self, who: usize) {
        let person = &self.people[who];
        let identity = Identity { user: person.user.clone(), grants: Grants::ALL, ..Identity::default() };
        let worker = match &person.user {
            Some(user) if self.rng.percent(60) => self.node.home_of(&ChannelKey::user(AppId::default(), user.clone())),
            Some(_) | None => self.rng.below(self.node.workers.len()),
        };
        let mut connect = self.first_frame(who);
        connect.former = self.people[who].former.filter(|_| self.rng.percent(60));
        let formers: Vec<_> = connect.former.into_iter().chain(self.people[who].formers.iter().copied()).collect();
        let (dialect, connect, later) = if self.people[who].sse {
            (Dialect::SseData, Some(connect), None)
        } else if self.rng.percent(50) {
            (Dialect::WebSocketJson, Some(connect), None)
        } else {
            (Dialect::WebSocketJson, None, Some(connect))
        };
        let client = self.node.open(&format!("person {who}"), worker, dialect, Some(identity), connect);
        self.node.clients[client].reads = false;
        self.node.clients[client].socket_max = *self.rng.pick(&[1, 3, 20]);
        let id = self.node.clients[client].id;
        self.node.clients[client].formers.clone_from(&formers);
        let person = &mut self.people[who];
        (person.client, person.former, person.formers) = (Some(client), Some(id), formers);
        if let Some(connect) = later {
            let reference = self.reference(who);
            self.node.command(client, Command::Connect(Box::new(connect)), Some(reference));
        }
    }

    fn first_frame(&mut self, who: usize) -> Connect {
        let mut connect = Connect::default();
        let mut listens: Vec<Listen> = CHANNELS.iter().map(|name| Listen::Named(channel(name))).collect();
        listens.extend([Listen::Everyone, Listen::OwnUser]);
        for listen in listens {
            if self.rng.percent(30) {
                let start = self.start(who, &listen);
                connect.subscriptions.push(Subscribe { listen, start });
            }
        }
        connect
    }

    /// Mostly where it was; sometimes anything.
    fn start(&mut self, who: usize, listen: &Listen) -> Start {
        let person = &self.people[who];
        let key = match (listen, &person.user) {
            (Listen::Everyone, _) | (Listen::OwnUser, None) => ChannelKey::everyone(AppId::default()),
            (Listen::OwnUser, Some(user)) => ChannelKey::user(AppId::default(), user.clone()),
            (Listen::Named(name), _) => ChannelKey::named(AppId::default(), name.clone()),
        };
        let known = person.known.get(&key).copied();
        match (known, self.rng.below(10)) {
            (Some(offset), 0..7) => Start::Since(self.node.log.position(offset)),
            (_, 7) if self.rng.percent(50) => Start::Rewind(self.rng.below(9) as u32),
            (_, 7) => Start::RewindMs(self.rng.below(100_000) as u64),
            (_, 8) => {
                let epoch = if self.rng.percent(50) { "e" } else { "x" };
                let epoch = Epoch::parse(epoch).expect("an epoch");
                Start::Since(Position { epoch, offset: self.rng.below(30) as u64 })
            }
            _ => Start::Now,
        }
    }

    fn reference(&mut self, who: usize) -> u64 {
        self.people[who].reference += 1;
        self.people[who].reference
    }

    fn subscribe(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        let name = channel(self.rng.pick::<&str>(&CHANNELS));
        let key = ChannelKey::named(AppId::default(), name.clone());
        let it = &self.node.clients[client];
        let again = self.people[who].left.contains(&name) || it.streams.position(&key).is_some();
        if it.is_sse() && (!it.connected || again) {
            return; // Answers overtake frames there, so that one subscription could not be told from the next.
        }
        let listen = Listen::Named(name);
        self.remember(who, client);
        let start = self.start(who, &listen);
        let reference = self.reference(who);
        self.node.command(client, Command::Subscribe(Subscribe { listen, start }), Some(reference));
    }

    fn unsubscribe(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        let name = channel(self.rng.pick::<&str>(&CHANNELS));
        self.remember(who, client);
        self.people[who].left.insert(name.clone());
        let reference = self.reference(who);
        self.node.command(client, Command::Unsubscribe { channel: name }, Some(reference));
    }

    fn target(&mut self) -> Target {
        let name = channel(self.rng.pick::<&str>(&CHANNELS));
        let user = UserId::parse(self.rng.pick::<&str>(&["ada", "bo", "eve"])).expect("a user");
        match self.rng.below(10) {
            0..2 => Target::Everyone,
            2..4 => Target::User(user),
            4 => Target::UserInChannel { user, channel: name },
            _ => Target::Channel(name),
        }
    }

    fn message(&mut self) -> Publish {
        let ephemeral = self.rng.percent(15);
        let target = self.target();
        let signal = ephemeral || matches!(target, Target::UserInChannel { .. });
        let data = self.books.payload(self.rng.below(200));
        let mut exclude = Vec::new();
        if !signal && self.rng.percent(25) {
            let clients = &self.node.clients;
            exclude = (0..1 + self.rng.below(3)).map(|_| clients[self.rng.below(clients.len())].id).collect();
        }
        let id = self.rng.percent(30).then(|| MessageId::parse(&format!("id {}", self.books.count())).expect("an id"));
        let event_type = EventType::parse("said").expect("a type");
        let ack = *self.rng.pick(&[None, None, None, Some(Ack::Node), Some(Ack::None)]);
        let key = self.rng.percent(20).then(|| MessageKey::parse(self.rng.pick::<&str>(&["k", "l"])).expect("a key"));
        let ttl = self.rng.percent(15).then(|| Duration::from_secs(self.rng.below(30) as u64));
        Publish { target, event_type, data, id, key, meta: None, ephemeral, exclude, ack, ttl }
    }

    fn publish(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        for _ in 0..1 + self.rng.below(4) {
            let again = if self.rng.percent(15) { self.books.latest(client, self.node.now.time) } else { None };
            let publish = again.unwrap_or_else(|| self.message());
            let reference = self.reference(who);
            self.books.note_sent(client, reference, &publish, self.node.now.time);
            self.node.command(client, Command::Publish(Box::new(publish)), Some(reference));
        }
    }

    fn publish_by_call(&mut self) {
        let publish = self.message();
        self.books.note_called(&publish);
        let fresh = MessageId::parse(&format!("call {}", self.books.count())).expect("an id");
        let publisher = Publisher::Server("key".into());
        let draft = draft(AppId::default(), publish, None, publisher, fresh, Origin::Nobody);
        let home = self.node.home_of(&draft.channel);
        self.node.call(home, |ticket| {
            Call::Publish(Box::new(crate::publish::Draft { origin: Origin::Call { ticket }, ..draft }))
        });
    }

    fn change_pace(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        let room = *self.rng.pick(&[0, 1, 2, 8, 100]);
        let it = &mut self.node.clients[client];
        it.socket_max = room;
        self.node.read(client, 1);
    }

    fn end(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        if self.people[who].sse {
            return self.resume(who, client);
        }
        self.remember(who, client);
        match self.rng.below(4) {
            0 => {
                let reference = self.reference(who);
                self.node.command(client, Command::Close, Some(reference));
            }
            1 => self.node.lose(client, Lost::Closed),
            _ => self.node.lose(client, Lost::Dropped),
        }
    }

    /// An event stream is cut, and comes back with its last cursor.
    fn resume(&mut self, who: usize, client: usize) {
        self.node.lose(client, Lost::Dropped);
        let connect = self.node.resumed(client);
        let identity = Identity { user: self.people[who].user.clone(), grants: Grants::ALL, ..Identity::default() };
        let worker = self.rng.below(self.node.workers.len());
        let next = self.node.open(&format!("person {who}"), worker, Dialect::SseData, Some(identity), Some(connect));
        self.node.clients[next].reads = false;
        self.node.clients[next].socket_max = *self.rng.pick(&[1, 3, 20]);
        self.people[who].client = Some(next);
        self.people[who].left.clear();
    }

    /// The application looks at connections and steers them.
    fn steer(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        let (worker, connection) = (self.node.clients[client].worker, self.node.clients[client].key);
        let name = channel(self.rng.pick::<&str>(&CHANNELS));
        // By POST the answer to a repeated subscribe may overtake what the application did: nothing to compare it with.
        let sse = self.people[who].sse;
        match self.rng.below(6) {
            0 => self.node.call(worker, |_| Call::Disconnect { connection, reason: None }),
            1 if !sse => self.node.call(worker, |_| Call::Subscribe { connection, channel: name }),
            2 => {
                self.people[who].left.insert(name.clone());
                self.node.call(worker, |_| Call::Unsubscribe { connection, channel: name });
            }
            3 => self.node.call(worker, |_| {
                Call::Connections(ConnectionQuery { limit: 2, channel: Some(name), ..ConnectionQuery::default() })
            }),
            4 => self.node.call(worker, |_| Call::Channels { app: AppId::default(), after: 0, limit: 2 }),
            _ => self.node.call(worker, |_| Call::Figures),
        }
    }

    fn say_something(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        let reference = self.reference(who);
        match self.rng.below(3) {
            0 => self.node.malformed(client, Rejection::field("op", "is unknown"), Some(reference)),
            1 => self.node.command(client, Command::Meta { meta: "{}".into() }, Some(reference)),
            _ => self.node.command(client, Command::Ping, Some(reference)),
        }
    }

    fn let_time_pass(&mut self) {
        match self.rng.below(100) {
            0..60 => {
                let later = self.node.now.time.after(Duration::from_millis(self.rng.below(400) as u64));
                self.node.set_time(later);
                self.node.wake();
            }
            60..90 => self.node.pass(Duration::from_secs(self.rng.below(20) as u64)),
            90..97 => self.node.pass(Duration::from_secs(130)),
            _ => self.node.pass(Duration::from_secs(700)),
        }
    }

    fn read_some(&mut self) {
        for _ in 0..2 {
            let client = self.rng.below(self.node.clients.len());
            let count = self.rng.below(6);
            if self.node.clients.get(client).is_some_and(|it| it.stage != Stage::Gone) {
                self.node.read(client, count);
            }
        }
    }

    /// What waits for one connection, and what lies between workers, is bounded at every moment.
    pub(super) fn check_bounds(&self) {
        let options = &self.node.plan.options;
        let pages = if options.stores() { 1 + limits::STORED_PULLS } else { 1 };
        // A page may have a gap before each of its records and one at its end.
        let most = options.outbox_records as usize + pages * (2 * options.bounds.page_records + 1);
        self.node.check_outboxes(most + options.channels_per_connection as usize);
    }

    /// Everybody reads on, the node comes to rest, and everybody has everything.
    pub(super) fn check_quiet(&mut self) {
        for client in &mut self.node.clients {
            if client.stage != Stage::Gone && !client.lost {
                client.reads = true;
                client.socket_max = 100;
            }
        }
        // The log recovers, and what it was asked for in vain is asked again.
        let failures = std::mem::take(&mut self.node.plan.log_failures);
        self.node.pass(2 * limits::LOG_RETRY);
        self.node.check_rest();
        self.books.check(&mut self.node);
        self.check_past();
        self.node.plan.log_failures = failures;
        for client in &mut self.node.clients {
            client.reads = false;
            client.journal.clear();
        }
        self.node.answers.clear();
        self.node.lifecycle.clear();
    }

    pub(super) fn leave(&mut self) {
        self.node.plan.log_failures = 0;
        (0..self.node.clients.len()).for_each(|client| self.node.lose(client, Lost::Dropped));
        self.node.settle();
    }
}

/// The channel a message is heard in.
pub(super) fn heard_in(target: &Target) -> ChannelKey {
    let app = AppId::default();
    match target {
        Target::Everyone => ChannelKey::everyone(app),
        Target::User(user) => ChannelKey::user(app, user.clone()),
        Target::Channel(channel) | Target::UserInChannel { channel, .. } => ChannelKey::named(app, channel.clone()),
    }
}

/// Whether somebody may hear an ephemeral message at all.
pub(super) fn may_hear(target: &Target, user: Option<&UserId>) -> bool {
    match target {
        Target::Everyone | Target::Channel(_) => true,
        Target::User(of) | Target::UserInChannel { user: of, .. } => Some(of) == user,
    }
}
