//! `GET /api/events`: what happens to connections and channels, as an event stream for the operator's own services.
//!
//! - `event:` is the type, `data:` the whole event. `?types=client.*,channel.vacated` asks for some of them.
//! - Nothing waits for a reader: what does not fit is dropped, and an `event: $dropped` says how many there, right in its place.
//! - The stream begins with the events after the request. There is no history: whoever must not miss one keeps no gap in its
//!   reading, or compares with `GET /api/connections` after it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::Frame;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_wire::sse;

use super::params::Params;
use super::problem::Refusal;
use crate::app::App;
use crate::event_bus::{Event, Next, Pattern, Tapped};
use crate::transport::sse::stream_response;

/// First bytes: how long a client waits before it comes back, in milliseconds.
const FIRST: &[u8] = b"retry: 1000\n\n";
/// Patterns in one request.
const PATTERNS_MAX: usize = 32;

/// The server's events
///
/// What happens to connections and channels, as Server-Sent Events: `event` is the type, `data` the whole event. An event
/// `$dropped` tells how many are missing in its place because the reader was too slow.
#[utoipa::path(
    get, path = "/api/events", tag = "server", operation_id = "readEvents",
    params((
        "types" = Option<String>, Query,
        description = "Patterns of types, joined by commas, such as `client.*,channel.vacated`; all if absent",
    )),
    responses((status = 200, description = "A stream", body = String, content_type = "text/event-stream")),
)]
pub(super) async fn handle(State(app): State<Arc<App>>, request: Request) -> Result<Response, Refusal> {
    let params = Params::read(request.uri(), &["types"])?;
    let patterns = params.get("types").map(patterns).transpose()?.unwrap_or_default();
    if request.method() == Method::HEAD {
        return Ok(stream_response(Body::empty()));
    }
    let tapped = app.event_bus.tap(patterns).ok_or_else(|| {
        let rejection = Rejection::new(RejectionKind::Overloaded, "as many services read the events as may");
        rejection.retry_after_ms(5_000)
    })?;
    Ok(stream_response(Body::new(EventsBody::new(tapped, app.config.providers.sse.heartbeat_interval))))
}

fn patterns(types: &str) -> Result<Vec<Pattern>, Rejection> {
    let patterns = types.split(',').take(PATTERNS_MAX + 1).map(|source| Pattern::parse(source.trim()));
    let patterns: Vec<Pattern> =
        patterns.collect::<Result<_, _>>().map_err(|error| Rejection::field("types", error.to_string()))?;
    if patterns.len() > PATTERNS_MAX {
        let rejection = Rejection::field("types", format!("must be at most {PATTERNS_MAX} patterns"));
        return Err(rejection.limit(PATTERNS_MAX as u64));
    }
    Ok(patterns)
}

/// Waits for the next bytes and hands the reader back.
type NextBytes = Pin<Box<dyn Future<Output = (Option<Bytes>, Tapped)> + Send>>;

/// The body: the events of a reader as they come, and comments between them.
struct EventsBody {
    next: NextBytes,
    heartbeat: Duration,
}

impl EventsBody {
    fn new(tapped: Tapped, heartbeat: Duration) -> Self {
        Self { next: Box::pin(async move { (Some(Bytes::from_static(FIRST)), tapped) }), heartbeat }
    }

    async fn next(tapped: Tapped, heartbeat: Duration) -> (Option<Bytes>, Tapped) {
        let bytes = match tokio::time::timeout(heartbeat, tapped.next()).await {
            Ok(Next::Event(event)) => Some(block(&event)),
            Ok(Next::Dropped(count)) => Some(format!("event: $dropped\ndata: {{\"count\":{count}}}\n\n").into()),
            Ok(Next::End) => None,
            Err(_) => Some(Bytes::from_static(sse::HEARTBEAT)),
        };
        (bytes, tapped)
    }
}

impl hyper::body::Body for EventsBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let (bytes, tapped) = std::task::ready!(self.next.as_mut().poll(cx));
        self.next = Box::pin(Self::next(tapped, self.heartbeat));
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// An event type holds no control characters, and JSON no line ends outside of its escapes: neither can begin another field.
fn block(event: &Event) -> Bytes {
    let mut block = format!("event: {}\n", event.event_type).into_bytes();
    let json = serde_json::to_vec(event).expect("an event has a JSON form");
    sse::write_data_lines(&mut block, &json);
    block.push(b'\n');
    block.into()
}
