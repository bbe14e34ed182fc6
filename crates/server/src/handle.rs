//! The handle an application holds: publish, look, steer, serve.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use realtime_connector_core::publish::Publisher;
use realtime_connector_core::rejection::Rejection;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::PublishResult;
use crate::app::App;
use crate::builder::Builder;
use crate::config::Config;
use crate::connections::Connections;
use crate::consumers::{Consumer, ConsumerInfo};
use crate::engine::{Engine, Node};
use crate::error::Error;
use crate::event_bus::EventBus;
use crate::history::{HistoryPage, HistoryQuery};
use crate::inbox::Inbox;
use crate::message::{Message, Target};
use crate::transport::listen;
use crate::transport::socket::Listener;
use crate::{consumers, earthquakes, history, http, inert, runtime};

/// How long the event bus may take for what the engine said last.
const LAST_EVENTS: Duration = Duration::from_secs(5);

/// The connector that [`get_realtime_connector`] returns.
static DEFAULT: Mutex<Option<RealtimeConnector>> = Mutex::new(None);

/// Creates a connector and makes it the one that [`get_realtime_connector`] returns. Nothing is bound until
/// [`RealtimeConnector::serve`].
///
/// A second call replaces the first connector there; who holds the first one still has it, and it still runs.
///
/// # Errors
/// When the configuration contradicts itself, or the system refuses a thread.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), realtime_connector::Error> {
/// use realtime_connector::{Config, Message, Target, create_realtime_connector, get_realtime_connector};
/// use serde_json::json;
///
/// create_realtime_connector(Config::default()).await?;
/// // … and anywhere else in the program:
/// if let Some(rc) = get_realtime_connector() {
///     rc.broadcast(Message::new("update", json!({"status": "processing"})), Target::channel("orders")).await?;
/// }
/// # Ok(()) }
/// ```
pub async fn create_realtime_connector(config: Config) -> Result<RealtimeConnector, Error> {
    let connector = Builder::new(config).build()?;
    connector.make_default();
    Ok(connector)
}

