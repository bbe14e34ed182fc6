//! Plays scripts.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, EventType, MessageId, MessageKey, SlotKey, UserId};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::Epoch;
use realtime_connector_core::publish::Publisher;
use realtime_connector_core::record::Record;
use realtime_connector_core::time::{Now, Time, UnixMs};

use super::Backend;
use crate::{Append, Change, Completion, Locate, Log, Read, Scan, State, StateCompletion, Table, Wake};

const HOME: SlotKey = SlotKey { slot: 3, generation: 9 };
const TICKET: u64 = 77;

/// A back end, its handles and the time.
pub(super) struct Player<B: Backend> {
    backend: B,
    log: B::Log,
    state: B::State,
    rung: Receiver<()>,
    now: Now,
    /// Channels that were opened, for reopening.
    opened: Vec<(ChannelKey, Retention)>,
}

impl<B: Backend> Player<B> {
    pub(super) fn new(mut backend: B) -> Self {
        let now = Now { time: Time::from_ms(1_000_000), wall: UnixMs(1_700_000_000_000) };
        backend.set_clock(now);
        let (log, state, rung) = handles(&mut backend);
        Self { backend, log, state, rung, now, opened: Vec::new() }
    }

    /// Plays every line.
    ///
    /// # Panics
    /// At the first line whose answer is another.
    pub(super) fn play(&mut self, story: &str, script: &str) {
        for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (command, expected) = line.split_once("=>").unwrap_or((line, ""));
            let answer = self.command(command.trim());
            assert_eq!(answer, expected.trim(), "{story}: {line}");
        }
    }

    fn command(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split_whitespace().collect();
        match words[0] {
            "open" | "keep" | "append" | "read" | "locate" | "purge" | "forget" => self.log_command(&words),
            "put" | "max" | "delete" => {
                let changes = command.split('+').map(change).collect();
                self.state.apply(TICKET, changes);
                self.state_answer()
            }
            "scan" => {
                self.state.scan(TICKET, scan(&words));
                self.state_answer()
            }
            "tick" | "jump" => {
                let ms: i64 = words[1].parse().expect("milliseconds");
                self.now.wall = UnixMs(self.now.wall.0.saturating_add_signed(ms));
                if words[0] == "tick" {
                    self.now.time = self.now.time.after(Duration::from_millis(ms.unsigned_abs()));
                }
                self.backend.set_clock(self.now);
                String::new()
            }
            // Two writes: the first meets a round that is due after it, the second comes when that has run.
            "round" => {
                self.command("tick 1000");
                for _ in 0..2 {
                    self.state.apply(TICKET, Vec::new());
                    self.state_answer();
                }
                String::new()
            }
            "reopen" => {
                self.reopen();
                String::new()
            }
            other => panic!("{other} is no command"),
        }
    }

    fn reopen(&mut self) {
        self.backend.reopen();
        (self.log, self.state, self.rung) = handles(&mut self.backend);
        for (channel, retention) in self.opened.clone() {
            self.log.open(HOME, &channel, retention);
            self.log_answer();
        }
    }

    fn log_command(&mut self, words: &[&str]) -> String {
        let channel = channel(words[1]);
        match words[0] {
            "open" | "keep" => {
                let retention = retention(&words[2..]);
                self.opened.retain(|(opened, _)| *opened != channel);
                self.opened.push((channel.clone(), retention));
                self.log.open(HOME, &channel, retention);
            }
            "append" => self.log.append(HOME, TICKET, append(&channel, words, self.now)),
            "read" => {
                let from = words[2].parse().expect("an offset");
                let records_max = option(words, "max").map_or(100, |max| max.parse().expect("a number"));
                let bytes_max = option(words, "bytes").map_or(1 << 20, |max| max.parse().expect("a number"));
                self.log.read(HOME, TICKET, &channel, Read { from, records_max, bytes_max });
            }
            "locate" => {
                let locate = match words[2] {
                    "id" => Locate::Id(id(words[3])),
                    _ => Locate::Time(UnixMs(1_700_000_000_000 + words[3].parse::<u64>().expect("milliseconds"))),
                };
                self.log.locate(HOME, TICKET, &channel, locate);
            }
            "purge" => self.log.purge(HOME, TICKET, &channel, words[2].parse().expect("an offset")),
            _ => {
                self.opened.retain(|(opened, _)| *opened != channel);
                self.log.forget(&channel);
                return String::new();
            }
        }
        self.log_answer()
    }

    fn log_answer(&mut self) -> String {
        loop {
            if let Some(completion) = self.log.poll() {
                return told(completion);
            }
            self.rung.recv().expect("the back end lives and rings");
        }
    }

    fn state_answer(&mut self) -> String {
        let completion = loop {
            if let Some(completion) = self.state.poll() {
                break completion;
            }
            self.rung.recv().expect("the back end lives and rings");
        };
        match completion {
            StateCompletion::Applied { ticket } => {
                assert_eq!(ticket, TICKET, "the ticket given");
                "ok".to_owned()
            }
            StateCompletion::Scanned { ticket, rows, more } => {
                assert_eq!(ticket, TICKET, "the ticket given");
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let rows = rows.iter().map(|(key, value)| format!("{}={}", text(key), text(value)));
                rows.chain(more.then(|| "more".to_owned())).collect::<Vec<_>>().join(" ")
            }
            StateCompletion::Failed { error, .. } => format!("failed {error:?}"),
        }
    }
}

