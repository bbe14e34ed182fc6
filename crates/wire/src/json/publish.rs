//! Publish: messages in, as frames or bodies of the HTTP API, and out to their subscribers.
//!
//! `data` and `meta` pass through as they were written; nothing in between parses them.

use std::time::Duration;

use bytes::Bytes;
use realtime_connector_core::command::{Ack, Command, Publish, Target};
use realtime_connector_core::event::Published;
use realtime_connector_core::id::{ChannelName, ConnectionId, EventType, MessageId, MessageKey, UserId};
use realtime_connector_core::limits::{EXCLUDE_MAX, TTL_MAX};
use realtime_connector_core::record::Record;
use realtime_connector_core::rejection::{Rejection, RejectionKind};

use super::fields::{Object, Shape, Value};
use super::history::write_position;
use super::session::{parse_connection_id, spelling};
use super::write::{Writer, alternatives};
use super::{DecodeLimits, utf8};

/// Messages in one `POST /api/broadcast`.
pub const BROADCAST_MESSAGES_MAX: usize = 100;

const SERVED: &[&str] =
    &["channel", "userId", "type", "data", "id", "key", "ephemeral", "exclude", "meta", "ack", "ttlMs"];
const RESERVED: &[&str] = &["mentions", "encoding"];

/// The body of `POST /api/broadcast`.
#[derive(Clone, Debug, PartialEq)]
pub enum Broadcast {
    /// One message.
    One(Box<Publish>),
    /// At most [`BROADCAST_MESSAGES_MAX`] messages; each is accepted or refused for itself.
    Many(Vec<Result<Publish, Rejection>>),
}

/// Reads the body of `POST /api/broadcast`: the fields of `publish`, or `{"messages":[…]}`.
///
/// # Errors
/// What is wrong with the body as a whole. A message of several that is wrong is an entry of [`Broadcast::Many`].
pub fn decode_broadcast(body: &[u8], limits: &DecodeLimits) -> Result<Broadcast, Rejection> {
    let text = utf8(body)?;
    let object = Object::read(text, Shape::Plain);
    object.check()?;
    let Some(messages) = object.get("messages") else {
        limits.check_frame(text)?;
        return Ok(Broadcast::One(Box::new(read(&object, "a broadcast", limits)?)));
    };
    object.only("a broadcast of 'messages'", &["messages"], &[])?;
    let Some(messages) = messages.list(BROADCAST_MESSAGES_MAX)? else {
        let message = format!("must be at most {BROADCAST_MESSAGES_MAX} messages");
        let rejection = Rejection::new(RejectionKind::TooLarge, message).limit(BROADCAST_MESSAGES_MAX as u64);
        return Err(rejection.at("messages"));
    };
    let one = |value: Value<'_>| {
        limits.check_frame(value.raw)?;
        let object = Object::read(value.raw, Shape::Plain);
        object.check()?;
        read(&object, "a message", limits)
    };
    Ok(Broadcast::Many(messages.into_iter().map(one).collect()))
}

pub(super) fn decode(object: &Object<'_>, limits: &DecodeLimits) -> Result<Command, Rejection> {
    Ok(Command::Publish(Box::new(read(object, "publish", limits)?)))
}

fn read(object: &Object<'_>, what: &str, limits: &DecodeLimits) -> Result<Publish, Rejection> {
    object.only(what, SERVED, RESERVED)?;
    let channel = object.optional("channel", |value| value.name(ChannelName::parse))?;
    let user = object.optional("userId", |value| value.name(UserId::parse))?;
    let ephemeral = object.optional("ephemeral", Value::boolean)?;
    let target = match (channel, user) {
        (None, None) => Target::Everyone,
        (Some(channel), None) => Target::Channel(channel),
        (None, Some(user)) => Target::User(user),
        (Some(channel), Some(user)) => {
            if ephemeral == Some(false) {
                let message = "must be true, or absent, where 'channel' and 'userId' are both given";
                return Err(Rejection::field(object.place("ephemeral"), message));
            }
            Target::UserInChannel { user, channel }
        }
    };
    let always = matches!(target, Target::UserInChannel { .. });
    Ok(Publish {
        target,
        event_type: object.required("type")?.name(EventType::parse)?,
        data: data(object, limits)?,
        id: object.optional("id", |value| value.name(MessageId::parse))?,
        key: object.optional("key", |value| value.name(MessageKey::parse))?,
        meta: object.optional("meta", meta)?,
        ephemeral: always || ephemeral.unwrap_or(false),
        exclude: object.optional("exclude", exclude)?.unwrap_or_default(),
        ack: object.optional("ack", ack)?,
        ttl: object.optional("ttlMs", ttl)?,
    })
}