/// The connector created last, if any.
#[must_use]
pub fn get_realtime_connector() -> Option<RealtimeConnector> {
    DEFAULT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A node of the connector inside this process. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct RealtimeConnector {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    event_bus: EventBus,
    runtime: Handle,
    /// The listeners' sign to stop.
    stop: watch::Sender<bool>,
}

#[derive(Debug)]
enum State {
    Live(Box<Live>),
    /// `enabled` is false.
    Inert(Box<Config>),
}

/// A connector that works.
#[derive(Debug)]
pub(crate) struct Live {
    app: Arc<App>,
    engine: Mutex<Option<Engine>>,
    /// Somebody has decided who may come in.
    is_guarded: bool,
    /// Carries the engine's events to the bus, until `ended` says that none will follow.
    pump: Mutex<Option<JoinHandle<()>>>,
    ended: watch::Sender<bool>,
    owns_bus: bool,
}

impl Live {
    pub(crate) fn new(
        app: Arc<App>,
        engine: Engine,
        is_guarded: bool,
        pump: JoinHandle<()>,
        ended: watch::Sender<bool>,
        owns_bus: bool,
    ) -> Self {
        Self { app, engine: Mutex::new(Some(engine)), is_guarded, pump: Mutex::new(Some(pump)), ended, owns_bus }
    }
}

impl RealtimeConnector {
    pub(crate) fn live(live: Live, event_bus: EventBus) -> Self {
        let mut failure = live.app.node.watch_failure();
        let connector = Self::new(State::Live(Box::new(live)), event_bus);
        let inner = Arc::downgrade(&connector.inner);
        connector.inner.runtime.spawn(async move {
            // The node ends with its last handle, which is no failure.
            if failure.wait_for(|failed| *failed).await.is_ok()
                && let Some(inner) = inner.upgrade()
            {
                inner.stop.send_replace(true);
            }
        });
        connector
    }

    pub(crate) fn inert(config: Config, event_bus: EventBus) -> Self {
        Self::new(State::Inert(Box::new(config)), event_bus)
    }

    fn new(state: State, event_bus: EventBus) -> Self {
        let (stop, _) = watch::channel(false);
        Self { inner: Arc::new(Inner { state, event_bus, runtime: runtime::handle(), stop }) }
    }

    pub(crate) fn node(&self) -> Option<&Node> {
        match &self.inner.state {
            State::Live(live) => Some(&live.app.node),
            State::Inert(_) => None,
        }
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Makes this the connector that [`get_realtime_connector`] returns, in place of the one before.
    pub fn make_default(&self) {
        *DEFAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some(self.clone());
    }

    /// Whether it sends anything: `false` where the configuration says `enabled: false`.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        matches!(self.inner.state, State::Live(_))
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        match &self.inner.state {
            State::Live(live) => &live.app.config,
            State::Inert(config) => config,
        }
    }

    /// Sends a message once to everyone who should see it, and returns when it has its place in the channel's order.
    ///
    /// The result says how many connections the channel's home knew of at that moment, which is no receipt. A connector that is
    /// not enabled accepts the message and sends nothing.
    ///
    /// # Errors
    /// What a client would be told: a name that is none, data beyond the limit, an id that was used for other content, overload.
    pub async fn broadcast(&self, message: Message, target: Target) -> Result<PublishResult, Rejection> {
        let bytes_max = self.config().limits.message_bytes as usize;
        let publish = message.into_publish(target, bytes_max)?;
        match &self.inner.state {
            State::Live(live) => {
                let publisher = Publisher::Server("application".into());
                runtime::within(&self.inner.runtime, live.app.publish(publish, publisher)).await
            }
            State::Inert(_) => Ok(inert::published(publish.id)),
        }
    }

    /// A page of what a channel, a user or everyone was sent, as far as it is kept.
    ///
    /// A connector that is not enabled has no past.
    ///
    /// # Errors
    /// What a client would be told: a name that is none, `NotFound` for the id of a message that is not kept, overload, a store that
    /// does not answer.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), realtime_connector::Error> {
    /// use realtime_connector::{Config, HistoryQuery, Message, Target, create_realtime_connector};
    ///
    /// let rc = create_realtime_connector(Config::default()).await?;
    /// for n in 1..=5 {
    ///     rc.broadcast(Message::new("update", n), Target::channel("orders")).await?;
    /// }
    /// let mut query = HistoryQuery::oldest().limit(2);
    /// let mut seen = Vec::new();
    /// loop {
    ///     let page = rc.history(Target::channel("orders"), query).await?;
    ///     seen.extend(page.messages.into_iter().map(|message| message.data));
    ///     let Some(next) = page.next else { break };
    ///     query = HistoryQuery::next(next).limit(2);
    /// }
    /// assert_eq!(seen, [1, 2, 3, 4, 5]);
    /// # Ok(()) }
    /// ```
    pub async fn history(&self, target: Target, query: HistoryQuery) -> Result<HistoryPage, Rejection> {
        let channel = history::channel(target.into_core()?)?;
        let Some(node) = self.node() else { return Ok(HistoryPage::empty()) };
        let page = runtime::within(&self.inner.runtime, node.history(channel, query.into_core())).await?;
        Ok(HistoryPage::of(page))
    }

    /// What waits for a user: list, ack, clear.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub fn inbox(&self, user_id: &str) -> Result<Inbox, Rejection> {
        Inbox::of(self.clone(), user_id)
    }

    /// A durable consumer of a channel, or a member of a group of them: it takes messages and says what became of them, and gets each one
    /// again until it is done.
    ///
    /// # Errors
    /// Names that are none.
    pub fn consumer(&self, channel: &str, name: &str) -> Result<Consumer, Rejection> {
        Consumer::new(self.clone(), channel, name)
    }

    /// The durable consumers of a channel, and where they stand.
    ///
    /// # Errors
    /// A name that is none, a store that does not answer.
    pub async fn consumers(&self, channel: &str) -> Result<Vec<ConsumerInfo>, Rejection> {
        consumers::list(self, channel).await
    }

    /// The connections of this node: list, look at, disconnect, subscribe.
    #[must_use]
    pub fn connections(&self) -> Connections {
        Connections::of(self.clone())
    }

    /// The in-process event bus.
    #[must_use]
    pub fn event_bus(&self) -> &EventBus {
        &self.inner.event_bus
    }

    /// The routes, to mount in an axum application, also under a prefix: `.nest("/realtime", rc.router()?)`.
    ///
    /// WebSocket, SSE, the HTTP API and the health checks are all inside. At the top it is `.merge(rc.router()?)`; either way, paths
    /// that the connector does not know are the application's, whose fallback answers them. Serve the application with
    /// `into_make_service_with_connect_info::<SocketAddr>()`, or the addresses of clients stay unknown. Layers around it must
    /// pass streams through: no time limit for whole responses, no compression.
    ///
    /// # Errors
    /// [`Error::RouterNeedsAuthenticator`] when nobody has said who may come in.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Result<Router<S>, Error> {
        let router = match &self.inner.state {
            State::Live(live) if !live.is_guarded => return Err(Error::RouterNeedsAuthenticator),
            State::Live(live) => {
                live.app.ready.store(true, Ordering::Relaxed);
                http::mounted(&live.app)
            }
            State::Inert(config) => inert::mounted(config),
        };
        Ok(router.with_state(()))
    }

    /// Binds the configured address and serves until [`RealtimeConnector::shutdown`].
    ///
    /// A connector that is not enabled answers 503 to everything but `/health/live`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn serve(&self) -> Result<Serving, Error> {
        runtime::within(&self.inner.runtime, self.bind_and_serve()).await
    }

    async fn bind_and_serve(&self) -> Result<Serving, Error> {
        let address = self.config().listen_address();
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        let local_addr = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
        let stop = || self.inner.stop.subscribe();
        let task = match &self.inner.state {
            State::Live(live) => {
                live.app.ready.store(true, Ordering::Relaxed);
                if live.app.playground {
                    earthquakes::start(self, &live.app.earthquakes, stop());
                }
                let router = http::router(&live.app);
                let listener = Listener::new(listener).map_err(|source| Error::Bind { address, source })?;
                self.inner.runtime.spawn(listen::run(live.app.clone(), router, listener, stop()))
            }
            State::Inert(_) => self.inner.runtime.spawn(inert::serve(listener, stop())),
        };
        Ok(Serving { local_addr, task })
    }

    /// Goes down: not ready, then every connection is told, last bytes leave, the workers stop, and the event handlers deal with
    /// what is left. A second call waits for nothing.
    pub async fn shutdown(&self) {
        runtime::within(&self.inner.runtime, self.go_down()).await;
    }

    async fn go_down(&self) {
        let State::Live(live) = &self.inner.state else {
            self.inner.stop.send_replace(true);
            return;
        };
        let app = &live.app;
        let engine = live.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(engine) = engine else { return };
        app.ready.store(false, Ordering::Relaxed);
        let deadline = tokio::time::Instant::now() + app.config.shutdown.deadline;
        // In dev mode no load balancer looks, and a person waits.
        let not_ready = if app.dev { Duration::ZERO } else { app.config.shutdown.not_ready };
        tokio::time::sleep(not_ready).await;
        self.inner.stop.send_replace(true);
        app.node.drain();
        while tokio::time::Instant::now() < deadline && app.node.talking() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app.node.stop();
        // Workers stop at the end of their turn.
        drop(tokio::task::spawn_blocking(move || engine.join()).await);
        self.finish_events(live).await;
    }

    /// Everything the engine had to say has been said: let the handlers hear it.
    async fn finish_events(&self, live: &Live) {
        live.ended.send_replace(true);
        let pump = live.pump.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(pump) = pump {
            drop(tokio::time::timeout(LAST_EVENTS, pump).await);
        }
        self.inner.event_bus.end_taps();
        if live.owns_bus {
            self.inner.event_bus.close().await;
        }
    }
}

