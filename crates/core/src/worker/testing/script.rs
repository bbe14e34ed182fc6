//! Scripts: a line is something that happens, or what somebody sees of it.
//!
//! ```text
//! node workers=2 outbox=4 ring=8            options; without `workers` the script runs on 1, 2 and 4; `steady` = in one order
//! ada opens                                 a WebSocket whose handshake said who it is
//! ada opens sse as=bo connect news@3        a stream whose URL said everything
//! ada opens until=60s connect               its authorisation is over then
//! eve opens as=ada continues=ada connect     goes on with the session of that one; `cursor=news:3,chat:1` with these positions
//! ada > subscribe #2 news@3                 a command with its number; `@3` = since offset 3, `@x:3` of another epoch,
//!                                           `<3` = three back, `<5s` = five seconds, `^` = from the beginning
//! ada > publish news hi & bo > ping         both before anything else happens
//! ada < news 4 hi                           the next thing ada reads
//! ada < -                                   nothing more
//! ada <* pong | news 4 hi                   the next things, in whatever order they come
//! ada holds news=3 $all=1 chat=?            the cursor of the last block it has read (`?` = its position is lost, which it has
//!                                           not read yet); `ada resumes` = is cut, and back with it
//! ada stops / ada reads / ada reads 3       its pace; `ada takes 2` = frames that fit into its socket
//! api > disconnect ada    api < found       a call and its answer
//! app < 1 connected ada WebSocket           lifecycle events; once one is named, all must be
//! ada > consume jobs worker group=g from=all wait=5s pending=2     ada > ack jobs worker 1,2 retry=5s
//! ada < worker gets jobs 1 hi again 2       a delivery, here the second one of its message
//! api > take jobs worker wait=5s            a service consumes; also acks, consumers, letters, requeue, delete
//! log away    log back                       the log of persisted channels fails, and works again
//! log trims news 3                           its retention has taken everything up to there
//! log loses news 2 3                         these records are damaged
//! restart                                    the process is killed and starts again
//! pass 30s    freeze 20s    drain    wakes 3 = workers have woken at most so often since the last time this was asked
//! ```
//!
//! After every line the node comes to rest. At the end everything read must have been named; then all connections end, time
//! passes, and nothing may be kept. Every script runs in a steady order and in several random ones: they must look the same.

use std::time::Duration;

use bytes::Bytes;

use super::kinds::identify;
use super::log::MemoryLog;
use super::node::{Node, Plan, words};
use super::orders::orders;
use super::words::{command, connect, duration, history, options, publish, which};
use crate::command::{Command, History, Listen};
use crate::cursor::EpochPositions;
use crate::frame::Dialect;
use crate::history::Span;
use crate::id::{AppId, ChannelKey, ChannelName, MessageId, UserId};
use crate::permissions::{Grants, Identity};
use crate::position::{Position, Start};
use crate::publish::{Origin, Publisher};
use crate::rejection::{Lost, Rejection};
use crate::session::Subscription;
use crate::time::UnixMs;
use crate::worker::publishing::draft;
use crate::worker::{Call, ConnectionQuery, InboxCall, Input};

/// Runs a script on nodes of every size and in several orders.
#[track_caller]
pub(crate) fn check(script: &str) {
    let head = script.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let head = head.strip_prefix("node ").unwrap_or_default();
    let (workers, batch, options) = options(head);
    let orders = if head.contains("steady") { 1 } else { 4 };
    for workers in workers.map_or(vec![1, 2, 4], |workers| vec![workers]) {
        for (seed, late_log) in [(0, false), (1, true), (2, false), (3, true)].into_iter().take(orders) {
            let options = options.clone();
            let plan = Plan { workers, seed, steady: seed == 0, late_log, log_failures: 0, batch, options };
            run(script, plan);
        }
    }
}

/// Runs a script on one node, and hands it over for what only code can say.
#[track_caller]
pub(crate) fn run(script: &str, plan: Plan) {
    let label = format!("{} workers, order {}", plan.workers, plan.seed);
    let mut stage = Theatre::new(Node::new(plan));
    for (number, line) in script.lines().enumerate() {
        let line = line.trim();
        if !line.is_empty() && !line.starts_with("//") && !line.starts_with("node ") {
            stage.at = format!("line {} `{line}` on {label}", number + 1);
            stage.play(line);
        }
    }
    stage.at = format!("the end on {label}");
    stage.finish();
}