/// Both handles ring the same bell.
fn handles<B: Backend>(backend: &mut B) -> (B::Log, B::State, Receiver<()>) {
    let (ring, rung) = sync_channel(1);
    let wake: Wake = Arc::new(move || ring.try_send(()).unwrap_or(()));
    (backend.log(wake.clone()), backend.state(wake), rung)
}

fn told(completion: Completion) -> String {
    match completion {
        Completion::Opened { home, head, trimmed, .. } => {
            assert_eq!(home, HOME, "who asked");
            format!("{trimmed}..{head}")
        }
        Completion::Committed { home, ticket, record, trimmed } => {
            assert_eq!((home, ticket), (HOME, TICKET), "who asked");
            let offset = record.offset.expect("a committed record has its offset");
            assert!(trimmed < offset, "what is trimmed lies before the record");
            offset.to_string()
        }
        Completion::Duplicate { position, .. } => format!("duplicate {}", position.offset),
        Completion::Conflict { .. } => "conflict".to_owned(),
        Completion::Read { records, through, trimmed, head, .. } => {
            let mut line = String::new();
            for record in records {
                let offset = record.offset.expect("a stored record has its offset");
                write!(line, "{offset}:{} ", record.id).expect("a string takes everything");
            }
            format!("{line}to {through} {trimmed}..{head}")
        }
        Completion::Located { offset, .. } => offset.map_or_else(|| "none".to_owned(), |offset| offset.to_string()),
        Completion::Purged { through, .. } => through.to_string(),
        Completion::Failed { error, .. } => format!("failed {error:?}"),
    }
}

fn channel(name: &str) -> ChannelKey {
    match name {
        "$all" => ChannelKey::everyone(AppId(0)),
        "@ada" => ChannelKey::user(AppId(0), UserId::parse("ada").expect("a name")),
        name => ChannelKey::named(AppId(0), ChannelName::parse(name).expect("a name")),
    }
}

fn id(name: &str) -> MessageId {
    MessageId::parse(name).expect("an id")
}

fn option<'a>(words: &[&'a str], name: &str) -> Option<&'a str> {
    words.iter().position(|word| *word == name).map(|at| words[at + 1])
}

fn retention(words: &[&str]) -> Retention {
    let mut retention = Retention::default();
    for pair in words.chunks(2) {
        let number = pair[1].parse().expect("a number");
        match pair[0] {
            "records" => retention.records = number,
            "bytes" => retention.bytes = number,
            _ => retention.age = Duration::from_millis(number),
        }
    }
    retention
}

fn append(channel: &ChannelKey, words: &[&str], now: Now) -> Append {
    let data = words.get(3).filter(|word| !["by", "ttl", "key", "replaces"].contains(word)).copied().unwrap_or("1");
    let idempotent = option(words, "by").map(|user| Publisher::User(UserId::parse(user).expect("a name")));
    let ttl_ms = option(words, "ttl").map(|ttl| ttl.parse::<u64>().expect("milliseconds"));
    let record = Record {
        channel: channel.clone(),
        epoch: Epoch::none(),
        offset: None,
        id: id(words[2]),
        time: now.wall,
        admitted: now.time,
        user: None,
        event_type: EventType::parse("t").expect("a type"),
        data: Bytes::copy_from_slice(data.as_bytes()),
        key: option(words, "key").map(|key| MessageKey::parse(key).expect("a key")),
        meta: None,
        ttl: ttl_ms.map(Duration::from_millis),
        exclude: Box::default(),
    };
    Append { record: Box::new(record), idempotent, replaces: words.contains(&"replaces") }
}

fn table(word: &str) -> Table {
    match word {
        "cursors" => Table::Cursors,
        "markers" => Table::Markers,
        other => panic!("{other} is no table of the scripts"),
    }
}

fn bytes(word: &str) -> Box<[u8]> {
    word.as_bytes().into()
}

fn change(text: &str) -> Change {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (table, key) = (table(words[1]), bytes(words[2]));
    match words[0] {
        "put" => Change::Put { table, key, value: bytes(words[3]) },
        "max" => Change::Max { table, key, value: bytes(words[3]) },
        _ => Change::Delete { table, key },
    }
}

fn scan(words: &[&str]) -> Scan {
    let prefix = words.get(2).filter(|word| !["after", "max", "-"].contains(word)).copied().unwrap_or("");
    let rows_max = option(words, "max").map_or(100, |max| max.parse().expect("a number"));
    Scan { table: table(words[1]), prefix: bytes(prefix), after: option(words, "after").map(bytes), rows_max }
}