/// A listener at work.
#[derive(Debug)]
pub struct Serving {
    local_addr: SocketAddr,
    task: JoinHandle<()>,
}

impl Serving {
    /// The address it is bound to.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until it has been told to stop, or the server has ended by itself because one of its workers did.
    pub async fn wait(self) {
        drop(self.task.await);
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use serde_json::json;
    use tower_service::Service;

    use super::*;

    async fn health(router: &mut Router) -> u16 {
        let request = Request::get("/health/ready").header("host", "localhost").body(Body::empty());
        router.call(request.expect("a request")).await.expect("routers do not fail").status().as_u16()
    }

    /// A node without one of its workers went on: ready, with callers that waited for ever.
    #[tokio::test]
    async fn a_node_that_has_failed_serves_no_more_and_says_so() {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let config = Config { listen, workers: 2, ..Config::default() };
        let connector = Builder::new(config).dev().playground(false).build().expect("the configuration is sound");
        let mut router = connector.router().expect("it is guarded");
        let serving = connector.serve().await.expect("a port");
        assert_eq!(health(&mut router).await, 200);
        connector.node().expect("it is enabled").fail(1);
        assert_eq!(health(&mut router).await, 503);
        serving.wait().await;
        connector.shutdown().await;
        assert!(connector.broadcast(Message::new("t", json!(1)), Target::channel("c")).await.is_err());
    }
}
