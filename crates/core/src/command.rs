//! What a client asks for. WebSocket, SSE + POST, the HTTP API and embedded calls all become these.

use std::time::Duration;

use bytes::Bytes;

use crate::acks::Acknowledge;
use crate::consumers::{Membership, Terms};
use crate::cursor::EpochPositions;
use crate::history::Query;
use crate::id::{ChannelName, ConnectionId, DeviceId, EventType, MessageId, MessageKey, UserId};
use crate::inbox::{InboxCommand, Mode};
use crate::position::Start;

/// The number a client gives a command to find its answer: 1 … 2^53 − 1.
pub type Ref = u64;

/// One thing a client asks of its session.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Begins the session.
    Connect(Box<Connect>),
    /// Asks for a sign of life.
    Ping,
    /// Listens to a channel.
    Subscribe(Subscribe),
    /// Stops listening.
    Unsubscribe {
        /// The channel.
        channel: ChannelName,
    },
    /// Sends a message.
    Publish(Box<Publish>),
    /// Asks for messages of the past.
    History(Box<History>),
    /// Shows or clears the own inbox.
    Inbox(InboxCommand),
    /// Takes messages as a durable consumer, or no more.
    Consume(Box<Consume>),
    /// Says what became of deliveries.
    Ack(Box<Acknowledge>),
    /// Replaces the connection's own metadata (a JSON object, untrusted).
    Meta {
        /// At most [`crate::limits::META_BYTES_MAX`] bytes.
        meta: Bytes,
    },
    /// Leaves at once.
    Close,
}

/// The first frame of a session.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Connect {
    /// Credentials; `None` means those of the handshake.
    pub token: Option<String>,
    /// The session token of a former connection, as it was sent.
    pub resume: Option<String>,
    /// The former connection, once its token has been verified: the session to continue.
    pub former: Option<ConnectionId>,
    /// The positions of its cursor, for channels that only the former session knows: one that is not among them is told as lost.
    /// Without a cursor such channels go on from now.
    pub positions: Option<Vec<EpochPositions>>,
    /// The device.
    pub device: Option<DeviceId>,
    /// The client's own metadata.
    pub meta: Option<Bytes>,
    /// Channels to begin with.
    pub subscriptions: Vec<Subscribe>,
    /// How it says that messages of its inbox have arrived.
    pub inbox: Mode,
    /// Whether the server sends `ping` frames, for clients that cannot see the transport's.
    pub pings: bool,
}

/// Where a subscription points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// `$all`, only to give a position.
    Everyone,
    /// `$user`, only to give a position.
    OwnUser,
    /// A channel.
    Named(ChannelName),
}

/// A subscription that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribe {
    /// To what.
    pub listen: Listen,
    /// From where on.
    pub start: Start,
}

/// A wish to take messages as a durable consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consume {
    /// Of which channel.
    pub channel: ChannelName,
    /// As whom.
    pub member: Membership,
    /// How; `None` is to take no more.
    pub terms: Option<Terms>,
}

/// A question about the past of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Of which.
    pub listen: Listen,
    /// What is asked.
    pub query: Query,
}

/// Who gets a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Every connection.
    Everyone,
    /// The subscribers of a channel.
    Channel(ChannelName),
    /// Every connection of a user.
    User(UserId),
    /// That user's connections in the channel; always ephemeral.
    UserInChannel {
        /// The user.
        user: UserId,
        /// The channel.
        channel: ChannelName,
    },
}

/// When a publish is answered. The level moves the answer, never the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ack {
    /// Not at all, unless it fails.
    None,
    /// When the channel's home has taken it. On a persisted channel that is before it has a position.
    Node,
    /// When it is safe on disk. Refused where the channel is not persisted.
    Stored,
}

/// A message on its way in.
#[derive(Clone, Debug, PartialEq)]
pub struct Publish {
    /// Who gets it.
    pub target: Target,
    /// Its type.
    pub event_type: EventType,
    /// Its payload: valid JSON text, passed through as it came.
    pub data: Bytes,
    /// The publisher's id for idempotency; made by the server if absent.
    pub id: Option<MessageId>,
    /// Groups messages of which the newest matters.
    pub key: Option<MessageKey>,
    /// Metadata (a JSON object).
    pub meta: Option<Bytes>,
    /// At most once, never stored.
    pub ephemeral: bool,
    /// Connections that do not get it.
    pub exclude: Vec<ConnectionId>,
    /// When it is answered; `None` is [`Ack::Stored`] where the channel is persisted, else [`Ack::Node`].
    pub ack: Option<Ack>,
    /// From its admission on, for how long it is worth replaying.
    pub ttl: Option<Duration>,
}