impl Node {
    /// Somebody comes over a WebSocket of the first worker, and is connected at once.
    pub(crate) fn join(&mut self, name: &str) -> usize {
        self.join_with(name, "")
    }

    /// … with these subscriptions in the words of scripts.
    pub(crate) fn join_with(&mut self, name: &str, subscriptions: &str) -> usize {
        self.open(name, 0, Dialect::WebSocketJson, identify(name), Some(connect(subscriptions)))
    }

    /// A command in the words of scripts.
    pub(crate) fn say(&mut self, client: usize, verb: &str, rest: &str) {
        let command = command(verb, rest, |name| panic!("{name}?"));
        self.command(client, command, Some(1));
    }

    /// The application publishes, in the words of scripts.
    pub(crate) fn publish_by_call(&mut self, rest: &str) {
        let publish = publish(rest, |name| self.clients.iter().rfind(|it| it.name == name).expect("a client").id);
        let fresh = MessageId::parse("fresh").expect("an id");
        let publisher = Publisher::Server(words("key"));
        let draft = draft(AppId::default(), publish, None, publisher, fresh, Origin::Nobody);
        let home = self.home_of(&draft.channel);
        self.call(home, |ticket| {
            let origin = Origin::Call { ticket };
            Call::Publish(Box::new(crate::publish::Draft { origin, ..draft }))
        });
    }
}

/// A script under way.
#[derive(Debug)]
struct Theatre {
    node: Node,
    at: String,
    /// Names of clients that show their signs of life.
    shows: Vec<String>,
    app: bool,
}

impl Theatre {
    fn new(mut node: Node) -> Self {
        node.settle();
        Self { node, at: String::new(), shows: Vec::new(), app: false }
    }

    fn play(&mut self, line: &str) {
        for part in line.split(" & ") {
            if let Some((who, expected)) = part.split_once(" < ") {
                let seen = self.next_seen(who);
                assert_eq!(seen, expected, "{}", self.at);
            } else if let Some((who, expected)) = part.split_once(" <* ") {
                let mut expected: Vec<&str> = expected.split(" | ").collect();
                let mut seen: Vec<String> = expected.iter().map(|_| self.next_seen(who)).collect();
                expected.sort_unstable();
                seen.sort_unstable();
                assert_eq!(seen, expected, "{}", self.at);
            } else if let Some((who, said)) = part.split_once(" > ") {
                self.say(who, said);
            } else {
                self.act(part);
            }
        }
        if !line.contains(" < ") && !line.contains(" <* ") {
            self.node.settle();
        }
    }

    fn next_seen(&mut self, who: &str) -> String {
        let seen = match who {
            "api" => self.node.answers.pop_front(),
            "app" => {
                self.app = true;
                self.node.lifecycle.pop_front()
            }
            name => self.next_read(name),
        };
        seen.unwrap_or_else(|| "-".to_owned())
    }

    fn next_read(&mut self, name: &str) -> Option<String> {
        let client = self.client(name);
        let shows = self.shows.iter().any(|it| it == name);
        let journal = &mut self.node.clients[client].journal;
        journal.retain(|line| shows || !matches!(line.as_str(), "heartbeat" | "ping"));
        journal.pop_front()
    }

    /// The latest connection of that name.
    fn client(&self, name: &str) -> usize {
        let found = self.node.clients.iter().rposition(|client| client.name == name);
        found.unwrap_or_else(|| panic!("nobody is called {name}: {}", self.at))
    }

    fn say(&mut self, who: &str, said: &str) {
        if who == "api" {
            return self.call(said);
        }
        let client = self.client(who);
        let (verb, rest) = said.split_once(' ').unwrap_or((said, ""));
        let (reference, rest) = match rest.strip_prefix('#') {
            Some(rest) => {
                let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                (Some(number.parse().expect("a number")), rest)
            }
            None => (None, rest),
        };
        if verb == "nonsense" {
            let rejection = Rejection::field("op", "is unknown");
            return self.node.malformed(client, rejection, reference);
        }
        let mut command = command(verb, rest, |name| self.node.clients[self.client(name)].id);
        if let (Command::History(history), Some(_)) = (&mut command, rest.strip_suffix(" next")) {
            history.query.span =
                Span::Rest(self.node.clients[client].next.clone().expect("a page that has a next one"));
        }
        self.node.command(client, command, reference);
    }

