//! The handle an application holds: publish, look, steer, serve.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use realtime_connector_core::command::{Ack, Publish, Target as CoreTarget};
use realtime_connector_core::event::Published;
use realtime_connector_core::id::{AppId, ChannelName, EventType, UserId};
use realtime_connector_core::publish::Publisher;
use realtime_connector_core::rejection::Rejection;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::app::App;
use crate::builder::Builder;
use crate::config::Config;
use crate::earthquakes;
use crate::engine::Engine;
use crate::error::Error;
use crate::event_bus::EventBus;
use crate::http;
use crate::transport::listen;

/// The connector that [`get_realtime_connector`] returns.
static DEFAULT: Mutex<Option<RealtimeConnector>> = Mutex::new(None);

/// Creates a connector and makes it the one that [`get_realtime_connector`] returns. Nothing is bound until
/// [`RealtimeConnector::serve`].
///
/// # Errors
/// When the configuration contradicts itself, or the system refuses a thread.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), realtime_connector::Error> {
/// use realtime_connector::{Config, Message, Target, create_realtime_connector};
/// use serde_json::json;
///
/// let rc = create_realtime_connector(Config::default()).await?;
/// rc.broadcast(Message::new("update", json!({"status": "processing"})), Target::channel("orders")).await?;
/// # Ok(()) }
/// ```
pub async fn create_realtime_connector(config: Config) -> Result<RealtimeConnector, Error> {
    let connector = Builder::new(config).build()?;
    *DEFAULT.lock().unwrap_or_else(PoisonError::into_inner) = Some(connector.clone());
    Ok(connector)
}

/// The connector created before, if any.
#[must_use]
pub fn get_realtime_connector() -> Option<RealtimeConnector> {
    DEFAULT.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A message as the application writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    event_type: String,
    data: serde_json::Value,
}

impl Message {
    /// A message of a type with its data.
    pub fn new(event_type: impl Into<String>, data: serde_json::Value) -> Self {
        Self { event_type: event_type.into(), data }
    }
}

/// Who gets a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    channel: Option<String>,
    user: Option<String>,
}

impl Target {
    /// Every connection.
    #[must_use]
    pub fn everyone() -> Self {
        Self::default()
    }

    /// The subscribers of a channel.
    pub fn channel(channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), user: None }
    }

    /// Every connection of a user.
    pub fn user(user: impl Into<String>) -> Self {
        Self { channel: None, user: Some(user.into()) }
    }

    /// Only those connections that are in this channel.
    #[must_use]
    pub fn in_channel(self, channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), ..self }
    }

    fn into_core(self) -> Result<CoreTarget, Rejection> {
        let channel = self.channel.map(|name| ChannelName::parse(&name)).transpose();
        let channel = channel.map_err(|error| Rejection::name("channel", error))?;
        let user = self.user.map(|name| UserId::parse(&name)).transpose();
        let user = user.map_err(|error| Rejection::name("userId", error))?;
        Ok(match (channel, user) {
            (None, None) => CoreTarget::Everyone,
            (Some(channel), None) => CoreTarget::Channel(channel),
            (None, Some(user)) => CoreTarget::User(user),
            (Some(channel), Some(user)) => CoreTarget::UserInChannel { user, channel },
        })
    }
}

/// A node of the connector inside this process. Clones are handles to the same one.
#[derive(Clone, Debug)]
pub struct RealtimeConnector {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) app: Arc<App>,
    pub(crate) engine: Mutex<Option<Engine>>,
    pub(crate) stop: watch::Sender<bool>,
}

impl RealtimeConnector {
    /// Sends a message once to everyone who should see it.
    ///
    /// # Errors
    /// What a client would be told: a name that is none, data beyond the limit, overload.
    pub async fn broadcast(&self, message: Message, target: Target) -> Result<Published, Rejection> {
        let event_type = EventType::parse(&message.event_type).map_err(|error| Rejection::name("type", error))?;
        let publish = Publish {
            target: target.into_core()?,
            event_type,
            data: Bytes::from(message.data.to_string()),
            id: None,
            key: None,
            meta: None,
            ephemeral: false,
            exclude: Vec::new(),
            ack: Ack::Node,
        };
        self.inner.app.publish(publish, Publisher::Server("application".into())).await
    }

    /// The in-process event bus.
    #[must_use]
    pub fn event_bus(&self) -> &EventBus {
        &self.inner.app.event_bus
    }

    /// The routes, to mount in an axum application.
    pub fn router(&self) -> axum::Router {
        self.inner.app.ready.store(true, Ordering::Relaxed);
        http::router(&self.inner.app)
    }

    /// Binds the configured address and serves until [`RealtimeConnector::shutdown`].
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub async fn serve(&self) -> Result<Serving, Error> {
        let address = self.inner.app.config.listen_address();
        let listener = TcpListener::bind(address).await.map_err(|source| Error::Bind { address, source })?;
        let local_addr = listener.local_addr().map_err(|source| Error::Bind { address, source })?;
        self.inner.app.ready.store(true, Ordering::Relaxed);
        let router = http::router(&self.inner.app);
        if self.inner.app.playground {
            earthquakes::start(self);
        }
        let task = tokio::spawn(listen::run(self.inner.app.clone(), router, listener, self.inner.stop.subscribe()));
        Ok(Serving { local_addr, task })
    }

    /// Goes down: not ready, then every connection is told, last bytes leave, and the workers stop.
    pub async fn shutdown(&self) {
        let app = &self.inner.app;
        app.ready.store(false, Ordering::Relaxed);
        let deadline = tokio::time::Instant::now() + app.config.shutdown.deadline;
        tokio::time::sleep(app.config.not_ready()).await;
        self.inner.stop.send_replace(true);
        app.node.drain();
        while tokio::time::Instant::now() < deadline && app.count_connections().await > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        app.node.stop();
        let engine = self.inner.engine.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(engine) = engine {
            // Workers stop at the end of their turn.
            drop(tokio::task::spawn_blocking(move || engine.join()).await);
        }
    }

    /// The default application; there is one for now.
    #[must_use]
    pub fn app_id(&self) -> AppId {
        AppId::default()
    }
}

/// A listener at work.
#[derive(Debug)]
pub struct Serving {
    local_addr: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Serving {
    /// The address it is bound to.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Waits until it has been told to stop.
    pub async fn wait(self) {
        drop(self.task.await);
    }
}
