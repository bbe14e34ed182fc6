//! The connections of this node: who is here, and what can be done with them. The same as `/api/connections`, as Rust.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use realtime_connector_core::id::{AppId, ChannelName, ConnectionId as CoreId, UserId, WorkerId};
use realtime_connector_core::limits::LIST_MAX;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::session::Provider as CoreProvider;
use realtime_connector_core::worker::{Answer, Call, ConnectionInfo as CoreInfo, ConnectionQuery};
use realtime_connector_wire::json::{connection_id_to_string, parse_connection_id};
use serde::Serialize;
use serde_json::Value;

use crate::config::Provider;
use crate::engine::Node;
use crate::handle::RealtimeConnector;
use crate::message::{metadata_of, value_of};
use crate::runtime;

/// The public id of a connection, as clients know it from `connected.connectionId`. It authorises nothing.
///
/// ```
/// use realtime_connector::ConnectionId;
///
/// let id: ConnectionId = "AAAAAAAAAAAAAAAAAQ".parse()?;
/// assert_eq!(id.to_string(), "AAAAAAAAAAAAAAAAAQ");
/// # Ok::<(), realtime_connector::Rejection>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(CoreId);

impl ConnectionId {
    pub(crate) const fn into_core(self) -> CoreId {
        self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&connection_id_to_string(self.0))
    }
}

impl FromStr for ConnectionId {
    type Err = Rejection;

    fn from_str(text: &str) -> Result<Self, Rejection> {
        let id = parse_connection_id(text).map(Self);
        id.ok_or_else(|| Rejection::field("connectionId", "is not a connection id"))
    }
}

/// Which connections to list. `ConnectionFilter::default()` is all of them, 100 per page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionFilter {
    /// Only those of this user.
    pub user_id: Option<String>,
    /// Only those in this channel.
    pub channel: Option<String>,
    /// Only those over this provider.
    pub provider: Option<Provider>,
    /// Connections per page, at most 1,000; 100 without it.
    pub limit: Option<usize>,
    /// Where the page begins: [`ConnectionPage::next`] of the one before.
    pub cursor: Option<ConnectionCursor>,
}

/// Where the next page of a list begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCursor {
    worker: u8,
    after: u32,
}

/// One page of connections. Those that come and go meanwhile may be missing, none is listed twice.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionPage {
    /// The connections, in no particular order.
    pub items: Vec<ConnectionInfo>,
    /// Where the next page begins; `None` at the end. A page may have few items, or none, and still have a next one.
    pub next: Option<ConnectionCursor>,
}

/// A connection as the registry shows it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its public id.
    pub id: ConnectionId,
    /// Who it is; `None` is anonymous.
    pub user_id: Option<String>,
    /// Which of the user's devices it says to be.
    pub device_id: Option<String>,
    /// WebSocket or SSE.
    pub provider: Provider,
    /// The other end of its socket: the client, or the last proxy.
    pub address: SocketAddr,
    /// Its `User-Agent`.
    pub user_agent: Option<String>,
    /// The channels it subscribed to.
    pub channels: Vec<String>,
    /// When it came.
    pub connected_at: SystemTime,
    /// Since its last byte.
    pub idle: Duration,
    /// Of the last ping; `None` before the first, and on SSE.
    pub round_trip: Option<Duration>,
    /// Waiting to be written.
    pub queued_bytes: u32,
    /// Commands it sent.
    pub messages_in: u64,
    /// Frames it got.
    pub messages_out: u64,
    /// Metadata that the application vouches for.
    pub meta: Option<Value>,
    /// Metadata the client gave itself: believe none of it.
    pub client_meta: Option<Value>,
}