    fn call(&mut self, said: &str) {
        let (verb, rest) = said.split_once(' ').unwrap_or((said, ""));
        let (first, more) = rest.split_once(' ').unwrap_or((rest, ""));
        let channel = |name: &str| ChannelName::parse(name).expect("a channel name");
        match verb {
            "publish" => self.node.publish_by_call(rest),
            "take" | "acks" | "consumers" | "letters" | "requeue" | "delete" => {
                let (channel, order) = orders(verb, rest);
                let channel = ChannelKey::named(AppId::default(), channel);
                self.node.call(self.node.home_of(&channel), |_| Call::Consumers { channel, order });
            }
            "purge" => {
                let (name, at) = first.split_once('@').unwrap_or((first, ""));
                let through = (!at.is_empty()).then(|| self.node.log.position(at.parse().expect("an offset")));
                let channel = channel_key(name);
                self.node.call(self.node.home_of(&channel), |_| Call::Purge { channel, through });
            }
            "inbox" | "ack" => self.call_inbox(first, more),
            "history" => {
                let History { listen: Listen::Named(name), query } = history(rest) else {
                    panic!("{rest}? {}", self.at)
                };
                let channel = ChannelKey::named(AppId::default(), name);
                self.node.call(self.node.home_of(&channel), |_| Call::History { channel, query });
            }
            "disconnect" => {
                let client = &self.node.clients[self.client(first)];
                let (worker, connection) = (client.worker, client.key);
                let reason = (!more.is_empty()).then(|| words(more));
                self.node.call(worker, |_| Call::Disconnect { connection, reason });
            }
            "connection" | "subscribe" | "unsubscribe" | "meta" => {
                let client = &self.node.clients[self.client(first)];
                let (worker, connection) = (client.worker, client.key);
                self.node.call(worker, |_| match verb {
                    "subscribe" => Call::Subscribe { connection, channel: channel(more) },
                    "unsubscribe" => Call::Unsubscribe { connection, channel: channel(more) },
                    "meta" => Call::SetMeta { connection, meta: Some(Bytes::copy_from_slice(more.as_bytes())) },
                    _ => Call::Connection(connection),
                });
            }
            "connections" => {
                let mut query = ConnectionQuery { limit: 100, ..ConnectionQuery::default() };
                for word in rest.split_whitespace() {
                    match word.split_once('=').expect("name=value") {
                        ("limit", value) => query.limit = value.parse().expect("a number"),
                        ("after", value) => query.after = value.parse().expect("a number"),
                        ("user", value) => query.user = UserId::parse(value).ok(),
                        ("channel", value) => query.channel = Some(channel(value)),
                        (word, _) => panic!("{word}? {}", self.at),
                    }
                }
                self.node.call(0, |_| Call::Connections(query));
            }
            "channels" => {
                let (after, limit) = (first.parse().unwrap_or(0), more.parse().unwrap_or(100));
                self.node.call(0, |_| Call::Channels { app: AppId::default(), after, limit });
            }
            "channel" => {
                let key = channel_key(rest);
                self.node.call(self.node.home_of(&key), |_| Call::Channel(key));
            }
            verb => panic!("{verb}? {}", self.at),
        }
    }

    /// `api > inbox ada list 2`, `api > ack ada ..5`.
    fn call_inbox(&mut self, user: &str, said: &str) {
        let user = UserId::parse(user).expect("a user");
        let channel = ChannelKey::user(AppId::default(), user);
        let call = match said.split_once(' ').unwrap_or((said, "100")) {
            ("list", limit) => InboxCall::List { limit: limit.parse().expect("a number"), rest: None },
            ("clear", _) => InboxCall::Clear,
            (offsets, _) => {
                let (epoch, which) = which(offsets);
                InboxCall::Ack { epoch, which }
            }
        };
        self.node.call(self.node.home_of(&channel), |_| Call::Inbox { channel, call });
    }

