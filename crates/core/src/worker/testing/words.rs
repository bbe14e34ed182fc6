//! The words of scripts: options, commands and where subscriptions start.

use std::time::Duration;

use bytes::Bytes;

use super::log::MemoryLog;
use crate::acks::{AckOf, AckOutcome, Acknowledge, Which};
use crate::command::{Ack, Command, Connect, History, Listen, Publish, Subscribe, Target};
use crate::history::{At, Direction, Query, Span};
use crate::id::{ChannelName, ConnectionId, DeviceId, EventType, MessageId, MessageKey, UserId};
use crate::inbox::{InboxCommand, Mode, Policy};
use crate::limits;
use crate::options::{InboxOptions, Options, Retention, Rule};
use crate::pattern::Pattern;
use crate::position::{Epoch, Position, Start};
use crate::time::UnixMs;

/// `workers=2 outbox=4 ring=8 …`: the number of workers if it is fixed, the frames of one write, and the options.
pub(super) fn options(line: &str) -> (Option<usize>, usize, Options) {
    let mut options = Options::default();
    let (mut workers, mut batch) = (None, 64);
    let words = line.split_whitespace().filter(|word| *word != "steady");
    let words = words.map(|word| word.split_once('=').unwrap_or((word, "")));
    // Rules have the history that the other words say, wherever they stand.
    let (rules, words): (Vec<_>, Vec<_>) =
        words.partition(|(name, _)| matches!(*name, "told" | "kept" | "latest" | "latest_kept"));
    for (name, value) in words.into_iter().chain(rules) {
        let number = || value.parse::<u64>().expect("a number");
        match name {
            "workers" => workers = Some(number() as usize),
            "batch" => batch = number() as usize,
            "outbox" => options.outbox_records = number() as u32,
            "outbox_bytes" => options.outbox_bytes = number() as u32,
            "ring" => options.history.records = number() as u32,
            "ring_bytes" => options.history.bytes = number() as u32,
            "ring_age" => options.history.age = Duration::from_secs(number()),
            "budget" => options.history_total_bytes = number(),
            "channels" => options.channels_per_connection = number() as u32,
            "message" => options.message_bytes = number() as u32,
            "beat" => options.websocket_heartbeat = Duration::from_secs(number()),
            "comment" => options.sse_heartbeat = Duration::from_secs(number()),
            "each" => inbox_of(&mut options).policy = Policy::Each,
            "waits" => inbox_of(&mut options).messages = number() as u32,
            "waits_age" => inbox_of(&mut options).age = Duration::from_secs(number()),
            "noinbox" => options.inbox = None,
            "stored" => options.retention = Some(Retention::default()),
            "homes" => options.bounds.channels = number() as usize,
            "page" => options.bounds.page_records = number() as usize,
            "deliveries" => options.bounds.deliveries = number() as u32,
            "credits" => options.bounds.credits = number() as u32,
            "steps" => options.bounds.walk_steps = number() as usize,
            // The channels of a pattern keep nothing, and their messages are events.
            "told" => options.rules.push(Rule {
                pattern: Pattern::parse(value).expect("a pattern"),
                history: crate::options::HistoryOptions { records: 0, ..options.history },
                message_events: true,
                retention: None,
                latest_per_key: false,
            }),
            // The channels of a pattern are persisted.
            "kept" => options.rules.push(Rule {
                pattern: Pattern::parse(value).expect("a pattern"),
                history: options.history,
                message_events: false,
                retention: Some(Retention::default()),
                latest_per_key: false,
            }),
            // The channels of a pattern keep the latest message of each key.
            "latest" => options.rules.push(Rule {
                pattern: Pattern::parse(value).expect("a pattern"),
                history: options.history,
                message_events: false,
                retention: None,
                latest_per_key: true,
            }),
            // The same, in the store.
            "latest_kept" => options.rules.push(Rule {
                pattern: Pattern::parse(value).expect("a pattern"),
                history: options.history,
                message_events: false,
                retention: Some(Retention::default()),
                latest_per_key: true,
            }),
            name => panic!("{name}?"),
        }
    }
    (workers, batch, options)
}

fn inbox_of(options: &mut Options) -> &mut InboxOptions {
    options.inbox.get_or_insert_default()
}

