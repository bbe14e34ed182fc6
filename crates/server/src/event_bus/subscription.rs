//! One handler: its queue, its task, and what is counted about it.

use std::fmt::Display;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Event, Pattern, QUEUE_EVENTS};

/// A handler whose payload type is forgotten. Its outcome is why it failed, if it did.
pub(super) type Handler = Box<dyn FnMut(Arc<Event>) -> HandlerFuture + Send>;
type HandlerFuture = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// What a handler may return: nothing, or a `Result` whose error can be shown.
pub trait HandlerResult {
    /// Why the handler failed, if it did.
    fn failure(self) -> Option<String>;
}

impl HandlerResult for () {
    fn failure(self) -> Option<String> {
        None
    }
}

impl<T, E: Display> HandlerResult for Result<T, E> {
    fn failure(self) -> Option<String> {
        self.err().map(|error| error.to_string())
    }
}

/// What one handler, or all of them, has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HandlerStats {
    /// Events it has dealt with, whatever came of it.
    pub handled: u64,
    /// Of these: it returned an error, or could not read the payload.
    pub failed: u64,
    /// Of these: it panicked.
    pub panicked: u64,
    /// Events it never saw, because its queue had no room in time.
    pub missed: u64,
}

impl HandlerStats {
    pub(super) fn add(&mut self, other: Self) {
        self.handled += other.handled;
        self.failed += other.failed;
        self.panicked += other.panicked;
        self.missed += other.missed;
    }
}

/// What task, bus and subscription know together.
#[derive(Debug)]
pub(super) struct Counts {
    /// Pattern and place in the source.
    pub(super) name: String,
    ended: AtomicBool,
    /// A publisher has waited for it in vain, and it has taken nothing since.
    stalled: AtomicBool,
    handled: AtomicU64,
    failed: AtomicU64,
    panicked: AtomicU64,
    missed: AtomicU64,
}

impl Counts {
    pub(super) fn stats(&self) -> HandlerStats {
        HandlerStats {
            handled: self.handled.load(Ordering::Relaxed),
            failed: self.failed.load(Ordering::Relaxed),
            panicked: self.panicked.load(Ordering::Relaxed),
            missed: self.missed.load(Ordering::Relaxed),
        }
    }
}

/// A handler as the bus sees it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) pattern: Pattern,
    pub(super) counts: Arc<Counts>,
    sender: mpsc::Sender<Arc<Event>>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Entry {
    pub(super) fn start(id: u64, pattern: Pattern, name: String, handler: Handler, runtime: &Handle) -> Self {
        let counts = Arc::new(Counts {
            name,
            ended: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            handled: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            panicked: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        });
        let (sender, receiver) = mpsc::channel(QUEUE_EVENTS);
        let task = runtime.spawn(run(counts.clone(), receiver, handler));
        Self { id, pattern, counts, sender, task: Mutex::new(Some(task)) }
    }

    /// Puts an event into the queue, if there is room. A queue that has ended wants nothing.
    pub(super) fn offer(&self, event: Arc<Event>) -> bool {
        match self.sender.try_send(event) {
            Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => false,
        }
    }

    /// Puts an event into the queue as soon as there is room. `false` if there was none in time.
    pub(super) async fn wait_for_room(&self, event: Arc<Event>, patience: Duration) -> bool {
        let is_stalled = self.counts.stalled.load(Ordering::Acquire);
        if !is_stalled && tokio::time::timeout(patience, self.sender.send(event)).await.is_ok() {
            return true;
        }
        self.counts.stalled.store(true, Ordering::Release);
        // One line for each time a handler stalls, however many events it misses then.
        if !is_stalled {
            tracing::warn!(handler = self.counts.name, "an event handler stands still; it misses events");
        }
        self.counts.missed.fetch_add(1, Ordering::Relaxed);
        false
    }

    pub(super) fn take_task(&self) -> Option<JoinHandle<()>> {
        self.task.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

async fn run(counts: Arc<Counts>, mut events: mpsc::Receiver<Arc<Event>>, mut handler: Handler) {
    while let Some(event) = events.recv().await {
        if counts.ended.load(Ordering::Acquire) {
            return;
        }
        counts.stalled.store(false, Ordering::Release);
        let event_type = event.event_type.clone();
        let outcome = call(&mut handler, event).await;
        counts.handled.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(None) => {}
            Ok(Some(error)) => {
                counts.failed.fetch_add(1, Ordering::Relaxed);
                tracing::error!(handler = counts.name, event_type, error, "an event handler failed");
            }
            Err(Panicked) => {
                counts.panicked.fetch_add(1, Ordering::Relaxed);
                tracing::error!(handler = counts.name, event_type, "an event handler panicked");
            }
        }
    }
}

/// The panic itself was reported by the panic hook.
struct Panicked;

/// Calls a handler and waits for it. A panic, in the call or later, ends only this call.
async fn call(handler: &mut Handler, event: Arc<Event>) -> Result<Option<String>, Panicked> {
    // A handler that panicked is called again in whatever state it left itself: the same as a task that shares state.
    let mut future = catch_unwind(AssertUnwindSafe(|| handler(event))).map_err(|_| Panicked)?;
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Ready(outcome)) => Poll::Ready(Ok(outcome)),
        Ok(Poll::Pending) => Poll::Pending,
        Err(_) => Poll::Ready(Err(Panicked)),
    })
    .await
}

/// A handler at work. Dropping it unsubscribes: the call that is running goes on, what is queued is not handled any more.
#[must_use = "dropping a subscription ends it; `detach` keeps it as long as the bus"]
pub struct Subscription {
    id: u64,
    counts: Arc<Counts>,
    remove: Option<Box<dyn Fn(u64) + Send + Sync>>,
}

impl std::fmt::Debug for Subscription {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription").field("handler", &self.counts.name).field("stats", &self.stats()).finish()
    }
}

impl Subscription {
    pub(super) fn new(entry: &Entry, remove: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { id: entry.id, counts: entry.counts.clone(), remove: Some(Box::new(remove)) }
    }

    /// Ends it; the same as dropping it.
    pub fn unsubscribe(self) {
        drop(self);
    }

    /// Keeps the handler as long as the bus.
    pub fn detach(mut self) {
        self.remove = None;
    }

    /// What its handler has done so far.
    #[must_use]
    pub fn stats(&self) -> HandlerStats {
        self.counts.stats()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        if let Some(remove) = self.remove.take() {
            self.counts.ended.store(true, Ordering::Release);
            remove(self.id);
        }
    }
}