    fn act(&mut self, line: &str) {
        let (who, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (verb, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        match (who, verb) {
            ("pass", time) => self.node.pass(duration(time)),
            ("wakes", most) => {
                let wakes = std::mem::take(&mut self.node.wakes);
                assert!(wakes <= most.parse().expect("a number"), "{wakes} wakes; {}", self.at);
            }
            ("log", "trims") => {
                let (name, through) = rest.split_once(' ').expect("a channel and an offset");
                let channel = channel_key(name);
                self.node.log.trim(&channel, through.parse().expect("an offset"));
            }
            ("log", "loses") => {
                let (name, offsets) = rest.split_once(' ').expect("a channel and offsets");
                let channel = channel_key(name);
                let offsets = offsets.split(' ').map(|offset| offset.parse().expect("an offset"));
                offsets.for_each(|offset| self.node.log.damage(&channel, offset));
            }
            ("log", state) => self.node.plan.log_failures = if state == "away" { 100 } else { 0 },
            ("restart", _) => self.node.restart(),
            ("freeze", time) => self.node.freeze(duration(time)),
            ("drain", _) => (0..self.node.workers.len()).for_each(|worker| self.node.handle(worker, Input::Drain)),
            (name, "opens") => self.open(name, rest),
            (name, "shows") => self.shows.push(name.to_owned()),
            (name, verb) => {
                let client = self.client(name);
                let it = &mut self.node.clients[client];
                match verb {
                    "stops" => it.reads = false,
                    "reads" if rest.is_empty() => it.reads = true,
                    "reads" => self.node.read(client, rest.parse().expect("a number")),
                    "resumes" => {
                        let identity = identify(name);
                        let (worker, dialect, connect) = (it.worker, it.dialect, self.node.resumed(client));
                        let worker = (worker + 1) % self.node.workers.len();
                        self.node.lose(client, Lost::Dropped);
                        self.node.open(name, worker, dialect, identity, Some(connect));
                    }
                    "holds" => {
                        let cursor = it.cursor.clone().unwrap_or_default();
                        let held = cursor.iter().flat_map(|group| group.offsets.clone());
                        let expected = rest.split_whitespace().map(|it| it.split_once('=').expect("channel=offset"));
                        let mut expected: Vec<(u64, u64)> = expected.map(held_of).collect();
                        // A user's channel without a message is named where it has state, which depends on the worker.
                        let own = it.user.clone().map(|user| ChannelKey::user(it.app, user).fingerprint());
                        let mut held: Vec<_> = held.into_iter().filter(|it| *it != (own.unwrap_or(0), 0)).collect();
                        held.sort_unstable();
                        expected.sort_unstable();
                        assert_eq!(held, expected, "{}", self.at);
                    }
                    "takes" => it.socket_max = rest.parse().expect("a number"),
                    "mutes" => it.answers = false,
                    "drops" => self.node.lose(client, Lost::Dropped),
                    "leaves" => self.node.lose(client, Lost::Closed),
                    "violates" => self.node.lose(client, Lost::Violation),
                    verb => panic!("{verb}? {}", self.at),
                }
            }
        }
    }

    fn open(&mut self, name: &str, rest: &str) {
        let (spec, mut connect) = match rest.split_once("connect") {
            Some((spec, arguments)) => (spec, Some(connect(arguments))),
            None => (rest, None),
        };
        let mut identity = identify(name);
        let (mut dialect, mut formers) = (Dialect::WebSocketJson, Vec::new());
        let mut restored = Vec::new();
        let mut worker = self.node.clients.len() % self.node.workers.len();
        for word in spec.split_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("sse", _) => dialect = Dialect::SseData,
                ("frames", _) => dialect = Dialect::SseFrames,
                ("unknown", _) => identity = None,
                ("anonymous", _) => identity = Some(Identity { grants: Grants::ALL, ..Identity::default() }),
                ("reader", _) => identity = identity.map(|it| Identity { grants: Grants::LISTEN, ..it }),
                ("deaf", _) => {
                    let grants = Grants { subscribe: false, ..Grants::ALL };
                    identity = identity.map(|it| Identity { grants, ..it });
                }
                ("until", time) => {
                    let end = self.node.now.wall.0 + duration(time).as_millis() as u64;
                    identity = identity.map(|it| Identity { expires_at: Some(UnixMs(end)), ..it });
                }
                ("continues", former) => {
                    let id = self.node.clients[self.client(former)].id;
                    formers.clone_from(&self.node.clients[self.client(former)].formers);
                    formers.push(id);
                    connect.get_or_insert_default().former = Some(id);
                }
                ("cursor", positions) => {
                    let former = spec.split_once("continues=").and_then(|(_, rest)| rest.split_whitespace().next());
                    let former = self.client(former.expect("a cursor is of a session"));
                    restored = self.restored(former, positions);
                    connect.get_or_insert_default().positions = Some(positions_of(positions));
                }
                ("as", user) => identity = identify(user),
                ("home", _) => {
                    let user = identity.as_ref().and_then(|it| it.user.clone()).expect("a user has a home");
                    worker = self.node.home_of(&ChannelKey::user(AppId::default(), user));
                }
                ("away", _) => {
                    let user = identity.as_ref().and_then(|it| it.user.clone()).expect("a user has a home");
                    let home = self.node.home_of(&ChannelKey::user(AppId::default(), user));
                    worker = (home + 1) % self.node.workers.len();
                }
                (word, _) => panic!("{word}? {}", self.at),
            }
        }
        let client = self.node.open(name, worker, dialect, identity, connect);
        self.node.clients[client].formers = formers;
        for (channel, start) in restored {
            self.node.clients[client].asked_first.entry(channel).or_insert(start);
        }
    }

