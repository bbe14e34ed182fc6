//! `GET /sse`, `POST /sse`: Server-Sent Events (WHATWG HTML, section 9.2), and how their stream gets to a worker.
//!
//! - Our own listener, HTTP/1.1: the socket moves before any response exists; the head is written by hand, the body ends with the
//!   connection and is never chunked, so that shared bytes are the same everywhere.
//! - HTTP/2 and routers mounted in a host application: the response body is pumped.
//! - EOF makes a browser come back, 204 and errors stop it for good. So overload, and whatever else passes by itself, is 200, a
//!   jittered `retry:`, and the end.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use hyper::body::Frame;
use realtime_connector_core::command::{Command, Connect, Listen};
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::{AppId, ChannelKey};
use realtime_connector_core::permissions::Identity;
use realtime_connector_core::position::{Position, Start};
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::session::Provider;
use realtime_connector_wire::cursor::Cursor;
use realtime_connector_wire::json::{self, DecodeLimits};

use super::Handover;
use super::pump::{self, TaskEnd};
use super::request::{self, Query};
use super::takeover::Takeover;
use crate::app::App;
use crate::auth;
use crate::engine::Stream;
use crate::http::problem::Refusal;
use crate::http::{body, cors, problem};

/// How long a browser waits before it comes back, in milliseconds.
const RETRY_MS: u32 = 1_000;
/// Headers of every stream. `no-transform` and `X-Accel-Buffering` keep proxies from compressing or collecting it.
const STREAM_HEADERS: [(&str, &str); 4] = [
    ("content-type", "text/event-stream; charset=utf-8"),
    ("cache-control", "no-store, no-transform"),
    ("x-accel-buffering", "no"),
    ("x-content-type-options", "nosniff"),
];

/// The handler of the SSE endpoint.
pub(crate) async fn handle(State(app): State<Arc<App>>, request: Request) -> Response {
    let (parts, request_body) = request.into_parts();
    if !accepts_stream(&parts.headers) {
        let message = "this endpoint answers with text/event-stream";
        return problem::with_status(axum::http::StatusCode::NOT_ACCEPTABLE, message);
    }
    if parts.method == Method::HEAD {
        return stream_response(Body::empty());
    }
    if is_stopped(&app, &parts) {
        return axum::http::StatusCode::NO_CONTENT.into_response();
    }
    let handover = match prepare(&app, &parts, request_body).await {
        Ok(handover) => handover,
        // Any other status would stop an `EventSource` for good, although the same request can succeed later.
        Err(Refusal::Rejection(rejection)) if json::code(rejection.kind).retryable() && parts.method == Method::GET => {
            return overloaded(&app);
        }
        Err(refusal) => return refusal.into_response(),
    };
    if let Some(takeover) = parts.extensions.get::<Takeover>() {
        let head = head(&cors::headers(&app.cors, &parts.headers));
        takeover.request(Handover { head, ..handover });
        // The driver drops this future together with hyper's connection.
        return std::future::pending().await;
    }
    let (worker, task) = pump::pair();
    let handover = Handover { head: retry_line(RETRY_MS), ..handover };
    app.node.adopt(handover.with(Stream::Pumped(worker), Bytes::new()));
    stream_response(Body::new(PumpedBody::new(task)))
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
    accepts.peek().is_none()
        || accepts.filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(',')).any(|range| {
            let range = range.split(';').next().unwrap_or_default().trim();
            ["text/event-stream", "text/*", "*/*"].iter().any(|it| range.eq_ignore_ascii_case(it))
        })
}

