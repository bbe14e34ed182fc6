//! The handles that workers hold.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::Offset;

use super::queue::{Mailbox, Queue};
use super::request::{Query, Write};
use crate::state::fits;
use crate::{Append, Change, Completion, Locate, Log, LogError, Read, Scan, State, StateCompletion, Wake, limits};

/// What handles and threads share.
pub(super) struct Shared {
    pub(super) writes: Queue<Write>,
    pub(super) reads: Queue<Query>,
    /// A write has failed, and nothing is written any more.
    pub(super) has_stopped: AtomicBool,
}

/// Whether a store still writes, for whoever watches over the process.
#[derive(Clone)]
pub struct Pulse(Arc<Shared>);

impl Pulse {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self(shared)
    }

    /// `false` once a write or a sync has failed: only a restart can tell what is on the disk. A full disk is no failure.
    #[must_use]
    pub fn is_writing(&self) -> bool {
        !self.0.has_stopped.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Pulse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pulse").field("is_writing", &self.is_writing()).finish()
    }
}

/// A worker's side of its answers.
struct Port<C> {
    shared: Arc<Shared>,
    mail: Arc<Mailbox<C>>,
    /// Answers that are here; refusals, which no thread has seen, among them.
    arrived: VecDeque<C>,
    /// Answers that were not polled, here or still to come.
    outstanding: usize,
}

impl<C> Port<C> {
    fn new(shared: Arc<Shared>, wake: Wake) -> Self {
        Self { shared, mail: Mailbox::new(wake), arrived: VecDeque::new(), outstanding: 0 }
    }

    /// Asks the writer; the refusal is the answer if there is no room.
    fn write(&mut self, write: Write, bytes: usize, refusal: impl FnOnce(LogError) -> C) {
        // The fixed part of a request; its variable parts are counted by the caller.
        const FIXED_BYTES: usize = 256;
        if self.outstanding < limits::OUTSTANDING && self.shared.writes.push(write, FIXED_BYTES + bytes) {
            self.outstanding += 1;
        } else {
            self.refuse(refusal(self.full_or_closed()));
        }
    }

    /// Asks the readers.
    fn query(&mut self, query: Query, bytes: usize, refusal: impl FnOnce(LogError) -> C) {
        if self.outstanding < limits::OUTSTANDING && self.shared.reads.push(query, bytes) {
            self.outstanding += 1;
        } else {
            self.refuse(refusal(self.full_or_closed()));
        }
    }

    fn full_or_closed(&self) -> LogError {
        if self.shared.writes.is_closed() { LogError::Unavailable } else { LogError::Busy }
    }

    /// A refusal is polled like an answer. It needs no bound: there are as many as calls since the last poll.
    fn refuse(&mut self, refusal: C) {
        self.arrived.push_back(refusal);
        self.outstanding += 1;
    }

    /// Whether an answer waits to be polled.
    fn is_ready(&self) -> bool {
        !self.arrived.is_empty() || (self.outstanding > 0 && !self.mail.is_empty())
    }

    fn poll(&mut self) -> Option<C> {
        if self.arrived.is_empty() && self.outstanding > 0 {
            self.mail.empty_into(&mut self.arrived);
        }
        let letter = self.arrived.pop_front()?;
        self.outstanding -= 1;
        Some(letter)
    }
}

/// The log of one worker.
pub struct SqliteLog(Port<Completion>);

/// The state of one worker.
pub struct SqliteState(Port<StateCompletion>);

impl SqliteLog {
    pub(super) fn new(shared: Arc<Shared>, wake: Wake) -> Self {
        Self(Port::new(shared, wake))
    }

    /// Whether an answer waits to be polled: whoever is about to sleep looks once more.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }

    fn failed(home: SlotKey, ticket: Option<u64>) -> impl FnOnce(LogError) -> Completion {
        move |error| Completion::Failed { home, ticket, error }
    }
}

impl Log for SqliteLog {
    fn open(&mut self, home: SlotKey, channel: &ChannelKey, retention: Retention) {
        let mail = self.0.mail.clone();
        let write = Write::Open { mail, home, channel: channel.clone(), retention };
        self.0.write(write, 0, Self::failed(home, None));
    }

    fn append(&mut self, home: SlotKey, ticket: u64, append: Append) {
        let failed = Self::failed(home, Some(ticket));
        let meta = append.record.meta.as_ref().map_or(0, bytes::Bytes::len);
        if append.record.data.len().max(meta) > limits::RECORD_PART_BYTES_MAX {
            return self.0.refuse(failed(LogError::TooLarge { what: "the record" }));
        }
        let bytes = append.record.cost() as usize;
        let mail = self.0.mail.clone();
        self.0.write(Write::Append { mail, home, ticket, append }, bytes, failed);
    }

    fn read(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, read: Read) {
        let mail = self.0.mail.clone();
        let query = Query::Read { mail, home, ticket, channel: channel.clone(), read };
        let bytes = read.bytes_max.min(limits::READ_BYTES_MAX);
        self.0.query(query, bytes, Self::failed(home, Some(ticket)));
    }

    fn locate(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, locate: Locate) {
        let mail = self.0.mail.clone();
        let query = Query::Locate { mail, home, ticket, channel: channel.clone(), locate };
        self.0.query(query, 1, Self::failed(home, Some(ticket)));
    }

    fn purge(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, through: Offset) {
        let mail = self.0.mail.clone();
        let write = Write::Purge { mail, home, ticket, channel: channel.clone(), through };
        self.0.write(write, 0, Self::failed(home, Some(ticket)));
    }

    fn forget(&mut self, channel: &ChannelKey) {
        // There is one for each open at most, and an open had room.
        self.0.shared.writes.push_owed(Write::Forget { channel: channel.clone() });
    }

    fn poll(&mut self) -> Option<Completion> {
        self.0.poll()
    }
}

impl SqliteState {
    pub(super) fn new(shared: Arc<Shared>, wake: Wake) -> Self {
        Self(Port::new(shared, wake))
    }

    /// Whether an answer waits to be polled.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.0.is_ready()
    }
}

impl State for SqliteState {
    fn apply(&mut self, ticket: u64, changes: Vec<Change>) {
        let failed = |error| StateCompletion::Failed { ticket, error };
        if let Err(error) = fits(&changes) {
            return self.0.refuse(failed(error));
        }
        let bytes = changes.iter().map(Change::parts).map(|(_, key, value)| key.len() + value.len()).sum();
        let mail = self.0.mail.clone();
        self.0.write(Write::Apply { mail, ticket, changes }, bytes, failed);
    }

    fn scan(&mut self, ticket: u64, scan: Scan) {
        let mail = self.0.mail.clone();
        let query = Query::Scan { mail, ticket, scan };
        self.0.query(query, limits::SCAN_BYTES_MAX, |error| StateCompletion::Failed { ticket, error });
    }

    fn poll(&mut self) -> Option<StateCompletion> {
        self.0.poll()
    }
}
