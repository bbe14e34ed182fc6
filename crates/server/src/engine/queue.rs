//! Queues between workers, and what wakes a sleeping one.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use realtime_connector_core::worker::PeerMessage;

/// The first-in first-out queue of one ordered pair of workers.
///
/// It has no bound of its own because core never sends more than credits and room allow
/// (`limits::{CREDITS, DELIVERIES, DELIVERY_BYTES}`); the counters are how room comes back.
#[derive(Debug, Default)]
pub(super) struct PeerQueue {
    messages: Mutex<VecDeque<PeerMessage>>,
    taken_entries: AtomicU64,
    taken_bytes: AtomicU64,
}

impl PeerQueue {
    /// Appends all of `messages`, leaving it empty.
    pub(super) fn send(&self, messages: &mut VecDeque<PeerMessage>) {
        lock(&self.messages).append(messages);
    }

    /// Takes everything there is into `messages`, which must be empty: two lists change places.
    pub(super) fn take(&self, messages: &mut VecDeque<PeerMessage>) {
        std::mem::swap(&mut *lock(&self.messages), messages);
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.messages).is_empty()
    }

    /// Notes that messages have been dealt with, which gives their room back.
    pub(super) fn note_taken(&self, entries: u64, bytes: u64) {
        self.taken_bytes.fetch_add(bytes, Ordering::Relaxed);
        // In one order with the doorbell: who lies down before this is rung, and who looks after it sees the count.
        self.taken_entries.fetch_add(entries, Ordering::SeqCst);
    }

    /// Entries and bytes dealt with since the start.
    pub(super) fn taken(&self) -> (u64, u64) {
        let entries = self.taken_entries.load(Ordering::SeqCst);
        (entries, self.taken_bytes.load(Ordering::Relaxed))
    }
}

/// A poisoned lock is still a good queue: nobody panics halfway through an append.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Wakes a worker, if it sleeps. A busy one looks at its queues anyway, and an eventfd write costs as much as a message.
#[derive(Debug)]
pub(crate) struct Doorbell {
    sleeping: AtomicBool,
    waker: mio::Waker,
}

impl Doorbell {
    pub(super) fn new(registry: &mio::Registry, token: mio::Token) -> io::Result<Self> {
        Ok(Self { sleeping: AtomicBool::new(false), waker: mio::Waker::new(registry, token)? })
    }

    /// Called after something was put into one of the worker's queues.
    pub(crate) fn ring(&self) {
        if self.sleeping.swap(false, Ordering::SeqCst)
            && let Err(error) = self.waker.wake()
        {
            // The worker still wakes at its next deadline, at most one heartbeat later.
            tracing::error!(%error, "failed to wake a worker");
        }
    }

    /// The worker is about to sleep. It must look at its queues once more after this and before it does.
    pub(super) fn lie_down(&self) {
        self.sleeping.store(true, Ordering::SeqCst);
    }

    pub(super) fn get_up(&self) {
        self.sleeping.store(false, Ordering::SeqCst);
    }
}
