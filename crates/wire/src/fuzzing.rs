//! The bodies of the fuzz targets of JSON, SSE and cursors, here so that plain tests replay their corpora.
//!
//! Whatever the bytes are:
//!
//! - nothing panics, and only JSON objects become commands;
//! - a command says what a plain JSON parser reads out of the same text, and its payload is a part of that text;
//! - a refusal is short and can itself be written;
//! - what has one form – cursors, positions, connection ids – comes back as it was;
//! - a message is one event of SSE with its own name and text, whatever its type and payload hold.

use std::sync::Arc;

use bytes::Bytes;
use realtime_connector_core::command::{Command, Publish, Target};
use realtime_connector_core::cursor::CursorPositions;
use realtime_connector_core::event::Event;
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::history::{HistoryPage, Span};
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, ConnectionId, EventType, MessageId};
use realtime_connector_core::limits::SAFE_INTEGER_MAX;
use realtime_connector_core::position::{Epoch, Position};
use realtime_connector_core::record::Record;
use realtime_connector_core::rejection::Rejection;
use realtime_connector_core::time::{Time, UnixMs};
use serde_json::Value;

use crate::cursor::{self, Cursor};
use crate::json::{self, Broadcast, DecodeLimits, Decoded, Secrets};

/// Small, so that short inputs reach the bounds.
const LIMITS: DecodeLimits = DecodeLimits { message_bytes: 300 };

/// The longest message of a refusal: words of ours and one name that was probably meant, or what a JSON parser says.
const MESSAGE_BYTES_MAX: usize = 160;
/// The longest place: our names, indices, and a cut name of the client.
const FIELD_BYTES_MAX: usize = 100;

/// A speller for tests: the token of a connection is its id.
#[derive(Clone, Copy, Debug)]
pub struct PlainSecrets;

impl Secrets for PlainSecrets {
    fn session_token(&self, connection: ConnectionId) -> String {
        format!("s.{}", json::connection_id_to_string(connection))
    }
}

/// One frame of a client.
///
/// # Panics
/// When a rule of the decoder is broken.
pub fn json_decoder(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    check_decoded(&json::decode(text, &LIMITS), text);
}

/// The body of a POST with frames.
///
/// # Panics
/// When a rule of the decoder is broken.
pub fn json_body(data: &[u8]) {
    match json::decode_body(data, &LIMITS) {
        Err(rejection) => check_rejection(&rejection),
        Ok(body) => {
            let text = std::str::from_utf8(data).expect("a body is UTF-8");
            assert!(!body.frames.is_empty() && body.frames.len() <= json::BODY_FRAMES_MAX);
            assert!(body.array || body.frames.len() == 1);
            body.frames.iter().for_each(|frame| check_refusal(frame, text));
            let refused = body.frames.iter().all(|frame| frame.result.is_err());
            assert!(refused || is_json(text), "a part of a broken text was taken");
        }
    }
    for outcome in [json::decode_subscribe_body(data).err(), json::decode_meta_body(data).err()] {
        outcome.iter().for_each(check_rejection);
    }
}

/// The body of a broadcast.
///
/// # Panics
/// When a rule of the decoder is broken.
pub fn json_broadcast(data: &[u8]) {
    let text = std::str::from_utf8(data).unwrap_or_default();
    let parsed = serde_json::from_str::<Value>(text).ok();
    match json::decode_broadcast(data, &LIMITS) {
        Err(rejection) => check_rejection(&rejection),
        Ok(Broadcast::One(publish)) => {
            assert!(is_json(text));
            check_publish(&publish, text, parsed.as_ref());
        }
        Ok(Broadcast::Many(messages)) => {
            assert!(is_json(text));
            assert!(messages.len() <= json::BROADCAST_MESSAGES_MAX);
            for (index, message) in messages.iter().enumerate() {
                let parsed = parsed.as_ref().map(|parsed| &parsed["messages"][index]);
                match message {
                    Ok(publish) => check_publish(publish, text, parsed),
                    Err(rejection) => check_rejection(rejection),
                }
            }
        }
    }
}