async fn prepare(app: &App, parts: &Parts, request_body: Body) -> Result<Handover, Refusal> {
    let place = app.take_place()?;
    let query = Query::parse(parts)?;
    let mut credentials = request::credentials(app, parts, &query)?;
    let (reference, mut connect) = if parts.method == Method::POST {
        posted_connect(app, parts, request_body).await?
    } else {
        (None, query.connect(app.config.limits.channels_per_connection as usize)?)
    };
    if let Some(token) = connect.token.take() {
        if credentials.token.as_ref().is_some_and(|explicit| *explicit != token) {
            return Err(Rejection::field("token", "contradicts the Authorization header").into());
        }
        credentials.token = Some(token);
    }
    let identity = auth::ask(&*app.authenticator, credentials, auth::PATIENCE).await?;
    let identity = identity.ok_or_else(auth::needs_credentials)?;
    let dialect = dialect(parts, &query)?;
    connect.former = connect.resume.take().and_then(|token| app.node.keys.session_of(&token));
    if let Some(cursor) = last_event_id(parts, &query) {
        restore(app, &cursor, &identity, &mut connect);
    }
    let client = app.user_agents.client(parts, Provider::Sse);
    let (identity, connect) = (Some(identity), Some(connect));
    Ok(Handover { head: Bytes::new(), dialect, client, identity, connect, reference, token: None, place })
}

async fn posted_connect(app: &App, parts: &Parts, request_body: Body) -> Result<(Option<u64>, Connect), Refusal> {
    let bytes = body::json(&parts.headers, request_body, body::FRAME_BYTES_MAX).await?;
    let limits = DecodeLimits { message_bytes: app.config.limits.message_bytes as usize };
    let mut frames = json::decode_body(&bytes, &limits)?.frames;
    match (frames.pop(), frames.is_empty()) {
        (Some(frame), true) => match frame.result? {
            Command::Connect(connect) => Ok((frame.reference, *connect)),
            Command::Ping
            | Command::Subscribe(_)
            | Command::Unsubscribe { .. }
            | Command::Publish(_)
            | Command::History(_)
            | Command::Consume(_)
            | Command::Ack(_)
            | Command::Inbox(_)
            | Command::Meta { .. }
            | Command::Close => Err(Rejection::field("op", "must be 'connect' here").into()),
        },
        (_, _) => Err(Rejection::new(RejectionKind::BadRequest, "the body must be one 'connect' frame").into()),
    }
}

fn dialect(parts: &Parts, query: &Query) -> Result<Dialect, Rejection> {
    if parts.method == Method::POST {
        return Ok(Dialect::SseFrames);
    }
    match query.format.as_deref() {
        None | Some("data") => Ok(Dialect::SseData),
        Some("frames") => Ok(Dialect::SseFrames),
        Some(_) => Err(Rejection::field("format", "must be 'data' or 'frames'")),
    }
}

/// The cursor a browser repeats by itself, or one a page carries over by hand.
fn last_event_id(parts: &Parts, query: &Query) -> Option<String> {
    let header = parts.headers.get("last-event-id").and_then(|value| value.to_str().ok());
    header.filter(|id| !id.is_empty()).map(str::to_owned).or_else(|| query.last_event_id.clone())
}

/// Whether the cursor is that of a session that was ended for good. Nothing but 204 keeps a browser from coming back.
fn is_stopped(app: &App, parts: &Parts) -> bool {
    let sealed = Query::parse(parts).ok().and_then(|query| last_event_id(parts, &query));
    sealed.and_then(|sealed| open(app, &sealed)).is_some_and(|cursor| app.node.stopped.contains(cursor.session))
}

fn open(app: &App, sealed: &str) -> Option<Cursor> {
    app.node.keys.open_cursor(sealed).and_then(|plain| Cursor::decode(&plain))
}

