//! The logs of one worker: memory for most channels, the disk for persisted ones, and one face for both, as in the server's engine.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use realtime_connector_core::history::{At, Block};
use realtime_connector_core::limits::{BLOCK_BYTES, BLOCK_RECORDS};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::Epoch;
use realtime_connector_core::state::StateTicket;
use realtime_connector_core::worker::{Input, LogFailure, NotAppended, Output, Persist};
use realtime_connector_store::{Append, Completion, Locate, Log, LogError, MemoryLog, Read, State, StateCompletion};

use crate::disk::{Disk, DiskLog, DiskState};
use crate::model::Model;

/// The store's answers bear the number of their question only, so each kind of question has numbers of its own.
const READ: u64 = 1 << 62;
const LOCATE: u64 = 1 << 61;
const PURGE: u64 = 1 << 60;

/// Both logs of a worker.
#[derive(Debug)]
pub(super) struct Logs {
    memory: MemoryLog,
    disk: DiskLog,
    state: DiskState,
    /// Questions about the state that are not answered.
    asked: BTreeMap<u64, Asked>,
    next: u64,
    /// Answers about the state of channels in memory, which lives at their homes.
    done: VecDeque<Input>,
    model: Rc<RefCell<Model>>,
}

impl Logs {
    pub(super) fn new(epoch: Epoch, disk: &Rc<RefCell<Disk>>, port: usize) -> Self {
        Self {
            memory: MemoryLog::new(epoch),
            disk: DiskLog::new(disk.clone(), port),
            state: DiskState::new(disk.clone(), port),
            asked: BTreeMap::new(),
            next: 0,
            done: VecDeque::new(),
            model: disk.borrow().model.clone(),
        }
    }

    fn ask(&mut self, asked: Asked) -> u64 {
        self.next += 1;
        self.asked.insert(self.next, asked);
        self.next
    }

    /// Carries out what core wants of a log; anything else comes back.
    pub(super) fn carry(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::OpenLog { home, channel, retention: Some(retention) } => self.disk.open(home, &channel, retention),
            Output::OpenLog { home, channel, retention: None } => {
                self.memory.open(home, &channel, Retention::default());
            }
            Output::Append { home, ticket, record, persist: Some(Persist { publisher, replaces }) } => {
                self.disk.append(home, ticket, Append { record, idempotent: publisher, replaces });
            }
            Output::Append { home, ticket, record, persist: None } => {
                self.memory.append(home, ticket, Append { record, idempotent: None, replaces: false });
            }
            Output::ReadLog { home, channel, from } => {
                let read = Read { from, records_max: BLOCK_RECORDS as usize, bytes_max: BLOCK_BYTES };
                self.disk.read(home, READ | from, &channel, read);
            }
            Output::LocateInLog { home, channel, ticket, at } => {
                let locate = match at {
                    At::Id(id) => Locate::Id(id),
                    At::Time(time) => Locate::Time(time),
                    At::Position(_) => unreachable!("core knows where a position is"),
                };
                self.disk.locate(home, LOCATE | ticket, &channel, locate);
            }
            Output::PurgeLog { home, channel, ticket, through } => {
                self.disk.purge(home, PURGE | ticket, &channel, through);
            }
            Output::ForgetLog { channel, persisted: true } => self.disk.forget(&channel),
            Output::ForgetLog { channel, persisted: false } => self.memory.forget(&channel),
            Output::ApplyState { ticket, persisted: false, .. } => {
                self.done.push_back(Input::StateApplied { ticket, result: Ok(()) });
            }
            Output::ApplyState { ticket, persisted: true, changes } => {
                let number = self.ask(Asked::Apply(ticket));
                self.state.apply(number, changes);
            }
            Output::ScanState { ticket, persisted: false, .. } => {
                self.done.push_back(Input::StateScanned { ticket, result: Ok((Vec::new(), false)) });
            }
            Output::ScanState { ticket, persisted: true, scan } => {
                let number = self.ask(Asked::Scan(ticket));
                self.state.scan(number, scan);
            }
            other @ (Output::Peer { .. }
            | Output::Ask { .. }
            | Output::Close { .. }
            | Output::Abort { .. }
            | Output::Replied { .. }
            | Output::Answered { .. }
            | Output::Lifecycle(_)) => return Some(other),
        }
        None
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.done.is_empty() || self.disk.has_answers()
    }

    /// The next answer, in core's words.
    pub(super) fn poll(&mut self) -> Option<Input> {
        let completion = match self.memory.poll() {
            Some(completion) => {
                if let Completion::Committed { record, .. } = &completion {
                    self.model.borrow_mut().commit(record, false);
                }
                completion
            }
            None => match self.disk.poll() {
                Some(completion) => completion,
                None => return self.done.pop_front().or_else(|| self.poll_state()),
            },
        };
        Some(answer(completion))
    }

    fn poll_state(&mut self) -> Option<Input> {
        let (number, result) = match self.state.poll()? {
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

/// A question about the state.
#[derive(Debug)]
enum Asked {
    Apply(StateTicket),
    Scan(StateTicket),
}

/// What core makes of a store's error.
const fn failure(error: &LogError) -> LogFailure {
    match error {
        LogError::Busy => LogFailure::Busy,
        LogError::Full => LogFailure::Full,
        LogError::Corrupt { .. } => LogFailure::Damaged,
        LogError::Unavailable | LogError::Unreadable { .. } | LogError::TooLarge { .. } => LogFailure::Unavailable,
    }
}

fn answer(completion: Completion) -> Input {
    match completion {
        Completion::Opened { home, epoch, head, trimmed } => Input::LogOpened { home, epoch, head, floor: trimmed },
        Completion::Committed { home, ticket, record, trimmed } => {
            Input::Committed { home, ticket: Some(ticket), record, floor: trimmed }
        }
        Completion::Duplicate { home, ticket, position, id } => {
            Input::NotAppended { home, ticket, outcome: NotAppended::Duplicate { id, position } }
        }
        Completion::Conflict { home, ticket } => Input::NotAppended { home, ticket, outcome: NotAppended::Conflict },
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
        Completion::Failed { home, ticket, error } => {
            let failure = failure(&error);
            match ticket {
                None => Input::LogNotOpened { home, failure },
                Some(it) if it & READ > 0 => Input::LogRead { home, from: it & !READ, result: Err(failure) },
                Some(it) if it & LOCATE > 0 => Input::Located { home, ticket: it & !LOCATE, result: Err(failure) },
                Some(it) if it & PURGE > 0 => Input::Purged { home, ticket: it & !PURGE, result: Err(failure) },
                Some(ticket) => Input::NotAppended { home, ticket, outcome: NotAppended::Failed(failure) },
            }
        }
    }
}
