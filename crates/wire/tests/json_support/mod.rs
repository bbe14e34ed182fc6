//! Names, positions and limits for the tests of JSON and SSE.
#![expect(dead_code, reason = "each test file uses its part")]

use bytes::Bytes;
use realtime_connector_core::command::{Publish, Target};
use realtime_connector_core::id::{AppId, ChannelKey, ChannelName, ConnectionId, EventType, SlotKey, UserId, WorkerId};
use realtime_connector_core::position::{Epoch, Position};
use realtime_connector_core::rejection::Rejection;
use realtime_connector_wire::json::{DecodeLimits, code};

/// The defaults of the product.
pub(crate) const LIMITS: DecodeLimits = DecodeLimits { message_bytes: 65_536 };

/// The spelling of [`connection`].
pub(crate) const CONNECTION: &str = "3q2-7wMBAgMEAAAABw";

pub(crate) fn connection() -> ConnectionId {
    let key = SlotKey { slot: 0x0102_0304, generation: 7 };
    ConnectionId { node: 0xdead_beef, worker: WorkerId(3), key }
}

pub(crate) fn name(name: &str) -> ChannelName {
    ChannelName::parse(name).expect("a name")
}

pub(crate) fn user(name: &str) -> UserId {
    UserId::parse(name).expect("a name")
}

pub(crate) fn channel(channel: &str) -> ChannelKey {
    ChannelKey::named(AppId(7), name(channel))
}

pub(crate) fn position(epoch: &str, offset: u64) -> Position {
    Position { epoch: Epoch::parse(epoch).expect("an epoch"), offset }
}

/// A message of type `t` to everyone, without anything else.
pub(crate) fn publish() -> Publish {
    Publish {
        target: Target::Everyone,
        event_type: EventType::parse("t").expect("a name"),
        data: Bytes::from_static(b"null"),
        id: None,
        key: None,
        meta: None,
        ephemeral: false,
        exclude: Vec::new(),
        ack: None,
        ttl: None,
    }
}

/// A refusal in short: code, field (`-` = none) and message.
pub(crate) fn short(rejection: &Rejection) -> String {
    let field = rejection.field.as_deref().unwrap_or("-");
    format!("{} {field}: {}", code(rejection.kind).as_str(), rejection.message)
}
