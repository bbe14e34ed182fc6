//! What an application sends, and to whom.

use std::time::Duration;

use bytes::Bytes;
use realtime_connector_core::command::{Publish, Target as CoreTarget};
use realtime_connector_core::id::{ChannelName, EventType, MessageId, MessageKey, UserId};
use realtime_connector_core::limits::{EXCLUDE_MAX, META_BYTES_MAX, TTL_MAX};
use realtime_connector_wire::json::{DEPTH_MAX, is_deep};
use serde::{Deserialize, Serialize};

pub use realtime_connector_core::command::Ack;
use realtime_connector_core::rejection::{Rejection, RejectionKind};

use crate::connections::ConnectionId;

/// A message as the application writes it: a type, its data, and how it is sent.
///
/// ```
/// use realtime_connector::Message;
/// use serde_json::json;
///
/// #[derive(serde::Serialize)]
/// struct Price { symbol: &'static str, cents: u64 }
///
/// let update = Message::new("update", json!({"status": "processing"}));
/// let price = Message::new("price", Price { symbol: "ACME", cents: 4_213 })
///     .id("tick-4711") // a repeat within 5 minutes is answered, not sent again
///     .key("ACME")
///     .meta(json!({"source": "exchange"}));
/// # let _ = (update, price);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a message does nothing until it is broadcast"]
pub struct Message {
    event_type: String,
    data: Json,
    id: Option<String>,
    key: Option<String>,
    meta: Option<Json>,
    ephemeral: bool,
    exclude: Vec<ConnectionId>,
    ack: Option<Ack>,
    ttl: Option<Duration>,
}

/// A value as JSON text, or why it has none: told when the message is sent, so that building one never fails.
type Json = Result<Bytes, String>;

impl Message {
    /// A message of a type with its data: a `serde_json::Value`, or anything that can be written as JSON.
    ///
    /// The type is what `addEventListener` hears: 1–128 bytes, no control characters, no leading `$`. The data may have 64 KiB,
    /// or what `limits.messageBytes` says.
    pub fn new(event_type: impl Into<String>, data: impl Serialize) -> Self {
        Self {
            event_type: event_type.into(),
            data: json(&data),
            id: None,
            key: None,
            meta: None,
            ephemeral: false,
            exclude: Vec::new(),
            ack: None,
            ttl: None,
        }
    }

    /// The message's id, 1–128 bytes. The same id to the same target within 5 minutes is sent once: a repeat gets the first
    /// result, marked as duplicate, and other content with it is a conflict. Without one the server makes one.
    pub fn id(self, id: impl Into<String>) -> Self {
        Self { id: Some(id.into()), ..self }
    }

    /// Groups messages of which the newest matters, 1–128 bytes.
    pub fn key(self, key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), ..self }
    }

    /// Context that is not content: an object of at most 2 KiB.
    pub fn meta(self, meta: impl Serialize) -> Self {
        Self { meta: Some(json(&meta)), ..self }
    }

    /// At most once: without a position, never stored, dropped for readers that are slow. For what is stale a second later.
    pub fn ephemeral(self) -> Self {
        Self { ephemeral: true, ..self }
    }

    /// These connections do not get it, at most 16: in practice the tabs of whoever caused the message.
    pub fn exclude(self, connections: impl IntoIterator<Item = ConnectionId>) -> Self {
        Self { exclude: connections.into_iter().collect(), ..self }
    }

    /// When the publish is answered. Without it: when the message is stored where its channel is persisted, else when it is ordered.
    pub fn ack(self, ack: Ack) -> Self {
        Self { ack: Some(ack), ..self }
    }

    /// For how long it is worth replaying, a millisecond to a year: whoever comes later is told that it was skipped.
    pub fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// Checks the message as the HTTP API would.
    pub(crate) fn into_publish(self, target: Target, message_bytes_max: usize) -> Result<Publish, Rejection> {
        let name = |field| move |error| Rejection::name(field, error);
        let event_type = EventType::parse(&self.event_type).map_err(name("type"))?;
        let id = self.id.as_deref().map(MessageId::parse).transpose().map_err(name("id"))?;
        let key = self.key.as_deref().map(MessageKey::parse).transpose().map_err(name("key"))?;
        if self.exclude.len() > EXCLUDE_MAX {
            let message = format!("must be at most {EXCLUDE_MAX} connection ids");
            return Err(Rejection::field("exclude", message).limit(EXCLUDE_MAX as u64));
        }
        let target = target.into_core()?;
        let always_ephemeral = matches!(target, CoreTarget::UserInChannel { .. });
        Ok(Publish {
            target,
            event_type,
            data: bounded("data", self.data, message_bytes_max)?,
            id,
            key,
            meta: self.meta.map(metadata).transpose()?,
            ephemeral: self.ephemeral || always_ephemeral,
            exclude: self.exclude.into_iter().map(ConnectionId::into_core).collect(),
            ack: self.ack,
            ttl: self.ttl.map(time_to_live).transpose()?,
        })
    }
}

fn json(value: &impl Serialize) -> Json {
    serde_json::to_vec(value).map(Bytes::from).map_err(|error| error.to_string())
}

fn time_to_live(ttl: Duration) -> Result<Duration, Rejection> {
    let fits = (Duration::from_millis(1)..=TTL_MAX).contains(&ttl);
    fits.then_some(ttl).ok_or_else(|| Rejection::field("ttlMs", "must be a millisecond to a year"))
}

/// The text of a metadata object.
pub(crate) fn metadata_of(value: &impl Serialize) -> Result<Bytes, Rejection> {
    metadata(json(value))
}

