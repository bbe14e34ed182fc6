//! `/api/connections`: who is connected, and what the application may do with a connection.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use bytes::Bytes;
use realtime_connector_core::id::{AppId, ChannelName, ConnectionId, UserId};
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::session;
use realtime_connector_core::worker::{Answer, Call, ConnectionInfo, ConnectionQuery};
use realtime_connector_wire::json;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::pages::{self, List, Page, Source};
use super::params::Params;
use super::problem::Refusal;
use super::schemas::{ChannelBody, Empty, MetaBody, Subscribed};
use super::{answer, body};
use crate::app::App;

/// Bytes of `reason`: what a WebSocket Close frame has room for (RFC 6455, section 5.5).
const REASON_BYTES_MAX: usize = 123;

/// A connection as the registry shows it.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    /// Its public id.
    connection_id: String,
    /// Who it is; absent if anonymous.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    provider: Provider,
    protocol: Protocol,
    /// The peer of the socket: the nearest proxy, if there is one.
    #[schema(examples("203.0.113.9:50312"))]
    address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_agent: Option<String>,
    /// Channels it subscribed to by name.
    channels: Vec<String>,
    /// Milliseconds since 1970 UTC.
    connected_at: u64,
    /// When its last byte came, in milliseconds since 1970 UTC.
    last_seen_at: u64,
    /// Round trip of the last ping in milliseconds; absent before the first and on SSE.
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt_ms: Option<u32>,
    /// Bytes that wait to be written.
    queued_bytes: u32,
    /// Commands it sent.
    messages_in: u64,
    /// Frames it got.
    messages_out: u64,
    /// Metadata that credentials or the application vouch for.
    #[schema(value_type = Object)]
    meta: Box<RawValue>,
    /// The client's own metadata. Anybody can write anything there.
    #[schema(value_type = Object)]
    client_meta: Box<RawValue>,
}

/// How a client reaches the server.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum Provider {
    WebSocket,
    Sse,
}

/// The HTTP version a connection came in by.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
enum Protocol {
    #[serde(rename = "http/1.1")]
    Http1,
    #[serde(rename = "h2")]
    Http2,
}

impl Connection {
    fn new(info: ConnectionInfo, now_ms: u64) -> Self {
        let ConnectionInfo { id, identity, client, channels, .. } = info;
        Self {
            connection_id: json::connection_id_to_string(id),
            user_id: identity.user.map(|user| user.as_str().to_owned()),
            provider: match client.provider {
                session::Provider::WebSocket => Provider::WebSocket,
                session::Provider::Sse => Provider::Sse,
            },
            protocol: match client.protocol {
                session::Protocol::Http1 => Protocol::Http1,
                session::Protocol::Http2 => Protocol::Http2,
            },
            address: client.address.to_string(),
            user_agent: client.user_agent.map(|agent| agent.as_ref().to_owned()),
            channels: channels.iter().map(|channel| channel.as_str().to_owned()).collect(),
            connected_at: info.connected_at.0,
            // Two clocks are rounded here; nobody was seen before it came.
            last_seen_at: now_ms.saturating_sub(info.idle_ms).max(info.connected_at.0),
            rtt_ms: (info.round_trip_ms > 0).then_some(info.round_trip_ms),
            queued_bytes: info.queued_bytes,
            messages_in: info.messages_in,
            messages_out: info.messages_out,
            meta: object(identity.meta),
            client_meta: object(info.client_meta),
        }
    }
}

/// Metadata as it was given. Authenticators of applications may give anything; what is not JSON is shown as none.
fn object(meta: Option<Bytes>) -> Box<RawValue> {
    let text = meta.and_then(|bytes| String::from_utf8(bytes.into()).ok());
    let none = || RawValue::from_string("{}".to_owned()).expect("an empty object is JSON");
    text.and_then(|text| RawValue::from_string(text).ok()).unwrap_or_else(none)
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// List connections
///
/// All of them, or those of a user, in a channel, over a provider; several filters are joined by *and*.
#[utoipa::path(
    get, path = "/api/connections", tag = "connections", operation_id = "listConnections",
    params(
        ("userId" = Option<String>, Query, description = "Only connections of this user"),
        ("channel" = Option<String>, Query, description = "Only connections that subscribed to this channel"),
        ("provider" = Option<Provider>, Query, description = "Only connections over this provider"),
        ("limit" = Option<u32>, Query, description = "Items of the page, 1 to 1,000; 100 if absent"),
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
    ),
    responses((status = 200, description = "A page; a filtered one may be short although more follow", body = Page<Connection>)),
)]
pub(super) async fn list(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["userId", "channel", "provider", "limit", "cursor"])?;
    let query = ConnectionQuery {
        app: AppId::default(),
        user: params.name("userId", UserId::parse)?,
        channel: params.name("channel", ChannelName::parse)?,
        provider: provider(&params)?,
        ..ConnectionQuery::default()
    };
    let source = Source {
        list: List::Connections,
        call: |after, limit| Call::Connections(ConnectionQuery { after, limit, ..query.clone() }),
        take: |answer| {
            let Answer::Connections { items, next } = answer else { return None };
            Some((items, next))
        },
    };
    let page = pages::collect(&app, &params, source).await?;
    let now = now_ms();
    let items = page.items.into_iter().map(|info| Connection::new(info, now)).collect();
    Ok(answer::json(&Page { items, next: page.next }))
}