fn data(object: &Object<'_>, limits: &DecodeLimits) -> Result<Bytes, Rejection> {
    let Some(value) = object.get("data") else { return Ok(Bytes::from_static(b"null")) };
    value.bounded(limits.message_bytes)?;
    Ok(Bytes::copy_from_slice(value.raw.as_bytes()))
}

pub(super) fn meta(value: &Value<'_>) -> Result<Bytes, Rejection> {
    value.meta().map(|text| Bytes::copy_from_slice(text.as_bytes()))
}

fn exclude(value: &Value<'_>) -> Result<Vec<ConnectionId>, Rejection> {
    let Some(ids) = value.list(EXCLUDE_MAX)? else {
        let message = format!("must be at most {EXCLUDE_MAX} connection ids");
        return Err(value.refuse(message).limit(EXCLUDE_MAX as u64));
    };
    let id = |value: &Value<'_>| {
        parse_connection_id(&value.text()?).ok_or_else(|| value.refuse("is not a connection id of this server"))
    };
    ids.iter().map(id).collect()
}

fn ack(value: &Value<'_>) -> Result<Ack, Rejection> {
    match &*value.text()? {
        "none" => Ok(Ack::None),
        "node" => Ok(Ack::Node),
        "stored" => Ok(Ack::Stored),
        _ => Err(value.refuse(format!("must be {}", alternatives(&["none", "node", "stored"])))),
    }
}

fn ttl(value: &Value<'_>) -> Result<Duration, Rejection> {
    value.integer(1, TTL_MAX.as_millis() as u64).map(Duration::from_millis)
}

/// The result of a publish as an object of its own: the answer of `POST /api/broadcast`.
pub fn write_published(out: &mut Vec<u8>, published: &Published) {
    let mut writer = Writer::new(out);
    write_published_fields(&mut writer, published);
    writer.end();
}

pub(super) fn write_published_fields(writer: &mut Writer<'_>, published: &Published) {
    writer.text("id", published.id.as_str());
    if let Some(position) = &published.position {
        write_position(writer, position);
    }
    // A duplicate gets the first answer again, and who was there then says nothing about now.
    if published.duplicate {
        writer.boolean("duplicate", true);
    } else {
        writer.integer("connections", u64::from(published.connections));
    }
    if published.queued {
        writer.boolean("queued", true);
    }
}

pub(super) fn write_message(out: &mut Vec<u8>, record: &Record) {
    let mut writer = Writer::frame(out, "message", None);
    writer.text("channel", spelling(&record.channel));
    writer.integer_if("offset", record.offset);
    writer.text("id", record.id.as_str());
    writer.integer("time", record.time.0);
    writer.text_if("userId", record.user.as_ref().map(UserId::as_str));
    writer.text("type", record.event_type.as_str());
    writer.raw("data", &record.data);
    writer.text_if("key", record.key.as_ref().map(MessageKey::as_str));
    writer.raw_if("meta", record.meta.as_deref());
    writer.end();
}

/// About how long the frame of a message will be, in bytes: exact but for escapes, so that one allocation is enough.
pub(super) fn message_bytes(record: &Record) -> usize {
    /// Names of all fields, and numbers of full length.
    const FIXED_BYTES: usize = 160;
    let meta = record.meta.as_ref().map_or(0, Bytes::len);
    let key = record.key.as_ref().map_or(0, |key| key.as_str().len());
    let user = record.user.as_ref().map_or(0, |user| user.as_str().len());
    let names = spelling(&record.channel).len() + record.id.as_str().len() + record.event_type.as_str().len();
    FIXED_BYTES + names + key + user + meta + record.data.len()
}
