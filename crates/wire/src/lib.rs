//! Formats of Realtime Connector: native JSON, WebSocket and SSE framing, sans-IO.
//!
//! | module | what it holds |
//! |---|---|
//! | [`json`] | the frames of the native protocol, and bodies of the HTTP API |
//! | [`websocket`] | RFC 6455 |
//! | [`sse`] | event streams |
//! | [`cursor`] | what an SSE client hands back to go on where it was |
//! | [`codes`] | the codes of refusals and ends |

#[path = "codes.gen.rs"]
pub mod codes;
pub mod cursor;
#[doc(hidden)]
pub mod fuzzing;
pub mod json;
pub mod sse;
pub mod websocket;

use bytes::Bytes;
use realtime_connector_core::event::Event;
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::position::Offset;

use json::Secrets;
use websocket::{Opcode, frame_in_place};

/// A Ping frame without payload.
const WEBSOCKET_PING: &[u8] = &[0x89, 0x00];

/// A Ping with an offset in it, which its Pong brings back (RFC 6455, 5.5.3).
fn websocket_probe(offset: Offset) -> Bytes {
    frame_in_place(Opcode::Ping, size_of::<Offset>(), |out| out.extend_from_slice(&offset.to_be_bytes()))
}

/// The offset in the Pong to a Ping that asked for proof; `None` if it is the Pong to something else.
#[must_use]
pub fn probed(pong: &[u8]) -> Option<Offset> {
    Some(Offset::from_be_bytes(pong.try_into().ok()?))
}

/// The bytes of an event in a dialect, complete and ready to write: a WebSocket frame with its header, or a block of SSE.
/// A heartbeat is a Ping or a comment.
#[must_use]
pub fn encode(event: &Event, dialect: Dialect, secrets: &dyn Secrets) -> Bytes {
    match (dialect, event) {
        (Dialect::WebSocketJson, Event::Heartbeat) => Bytes::from_static(WEBSOCKET_PING),
        (Dialect::WebSocketJson, Event::Probe(offset)) => websocket_probe(*offset),
        (Dialect::WebSocketJson, _) => {
            frame_in_place(Opcode::Text, json::event_bytes(event), |out| json::write_event(out, event, secrets))
        }
        (Dialect::SseData, _) => sse::encode_data(event, secrets),
        (Dialect::SseFrames, _) => sse::encode_frames(event, secrets),
    }
}