fn provider(params: &Params) -> Result<Option<session::Provider>, Rejection> {
    match params.get("provider") {
        None => Ok(None),
        Some("websocket") => Ok(Some(session::Provider::WebSocket)),
        Some("sse") => Ok(Some(session::Provider::Sse)),
        Some(_) => Err(Rejection::field("provider", "must be 'websocket' or 'sse'")),
    }
}

/// Get a connection
#[utoipa::path(
    get, path = "/api/connections/{connectionId}", tag = "connections", operation_id = "getConnection",
    params(("connectionId" = String, Path, description = "Its public id")),
    responses((status = 200, description = "The connection", body = Connection)),
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let id = connection_id(path)?;
    let Answer::Connection(Some(info)) = call(&app, id, Call::Connection(id.key)).await? else {
        return Err(not_found().into());
    };
    Ok(answer::json(&Connection::new(*info, now_ms())))
}

/// End a connection
///
/// It is told `goaway` with code 4000, which says not to come back.
#[utoipa::path(
    delete, path = "/api/connections/{connectionId}", tag = "connections", operation_id = "endConnection",
    params(
        ("connectionId" = String, Path, description = "Its public id"),
        ("reason" = Option<String>, Query, description = "Told to the client; at most 123 bytes"),
    ),
    responses((status = 200, description = "It ends", body = Empty)),
)]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["reason"])?;
    let reason = params.get("reason");
    if reason.is_some_and(|reason| reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control)) {
        let message = format!("must be at most {REASON_BYTES_MAX} bytes without control characters");
        return Err(Rejection::field("reason", message).into());
    }
    let id = connection_id(path)?;
    let end = Call::Disconnect { connection: id.key, reason: reason.filter(|it| !it.is_empty()).map(Arc::from) };
    found(call(&app, id, end).await?)
}

/// Set the metadata of a connection
///
/// Replaces what the application keeps with the connection. The client's own metadata stays.
#[utoipa::path(
    patch, path = "/api/connections/{connectionId}", tag = "connections", operation_id = "setConnectionMeta",
    params(("connectionId" = String, Path, description = "Its public id")),
    request_body = MetaBody,
    responses((status = 200, description = "It is set", body = Empty)),
)]
pub(super) async fn set_meta(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let id = connection_id(path)?;
    let meta = json::decode_meta_or_null_body(&body::read(request, body::FRAME_BYTES_MAX).await?)?;
    found(call(&app, id, Call::SetMeta { connection: id.key, meta }).await?)
}

/// Subscribe a connection
///
/// From now on; the client is told as if it had asked itself.
#[utoipa::path(
    post, path = "/api/connections/{connectionId}/subscribe", tag = "connections", operation_id = "subscribeConnection",
    params(("connectionId" = String, Path, description = "Its public id")),
    request_body = ChannelBody,
    responses((status = 200, description = "It is subscribed", body = Subscribed)),
)]
pub(super) async fn subscribe(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let id = connection_id(path)?;
    let channel = channel_of(request).await?;
    let subscribed = app.node.subscribe(id, channel).await?.ok_or_else(not_found)?;
    let mut bytes = Vec::new();
    json::write_subscribed_body(&mut bytes, &subscribed);
    Ok(answer::json_bytes(bytes))
}

/// Unsubscribe a connection
///
/// The client is told. Ending a subscription that is not there changes nothing.
#[utoipa::path(
    post, path = "/api/connections/{connectionId}/unsubscribe", tag = "connections", operation_id = "unsubscribeConnection",
    params(("connectionId" = String, Path, description = "Its public id")),
    request_body = ChannelBody,
    responses((status = 200, description = "It is no longer subscribed", body = Empty)),
)]
pub(super) async fn unsubscribe(
    State(app): State<Arc<App>>,
    path: Result<Path<String>, PathRejection>,
    request: Request,
) -> Result<Response, Refusal> {
    Params::none(request.uri())?;
    let id = connection_id(path)?;
    let channel = channel_of(request).await?;
    found(call(&app, id, Call::Unsubscribe { connection: id.key, channel }).await?)
}

/// Both bodies are `{"channel":…}`.
async fn channel_of(request: Request) -> Result<ChannelName, Refusal> {
    let bytes = body::read(request, body::FRAME_BYTES_MAX).await?;
    Ok(json::decode_unsubscribe_body(&bytes)?)
}

/// The id in a path. One that is none names no connection, like one that nobody has.
fn connection_id(path: Result<Path<String>, PathRejection>) -> Result<ConnectionId, Rejection> {
    path.ok().and_then(|Path(id)| json::parse_connection_id(&id)).ok_or_else(not_found)
}

/// Asks the worker of a connection.
async fn call(app: &App, connection: ConnectionId, call: Call) -> Result<Answer, Rejection> {
    let worker = app.node.worker_of(connection).ok_or_else(not_found)?;
    app.node.call(worker, call).await
}

fn found(said: Answer) -> Result<Response, Refusal> {
    if matches!(said, Answer::Found(true)) { Ok(answer::empty()) } else { Err(not_found().into()) }
}

fn not_found() -> Rejection {
    Rejection::new(RejectionKind::NotFound, "no such connection")
}
