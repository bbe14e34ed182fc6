//! The native protocol in JSON: frames and bodies of clients to commands, events to frames.
//!
//! - Decoding is strict: an unknown field, a duplicate key, a missing or mistyped value is `bad_request` and names the field;
//!   what the protocol reserves for later is `not_enabled`.
//! - `ref` is recovered from a frame that is refused whenever it can be read, so that the error finds its frame.
//! - The payloads of messages are copied, never parsed: they come out byte for byte as they went in.
//! - Fields are written in a fixed order, `op` first. What belongs to a channel says nothing about its receiver.
//! - This module knows no framing; WebSocket and SSE are [`crate::websocket`] and [`crate::sse`].

mod acks;
mod consumers;
mod error;
mod fields;
mod history;
mod inbox;
mod publish;
mod scan;
mod session;
mod write;

use realtime_connector_core::command::{Command, Ref};
use realtime_connector_core::event::{Event, Outcome};
use realtime_connector_core::id::ConnectionId;
use realtime_connector_core::rejection::{Rejection, RejectionKind};

pub use acks::{AckBody, decode_ack_body};
pub use consumers::{
    Requeue, Take, decode_requeue_body, decode_take_body, write_consumers, write_dead_letters, write_requeued,
    write_taken,
};
pub use error::{close_code, code, problem_json, problem_json_as, write_rejection};
pub use history::{
    Purge, decode_purge_body, parse_position, position_to_string, query_of, write_history, write_purged,
};
pub use inbox::{InboxAck, parse_inbox_cursor, parse_inbox_mode, write_inbox};
pub use publish::{BROADCAST_MESSAGES_MAX, Broadcast, decode_broadcast, write_published};
pub use scan::{DEPTH_MAX, is_deep};
pub use session::{
    connection_id_to_string, decode_meta_body, decode_meta_or_null_body, decode_subscribe_body,
    decode_unsubscribe_body, parse_connection_id, write_subscribed_body,
};

use fields::{Object, Shape, nearest};
use write::Writer;

/// Frames in one POST body.
pub const BODY_FRAMES_MAX: usize = 64;
/// Bytes of a body of several frames or messages. Whoever reads the body has to stop there; larger ones are refused here too.
pub const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of a frame beyond those of its `data`: names, metadata and some space.
pub const FRAME_OVERHEAD_BYTES: usize = 16 * 1024;

/// Ops of clients that are served.
const SERVED: &[&str] =
    &["connect", "ping", "subscribe", "unsubscribe", "publish", "history", "consume", "ack", "inbox", "meta", "close"];
/// Ops of clients that are reserved for features to come.
const RESERVED: &[&str] = &["auth", "presence", "typing", "receipts", "watch", "status"];

/// Bounds of what is decoded that an operator may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Bytes of a message's `data` as it is written.
    pub message_bytes: usize,
}

impl DecodeLimits {
    /// Bytes of a whole frame; the bound for a WebSocket message.
    #[must_use]
    pub const fn frame_bytes(&self) -> usize {
        self.message_bytes + FRAME_OVERHEAD_BYTES
    }

    fn check_frame(&self, text: &str) -> Result<(), Rejection> {
        let limit = self.frame_bytes();
        if text.len() <= limit {
            return Ok(());
        }
        let message = format!("a frame must be at most {limit} bytes, is {}", text.len());
        Err(Rejection::new(RejectionKind::TooLarge, message).limit(limit as u64))
    }
}

/// One frame of a client.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The number for the answer.
    pub reference: Option<Ref>,
    /// What the client asks for, or why it is refused.
    pub result: Result<Command, Rejection>,
}

/// A POST body.
#[derive(Clone, Debug, PartialEq)]
pub struct Body {
    /// At least one.
    pub frames: Vec<Decoded>,
    /// Whether they stood in a list, so that the answer is one too.
    pub array: bool,
}

/// What only the server can spell.
pub trait Secrets {
    /// The session token of a connection.
    fn session_token(&self, connection: ConnectionId) -> String;
}

