//! The state of one worker beside its logs: the store's, where there is one.

use std::collections::{HashMap, VecDeque};

use realtime_connector_core::state::{Change, Scan, StateTicket};
use realtime_connector_core::worker::Input;
use realtime_connector_store::sqlite::{Sqlite, SqliteState};
use realtime_connector_store::{State, StateCompletion, Wake};

use super::logs::failure;

/// A question that is not answered.
enum Asked {
    Apply(StateTicket),
    Scan(StateTicket),
}

/// The state as core sees it.
pub(super) struct States {
    durable: Option<SqliteState>,
    /// Who waits for an answer. Bounded by what the store lets one worker ask at once.
    asked: HashMap<u64, Asked>,
    next: u64,
    /// Answers about channels in memory, whose state lives at their homes.
    done: VecDeque<Input>,
}

impl States {
    /// `wake` is rung when the store has answered.
    pub(super) fn new(store: Option<&Sqlite>, wake: Wake) -> Self {
        let durable = store.map(|store| store.state(wake));
        Self { durable, asked: HashMap::new(), next: 0, done: VecDeque::new() }
    }

    pub(super) fn apply(&mut self, ticket: StateTicket, persisted: bool, changes: Vec<Change>) {
        match self.ask(Asked::Apply(ticket), persisted) {
            Some((durable, number)) => durable.apply(number, changes),
            None => self.done.push_back(Input::StateApplied { ticket, result: Ok(()) }),
        }
    }

    pub(super) fn scan(&mut self, ticket: StateTicket, persisted: bool, scan: Scan) {
        match self.ask(Asked::Scan(ticket), persisted) {
            Some((durable, number)) => durable.scan(number, scan),
            None => self.done.push_back(Input::StateScanned { ticket, result: Ok((Vec::new(), false)) }),
        }
    }

    fn ask(&mut self, asked: Asked, persisted: bool) -> Option<(&mut SqliteState, u64)> {
        if !persisted {
            return None;
        }
        self.next += 1;
        self.asked.insert(self.next, asked);
        Some((self.durable.as_mut().expect("channels are persisted only where there is a store"), self.next))
    }

    /// Whether an answer waits.
    pub(super) fn is_ready(&self) -> bool {
        !self.done.is_empty() || self.durable.as_ref().is_some_and(SqliteState::is_ready)
    }

    /// The next answer about a channel in memory.
    pub(super) fn poll_memory(&mut self) -> Option<Input> {
        self.done.pop_front()
    }

    /// The next answer of the store, in core's words.
    pub(super) fn poll_store(&mut self) -> Option<Input> {
        let completion = self.durable.as_mut()?.poll()?;
        let (number, result) = match completion {
            StateCompletion::Applied { ticket } => (ticket, Ok((Vec::new(), false))),
            StateCompletion::Scanned { ticket, rows, more } => (ticket, Ok((rows, more))),
            StateCompletion::Failed { ticket, error } => (ticket, Err(failure(&error))),
        };
        Some(match self.asked.remove(&number).expect("each question is answered once") {
            Asked::Apply(ticket) => Input::StateApplied { ticket, result: result.map(|_| ()) },
            Asked::Scan(ticket) => Input::StateScanned { ticket, result },
        })
    }
}
