//! What the asynchronous front shares: the engine, the configuration, and who may come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use axum::http::HeaderMap;
use realtime_connector_core::command::Publish;
use realtime_connector_core::id::{AppId, WorkerId};
use realtime_connector_core::publish::{Origin, PublishResult, Publisher};
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::worker::publishing::{draft, fresh_id};
use realtime_connector_core::worker::{Answer, Call, Figures};

use crate::auth::{ApiKeys, Authenticator};
use crate::config::Config;
use crate::earthquakes;
use crate::engine::{Clock, Node, Place};
use crate::event_bus::EventBus;
use crate::http::cors::Cors;
use crate::transport::request::UserAgents;

/// Sockets with HTTP beyond the capacity for connections, all of which may shake hands at once: health checks, and what callers of
/// the API keep open.
const SOCKETS_SPARE: usize = 1_024;

/// The state behind every handler.
pub(crate) struct App {
    pub(crate) node: Arc<Node>,
    pub(crate) config: Config,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) api_keys: ApiKeys,
    /// Everything is allowed, so only loopback may come.
    pub(crate) dev: bool,
    pub(crate) cors: Cors,
    pub(crate) user_agents: UserAgents,
    pub(crate) event_bus: EventBus,
    /// Connections are welcome, as far as it is for the application to say.
    pub(crate) ready: AtomicBool,
    /// Connections, from their handshake to the end of their stream.
    connections: Arc<AtomicUsize>,
    /// How many of them there may be.
    pub(crate) capacity: usize,
    /// The application's authenticator knows what a `ticket` is; those of the server do not.
    pub(crate) takes_tickets: bool,
    /// Sockets of our own listener that belong to HTTP: requests, handshakes, and HTTP/2 with or without streams.
    sockets: Arc<AtomicUsize>,
    /// Serves the page of dev mode, and something to show on it.
    pub(crate) playground: bool,
    /// How the earthquakes of the playground are steered.
    pub(crate) earthquakes: earthquakes::Control,
    clock: Clock,
    jitter: AtomicU64,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("dev", &self.dev).finish_non_exhaustive()
    }
}

impl App {
    pub(crate) fn new(
        node: Arc<Node>,
        config: Config,
        authenticator: Arc<dyn Authenticator>,
        dev: bool,
        event_bus: EventBus,
    ) -> Self {
        let capacity = match config.limits.connections as usize {
            0 => capacity_of_descriptors(rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX)),
            limit => limit,
        };
        Self {
            api_keys: ApiKeys::new(&config.auth, dev),
            cors: Cors::new(&config.cors.allowed_origins, dev),
            node,
            config,
            authenticator,
            dev,
            user_agents: UserAgents::default(),
            event_bus,
            ready: AtomicBool::new(false),
            connections: Arc::default(),
            capacity,
            takes_tickets: false,
            sockets: Arc::default(),
            playground: false,
            earthquakes: earthquakes::Control::default(),
            clock: Clock::new(std::time::Instant::now()),
            jitter: AtomicU64::new(0),
        }
    }

    /// Whether a load balancer should send connections here.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) fn readiness(&self) -> Result<(), &'static str> {
        if !self.is_ready() {
            return Err("going down");
        }
        // Connections that come anyway are served: reading and what is kept in memory only go on.
        if !self.node.store_is_writing() {
            return Err("the store has stopped writing: look at the disk and restart");
        }
        Ok(())
    }

    /// The place of one more connection.
    ///
    /// # Errors
    /// `overloaded` beyond `limits.connections`, and while the server goes down.
    pub(crate) fn take_place(&self) -> Result<Place, Rejection> {
        if !self.is_ready() {
            let rejection = Rejection::new(RejectionKind::Overloaded, "the server is going down");
            return Err(rejection.retry_after_ms(1_000 + self.jitter() % 4_000));
        }
        Place::take(&self.connections, self.capacity).ok_or_else(|| {
            let message = format!("the server holds {} connections", self.capacity);
            let rejection = Rejection::new(RejectionKind::Overloaded, message).limit(self.capacity as u64);
            rejection.retry_after_ms(5_000 + self.jitter() % 10_000)
        })
    }

    /// The place of one more socket with HTTP; `None` when there are too many, which only idle ones can be.
    pub(crate) fn take_socket(&self) -> Option<Place> {
        Place::take(&self.sockets, self.capacity.saturating_add(SOCKETS_SPARE))
    }

    /// Whether connections are welcome.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed) && !self.node.has_failed()
    }

    /// A number that spreads clients out: a Weyl sequence over the golden ratio never bunches.
    pub(crate) fn jitter(&self) -> u32 {
        (self.jitter.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) >> 32) as u32
    }
}

impl App {
    /// The name of the API key a request shows.
    ///
    /// # Errors
    /// `unauthenticated` without one that is known.
    pub(crate) fn api_key(&self, headers: &HeaderMap) -> Result<Arc<str>, Rejection> {
        let presented = crate::transport::request::bearer(headers)?;
        self.api_keys.check(presented.as_deref()).ok_or_else(|| {
            Rejection::new(RejectionKind::Unauthenticated, "an API key is needed: Authorization: Bearer <key>")
        })
    }

    /// Publishes on behalf of the application.
    ///
    /// # Errors
    /// What the channel's home says.
    pub(crate) async fn publish(&self, publish: Publish, publisher: Publisher) -> PublishResult {
        let mut clock = self.clock;
        clock.tick();
        let fresh = fresh_id(clock.now(), u64::from(self.jitter()) << 32 | u64::from(self.jitter()));
        self.node.publish(draft(AppId::default(), publish, None, publisher, fresh, Origin::Nobody)).await
    }

    /// The figures of every worker, in their order.
    ///
    /// # Errors
    /// `overloaded` and `unavailable`, if a worker does not answer.
    pub(crate) async fn figures(&self) -> Result<Vec<Figures>, Rejection> {
        let mut all = Vec::with_capacity(self.node.workers());
        for worker in 0..self.node.workers() {
            let worker = WorkerId(u8::try_from(worker).expect("at most 256 workers"));
            if let Answer::Figures(figures) = self.node.call(worker, Call::Figures).await? {
                all.push(figures);
            }
        }
        Ok(all)
    }
}

/// Connections that a limit of open files leaves room for: HTTP requests, health checks and the process need some too.
fn capacity_of_descriptors(descriptors: u64) -> usize {
    /// One part in so many is kept for everything else.
    const PART: u64 = 32;
    /// What a process with few descriptors keeps: its own threads' and files' 20 or so, and some requests.
    const LEAST: u64 = 40;
    let kept = (descriptors / PART).max(LEAST);
    usize::try_from(descriptors.saturating_sub(kept).max(1)).unwrap_or(usize::MAX)
}