/// Decodes one frame of a client. The caller bounds the text by [`DecodeLimits::frame_bytes`].
#[must_use]
pub fn decode(text: &str, limits: &DecodeLimits) -> Decoded {
    let object = Object::read(text, Shape::Frame);
    let (reference, result) = match (object.check(), object.reference()) {
        (Ok(()), Ok(reference)) => (reference, decode_command(&object, limits)),
        (Err(fault), reference) => (reference.ok().flatten(), Err(fault)),
        (Ok(()), Err(fault)) => (None, Err(fault)),
    };
    Decoded { reference, result }
}

/// Decodes a POST body: one frame, or a list of 1 to [`BODY_FRAMES_MAX`].
///
/// # Errors
/// What is wrong with the body as a whole: too large, no JSON, or no frame in it.
pub fn decode_body(body: &[u8], limits: &DecodeLimits) -> Result<Body, Rejection> {
    let text = utf8(body)?;
    if !text.trim_start().starts_with('[') {
        return Ok(Body { frames: vec![decode_bounded(text, limits)], array: false });
    }
    let Some(texts) = fields::list(text, BODY_FRAMES_MAX)? else {
        let message = format!("a body must be at most {BODY_FRAMES_MAX} frames");
        return Err(Rejection::new(RejectionKind::TooLarge, message).limit(BODY_FRAMES_MAX as u64));
    };
    if texts.is_empty() {
        return Err(Rejection::new(RejectionKind::BadRequest, "a body must be at least one frame"));
    }
    Ok(Body { frames: texts.into_iter().map(|text| decode_bounded(text, limits)).collect(), array: true })
}

/// Decodes a frame whose size nobody has looked at. One that is too large is still read for its `ref`.
fn decode_bounded(text: &str, limits: &DecodeLimits) -> Decoded {
    match limits.check_frame(text) {
        Ok(()) => decode(text, limits),
        Err(rejection) => {
            let reference = Object::read(text, Shape::Frame).reference().ok().flatten();
            Decoded { reference, result: Err(rejection) }
        }
    }
}

fn utf8(body: &[u8]) -> Result<&str, Rejection> {
    if body.len() > BODY_BYTES_MAX {
        let message = format!("a body must be at most {BODY_BYTES_MAX} bytes, is {}", body.len());
        return Err(Rejection::new(RejectionKind::TooLarge, message).limit(BODY_BYTES_MAX as u64));
    }
    simdutf8::basic::from_utf8(body).map_err(|_| Rejection::new(RejectionKind::BadRequest, "a body must be UTF-8"))
}

fn decode_command(object: &Object<'_>, limits: &DecodeLimits) -> Result<Command, Rejection> {
    let value = object.required("op")?;
    let op = value.text()?;
    match &*op {
        "connect" => session::decode_connect(object),
        "ping" => session::decode_ping(object),
        "subscribe" => session::decode_subscribe(object),
        "unsubscribe" => session::decode_unsubscribe(object),
        "publish" => publish::decode(object, limits),
        "history" => history::decode(object),
        "consume" => consumers::decode(object),
        "ack" => acks::decode(object),
        "inbox" => inbox::decode(object),
        "meta" => session::decode_meta(object),
        "close" => session::decode_close(object),
        reserved if RESERVED.contains(&reserved) => {
            let message = format!("'{reserved}' is reserved and not served yet");
            Err(Rejection::new(RejectionKind::NotEnabled, message).at("op"))
        }
        unknown => Err(value.refuse(match nearest(unknown, SERVED.iter()) {
            Some(hint) => format!("is not an op of this protocol; did you mean '{hint}'?"),
            None => "is not an op of this protocol".to_owned(),
        })),
    }
}