impl ConnectionInfo {
    fn of(info: CoreInfo) -> Self {
        let value = |json: Option<Bytes>| json.and_then(|json| value_of(&json));
        Self {
            id: ConnectionId(info.id),
            user_id: info.identity.user.map(|user| user.to_string()),
            device_id: info.device.map(|device| device.to_string()),
            provider: match info.client.provider {
                CoreProvider::WebSocket => Provider::WebSocket,
                CoreProvider::Sse => Provider::Sse,
            },
            address: info.client.address,
            user_agent: info.client.user_agent.map(|agent| agent.to_string()),
            channels: info.channels.iter().map(ToString::to_string).collect(),
            connected_at: UNIX_EPOCH + Duration::from_millis(info.connected_at.0),
            idle: Duration::from_millis(info.idle_ms),
            round_trip: (info.round_trip_ms > 0).then(|| Duration::from_millis(u64::from(info.round_trip_ms))),
            queued_bytes: info.queued_bytes,
            messages_in: info.messages_in,
            messages_out: info.messages_out,
            meta: value(info.identity.meta),
            client_meta: value(info.client_meta),
        }
    }
}

/// The connections of this node. What is done to one is told to its client.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), realtime_connector::Error> {
/// use realtime_connector::{Config, ConnectionFilter, create_realtime_connector};
///
/// let rc = create_realtime_connector(Config::default()).await?;
/// let filter = ConnectionFilter { user_id: Some("user-123".into()), ..ConnectionFilter::default() };
/// for connection in rc.connections().list(filter).await?.items {
///     rc.connections().disconnect(connection.id, Some("signed out")).await?;
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Connections {
    connector: RealtimeConnector,
}

/// Connections per page where nothing is said.
const PAGE: usize = 100;

impl Connections {
    pub(crate) const fn of(connector: RealtimeConnector) -> Self {
        Self { connector }
    }

    /// A page of connections.
    ///
    /// # Errors
    /// A filter by a name that is none, overload.
    pub async fn list(&self, filter: ConnectionFilter) -> Result<ConnectionPage, Rejection> {
        let user = filter.user_id.as_deref().map(UserId::parse).transpose();
        let user = user.map_err(|error| Rejection::name("userId", error))?;
        let channel = filter.channel.as_deref().map(ChannelName::parse).transpose();
        let channel = channel.map_err(|error| Rejection::name("channel", error))?;
        let limit = filter.limit.unwrap_or(PAGE).clamp(1, LIST_MAX);
        let Some(node) = self.connector.node() else { return Ok(ConnectionPage { items: Vec::new(), next: None }) };
        let provider = filter.provider.map(|provider| match provider {
            Provider::WebSocket => CoreProvider::WebSocket,
            Provider::Sse => CoreProvider::Sse,
        });
        let query = ConnectionQuery { app: AppId::default(), after: 0, limit, user, channel, provider };
        runtime::within(self.connector.runtime(), list(node, query, filter.cursor)).await
    }

    /// One connection.
    ///
    /// # Errors
    /// `NotFound` if it is not here (any more), overload.
    pub async fn get(&self, id: ConnectionId) -> Result<ConnectionInfo, Rejection> {
        if let Answer::Connection(Some(info)) = self.call(id, Call::Connection(id.0.key)).await? {
            return Ok(ConnectionInfo::of(*info));
        }
        Err(not_found())
    }

    /// Ends a connection. It is told not to come back (close code 4000), with these words if there are any: at most 123 bytes.
    ///
    /// # Errors
    /// A reason that is too long or has control characters, `NotFound` if the connection is not here (any more), overload.
    pub async fn disconnect(&self, id: ConnectionId, reason: Option<&str>) -> Result<(), Rejection> {
        let reason = reason.map(close_reason).transpose()?.flatten();
        self.act(id, Call::Disconnect { connection: id.0.key, reason }).await
    }

    /// Subscribes a connection to a channel, whatever it may do itself.
    ///
    /// # Errors
    /// A name that is none, `NotFound` if the connection is not here (any more), `LimitExceeded` if it is in as many channels as
    /// it may be, overload.
    pub async fn subscribe(&self, id: ConnectionId, channel: &str) -> Result<(), Rejection> {
        let channel = channel_name(channel)?;
        let node = self.connector.node().ok_or_else(not_found)?;
        let subscribed = runtime::within(self.connector.runtime(), node.subscribe(id.0, channel)).await?;
        subscribed.map(drop).ok_or_else(not_found)
    }