/// The open form of a cursor.
///
/// # Panics
/// When it has two forms.
pub fn sse_cursor(data: &[u8]) {
    const EPOCHS_AT: usize = 14;
    let Some(cursor) = Cursor::decode(data) else { return };
    let mut positions = CursorPositions::default();
    for group in &cursor.positions {
        assert!(group.offsets.iter().all(|(_, offset)| *offset <= SAFE_INTEGER_MAX));
        group.offsets.iter().for_each(|(print, offset)| positions.push(&group.epoch, *print, *offset));
    }
    let mut again = Vec::new();
    cursor::encode(&mut again, &positions, cursor.session);
    assert!(again[..EPOCHS_AT] == data[..EPOCHS_AT] && again[EPOCHS_AT + 1..] == data[EPOCHS_AT + 1..]);
    // What had no room is not in there any more.
    assert_eq!(again[EPOCHS_AT], data[EPOCHS_AT] & 0x7f);
}

/// A message to an event stream: the first byte is the length of its type, the rest type and payload.
///
/// # Panics
/// When a parser of event streams sees anything but that message.
pub fn sse_block(data: &[u8]) {
    let Some((&len, rest)) = data.split_first() else { return };
    let Some((name, payload)) = rest.split_at_checked(usize::from(len)) else { return };
    let (Ok(name), Ok(payload)) = (std::str::from_utf8(name), std::str::from_utf8(payload)) else { return };
    let (Ok(event_type), Ok(channel)) = (EventType::parse(name), ChannelName::parse("c")) else { return };
    let event = Event::Message(Arc::new(message(channel, event_type, Bytes::copy_from_slice(payload.as_bytes()))));
    let expected_name = match name {
        "message" => "message".to_owned(),
        "open" | "error" => format!("$type:{name}"),
        _ => name.to_owned(),
    };
    let seen = sse_events(&crate::encode(&event, Dialect::SseData, &PlainSecrets));
    assert_eq!(seen, [SseEvent { name: expected_name, data: unix_lines(payload), id: None }]);
    let mut frame = Vec::new();
    json::write_event(&mut frame, &event, &PlainSecrets);
    let frame = String::from_utf8(frame).expect("a frame is UTF-8");
    let block = crate::encode(&event, Dialect::SseFrames, &PlainSecrets);
    assert_eq!(sse_events(&block), [SseEvent { name: "message".to_owned(), data: unix_lines(&frame), id: None }]);
    // What a connection makes of a block that moves its position.
    let mut with_cursor = block[..block.len() - 1].to_vec();
    with_cursor.extend_from_slice(b"id: AgF0\n\n");
    assert_eq!(sse_events(&with_cursor)[0].id.as_deref(), Some("AgF0"));
}

/// Positions, connection ids, places in the past and cursors of pages as they stand in URLs.
///
/// # Panics
/// When one has two spellings.
pub fn url_names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(position) = json::parse_position(text) {
        assert_eq!(json::position_to_string(&position), text);
        assert!(position.offset <= SAFE_INTEGER_MAX);
    }
    if let Some(id) = json::parse_connection_id(text) {
        assert_eq!(json::connection_id_to_string(id), text);
    }
    for name in ["since", "cursor"] {
        match json::query_of(|asked| (asked == name).then_some(text), 1) {
            Ok(query) => check_next(&query.span, text),
            Err(rejection) => check_rejection(&rejection),
        }
    }
}

/// The cursor of a page comes back as it was.
fn check_next(span: &Span, text: &str) {
    let Span::Rest(rest) = span else { return };
    let position = Position { epoch: rest.epoch.clone(), offset: rest.until };
    let page = HistoryPage { records: Vec::new(), position, next: Some(rest.clone()), gap: None, pending: None };
    let mut out = Vec::new();
    json::write_history(&mut out, &page, &ChannelKey::everyone(AppId::default()));
    let written: Value = serde_json::from_slice(&out).expect("an object");
    assert_eq!(written["next"], text);
}

