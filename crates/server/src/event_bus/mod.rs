//! The in-process event bus: whoever publishes an event need not know who acts on it.
//!
//! - A pattern is split at `.`: `*` is one segment, `**` the rest. `order.*` hears `order.created`.
//! - Each subscription has a queue of [`QUEUE_EVENTS`] events and one handler, which sees them one after the other in the order
//!   in which they were published. Handlers run on tokio, each on its own: none waits for another one.
//! - A publisher waits for room, at most [`PATIENCE`]; then the event is lost *for that handler*, and the publisher is told which
//!   one it was. For a handler that stood still that long nobody waits any more until it has moved.
//! - A handler that fails or panics has failed for that event only. It is logged and counted, and gets the next one.
//! - What happens to connections and channels is published here too; see [`Event`] and the guide, `docs/events.md`.

mod event;
mod lifecycle;
mod pattern;
mod subscription;
mod tap;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use realtime_connector_core::id::{EventType, NameError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;

pub use event::Event;
pub(crate) use lifecycle::{SERVER_TYPES, log_connection, pump};
pub(crate) use pattern::Pattern;
pub use pattern::PatternError;
use subscription::{Entry, Handler};
pub use subscription::{HandlerResult, HandlerStats, Subscription};
use tap::Tap;
pub(crate) use tap::{Next, Tapped};

use crate::runtime;

/// Events that may wait for one handler. At a millisecond per event that is a second of work, the patience of publishers.
pub(crate) const QUEUE_EVENTS: usize = 1_024;
/// How long a publisher waits for room in the queue of a handler.
pub(crate) const PATIENCE: Duration = Duration::from_secs(1);
/// Subscriptions of one bus. Each is a task and a queue; an application has dozens.
const SUBSCRIPTIONS_MAX: usize = 4_096;
/// How long the handlers have for what is queued when the bus closes.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// Why a subscription was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The pattern is none.
    #[error("bad pattern '{pattern}': {reason}")]
    Pattern {
        /// As it was given.
        pattern: String,
        /// What is wrong with it.
        reason: PatternError,
    },
    /// There are 4,096 already: something subscribes again and again.
    #[error("the event bus has {SUBSCRIPTIONS_MAX} subscriptions already")]
    TooMany,
    /// The connector was shut down.
    #[error("the event bus is closed")]
    Closed,
}

/// Why an event was not published, or not to everyone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The type is none.
    #[error("the event type {0}")]
    Type(#[from] NameError),
    /// The payload has no JSON form.
    #[error("the payload cannot be written as JSON: {0}")]
    Payload(String),
    /// These handlers had no room in time and missed the event; all others have it.
    #[error("no room in the queue of {}", .handlers.join(", "))]
    Full {
        /// Pattern and place in the source of each, as in `'order.*' (src/main.rs:12)`.
        handlers: Vec<String>,
    },
    /// The connector was shut down.
    #[error("the event bus is closed")]
    Closed,
}

/// What a bus has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventBusStats {
    /// Events published, each counted once.
    pub published: u64,
    /// Subscriptions now.
    pub subscriptions: usize,
    /// The sums over those subscriptions.
    pub handlers: HandlerStats,
}

/// The in-process event bus. Clones are handles to the same one.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), realtime_connector::Error> {
/// use realtime_connector::{Event, EventBus};
///
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Order { id: u32 }
///
/// let bus = EventBus::new();
/// let (done, mut seen) = tokio::sync::mpsc::channel(1);
/// let subscription = bus.subscribe("order.*", move |event: Event<Order>| {
///     let done = done.clone();
///     async move { done.send(event.payload.id).await }
/// })?;
/// bus.publish("order.created", Order { id: 12345 }).await?;
/// assert_eq!(seen.recv().await, Some(12345));
/// subscription.unsubscribe();
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct EventBus {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for EventBus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBus").field("stats", &self.stats()).finish()
    }
}

impl Default for EventBus {
    fn default() -> Self {
        Self::new()
    }
}

/// What the clones of a bus share.
struct Shared {
    listeners: Mutex<Listeners>,
    closed: AtomicBool,
    published: AtomicU64,
    random: AtomicU64,
    runtime: Handle,
    /// Told once somebody listens to what the server publishes.
    wanted: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Default)]
struct Listeners {
    next_id: u64,
    entries: Vec<Arc<Entry>>,
    taps: Vec<Arc<Tap>>,
}

impl Shared {
    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, id: u64) {
        self.listeners().entries.retain(|entry| entry.id != id);
    }
}