fn metadata(json: Json) -> Result<Bytes, Rejection> {
    let text = bounded("meta", json, META_BYTES_MAX)?;
    if text.starts_with(b"{") { Ok(text) } else { Err(Rejection::field("meta", "must be an object")) }
}

fn bounded(field: &'static str, json: Json, bytes_max: usize) -> Result<Bytes, Rejection> {
    let json = json.map_err(|error| Rejection::field(field, format!("cannot be written as JSON: {error}")))?;
    if json.len() > bytes_max {
        let message = format!("must be at most {bytes_max} bytes, is {}", json.len());
        let rejection = Rejection::new(RejectionKind::TooLarge, message).limit(bytes_max as u64);
        return Err(rejection.at(field));
    }
    if std::str::from_utf8(&json).is_ok_and(is_deep) {
        return Err(Rejection::field(field, format!("must nest at most {DEPTH_MAX} levels")));
    }
    Ok(json)
}

/// A text that came in as `data` or `meta`, as a value. The parser's own bound on depth is below that of the protocol, which holds
/// for what came in.
pub(crate) fn value_of(json: &[u8]) -> Option<serde_json::Value> {
    if std::str::from_utf8(json).is_ok_and(is_deep) {
        return None;
    }
    let mut parser = serde_json::Deserializer::from_slice(json);
    parser.disable_recursion_limit();
    let value = serde_json::Value::deserialize(&mut parser).ok()?;
    parser.end().is_ok().then_some(value)
}

/// Who gets a message.
///
/// ```
/// use realtime_connector::Target;
///
/// let everyone = Target::everyone();
/// let subscribers = Target::channel("orders");
/// let everywhere = Target::user("user-123");
/// let her_in_the_room = Target::user("user-123").in_channel("room:7");
/// # let _ = (everyone, subscribers, everywhere, her_in_the_room);
/// ```
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

    /// The subscribers of a channel: 1–255 bytes, no control characters, no `*`, no leading `$`.
    pub fn channel(channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), user: None }
    }

    /// Every connection of a user, on whatever device: 1–128 bytes, no control characters, no leading `$`.
    pub fn user(user: impl Into<String>) -> Self {
        Self { channel: None, user: Some(user.into()) }
    }

    /// Only those connections that are in this channel. For a user the message is then ephemeral, always.
    #[must_use]
    pub fn in_channel(self, channel: impl Into<String>) -> Self {
        Self { channel: Some(channel.into()), ..self }
    }

    pub(crate) fn into_core(self) -> Result<CoreTarget, Rejection> {
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::{Value, json};

    use super::*;

    /// Which field is refused, and as what.
    #[track_caller]
    fn check(message: Message, target: Target, expected: (RejectionKind, &str)) {
        let rejection = message.into_publish(target, 1_024).expect_err("refused");
        assert_eq!((rejection.kind, rejection.field.as_deref()), (expected.0, Some(expected.1)), "{rejection}");
    }

    #[test]
    fn a_message_is_refused_by_the_field_at_fault() {
        let bad = RejectionKind::BadRequest;
        let fine = || Message::new("update", json!(1));
        let everyone = Target::everyone;
        let deep = (0..200).fold(json!(null), |inner, _| json!([inner]));
        let odd_keys = BTreeMap::from([(vec![1], 2)]);
        check(Message::new("", 1), everyone(), (bad, "type"));
        check(Message::new("$connected", 1), everyone(), (bad, "type"));
        check(Message::new("a", "x".repeat(1_100)), everyone(), (RejectionKind::TooLarge, "data"));
        check(Message::new("a", deep), everyone(), (bad, "data"));
        check(Message::new("a", odd_keys), everyone(), (bad, "data"));
        check(fine().id(""), everyone(), (bad, "id"));
        check(fine().key("a\nb"), everyone(), (bad, "key"));
        check(fine().meta(json!([1])), everyone(), (bad, "meta"));
        check(fine().meta(json!({"a": "x".repeat(3_000)})), everyone(), (RejectionKind::TooLarge, "meta"));
        check(fine(), Target::channel("chat:*"), (bad, "channel"));
        check(fine(), Target::user("").in_channel("a"), (bad, "userId"));
        let id = || "AAAAAAAAAAAAAAAAAQ".parse().expect("a connection id");
        check(fine().exclude((0..17).map(|_| id())), everyone(), (bad, "exclude"));
    }

    #[test]
    fn what_a_message_says_is_what_is_published() {
        let message =
            Message::new("update", json!({"n": 1})).id("m1").key("k").meta(json!({"from": "web"})).ephemeral();
        let publish = message.ack(Ack::None).into_publish(Target::channel("orders"), 1_024).expect("a good message");
        assert_eq!((publish.event_type.as_str(), &*publish.data), ("update", &b"{\"n\":1}"[..]));
        assert_eq!(publish.id.as_ref().map(MessageId::as_str), Some("m1"));
        assert_eq!(publish.key.as_ref().map(MessageKey::as_str), Some("k"));
        assert_eq!(publish.meta.as_deref(), Some(&b"{\"from\":\"web\"}"[..]));
        assert!(publish.ephemeral);
        assert_eq!(publish.ack, Some(Ack::None));
        assert_eq!(publish.target, CoreTarget::Channel(ChannelName::parse("orders").expect("a name")));
    }

    #[test]
    fn a_user_in_a_channel_gets_ephemeral_messages_only() {
        let target = Target::user("ada").in_channel("orders");
        let publish = Message::new("a", Value::Null).into_publish(target, 1_024).expect("a good message");
        assert!(publish.ephemeral);
    }
}