/// Sets the positions of a cursor as starting points. Channels of the URL that a whole cursor does not name are new to the client
/// and begin as they were asked for; those that had no room in it begin with a loss that is told.
fn restore(app: &App, sealed: &str, identity: &Identity, connect: &mut Connect) {
    let Some(cursor) = open(app, sealed) else { return lose_position(identity, connect) };
    connect.former = connect.former.or(Some(cursor.session));
    let Some(first) = cursor.positions.first() else { return lose_position(identity, connect) };
    let position = |channel: &ChannelKey| cursor.position(channel.fingerprint());
    for subscribe in &mut connect.subscriptions {
        let Listen::Named(name) = &subscribe.listen else { continue };
        let channel = ChannelKey::named(identity.app, name.clone());
        // A browser repeats its URL with the `since` of the first time: the cursor is newer.
        if let Some(position) = position(&channel) {
            subscribe.start = Start::Since(position);
        } else if cursor.left_out && !has_position(&subscribe.start) {
            subscribe.start = Start::Since(Position::unknown());
        }
    }
    // A user's channel in memory has no state before its first message: no position means "from its first one on". Its epoch is
    // that of the channel of everyone, which is kept in the same way.
    let everyone = position(&ChannelKey::everyone(AppId::default()));
    let epoch = everyone.as_ref().map_or_else(|| first.epoch.clone(), |position| position.epoch.clone());
    let from = |position: Option<Position>| position.map_or_else(|| Start::Beginning(epoch.clone()), Start::Since);
    implicit(connect, Listen::Everyone, from(everyone));
    if let Some(user) = &identity.user {
        implicit(connect, Listen::OwnUser, from(position(&ChannelKey::user(identity.app, user.clone()))));
    }
    connect.positions = Some(cursor.positions);
}

/// Whether the client says itself where it was.
const fn has_position(start: &Start) -> bool {
    match start {
        Start::Since(_) => true,
        Start::Now | Start::Rewind(_) | Start::RewindMs(_) | Start::Beginning(_) => false,
    }
}

/// The client had positions that nobody can read any more: each channel answers with an `epoch` gap and what it retains.
fn lose_position(identity: &Identity, connect: &mut Connect) {
    let nowhere = || Start::Since(Position::unknown());
    for subscribe in connect.subscriptions.iter_mut().filter(|it| !has_position(&it.start)) {
        subscribe.start = nowhere();
    }
    implicit(connect, Listen::Everyone, nowhere());
    if identity.user.is_some() {
        implicit(connect, Listen::OwnUser, nowhere());
    }
    connect.positions = Some(Vec::new());
}

fn implicit(connect: &mut Connect, listen: Listen, start: Start) {
    if connect.subscriptions.iter().all(|subscribe| subscribe.listen != listen) {
        connect.subscriptions.push(realtime_connector_core::command::Subscribe { listen, start });
    }
}

/// The head of a stream on a socket of our own.
fn head(cors: &HeaderMap) -> Bytes {
    let mut head = BytesMut::with_capacity(512);
    head.put_slice(b"HTTP/1.1 200 OK\r\nconnection: close\r\n");
    let fixed = STREAM_HEADERS.iter().map(|(name, value)| (*name, value.as_bytes()));
    let extra = cors.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    for (name, value) in fixed.chain(extra) {
        head.put_slice(name.as_bytes());
        head.put_slice(b": ");
        head.put_slice(value);
        head.put_slice(b"\r\n");
    }
    head.put_slice(b"\r\n");
    head.put_slice(&retry_line(RETRY_MS));
    head.freeze()
}

fn retry_line(ms: u32) -> Bytes {
    Bytes::from(format!("retry: {ms}\n\n"))
}

pub(crate) fn stream_response(body: Body) -> Response {
    let mut response = Response::new(body);
    for (name, value) in STREAM_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// A stream that ends at once, with the time after which the browser comes back spread over ten seconds.
fn overloaded(app: &App) -> Response {
    let ms = 5_000 + app.jitter() % 10_000;
    let mut response = stream_response(Body::from(retry_line(ms)));
    problem::close(&mut response);
    response
}

/// A response body whose bytes a worker makes.
struct PumpedBody {
    next: Pin<Box<dyn Future<Output = Chunk> + Send>>,
}

/// What the worker wrote (`None` at the end), and the pump's end for the next time.
type Chunk = (Option<Vec<u8>>, TaskEnd);

impl PumpedBody {
    fn new(task: TaskEnd) -> Self {
        Self { next: Box::pin(Self::next(task)) }
    }

    async fn next(task: TaskEnd) -> Chunk {
        (task.outbound().await, task)
    }
}

impl hyper::body::Body for PumpedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (bytes, task) = std::task::ready!(self.next.as_mut().poll(cx));
        self.next = Box::pin(Self::next(task));
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes.into()))))
    }
}