impl EventBus {
    /// A bus of its own. A connector has one already: [`RealtimeConnector::event_bus`](crate::RealtimeConnector::event_bus);
    /// [`Builder::event_bus`](crate::Builder::event_bus) gives it another.
    ///
    /// Its handlers run on the current tokio runtime, or on one of the library's where there is none.
    #[must_use]
    pub fn new() -> Self {
        let shared = Shared {
            listeners: Mutex::default(),
            closed: AtomicBool::new(false),
            published: AtomicU64::new(0),
            random: AtomicU64::new(crate::engine::random_u64()),
            runtime: runtime::handle(),
            wanted: OnceLock::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Calls `handler` for each event whose type matches `pattern`, in order, one at a time.
    ///
    /// The handler says what payload it expects by the type of its argument: `Event<Value>` takes anything, `Event<Order>` only
    /// what reads as an `Order`; an event that does not is a failure of this handler. It may return nothing or a `Result`.
    ///
    /// Dropping the [`Subscription`] ends it; [`Subscription::detach`] keeps it as long as the bus.
    ///
    /// # Errors
    /// When the pattern is none, there are too many subscriptions, or the bus is closed.
    #[track_caller]
    pub fn subscribe<P, H, F>(&self, pattern: &str, mut handler: H) -> Result<Subscription, SubscribeError>
    where
        P: DeserializeOwned + Send + 'static,
        H: FnMut(Event<P>) -> F + Send + 'static,
        F: Future + Send + 'static,
        F::Output: HandlerResult,
    {
        let erased: Handler = Box::new(move |event: Arc<Event>| match event.read::<P>() {
            Ok(event) => {
                let future = handler(event);
                Box::pin(async move { future.await.failure() })
            }
            Err(error) => Box::pin(std::future::ready(Some(format!("the payload is of another type: {error}")))),
        });
        self.add(pattern, std::panic::Location::caller(), erased)
    }

    fn add(
        &self,
        source: &str,
        place: &std::panic::Location<'_>,
        handler: Handler,
    ) -> Result<Subscription, SubscribeError> {
        let pattern =
            Pattern::parse(source).map_err(|reason| SubscribeError::Pattern { pattern: source.to_owned(), reason })?;
        let is_wanted = SERVER_TYPES.iter().any(|name| pattern.matches(name));
        let name = format!("'{pattern}' ({}:{})", place.file(), place.line());
        let subscription = {
            let mut listeners = self.shared.listeners();
            // Under the lock, so that nothing is added behind the back of `close`.
            if self.shared.closed.load(Ordering::Acquire) {
                return Err(SubscribeError::Closed);
            }
            if listeners.entries.len() >= SUBSCRIPTIONS_MAX {
                return Err(SubscribeError::TooMany);
            }
            listeners.next_id += 1;
            let entry = Entry::start(listeners.next_id, pattern, name, handler, &self.shared.runtime);
            let weak = Arc::downgrade(&self.shared);
            let subscription = Subscription::new(&entry, move |id| {
                if let Some(shared) = weak.upgrade() {
                    shared.remove(id);
                }
            });
            listeners.entries.push(Arc::new(entry));
            subscription
        };
        if is_wanted && let Some(tell) = self.shared.wanted.get() {
            tell();
        }
        Ok(subscription)
    }

    /// Publishes an event to every handler whose pattern matches, and returns when each has it in its queue; not when they have
    /// dealt with it.
    ///
    /// The type follows the rules of message types, so that an event can be sent on as a message. A publish that
    /// is given up while it waits has reached some handlers and not others.
    ///
    /// # Errors
    /// When the type is no type, the payload has no JSON form, or the bus is closed: then nobody got it. When a handler had no
    /// room within a second: then all others got it.
    pub async fn publish(&self, event_type: &str, payload: impl Serialize) -> Result<(), PublishError> {
        let event_type = EventType::parse(event_type)?;
        let payload = serde_json::to_value(payload).map_err(|error| PublishError::Payload(error.to_string()))?;
        if self.shared.closed.load(Ordering::Acquire) {
            return Err(PublishError::Closed);
        }
        let event = Arc::new(self.event(event_type.as_str(), payload));
        self.hand_out(event).await
    }

    /// What the bus and its subscriptions have done so far.
    #[must_use]
    pub fn stats(&self) -> EventBusStats {
        let listeners = self.shared.listeners();
        let mut handlers = HandlerStats::default();
        listeners.entries.iter().for_each(|entry| handlers.add(entry.counts.stats()));
        let published = self.shared.published.load(Ordering::Relaxed);
        EventBusStats { published, subscriptions: listeners.entries.len(), handlers }
    }

    fn event(&self, event_type: &str, payload: Value) -> Event {
        self.shared.published.fetch_add(1, Ordering::Relaxed);
        let random = self.shared.random.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        Event::new(event_type, payload, random)
    }

    /// Puts an event into the queues of those who listen.
    async fn hand_out(&self, event: Arc<Event>) -> Result<(), PublishError> {
        let entries: Vec<Arc<Entry>> = {
            let listeners = self.shared.listeners();
            listeners.entries.iter().filter(|entry| entry.pattern.matches(&event.event_type)).cloned().collect()
        };
        let full: Vec<_> = entries.iter().filter(|entry| !entry.offer(event.clone())).collect();
        if full.is_empty() {
            return Ok(());
        }
        let waits = full.iter().map(|entry| entry.wait_for_room(event.clone(), PATIENCE));
        let results = runtime::within(&self.shared.runtime, join_all(waits)).await;
        let missed = full.iter().zip(results).filter(|(_, taken)| !taken);
        let handlers: Vec<String> = missed.map(|(entry, _)| entry.counts.name.clone()).collect();
        if handlers.is_empty() { Ok(()) } else { Err(PublishError::Full { handlers }) }
    }
}

/// What the rest of the server does with the bus.
impl EventBus {
    /// Publishes an event of the server itself. Who misses it is told by the handler's count.
    pub(crate) async fn publish_own(&self, event_type: &'static str, payload: Value) {
        let event = Arc::new(self.event(event_type, payload));
        self.shared.listeners().taps.iter().for_each(|tap| tap.offer(&event));
        // A handler that missed it was logged and counted.
        drop(self.hand_out(event).await);
    }

    /// As above, past those who read along.
    pub(crate) async fn publish_to_handlers(&self, event_type: &'static str, payload: Value) {
        let event = Arc::new(self.event(event_type, payload));
        drop(self.hand_out(event).await);
    }

    /// Tells those who read along that events were lost before they reached the bus.
    pub(crate) fn note_dropped(&self, count: u64) {
        self.shared.listeners().taps.iter().for_each(|tap| tap.note_dropped(count));
    }

    /// Reads along what the server publishes, without ever holding it up. `None` when as many do so as may.
    pub(crate) fn tap(&self, patterns: Vec<Pattern>) -> Option<Tapped> {
        let tap = Arc::new(Tap::new(patterns));
        {
            let mut listeners = self.shared.listeners();
            if listeners.taps.len() >= tap::TAPS_MAX || self.shared.closed.load(Ordering::Acquire) {
                return None;
            }
            listeners.taps.push(tap.clone());
        }
        if let Some(tell) = self.shared.wanted.get() {
            tell();
        }
        let weak = Arc::downgrade(&self.shared);
        Some(Tapped::new(tap, move |tap| {
            if let Some(shared) = weak.upgrade() {
                shared.listeners().taps.retain(|other| !Arc::ptr_eq(other, tap));
            }
        }))
    }

    /// Calls `tell` as soon as, and whenever, somebody begins to listen to what the server publishes. One connector may use it.
    pub(crate) fn when_wanted(&self, tell: impl Fn() + Send + Sync + 'static) {
        let is_first = self.shared.wanted.set(Box::new(tell)).is_ok();
        let is_wanted = {
            let listeners = self.shared.listeners();
            let mut entries = listeners.entries.iter();
            !listeners.taps.is_empty() || entries.any(|entry| SERVER_TYPES.iter().any(|it| entry.pattern.matches(it)))
        };
        if is_first
            && is_wanted
            && let Some(tell) = self.shared.wanted.get()
        {
            tell();
        }
    }

    /// Ends the streams of those who read along.
    pub(crate) fn end_taps(&self) {
        self.shared.listeners().taps.drain(..).for_each(|tap| tap.end());
    }

    /// Takes no more events, and waits until the handlers have dealt with those in their queues, for 5 s at most.
    pub(crate) async fn close(&self) {
        let entries = {
            let mut listeners = self.shared.listeners();
            self.shared.closed.store(true, Ordering::Release);
            std::mem::take(&mut listeners.entries)
        };
        let tasks: Vec<_> = entries.iter().filter_map(|entry| entry.take_task()).collect();
        drop(entries);
        let ended = tokio::time::timeout(CLOSE_PATIENCE, join_all(tasks));
        if runtime::within(&self.shared.runtime, ended).await.is_err() {
            tracing::warn!("an event handler is still busy; the event bus closes without it");
        }
    }
}
