//! A session: connect, subscriptions, signs of life and the end.
//!
//! Names of the server's own making are spelled here too: connection ids (base64url of their 13 bytes), and `$all` and `$user`
//! for the channels that have no name.

mod connect;
mod subscribe;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use realtime_connector_core::command::{Command, Ref};
use realtime_connector_core::id::{Audience, CONNECTION_ID_BYTES, ChannelKey, ConnectionId};
use realtime_connector_core::rejection::{Close, Rejection};
use realtime_connector_core::time::UnixMs;

pub(super) use connect::{decode as decode_connect, write_connected};
pub(super) use subscribe::{
    decode as decode_subscribe, decode_unsubscribe, listen, write_subscribed, write_unsubscribed,
};
pub use subscribe::{
    decode_body as decode_subscribe_body, decode_unsubscribe_body, write_body as write_subscribed_body,
};

use super::error::close_code;
use super::fields::{Object, Shape, Value};
use super::publish::meta;
use super::utf8;
use super::write::Writer;
use crate::codes::Verdict;

/// Characters of a connection id.
const CONNECTION_ID_CHARS: usize = 18;

/// Spells a connection id.
#[must_use]
pub fn connection_id_to_string(id: ConnectionId) -> String {
    URL_SAFE_NO_PAD.encode(id.to_bytes())
}

/// Reads a connection id. `None` for anything that is not the one spelling of 13 bytes; whether somebody lives there is
/// another question.
#[must_use]
pub fn parse_connection_id(text: &str) -> Option<ConnectionId> {
    if text.len() != CONNECTION_ID_CHARS {
        return None;
    }
    let mut bytes = [0; CONNECTION_ID_BYTES];
    let read = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
    (read == CONNECTION_ID_BYTES).then(|| ConnectionId::from_bytes(bytes))
}

/// How a channel is called in frames. A user's own channel has the same spelling for every user, since only that user hears it.
pub(super) fn spelling(channel: &ChannelKey) -> &str {
    match &channel.audience {
        Audience::Everyone => "$all",
        Audience::User(_) => "$user",
        Audience::Named(name) => name.as_str(),
    }
}

pub(super) fn decode_ping(object: &Object<'_>) -> Result<Command, Rejection> {
    object.only("ping", &[], &[])?;
    Ok(Command::Ping)
}

pub(super) fn decode_close(object: &Object<'_>) -> Result<Command, Rejection> {
    object.only("close", &[], &[])?;
    Ok(Command::Close)
}

pub(super) fn decode_meta(object: &Object<'_>) -> Result<Command, Rejection> {
    object.only("meta", &["meta"], &[])?;
    Ok(Command::Meta { meta: meta(&object.required("meta")?)? })
}

/// Reads the body of `PATCH /api/connections/{id}`: `{"meta":{…}}`.
///
/// # Errors
/// What is wrong with it.
pub fn decode_meta_body(body: &[u8]) -> Result<Bytes, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    meta(&only_meta(&object)?)
}

/// As [`decode_meta_body`], and `{"meta":null}` stands for none.
///
/// # Errors
/// What is wrong with it.
pub fn decode_meta_or_null_body(body: &[u8]) -> Result<Option<Bytes>, Rejection> {
    let object = Object::read(utf8(body)?, Shape::Plain);
    let value = only_meta(&object)?;
    if value.raw == "null" { Ok(None) } else { meta(&value).map(Some) }
}

fn only_meta<'a>(object: &Object<'a>) -> Result<Value<'a>, Rejection> {
    object.check()?;
    object.only("this request", &["meta"], &[])?;
    object.required("meta")
}

pub(super) fn write_pong(out: &mut Vec<u8>, reference: Option<Ref>, time: UnixMs) {
    let mut writer = Writer::frame(out, "pong", reference);
    writer.integer("time", time.0);
    writer.end();
}

pub(super) fn write_goaway(out: &mut Vec<u8>, close: Close, reason: Option<&str>) {
    let code = close_code(close);
    let mut writer = Writer::frame(out, "goaway", None);
    writer.integer("code", u64::from(code.number()));
    writer.text("reason", reason.unwrap_or(code.reason()));
    writer.boolean("resume", code.verdict() != Verdict::Stop);
    writer.end();
}