/// A message of a channel, ephemeral and without extras.
#[must_use]
pub fn message(channel: ChannelName, event_type: EventType, data: Bytes) -> Record {
    Record {
        channel: ChannelKey::named(AppId::default(), channel),
        epoch: Epoch::none(),
        offset: None,
        id: MessageId::parse("m1").expect("a name"),
        time: UnixMs(1_795_478_400_000),
        admitted: Time::default(),
        user: None,
        event_type,
        data,
        key: None,
        meta: None,
        ttl: None,
        exclude: Box::default(),
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

fn check_decoded(decoded: &Decoded, text: &str) {
    check_refusal(decoded, text);
    let parsed = serde_json::from_str::<Value>(text).ok();
    let Ok(command) = &decoded.result else { return };
    assert!(is_json(text), "taken, but no JSON");
    let field = |name: &str| parsed.as_ref().map(|parsed| parsed[name].clone());
    if let Some(reference) = field("ref") {
        assert_eq!(reference.as_u64(), decoded.reference);
    }
    let op = match command {
        Command::Connect(_) => "connect",
        Command::Ping => "ping",
        Command::Subscribe(_) => "subscribe",
        Command::Unsubscribe { .. } => "unsubscribe",
        Command::Publish(publish) => {
            check_publish(publish, text, parsed.as_ref());
            "publish"
        }
        Command::History(_) => "history",
        Command::Consume(_) => "consume",
        Command::Ack(_) => "ack",
        Command::Inbox(_) => "inbox",
        Command::Meta { meta } => {
            check_part(meta, text, field("meta"));
            "meta"
        }
        Command::Close => "close",
    };
    assert!(field("op").is_none_or(|parsed| parsed == op), "{op}");
}

fn check_publish(publish: &Publish, text: &str, parsed: Option<&Value>) {
    assert!(publish.data.len() <= LIMITS.message_bytes);
    let field = |name: &str| parsed.map(|parsed| parsed[name].clone());
    if publish.data != "null" {
        check_part(&publish.data, text, field("data"));
    }
    if let Some(meta) = &publish.meta {
        check_part(meta, text, field("meta"));
    }
    let (channel, user) = match &publish.target {
        Target::Everyone => (None, None),
        Target::Channel(channel) => (Some(channel.as_str()), None),
        Target::User(user) => (None, Some(user.as_str())),
        Target::UserInChannel { user, channel } => (Some(channel.as_str()), Some(user.as_str())),
    };
    let spoken = [
        ("type", Some(publish.event_type.as_str())),
        ("channel", channel),
        ("userId", user),
        ("id", publish.id.as_ref().map(MessageId::as_str)),
    ];
    for (name, value) in spoken {
        assert!(field(name).is_none_or(|field| field.as_str() == value), "{name}");
    }
}

/// A payload is a part of the text it came in, and the same value.
fn check_part(part: &Bytes, text: &str, parsed: Option<Value>) {
    let part = std::str::from_utf8(part).expect("a part of a text");
    assert!(text.contains(part));
    if let Some(parsed) = parsed {
        assert_eq!(serde_json::from_str::<Value>(part).ok(), Some(parsed));
    }
}

fn check_refusal(decoded: &Decoded, text: &str) {
    assert!(decoded.reference.is_none_or(|it| (1..=SAFE_INTEGER_MAX).contains(&it) && text.contains(&it.to_string())));
    decoded.result.as_ref().err().into_iter().for_each(check_rejection);
}

fn check_rejection(rejection: &Rejection) {
    assert!(!rejection.message.is_empty() && rejection.message.len() <= MESSAGE_BYTES_MAX, "{rejection:?}");
    assert!(rejection.field.as_ref().is_none_or(|field| field.len() <= FIELD_BYTES_MAX), "{rejection:?}");
    let (status, problem) = json::problem_json(rejection);
    assert!((400..500).contains(&status), "bad input is never the server's fault");
    assert!(serde_json::from_slice::<Value>(&problem).is_ok(), "{rejection:?}");
}

/// An event as a client of an event stream sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// `message` where the stream says nothing.
    pub name: String,
    /// The lines, joined by LF.
    pub data: String,
    /// The last event id, if the block sets one.
    pub id: Option<String>,
}

/// Reads an event stream as the WHATWG HTML standard says (section 9.2.6), on its own and apart from the writer.
///
/// # Panics
/// When the stream is not UTF-8.
#[must_use]
pub fn sse_events(stream: &[u8]) -> Vec<SseEvent> {
    let text = std::str::from_utf8(stream).expect("a stream is UTF-8");
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut events, mut name, mut data, mut id) = (Vec::new(), String::new(), String::new(), None);
    // What follows the last line end is an unfinished line and is ignored.
    let lines = unix_lines(text);
    for line in lines.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "" if line.is_empty() => {
                if let Some(data) = data.strip_suffix('\n') {
                    let name = if name.is_empty() { "message" } else { &name };
                    events.push(SseEvent { name: name.to_owned(), data: data.to_owned(), id: id.take() });
                }
                name.clear();
                data.clear();
            }
            "event" => value.clone_into(&mut name),
            "data" => {
                data.push_str(value);
                data.push('\n');
            }
            "id" if !value.contains('\0') => id = Some(value.to_owned()),
            _ => {}
        }
    }
    events
}

/// A text with LF in place of CRLF and CR.
#[must_use]
pub fn unix_lines(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}