    /// Takes a connection out of a channel. One that is not in it is left as it is.
    ///
    /// # Errors
    /// A name that is none, `NotFound` if the connection is not here (any more), overload.
    pub async fn unsubscribe(&self, id: ConnectionId, channel: &str) -> Result<(), Rejection> {
        let channel = channel_name(channel)?;
        self.act(id, Call::Unsubscribe { connection: id.0.key, channel }).await
    }

    /// Replaces the metadata that the application vouches for: an object of at most 2 KiB.
    ///
    /// # Errors
    /// Metadata that is no object or too large, `NotFound` if the connection is not here (any more), overload.
    pub async fn set_meta(&self, id: ConnectionId, meta: impl Serialize) -> Result<(), Rejection> {
        let meta = Some(metadata_of(&meta)?);
        self.act(id, Call::SetMeta { connection: id.0.key, meta }).await
    }

    /// Removes the metadata that the application vouches for.
    ///
    /// # Errors
    /// `NotFound` if the connection is not here (any more), overload.
    pub async fn clear_meta(&self, id: ConnectionId) -> Result<(), Rejection> {
        self.act(id, Call::SetMeta { connection: id.0.key, meta: None }).await
    }

    async fn act(&self, id: ConnectionId, call: Call) -> Result<(), Rejection> {
        if let Answer::Found(true) = self.call(id, call).await? { Ok(()) } else { Err(not_found()) }
    }

    async fn call(&self, id: ConnectionId, call: Call) -> Result<Answer, Rejection> {
        let node = self.connector.node().ok_or_else(not_found)?;
        let worker = node.worker_of(id.0).ok_or_else(not_found)?;
        runtime::within(self.connector.runtime(), node.call(worker, call)).await
    }
}

/// Goes through the workers until the page is full.
async fn list(
    node: &Node,
    mut query: ConnectionQuery,
    cursor: Option<ConnectionCursor>,
) -> Result<ConnectionPage, Rejection> {
    let ConnectionCursor { worker, after } = cursor.unwrap_or(ConnectionCursor { worker: 0, after: 0 });
    query.after = after;
    let mut items: Vec<ConnectionInfo> = Vec::new();
    for worker in usize::from(worker)..node.workers() {
        let worker = u8::try_from(worker).expect("at most 256 workers");
        let left = query.limit - items.len();
        let ask = ConnectionQuery { limit: left, ..query.clone() };
        if let Answer::Connections { items: page, next } = node.call(WorkerId(worker), Call::Connections(ask)).await? {
            items.extend(page.into_iter().map(ConnectionInfo::of));
            if let Some(after) = next {
                return Ok(ConnectionPage { items, next: Some(ConnectionCursor { worker, after }) });
            }
        }
        query.after = 0;
        if items.len() >= query.limit && usize::from(worker) + 1 < node.workers() {
            return Ok(ConnectionPage { items, next: Some(ConnectionCursor { worker: worker + 1, after: 0 }) });
        }
    }
    Ok(ConnectionPage { items, next: None })
}

/// The words for a connection's end; none for an empty text.
pub(crate) fn close_reason(reason: &str) -> Result<Option<Arc<str>>, Rejection> {
    /// What fits into a WebSocket Close frame beside its number (RFC 6455, 5.5).
    const BYTES_MAX: usize = 123;
    if reason.len() > BYTES_MAX || reason.chars().any(char::is_control) {
        let message = format!("must be at most {BYTES_MAX} bytes without control characters");
        return Err(Rejection::field("reason", message));
    }
    Ok((!reason.is_empty()).then(|| reason.into()))
}

fn channel_name(name: &str) -> Result<ChannelName, Rejection> {
    ChannelName::parse(name).map_err(|error| Rejection::name("channel", error))
}

fn not_found() -> Rejection {
    Rejection::new(RejectionKind::NotFound, "no such connection")
}