/// `3`, `3,5`, `..5`, each with an epoch in front if it is another one: `x:3`.
pub(super) fn which(text: &str) -> (Option<Epoch>, Which) {
    let (epoch, text) = text.split_once(':').map_or((None, text), |(epoch, text)| (Epoch::parse(epoch), text));
    let number = |text: &str| text.parse().expect("an offset");
    let which = match text.strip_prefix("..") {
        Some(last) => Which::UpTo(number(last)),
        None => Which::Offsets(text.split(',').map(number).collect()),
    };
    (epoch, which)
}

fn ack(text: &str) -> Acknowledge {
    let (epoch, which) = which(text);
    Acknowledge { of: AckOf::Inbox, epoch, which, outcome: AckOutcome::Done }
}

/// `list 2`, `clear`.
fn inbox(text: &str) -> InboxCommand {
    match text.split_once(' ').unwrap_or((text, "100")) {
        ("list", limit) => InboxCommand::List { limit: limit.parse().expect("a number"), rest: None },
        ("clear", _) => InboxCommand::Clear,
        (verb, _) => panic!("{verb}?"),
    }
}

/// A command by its verb and arguments; `named` knows the connections.
pub(super) fn command(verb: &str, rest: &str, named: impl Fn(&str) -> ConnectionId) -> Command {
    let channel = || ChannelName::parse(rest).expect("a channel name");
    match verb {
        "connect" => Command::Connect(Box::new(connect(rest))),
        "ping" => Command::Ping,
        "subscribe" => Command::Subscribe(start_of(rest)),
        "unsubscribe" => Command::Unsubscribe { channel: channel() },
        "history" => Command::History(Box::new(history(rest))),
        "publish" => Command::Publish(Box::new(publish(rest, named))),
        "inbox" => Command::Inbox(inbox(rest)),
        "consume" => super::orders::consume(rest),
        // A consumer is named by its channel and itself.
        "ack" if rest.contains(' ') => super::orders::ack(rest),
        "ack" => Command::Ack(Box::new(ack(rest))),
        "meta" => Command::Meta { meta: Bytes::copy_from_slice(rest.as_bytes()) },
        "close" => Command::Close,
        verb => panic!("{verb}?"),
    }
}

pub(super) fn connect(arguments: &str) -> Connect {
    let mut connect = Connect::default();
    for word in arguments.split_whitespace() {
        match word.split_once('=') {
            Some(("token", token)) => connect.token = Some(token.to_owned()),
            Some(("device", device)) => connect.device = Some(DeviceId::parse(device).expect("a device")),
            Some((word, _)) => panic!("{word}?"),
            None if word == "pings" => connect.pings = true,
            None if word == "manual" => connect.inbox = Mode::Manual,
            None => connect.subscriptions.push(start_of(word)),
        }
    }
    connect
}

/// `news`, `news@3`, `news@x:3`, `news<2`, `news<5s`, `news^`.
pub(super) fn start_of(word: &str) -> Subscribe {
    let ours = || MemoryLog::new().epoch().clone();
    let (name, start) = if let Some((name, at)) = word.split_once('@') {
        let (epoch, offset) = match at.split_once(':') {
            Some((epoch, offset)) => (Epoch::parse(epoch).expect("an epoch"), offset),
            None => (ours(), at),
        };
        (name, Start::Since(Position { epoch, offset: offset.parse().expect("an offset") }))
    } else if let Some((name, count)) = word.split_once('<') {
        let ends_in_a_unit = count.ends_with(char::is_alphabetic);
        let start = if ends_in_a_unit {
            Start::RewindMs(duration(count).as_millis() as u64)
        } else {
            Start::Rewind(count.parse().expect("a number"))
        };
        (name, start)
    } else if let Some(name) = word.strip_suffix('^') {
        (name, Start::Beginning(ours()))
    } else {
        (word, Start::Now)
    };
    let listen = match name {
        "$all" => Listen::Everyone,
        "$user" => Listen::OwnUser,
        name => Listen::Named(ChannelName::parse(name).expect("a channel name")),
    };
    Subscribe { listen, start }
}

