//! A record: a message as it is kept and delivered, the same bytes for everybody.

use std::time::Duration;

use bytes::Bytes;

use crate::id::{ChannelKey, ConnectionId, EventType, MessageId, MessageKey, UserId};
use crate::position::{Epoch, Offset, Position};
use crate::time::{Time, UnixMs};

/// A session: what survives a reconnect. It is named by its first connection.
pub type SessionId = ConnectionId;

/// A message with everything the server added. It carries nothing about a receiver, which is what makes encode-once possible.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The channel whose log it belongs to; for an ephemeral message, where it is heard.
    pub channel: ChannelKey,
    /// Which life of the log.
    pub epoch: Epoch,
    /// Its number; `None` if ephemeral.
    pub offset: Option<Offset>,
    /// Its id.
    pub id: MessageId,
    /// When its home admitted it.
    pub time: UnixMs,
    /// When its home admitted it, for ageing.
    pub admitted: Time,
    /// Who sent it, if a user did.
    pub user: Option<UserId>,
    /// Its type.
    pub event_type: EventType,
    /// Its payload: JSON text as the publisher wrote it.
    pub data: Bytes,
    /// The publisher's key.
    pub key: Option<MessageKey>,
    /// The publisher's metadata: a JSON object.
    pub meta: Option<Bytes>,
    /// For how long after its admission it is worth replaying; `None` is for ever. Monotonic, so a clock that jumps expires nothing.
    pub ttl: Option<Duration>,
    /// Sessions that do not get it.
    pub exclude: Box<[SessionId]>,
}

impl Record {
    /// What it costs to keep or queue, in bytes: its variable parts plus a round figure for the rest.
    #[must_use]
    pub fn cost(&self) -> u32 {
        const FIXED_BYTES: usize = 192;
        let meta = self.meta.as_ref().map_or(0, Bytes::len);
        let bytes = FIXED_BYTES + self.data.len() + meta + self.event_type.as_str().len();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Whether its time to live has passed.
    #[must_use]
    pub fn is_expired(&self, now: Time) -> bool {
        self.ttl.is_some_and(|ttl| self.admitted.after(ttl) <= now)
    }

    /// Its position; `None` if ephemeral.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.offset.map(|offset| Position { epoch: self.epoch.clone(), offset })
    }
}
