//! Building a connector: configuration, who may come in, and the event bus.

use std::sync::Arc;

use tokio::sync::watch;

use crate::app::App;
use crate::auth::{ApiKeys, Authenticator, ByKey, Dev};
use crate::config::Config;
use crate::earthquakes;
use crate::engine::{Engine, Outlets, StartError};
use crate::error::Error;
use crate::event_bus::{self, EventBus};
use crate::handle::{Live, RealtimeConnector};
use crate::{hooks, runtime};

/// Collects what a connector needs. [`create_realtime_connector`](crate::create_realtime_connector) is the short form.
///
/// ```
/// use realtime_connector::auth::{AuthFuture, Authenticator, Credentials, Grants, Identity};
/// use realtime_connector::{Builder, Config};
///
/// /// Everybody may listen, nobody may say who they are.
/// struct Guests;
///
/// impl Authenticator for Guests {
///     fn authenticate(&self, _: Credentials) -> AuthFuture<'_> {
///         Box::pin(async { Ok(Some(Identity::anonymous(Grants::LISTEN))) })
///     }
/// }
///
/// let rc = Builder::new(Config::default()).authenticator(Guests).build()?;
/// let router: axum::Router = rc.router()?;
/// # let _ = router;
/// # Ok::<(), realtime_connector::Error>(())
/// ```
pub struct Builder {
    config: Config,
    authenticator: Option<Arc<dyn Authenticator>>,
    event_bus: Option<EventBus>,
    playground: bool,
    echo: Option<EchoLimits>,
}

/// What an echo server takes; see [`Builder::echo`].
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EchoLimits {
    /// Bytes of a message.
    pub message_bytes_max: usize,
    /// Frames of a message.
    pub fragments_max: u32,
}

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Builder {
    /// A connector of this configuration.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self { config, authenticator: None, event_bus: None, playground: true, echo: None }
    }

    /// Decides who connects, in place of the section `auth` of the configuration; its API keys still guard the HTTP API. Takes
    /// back [`Builder::dev`].
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self.config.auth.dev = false;
        self
    }

    /// Dev mode, said out loud: everything is allowed, to anybody on this machine and nobody else, and a client is whoever its
    /// `userId` says. Takes back [`Builder::authenticator`].
    ///
    /// A connector without any authentication runs in dev mode anyway, on its own listener, which is loopback then. A mounted
    /// [`router`](RealtimeConnector::router) must be told, because its host may listen anywhere.
    #[must_use]
    pub fn dev(mut self) -> Self {
        self.authenticator = None;
        self.config.auth.dev = true;
        self
    }

    /// Uses this event bus in place of one of its own: for handlers that are there before the connector, or outlive it.
    #[must_use]
    pub fn event_bus(self, event_bus: EventBus) -> Self {
        Self { event_bus: Some(event_bus), ..self }
    }

    /// Whether dev mode serves the playground, with the earthquakes that run on its channel `earthquakes`. It does unless told
    /// otherwise; other modes never do. Say `false` for a router that is merged into an application with a page of its own at `/`.
    #[must_use]
    pub fn playground(self, playground: bool) -> Self {
        Self { playground, ..self }
    }

    /// Sends each WebSocket message back instead of reading it: for conformance suites.
    #[doc(hidden)]
    #[must_use]
    pub fn echo(self, limits: EchoLimits) -> Self {
        Self { echo: Some(limits), ..self }
    }

    /// Starts the workers. Nothing is bound yet.
    ///
    /// Tasks run on the current tokio runtime, or on one of the library's where there is none; so this may be called from
    /// anywhere. The connector then runs until [`RealtimeConnector::shutdown`], even if every handle to it is dropped: a mounted
    /// router must go on.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or the system refuses a thread.
    pub fn build(self) -> Result<RealtimeConnector, Error> {
        let dev = self.authenticator.is_none() && self.config.dev_mode();
        let is_guarded = !dev || self.config.auth.dev;
        match &self.authenticator {
            Some(_) => self.config.validate_embedded()?,
            None => self.config.validate()?,
        }
        let owns_bus = self.event_bus.is_none();
        let event_bus = self.event_bus.unwrap_or_default();
        if !self.config.enabled {
            return Ok(RealtimeConnector::inert(self.config, event_bus));
        }
        let own_authenticator = self.authenticator.is_some();
        let authenticator = self.authenticator.unwrap_or_else(|| authenticator(&self.config, dev));
        let workers = match self.config.workers as usize {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(64),
            workers => workers,
        };
        let mut options = self.config.options(workers);
        let playground = dev && self.playground;
        if playground {
            let rules = earthquakes::rules(&options);
            options.rules.splice(0..0, rules);
        }
        let (node, engine, Outlets { asks, lifecycle }) =
            Engine::start(options, workers, self.echo, self.config.store_plan().as_ref()).map_err(
                |error| match error {
                    StartError::Workers(error) => Error::Workers(error),
                    StartError::Store(error) => Error::Store(error),
                },
            )?;
        let mut app = App::new(node.clone(), self.config, authenticator.clone(), dev, event_bus.clone());
        app.playground = playground;
        app.takes_tickets = own_authenticator;
        let app = Arc::new(app);
        let runtime = runtime::handle();
        runtime.spawn(hooks::answer_asks(node.clone(), authenticator, asks));
        let (ended, told) = watch::channel(false);
        let pump = runtime.spawn(event_bus::pump(app.clone(), lifecycle, told));
        if playground {
            // Its speed is asked for by messages.
            node.want_published();
        }
        event_bus.when_wanted(move || node.want_lifecycle());
        let live = Live::new(app, engine, is_guarded, pump, ended, owns_bus);
        Ok(RealtimeConnector::live(live, event_bus))
    }
}

/// The authenticator that comes with the server.
fn authenticator(config: &Config, dev: bool) -> Arc<dyn Authenticator> {
    if dev {
        return Arc::new(Dev);
    }
    Arc::new(ByKey { keys: ApiKeys::new(&config.auth, false), anonymous: config.auth.anonymous })
}