/// `news since=3 limit=2 backward`, or `news next` after a page that has a next one: places are offsets, `id:x`, `time:5` (seconds after the start) or a position of another epoch `x:3`.
pub(super) fn history(arguments: &str) -> History {
    let mut words = arguments.split_whitespace();
    let listen = start_of(words.next().expect("a channel")).listen;
    let (mut span, mut limit, mut direction) = (None, limits::HISTORY_PAGE, None);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("limit", count) => limit = count.parse().expect("a number"),
            ("forward", _) => direction = Some(Direction::Forward),
            ("backward", _) => direction = Some(Direction::Backward),
            // The script knows what the last page has left over.
            ("next", _) => {}
            (verb, place) => span = Some((verb, at(place))),
        }
    }
    let span = match span {
        None => Span::All(direction.unwrap_or(Direction::Backward)),
        Some(("since", at)) => Span::Since(at, direction.unwrap_or(Direction::Forward)),
        Some(("until", at)) => Span::Until(at, direction.unwrap_or(Direction::Backward)),
        Some(("around", at)) => Span::Around(at),
        Some((verb, _)) => panic!("{verb}?"),
    };
    History { listen, query: Query { span, limit } }
}

fn at(place: &str) -> At {
    const START_MS: u64 = 1_700_000_000_000;
    let ours = MemoryLog::new().epoch().clone();
    match place.split_once(':') {
        None => At::Position(Position { epoch: ours, offset: place.parse().expect("an offset") }),
        Some(("id", id)) => At::Id(MessageId::parse(id).expect("an id")),
        Some(("time", seconds)) => {
            let seconds: u64 = seconds.parse().expect("seconds");
            At::Time(UnixMs(seconds.saturating_mul(1_000).saturating_add(START_MS)))
        }
        Some((epoch, offset)) => {
            let epoch = Epoch::parse(epoch).expect("an epoch");
            At::Position(Position { epoch, offset: offset.parse().expect("an offset") })
        }
    }
}

/// `TARGET DATA…` with the target `$all`, `news`, `user:bo` or `user:bo/news`.
pub(super) fn publish(arguments: &str, named: impl Fn(&str) -> ConnectionId) -> Publish {
    let mut words = arguments.split_whitespace();
    let channel = |name: &str| ChannelName::parse(name).expect("a channel name");
    let user = |name: &str| UserId::parse(name).expect("a user");
    let target = match words.next().expect("a target") {
        "$all" => Target::Everyone,
        word => match word.strip_prefix("user:").map(|rest| rest.split_once('/').ok_or(rest)) {
            Some(Ok((name, within))) => Target::UserInChannel { user: user(name), channel: channel(within) },
            Some(Err(name)) => Target::User(user(name)),
            None => Target::Channel(channel(word)),
        },
    };
    let mut publish = Publish {
        target,
        event_type: EventType::parse("said").expect("a type"),
        data: Bytes::copy_from_slice(words.next().expect("data").as_bytes()),
        id: None,
        key: None,
        meta: None,
        ephemeral: false,
        exclude: Vec::new(),
        ack: None,
        ttl: None,
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("id", id) => publish.id = Some(MessageId::parse(id).expect("an id")),
            ("key", key) => publish.key = Some(MessageKey::parse(key).expect("a key")),
            ("meta", meta) => publish.meta = Some(Bytes::copy_from_slice(meta.as_bytes())),
            ("type", name) => publish.event_type = EventType::parse(name).expect("a type"),
            ("exclude", name) => publish.exclude.push(named(name)),
            ("bytes", count) => publish.data = Bytes::from(vec![b'x'; count.parse().expect("a number")]),
            ("ephemeral", _) => publish.ephemeral = true,
            ("unanswered", _) => publish.ack = Some(Ack::None),
            ("early", _) => publish.ack = Some(Ack::Node),
            ("stored", _) => publish.ack = Some(Ack::Stored),
            ("ttl", seconds) => publish.ttl = Some(Duration::from_secs(seconds.parse().expect("seconds"))),
            (word, _) => panic!("{word}?"),
        }
    }
    publish
}

/// `500ms`, `30s`, `11m`, `2h`.
pub(super) fn duration(text: &str) -> Duration {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().expect("a number");
    match &text[digits.len()..] {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(60 * number),
        "h" => Duration::from_secs(3_600 * number),
        unit => panic!("{unit}?"),
    }
}
