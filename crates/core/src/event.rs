//! What the server tells one connection. The words are here, their spelling is in `wire`.

use std::sync::Arc;

use crate::command::Ref;
use crate::consumers::{Delivery, Joined, Notice};
use crate::history::HistoryPage;
use crate::id::{ChannelKey, ConnectionId, MessageId, UserId};
use crate::permissions::Grants;
use crate::position::{Gap, Offset, Position};
use crate::record::Record;
use crate::rejection::{Close, Rejection};
use crate::time::UnixMs;

/// One frame to one connection, or to many at once where it says nothing about the receiver.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The session has begun.
    Connected(Box<Connected>),
    /// A command was carried out.
    Ok {
        /// Whose answer it is.
        reference: Option<Ref>,
        /// What came of it.
        outcome: Outcome,
    },
    /// A command was refused.
    Error {
        /// Whose answer it is.
        reference: Option<Ref>,
        /// Why.
        rejection: Box<Rejection>,
    },
    /// A subscription has begun.
    Subscribed {
        /// Whose answer it is; `None` if the server did it.
        reference: Option<Ref>,
        /// Where it continues.
        subscribed: Box<Subscribed>,
    },
    /// A subscription has ended.
    Unsubscribed {
        /// Whose answer it is; `None` if the server did it.
        reference: Option<Ref>,
        /// Which channel.
        channel: ChannelKey,
    },
    /// A message. Its bytes are the same for every receiver.
    Message(Arc<Record>),
    /// A message that has to be acked.
    Delivery(Box<Delivery>),
    /// What a member has to know of its consumer.
    Consumer(Box<Notice>),
    /// Offsets for which no message comes.
    Gap {
        /// In which channel.
        channel: ChannelKey,
        /// Which, and why.
        gap: Gap,
        /// Where the stream continues.
        position: Position,
    },
    /// Something has happened to the user's inbox.
    Inbox {
        /// Messages that wait.
        pending: u32,
        /// Messages that were acked elsewhere and need not be shown any more.
        cancelled: Arc<[Offset]>,
        /// Messages that were dropped because too much waited; 0 if it is not about that.
        dropped: u64,
    },
    /// A sign of life that a page's script can see.
    Ping,
    /// A sign of life of the transport: WebSocket Ping or SSE comment.
    Heartbeat,
    /// A WebSocket Ping whose Pong proves that everything before it has arrived: the newest offset of the user's channel among that.
    Probe(Offset),
    /// The answer to a `ping` command.
    Pong {
        /// Whose answer it is.
        reference: Option<Ref>,
        /// Server time.
        time: UnixMs,
    },
    /// The last frame.
    Goaway {
        /// Why, and whether to come back.
        close: Close,
        /// The application's words.
        reason: Option<Arc<str>>,
    },
}

impl Event {
    /// What it costs to queue for one connection, in bytes: the messages in it plus a round figure for the rest.
    pub(crate) fn answer_cost(&self) -> u32 {
        const FIXED_BYTES: u32 = 256;
        match self {
            Self::Ok { outcome: Outcome::History(page) | Outcome::Inbox(page), .. } => {
                page.records.iter().fold(FIXED_BYTES, |bytes, record| bytes.saturating_add(record.cost()))
            }
            Self::Connected(connected) => {
                let channels = u32::try_from(connected.subscriptions.len()).unwrap_or(u32::MAX);
                channels.saturating_add(2).saturating_mul(FIXED_BYTES)
            }
            Self::Ok { outcome: Outcome::Done | Outcome::Published(_) | Outcome::Consuming(_), .. }
            | Self::Error { .. }
            | Self::Subscribed { .. }
            | Self::Unsubscribed { .. }
            | Self::Message(_)
            | Self::Delivery(_)
            | Self::Consumer(_)
            | Self::Gap { .. }
            | Self::Inbox { .. }
            | Self::Ping
            | Self::Heartbeat
            | Self::Probe(_)
            | Self::Pong { .. }
            | Self::Goaway { .. } => FIXED_BYTES,
        }
    }

    /// Whether it answers a command, so that its receiver decides how many of them there are.
    pub(crate) const fn is_answer(&self) -> bool {
        match self {
            Self::Ok { .. }
            | Self::Error { .. }
            | Self::Subscribed { .. }
            | Self::Unsubscribed { .. }
            | Self::Pong { .. } => true,
            Self::Connected(_)
            | Self::Message(_)
            | Self::Delivery(_)
            | Self::Consumer(_)
            | Self::Gap { .. }
            | Self::Inbox { .. }
            | Self::Ping
            | Self::Heartbeat
            | Self::Probe(_)
            | Self::Goaway { .. } => false,
        }
    }
}

/// What came of a command.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// Nothing to add.
    Done,
    /// A message was accepted.
    Published(Published),
    /// Messages of the past.
    History(Box<HistoryPage>),
    /// What waits in the inbox.
    Inbox(Box<HistoryPage>),
    /// The connection takes messages of a consumer.
    Consuming(Joined),
}

/// What became of a publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The message's id.
    pub id: MessageId,
    /// Its position; `None` if ephemeral.
    pub position: Option<Position>,
    /// The same id and content came before; this is the first one's result.
    pub duplicate: bool,
    /// Connections the home knew at acceptance. Not a receipt.
    pub connections: u32,
    /// It waits in an inbox until it is acked.
    pub queued: bool,
}

/// The answer to `connect`.
#[derive(Clone, Debug, PartialEq)]
pub struct Connected {
    /// Whose answer it is.
    pub reference: Option<Ref>,
    /// The public id.
    pub connection: ConnectionId,
    /// Who it is.
    pub user: Option<UserId>,
    /// Whether it continues the session it asked for.
    pub resumed: bool,
    /// When the authorisation ends.
    pub expires_at: Option<UnixMs>,
    /// Interval of the server's signs of life, in milliseconds.
    pub heartbeat_ms: u32,
    /// Bytes of a message's `data`.
    pub message_bytes: u32,
    /// Channels this connection may subscribe to.
    pub channels: u32,
    /// Whether there are channels whose messages are stored.
    pub stores: bool,
    /// Whether messages to a user wait until they are acked.
    pub inbox: bool,
    /// Server time.
    pub time: UnixMs,
    /// What became of the channels asked for.
    pub subscriptions: Vec<Result<Subscribed, Rejection>>,
}

/// Where a subscription continues.
#[derive(Clone, Debug, PartialEq)]
pub struct Subscribed {
    /// The channel.
    pub channel: ChannelKey,
    /// The next record is the one after this.
    pub position: Position,
    /// The newest record at that moment; up to it records are replay.
    pub head: u64,
    /// Whether everything since the client's position follows; `None` if it gave none.
    pub recovered: Option<bool>,
    /// What the connection may do here.
    pub grants: Grants,
}
