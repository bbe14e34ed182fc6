//! What happens to connections and channels, as events of the bus.
//!
//! | type | payload |
//! |---|---|
//! | `client.connected` | `connectionId, userId?, provider, sequence` |
//! | `client.disconnected` | `connectionId, userId?, reason, code?, sequence` |
//! | `subscription.added`, `subscription.removed` | `connectionId, userId?, channel, sequence` |
//! | `channel.occupied`, `channel.vacated` | `channel` |
//! | `message.published` | `channel, id, time, type, data`, and `position?, userId?, key?, meta?` |
//! | `inbox.queued` | `userId, pending, from, to, connections` |
//! | `inbox.overflow` | `userId, pending, dropped` |
//! | `consumer.dead` | `channel, consumer, position, attempts, reason, time`, and `id?` |
//! | `events.dropped` | `count` |
//!
//! `sequence` counts the events of one connection from 1. They arrive in that order, and without a hole unless `events.dropped`
//! says so. Nothing orders the events of different connections, nor those of a channel against those of a connection.

use std::sync::Arc;

use realtime_connector_core::consumers::Death;
use realtime_connector_core::id::{Audience, ChannelKey, ConnectionId, MessageKey, UserId};
use realtime_connector_core::position::Position;
use realtime_connector_core::record::Record;
use realtime_connector_core::rejection::Close;
use realtime_connector_core::session::Provider;
use realtime_connector_core::worker::{DisconnectReason, Lifecycle};
use realtime_connector_wire::json::{close_code, connection_id_to_string};
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};

use super::EventBus;
use crate::app::App;
use crate::message::value_of;

/// Everything the server publishes.
pub(crate) const SERVER_TYPES: [&str; 12] = [
    "client.connected",
    "client.resumed",
    "client.disconnected",
    "subscription.added",
    "subscription.removed",
    "channel.occupied",
    "channel.vacated",
    "message.published",
    "inbox.queued",
    "inbox.overflow",
    "consumer.dead",
    "events.dropped",
];

/// Carries the engine's events to the bus, until `ended` is true and none is left.
pub(crate) async fn pump(app: Arc<App>, mut events: mpsc::Receiver<Lifecycle>, mut ended: watch::Receiver<bool>) {
    let bus = &app.event_bus;
    let mut dropped_told = 0;
    loop {
        let event = tokio::select! {
            biased;
            event = events.recv() => event,
            _ = ended.wait_for(|ended| *ended) => None,
        };
        let dropped = app.node.lifecycle_dropped();
        if dropped > dropped_told {
            tell_dropped(bus, dropped - dropped_told).await;
            dropped_told = dropped;
        }
        let Some(event) = event else { return };
        app.earthquakes.notice(&event);
        let (event_type, payload) = spell(&event);
        bus.publish_own(event_type, Value::Object(payload)).await;
    }
}

async fn tell_dropped(bus: &EventBus, count: u64) {
    tracing::warn!(count, "event handlers are too slow; events of the server were dropped");
    bus.note_dropped(count);
    let mut payload = Map::new();
    payload.insert("count".into(), count.into());
    // Those who read along have been told by a line of their own.
    bus.publish_to_handlers("events.dropped", Value::Object(payload)).await;
}

/// One line in the log when a connection begins and one when it ends. Called by workers: nothing is spelled unless somebody reads.
pub(crate) fn log_connection(event: &Lifecycle) {
    if !tracing::enabled!(tracing::Level::DEBUG) {
        return;
    }
    match event {
        Lifecycle::Connected { connection, user, provider, .. } => {
            let (connection, user) = (connection_id_to_string(*connection), user.as_ref().map(UserId::as_str));
            tracing::debug!(connection, user, provider = provider_name(*provider), "connected");
        }
        Lifecycle::Disconnected { connection, user, reason, .. } => {
            let (connection, user) = (connection_id_to_string(*connection), user.as_ref().map(UserId::as_str));
            tracing::debug!(connection, user, reason = disconnected(*reason).0, "disconnected");
        }
        Lifecycle::Resumed { .. }
        | Lifecycle::SubscriptionAdded { .. }
        | Lifecycle::SubscriptionRemoved { .. }
        | Lifecycle::ChannelOccupied { .. }
        | Lifecycle::ChannelVacated { .. }
        | Lifecycle::InboxQueued { .. }
        | Lifecycle::InboxOverflow { .. }
        | Lifecycle::ConsumerDead { .. }
        | Lifecycle::MessagePublished { .. } => {}
    }
}

