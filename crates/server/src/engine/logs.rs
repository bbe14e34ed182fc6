//! The logs of one worker: memory for most channels, the store for persisted ones, and one face for both.

use std::time::{Duration, Instant};

use realtime_connector_core::history::{At, Block};
use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::limits::{BLOCK_BYTES, BLOCK_RECORDS};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::{Epoch, Offset};
use realtime_connector_core::record::Record;
use realtime_connector_core::worker::{Input, LogFailure, NotAppended, Persist};
use realtime_connector_store::sqlite::{Sqlite, SqliteLog};
use realtime_connector_store::{Append, Completion, Locate, Log, LogError, MemoryLog, Read, Wake};

use super::states::States;

/// The store's answers bear the number of their question only, so each kind of question has numbers of its own.
const READ: u64 = 1 << 62;
const LOCATE: u64 = 1 << 61;
const PURGE: u64 = 1 << 60;

/// The same failure is written to the log of the program once in this time: a full disk refuses every message.
const COMPLAINTS: Duration = Duration::from_secs(10);

/// What core makes of a store's error.
pub(super) const fn failure(error: &LogError) -> LogFailure {
    match error {
        LogError::Busy => LogFailure::Busy,
        LogError::Full => LogFailure::Full,
        LogError::Corrupt { .. } => LogFailure::Damaged,
        LogError::Unavailable | LogError::Unreadable { .. } | LogError::TooLarge { .. } => LogFailure::Unavailable,
    }
}

/// Both logs of a worker, and the state beside them.
pub(super) struct Logs {
    memory: MemoryLog,
    durable: Option<SqliteLog>,
    states: States,
    /// What was complained of last, and when.
    complaint: Option<(LogFailure, Instant)>,
}

impl Logs {
    /// A memory log of this life, and the store's if there is one. `wake` is rung when the store has answered.
    pub(super) fn new(epoch: Epoch, store: Option<&Sqlite>, wake: Wake) -> Self {
        let states = States::new(store, wake.clone());
        Self { memory: MemoryLog::new(epoch), durable: store.map(|store| store.log(wake)), states, complaint: None }
    }

    pub(super) fn open(&mut self, home: SlotKey, channel: &ChannelKey, retention: Option<Retention>) {
        match retention {
            Some(retention) => self.durable().open(home, channel, retention),
            None => self.memory.open(home, channel, Retention::default()),
        }
    }

    pub(super) fn append(&mut self, home: SlotKey, ticket: u64, record: Box<Record>, persist: Option<Persist>) {
        match persist {
            Some(Persist { publisher, replaces }) => {
                self.durable().append(home, ticket, Append { record, idempotent: publisher, replaces });
            }
            None => self.memory.append(home, ticket, Append { record, idempotent: None, replaces: false }),
        }
    }

    pub(super) fn read(&mut self, home: SlotKey, channel: &ChannelKey, from: Offset) {
        let read = Read { from, records_max: BLOCK_RECORDS as usize, bytes_max: BLOCK_BYTES };
        self.durable().read(home, READ | from, channel, read);
    }

    pub(super) fn locate(&mut self, home: SlotKey, channel: &ChannelKey, ticket: u64, at: At) {
        let locate = match at {
            At::Id(id) => Locate::Id(id),
            At::Time(time) => Locate::Time(time),
            At::Position(_) => unreachable!("core knows where a position is"),
        };
        self.durable().locate(home, LOCATE | ticket, channel, locate);
    }

    pub(super) fn purge(&mut self, home: SlotKey, channel: &ChannelKey, ticket: u64, through: Offset) {
        self.durable().purge(home, PURGE | ticket, channel, through);
    }

    pub(super) fn forget(&mut self, channel: &ChannelKey, persisted: bool) {
        if persisted {
            self.durable().forget(channel);
        } else {
            self.memory.forget(channel);
        }
    }

    /// The state beside the logs.
    pub(super) const fn states(&mut self) -> &mut States {
        &mut self.states
    }

    /// Whether an answer of the store waits.
    pub(super) fn is_ready(&self) -> bool {
        self.states.is_ready() || self.durable.as_ref().is_some_and(SqliteLog::is_ready)
    }

    /// The next answer about a channel in memory, in core's words. There is one for each question, at once.
    pub(super) fn poll_memory(&mut self) -> Option<Input> {
        match self.memory.poll() {
            Some(completion) => Some(self.answer(completion)),
            None => self.states.poll_memory(),
        }
    }

    /// The next answer of the store. As many as a group of its writer has may wait.
    pub(super) fn poll_store(&mut self) -> Option<Input> {
        match self.durable.as_mut().and_then(SqliteLog::poll) {
            Some(completion) => Some(self.answer(completion)),
            None => self.states.poll_store(),
        }
    }

    fn complain(&mut self, failure: LogFailure, error: &LogError) {
        let lately = |(what, at): (LogFailure, Instant)| what == failure && at.elapsed() < COMPLAINTS;
        if failure != LogFailure::Busy && !self.complaint.is_some_and(lately) {
            tracing::error!(%error, "failed to use the store");
            self.complaint = Some((failure, Instant::now()));
        }
    }

    fn durable(&mut self) -> &mut SqliteLog {
        self.durable.as_mut().expect("channels are persisted only where there is a store")
    }

    fn answer(&mut self, completion: Completion) -> Input {
        match completion {
            Completion::Opened { home, epoch, head, trimmed } => Input::LogOpened { home, epoch, head, floor: trimmed },
            Completion::Committed { home, ticket, record, trimmed } => {
                Input::Committed { home, ticket: Some(ticket), record, floor: trimmed }
            }
            Completion::Duplicate { home, ticket, position, id } => {
                Input::NotAppended { home, ticket, outcome: NotAppended::Duplicate { id, position } }
            }
            Completion::Conflict { home, ticket } => {
                Input::NotAppended { home, ticket, outcome: NotAppended::Conflict }
            }
            Completion::Read { home, from, records, through, trimmed, .. } => {
                let block = Block { records, damaged: Vec::new(), reached: through, floor: trimmed };
                Input::LogRead { home, from, result: Ok(block) }
            }
            Completion::Located { home, ticket, offset } => {
                Input::Located { home, ticket: ticket & !LOCATE, result: Ok(offset) }
            }
            Completion::Purged { home, ticket, through } => {
                Input::Purged { home, ticket: ticket & !PURGE, result: Ok(through) }
            }
            Completion::Failed { home, ticket, error } => self.failed(home, ticket, &error),
        }
    }

    fn failed(&mut self, home: SlotKey, ticket: Option<u64>, error: &LogError) -> Input {
        let failure = failure(error);
        self.complain(failure, error);
        match ticket {
            None => Input::LogNotOpened { home, failure },
            Some(ticket) if ticket & READ > 0 => Input::LogRead { home, from: ticket & !READ, result: Err(failure) },
            Some(ticket) if ticket & LOCATE > 0 => {
                Input::Located { home, ticket: ticket & !LOCATE, result: Err(failure) }
            }
            Some(ticket) if ticket & PURGE > 0 => Input::Purged { home, ticket: ticket & !PURGE, result: Err(failure) },
            Some(ticket) => Input::NotAppended { home, ticket, outcome: NotAppended::Failed(failure) },
        }
    }
}