    /// From where on the channels of a former session begin with a cursor.
    fn restored(&self, former: usize, positions: &str) -> Vec<(ChannelKey, Start)> {
        let groups = positions_of(positions);
        let known = |channel: &ChannelKey| groups.iter().find_map(|group| group.position(channel.fingerprint()));
        let channels = self.node.clients[former].streams.channels();
        channels.map(|it| (it.clone(), Start::Since(known(it).unwrap_or_else(Position::unknown)))).collect()
    }

    fn finish(mut self) {
        for client in 0..self.node.clients.len() {
            let name = self.node.clients[client].name.clone();
            let shows = self.shows.contains(&name);
            let journal = self.node.clients[client].journal.iter();
            let left: Vec<_> = journal.filter(|it| shows || !matches!(it.as_str(), "heartbeat" | "ping")).collect();
            assert!(left.is_empty(), "{name} read more: {left:#?}; {}", self.at);
        }
        assert!(self.node.answers.is_empty(), "more answers: {:?}; {}", self.node.answers, self.at);
        assert!(!self.app || self.node.lifecycle.is_empty(), "more events: {:#?}", self.node.lifecycle);
        self.node.check_rest();
        for client in 0..self.node.clients.len() {
            self.node.lose(client, Lost::Dropped);
        }
        self.node.settle();
        self.node.check_rest();
        self.node.pass(Duration::from_secs(15 * 60));
        self.node.check_rest();
        self.node.check_empty();
    }
}

/// `news:3,chat:1` as a cursor says it; `-` for one that names nothing.
fn positions_of(words: &str) -> Vec<EpochPositions> {
    let epoch = MemoryLog::new().epoch().clone();
    let offsets: Vec<_> = words.split(',').filter_map(|word| word.split_once(':')).map(held_of).collect();
    vec![EpochPositions { epoch, offsets }]
}

/// `news` and `3` as a cursor says it.
fn held_of((name, offset): (&str, &str)) -> (u64, u64) {
    let app = AppId::default();
    let channel = match name.strip_prefix("$user:") {
        Some(user) => ChannelKey::user(app, UserId::parse(user).expect("a user")),
        None if name == "$all" => ChannelKey::everyone(app),
        None => ChannelKey::named(app, ChannelName::parse(name).expect("a channel name")),
    };
    let offset = if offset == "?" { Subscription::NOWHERE } else { offset.parse().expect("an offset") };
    (channel.fingerprint(), offset)
}

/// `$user:ada`, or a name.
fn channel_key(text: &str) -> ChannelKey {
    match text.strip_prefix("$user:") {
        Some(user) => ChannelKey::user(AppId::default(), UserId::parse(user).expect("a user")),
        None => ChannelKey::named(AppId::default(), ChannelName::parse(text).expect("a channel name")),
    }
}