fn spell(event: &Lifecycle) -> (&'static str, Map<String, Value>) {
    match event {
        Lifecycle::Connected { connection, sequence, user, provider } => {
            let mut payload = of_connection(*connection, *sequence, user.as_ref());
            payload.insert("provider".into(), provider_name(*provider).into());
            ("client.connected", payload)
        }
        Lifecycle::Resumed { connection, former, sequence, user } => {
            let mut payload = of_connection(*connection, *sequence, user.as_ref());
            payload.insert("formerConnectionId".into(), connection_id_to_string(*former).into());
            ("client.resumed", payload)
        }
        Lifecycle::Disconnected { connection, sequence, user, reason } => {
            let mut payload = of_connection(*connection, *sequence, user.as_ref());
            let (word, code) = disconnected(*reason);
            payload.insert("reason".into(), word.into());
            if let Some(code) = code {
                payload.insert("code".into(), code.into());
            }
            ("client.disconnected", payload)
        }
        Lifecycle::SubscriptionAdded { connection, sequence, user, channel } => {
            let mut payload = of_connection(*connection, *sequence, user.as_ref());
            payload.insert("channel".into(), channel_name(channel));
            ("subscription.added", payload)
        }
        Lifecycle::SubscriptionRemoved { connection, sequence, user, channel } => {
            let mut payload = of_connection(*connection, *sequence, user.as_ref());
            payload.insert("channel".into(), channel_name(channel));
            ("subscription.removed", payload)
        }
        Lifecycle::ChannelOccupied { channel } => ("channel.occupied", of_channel(channel)),
        Lifecycle::ChannelVacated { channel } => ("channel.vacated", of_channel(channel)),
        Lifecycle::InboxQueued { user, pending, from, to, connections, .. } => {
            let mut payload = of_inbox(user, *pending);
            payload.insert("from".into(), (*from).into());
            payload.insert("to".into(), (*to).into());
            payload.insert("connections".into(), (*connections).into());
            ("inbox.queued", payload)
        }
        Lifecycle::InboxOverflow { user, pending, dropped, .. } => {
            let mut payload = of_inbox(user, *pending);
            payload.insert("dropped".into(), (*dropped).into());
            ("inbox.overflow", payload)
        }
        Lifecycle::ConsumerDead { channel, death } => ("consumer.dead", dead_letter(channel, death)),
        Lifecycle::MessagePublished { record } => ("message.published", message(record)),
    }
}

fn of_connection(connection: ConnectionId, sequence: u64, user: Option<&UserId>) -> Map<String, Value> {
    let mut payload = Map::new();
    payload.insert("connectionId".into(), connection_id_to_string(connection).into());
    if let Some(user) = user {
        payload.insert("userId".into(), user.as_str().into());
    }
    payload.insert("sequence".into(), sequence.into());
    payload
}

fn of_inbox(user: &UserId, pending: u32) -> Map<String, Value> {
    let mut payload = Map::new();
    payload.insert("userId".into(), user.as_str().into());
    payload.insert("pending".into(), pending.into());
    payload
}

fn of_channel(channel: &ChannelKey) -> Map<String, Value> {
    let mut payload = Map::new();
    payload.insert("channel".into(), channel_name(channel));
    payload
}

fn dead_letter(channel: &ChannelKey, death: &Death) -> Map<String, Value> {
    let mut payload = of_channel(channel);
    payload.insert("consumer".into(), death.consumer.as_str().into());
    payload.insert("position".into(), position_value(&death.letter.position));
    payload.insert("attempts".into(), death.letter.attempts.into());
    payload.insert("reason".into(), (&*death.letter.reason).into());
    payload.insert("time".into(), death.letter.time.0.into());
    if let Some(id) = &death.id {
        payload.insert("id".into(), id.as_str().into());
    }
    payload
}

fn position_value(position: &Position) -> Value {
    let mut object = Map::new();
    object.insert("epoch".into(), position.epoch.as_str().into());
    object.insert("offset".into(), position.offset.into());
    Value::Object(object)
}

fn message(record: &Record) -> Map<String, Value> {
    let mut payload = of_channel(&record.channel);
    payload.insert("id".into(), record.id.as_str().into());
    payload.insert("time".into(), record.time.0.into());
    payload.insert("type".into(), record.event_type.as_str().into());
    payload.insert("data".into(), parsed(&record.data));
    if let Some(position) = record.position() {
        payload.insert("position".into(), position_value(&position));
    }
    if let Some(user) = &record.user {
        payload.insert("userId".into(), user.as_str().into());
    }
    if let Some(key) = record.key.as_ref().map(MessageKey::as_str) {
        payload.insert("key".into(), key.into());
    }
    if let Some(meta) = &record.meta {
        payload.insert("meta".into(), parsed(meta));
    }
    payload
}

/// A payload as a value. It was checked to be JSON of bounded depth when it came in.
fn parsed(json: &[u8]) -> Value {
    value_of(json).unwrap_or_else(|| String::from_utf8_lossy(json).into_owned().into())
}

/// How the application calls a channel. Unlike in frames, a user's own channel says whose it is.
fn channel_name(channel: &ChannelKey) -> Value {
    match &channel.audience {
        Audience::Everyone => "$all".into(),
        Audience::User(user) => format!("$user:{user}").into(),
        Audience::Named(name) => name.as_str().into(),
    }
}

