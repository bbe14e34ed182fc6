//! Building a connector: configuration, authenticator, hooks.

use std::sync::{Arc, Mutex};

use realtime_connector_core::worker::Lifecycle;
use tokio::sync::mpsc::Receiver;
use tokio::sync::watch;

use crate::app::App;
use crate::auth::{Anonymous, Authenticator, Dev};
use crate::config::Config;
use crate::earthquakes;
use crate::engine::{AskRequest, Engine, Node, Outlets};
use crate::error::Error;
use crate::event_bus::EventBus;
use crate::handle::{Inner, RealtimeConnector};

/// Collects what a connector needs.
pub struct Builder {
    config: Config,
    authenticator: Option<Arc<dyn Authenticator>>,
    playground: bool,
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
        Self { config, authenticator: None, playground: true }
    }

    /// Decides who connects, in place of the section `auth`.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Whether dev mode serves the playground, with the earthquakes that run on its channel `earthquakes`. It does unless told
    /// otherwise; other modes never do.
    #[must_use]
    pub const fn playground(mut self, playground: bool) -> Self {
        self.playground = playground;
        self
    }

    /// Starts the workers.
    ///
    /// # Errors
    /// When the configuration contradicts itself, or the system refuses a thread.
    pub fn build(self) -> Result<RealtimeConnector, Error> {
        let dev = self.authenticator.is_none() && self.config.dev_mode();
        let authenticator = match self.authenticator {
            Some(authenticator) => {
                self.config.validate_embedded()?;
                authenticator
            }
            None => {
                self.config.validate()?;
                let anonymous = Anonymous { allowed: self.config.auth.anonymous };
                if dev { Arc::new(Dev) } else { Arc::new(anonymous) as Arc<dyn Authenticator> }
            }
        };
        let workers = match self.config.workers as usize {
            0 => std::thread::available_parallelism().map_or(1, usize::from).min(64),
            workers => workers,
        };
        let playground = dev && self.playground;
        let mut options = self.config.options(workers);
        if playground {
            options.rules.insert(0, earthquakes::rule(&options));
        }
        let (node, engine, outlets) = Engine::start(options, workers).map_err(Error::Workers)?;
        let mut app = App::new(node.clone(), self.config, authenticator.clone(), dev, EventBus);
        app.playground = playground;
        let app = Arc::new(app);
        let Outlets { asks, lifecycle } = outlets;
        if playground {
            node.want_lifecycle();
            tokio::spawn(notice_lifecycle(app.clone(), lifecycle));
        }
        tokio::spawn(answer_asks(node, authenticator, asks));
        let (stop, _) = watch::channel(false);
        Ok(RealtimeConnector { inner: Arc::new(Inner { app, engine: Mutex::new(Some(engine)), stop }) })
    }
}

/// Takes what happens on the workers.
async fn notice_lifecycle(app: Arc<App>, mut lifecycle: Receiver<Lifecycle>) {
    while let Some(event) = lifecycle.recv().await {
        app.earthquakes.notice(&event);
    }
}

/// Verifies the tokens of first frames, each in a task of its own.
async fn answer_asks(node: Arc<Node>, authenticator: Arc<dyn Authenticator>, mut asks: Receiver<AskRequest>) {
    while let Some(request) = asks.recv().await {
        let (node, authenticator) = (node.clone(), authenticator.clone());
        tokio::spawn(async move {
            let credentials = crate::auth::Credentials { token: Some(request.token.clone()), ..Default::default() };
            let identity = match authenticator.authenticate(credentials).await {
                Ok(Some(identity)) => Ok(Box::new(identity)),
                Ok(None) => Err(Box::new(crate::auth::needs_credentials())),
                Err(rejection) => Err(Box::new(rejection)),
            };
            node.identified(&request, identity);
        });
    }
}