/// Writes an event as a JSON object, appending, without any framing. A heartbeat is no frame and writes nothing.
pub fn write_event(out: &mut Vec<u8>, event: &Event, secrets: &dyn Secrets) {
    match event {
        Event::Connected(connected) => session::write_connected(out, connected, secrets),
        Event::Ok { reference, outcome } => {
            let mut writer = Writer::frame(out, "ok", *reference);
            match outcome {
                Outcome::Done => {}
                Outcome::Published(published) => publish::write_published_fields(&mut writer, published),
                Outcome::History(page) => history::write_history_fields(&mut writer, page, None),
                Outcome::Inbox(page) => inbox::write_inbox_fields(&mut writer, page),
                Outcome::Consuming(joined) => consumers::write_joined_fields(&mut writer, joined),
            }
            writer.end();
        }
        Event::Error { reference, rejection } => {
            let mut writer = Writer::frame(out, "error", *reference);
            error::write_fields(&mut writer, rejection, true);
            writer.end();
        }
        Event::Subscribed { reference, subscribed } => session::write_subscribed(out, *reference, subscribed),
        Event::Unsubscribed { reference, channel } => session::write_unsubscribed(out, *reference, channel),
        Event::Message(record) => publish::write_message(out, record),
        Event::Delivery(delivery) => consumers::write_delivery(out, delivery),
        Event::Consumer(notice) => consumers::write_notice(out, notice),
        Event::Gap { channel, gap, position } => history::write_gap(out, channel, gap, position),
        Event::Ping => Writer::frame(out, "ping", None).end(),
        Event::Heartbeat | Event::Probe(_) => {}
        Event::Inbox { pending, cancelled, dropped } => inbox::write_event(out, *pending, cancelled, *dropped),
        Event::Pong { reference, time } => session::write_pong(out, *reference, *time),
        Event::Goaway { close, reason } => session::write_goaway(out, *close, reason.as_deref()),
    }
}

/// The `op` of an event; `None` for a heartbeat, which is no frame.
pub(crate) const fn op(event: &Event) -> Option<&'static str> {
    match event {
        Event::Connected(_) => Some("connected"),
        Event::Ok { .. } => Some("ok"),
        Event::Error { .. } => Some("error"),
        Event::Subscribed { .. } => Some("subscribed"),
        Event::Unsubscribed { .. } => Some("unsubscribed"),
        Event::Message(_) => Some("message"),
        Event::Delivery(_) => Some("delivery"),
        Event::Consumer(_) => Some("consumer"),
        Event::Gap { .. } => Some("gap"),
        Event::Ping => Some("ping"),
        Event::Heartbeat | Event::Probe(_) => None,
        Event::Inbox { .. } => Some("inbox"),
        Event::Pong { .. } => Some("pong"),
        Event::Goaway { .. } => Some("goaway"),
    }
}

/// About how many bytes [`write_event`] will write; used to allocate once.
pub(crate) fn event_bytes(event: &Event) -> usize {
    /// Enough for every answer with names of usual length.
    const ANSWER_BYTES: usize = 256;
    /// One entry of `connected.subscriptions`.
    const SUBSCRIPTION_BYTES: usize = 160;
    match event {
        Event::Message(record) => publish::message_bytes(record),
        Event::Delivery(delivery) => consumers::delivery_bytes(delivery),
        Event::Connected(connected) => 2 * ANSWER_BYTES + SUBSCRIPTION_BYTES * connected.subscriptions.len(),
        Event::Ping | Event::Heartbeat | Event::Probe(_) => 16,
        Event::Inbox { cancelled, .. } => ANSWER_BYTES + 8 * cancelled.len(),
        Event::Ok { outcome: Outcome::History(page) | Outcome::Inbox(page), .. } => {
            ANSWER_BYTES + history::history_bytes(page)
        }
        Event::Ok { .. }
        | Event::Error { .. }
        | Event::Subscribed { .. }
        | Event::Unsubscribed { .. }
        | Event::Gap { .. }
        | Event::Consumer(_)
        | Event::Pong { .. }
        | Event::Goaway { .. } => ANSWER_BYTES,
    }
}