const fn provider_name(provider: Provider) -> &'static str {
    match provider {
        Provider::WebSocket => "websocket",
        Provider::Sse => "sse",
    }
}

/// A word for the reason, and the close code if the server ended it.
fn disconnected(reason: DisconnectReason) -> (&'static str, Option<u16>) {
    match reason {
        DisconnectReason::Closed | DisconnectReason::Server(Close::Normal) => ("closed", None),
        DisconnectReason::Lost => ("lost", None),
        DisconnectReason::Violation => ("violation", None),
        DisconnectReason::Server(close) => {
            let code = close_code(close);
            (code.reason(), Some(code.number()))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use realtime_connector_core::consumers::DeadLetter;
    use realtime_connector_core::id::{AppId, ChannelName, ConsumerName, EventType, MessageId, SlotKey, WorkerId};
    use realtime_connector_core::position::Epoch;
    use realtime_connector_core::time::{Time, UnixMs};
    use serde_json::json;

    use super::*;

    const ID: ConnectionId = ConnectionId { node: 0, worker: WorkerId(0), key: SlotKey { slot: 0, generation: 1 } };

    #[track_caller]
    fn check(event: &Lifecycle, expected_type: &str, expected: Value) {
        let (event_type, payload) = spell(event);
        assert_eq!((event_type, Value::Object(payload)), (expected_type, expected));
        assert!(SERVER_TYPES.contains(&event_type), "{event_type} is known to be published");
    }

    fn ended(reason: DisconnectReason) -> Lifecycle {
        Lifecycle::Disconnected { connection: ID, sequence: 2, user: None, reason }
    }

    #[test]
    fn a_connection_is_told_with_its_sequence_and_its_user_if_it_has_one() {
        let id = "AAAAAAAAAAAAAAAAAQ";
        let user = Some(UserId::parse("ada").expect("a name"));
        check(
            &Lifecycle::Connected { connection: ID, sequence: 1, user, provider: Provider::Sse },
            "client.connected",
            json!({"connectionId": id, "userId": "ada", "provider": "sse", "sequence": 1}),
        );
        check(
            &ended(DisconnectReason::Lost),
            "client.disconnected",
            json!({"connectionId": id, "reason": "lost", "sequence": 2}),
        );
        check(
            &ended(DisconnectReason::Server(Close::Stopped)),
            "client.disconnected",
            json!({"connectionId": id, "reason": "stopped", "code": 4000, "sequence": 2}),
        );
        check(
            &ended(DisconnectReason::Server(Close::Normal)),
            "client.disconnected",
            json!({"connectionId": id, "reason": "closed", "sequence": 2}),
        );
    }

    #[test]
    fn a_dead_letter_is_told_with_its_place_and_its_reason() {
        let channel = ChannelKey::named(AppId::default(), ChannelName::parse("jobs").expect("a name"));
        let position = Position { epoch: Epoch::parse("k3f9").expect("an epoch"), offset: 7 };
        let letter = DeadLetter { position, attempts: 5, reason: "no such account".into(), time: UnixMs(1_000) };
        let consumer = ConsumerName::parse("mailers").expect("a name");
        let death = Death { consumer, id: MessageId::parse("m1").ok(), letter };
        check(
            &Lifecycle::ConsumerDead { channel, death },
            "consumer.dead",
            json!({
                "channel": "jobs", "consumer": "mailers", "position": {"epoch": "k3f9", "offset": 7}, "attempts": 5,
                "reason": "no such account", "time": 1_000, "id": "m1",
            }),
        );
    }

    #[test]
    fn a_message_is_told_with_its_payload_as_json() {
        let deep = (0..128).fold(json!(1), |inner, _| json!([inner]));
        assert_eq!(parsed(deep.to_string().as_bytes()), deep, "as deep as data may be");
        let channel = ChannelKey::named(AppId::default(), ChannelName::parse("orders").expect("a name"));
        let record = Record {
            channel,
            epoch: Epoch::parse("k3f9").expect("an epoch"),
            offset: Some(7),
            id: MessageId::parse("m1").expect("an id"),
            time: UnixMs(1_000),
            admitted: Time::default(),
            user: Some(UserId::parse("ada").expect("a name")),
            event_type: EventType::parse("update").expect("a type"),
            data: Bytes::from_static(b"{\"n\":1}"),
            key: None,
            meta: Some(Bytes::from_static(b"{\"from\":\"web\"}")),
            ttl: None,
            exclude: Box::default(),
        };
        check(
            &Lifecycle::MessagePublished { record: Arc::new(record) },
            "message.published",
            json!({
                "channel": "orders", "id": "m1", "time": 1_000, "type": "update", "data": {"n": 1},
                "position": {"epoch": "k3f9", "offset": 7}, "userId": "ada", "meta": {"from": "web"},
            }),
        );
    }
}
