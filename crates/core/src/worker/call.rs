//! Calls: what the HTTP API and the application ask of a worker, and its answers.

use std::sync::Arc;

use bytes::Bytes;

use super::inbox::InboxCall;
use crate::consumers::{Done, Order};
use crate::history::{HistoryPage, Query};
use crate::id::{AppId, ChannelKey, ChannelName, ConnectionId, ConnectionKey, DeviceId, UserId};
use crate::permissions::Identity;
use crate::position::Position;
use crate::publish::{Draft, PublishResult};
use crate::rejection::Rejection;
use crate::session::{Client, Provider};
use crate::time::UnixMs;

/// One call. Those about a connection go to its worker, those about a channel to its home.
#[derive(Debug)]
pub enum Call {
    /// Publish; the caller has chosen the home.
    Publish(Box<Draft>),
    /// Messages of the past; the caller has chosen the home.
    History {
        /// Of which channel.
        channel: ChannelKey,
        /// What is asked.
        query: Query,
    },
    /// About a user's inbox; the caller has chosen the home.
    Inbox {
        /// The user's channel.
        channel: ChannelKey,
        /// What.
        call: InboxCall,
    },
    /// Remove messages; the caller has chosen the home.
    Purge {
        /// Of which channel.
        channel: ChannelKey,
        /// Up to this one; `None` is all there are.
        through: Option<Position>,
    },
    /// About the consumers of a channel; the caller has chosen the home.
    Consumers {
        /// Of which channel.
        channel: ChannelKey,
        /// What.
        order: Order,
    },
    /// A page of connections.
    Connections(ConnectionQuery),
    /// One connection.
    Connection(ConnectionKey),
    /// End a connection.
    Disconnect {
        /// Which.
        connection: ConnectionKey,
        /// Told to the client.
        reason: Option<Arc<str>>,
    },
    /// Subscribe a connection.
    Subscribe {
        /// Which.
        connection: ConnectionKey,
        /// To what.
        channel: ChannelName,
    },
    /// Unsubscribe a connection.
    Unsubscribe {
        /// Which.
        connection: ConnectionKey,
        /// From what.
        channel: ChannelName,
    },
    /// Replace the trusted metadata of a connection.
    SetMeta {
        /// Which.
        connection: ConnectionKey,
        /// A JSON object, or nothing.
        meta: Option<Bytes>,
    },
    /// A page of the channels at home here.
    Channels {
        /// Whose.
        app: AppId,
        /// From this place on.
        after: u32,
        /// At most this many.
        limit: usize,
    },
    /// One channel.
    Channel(ChannelKey),
    /// The worker's figures.
    Figures,
}

/// Which connections to list.
#[derive(Clone, Debug, Default)]
pub struct ConnectionQuery {
    /// Whose.
    pub app: AppId,
    /// From this place on.
    pub after: u32,
    /// At most this many.
    pub limit: usize,
    /// Of this user only.
    pub user: Option<UserId>,
    /// In this channel only.
    pub channel: Option<ChannelName>,
    /// Over this provider only.
    pub provider: Option<Provider>,
}

/// The answer to a [`Call`].
#[derive(Clone, Debug)]
pub enum Answer {
    /// What became of a publish.
    Published(PublishResult),
    /// Whether messages of an inbox have left.
    Inbox(Result<(), Rejection>),
    /// Everything up to here cannot be read any more.
    Purged(Result<Position, Rejection>),
    /// Messages of the past.
    History(Result<Box<HistoryPage>, Rejection>),
    /// What came of an order to consumers.
    Consumers(Result<Done, Rejection>),
    /// A page.
    Connections {
        /// The connections.
        items: Vec<ConnectionInfo>,
        /// Where the next page begins; `None` at the end.
        next: Option<u32>,
    },
    /// One connection; `None` if nobody lives there.
    Connection(Option<Box<ConnectionInfo>>),
    /// Whether there was such a connection.
    Found(bool),
    /// A page.
    Channels {
        /// The channels.
        items: Vec<ChannelInfo>,
        /// Where the next page begins; `None` at the end.
        next: Option<u32>,
    },
    /// One channel; `None` if it has neither listeners nor history.
    Channel(Option<Box<ChannelInfo>>),
    /// The worker's figures.
    Figures(Figures),
}

/// A connection as the registry shows it.
#[derive(Clone, Debug)]
pub struct ConnectionInfo {
    /// Its public id.
    pub id: ConnectionId,
    /// Who it is.
    pub identity: Identity,
    /// The other end.
    pub client: Client,
    /// Which of the user's devices it says to be.
    pub device: Option<DeviceId>,
    /// Channels it subscribed to by name.
    pub channels: Vec<ChannelName>,
    /// When it came.
    pub connected_at: UnixMs,
    /// Milliseconds since its last byte.
    pub idle_ms: u64,
    /// Of the last Ping; 0 before the first, and on SSE.
    pub round_trip_ms: u32,
    /// Waiting to be written.
    pub queued_bytes: u32,
    /// Commands it sent.
    pub messages_in: u64,
    /// Frames it got.
    pub messages_out: u64,
    /// Its own metadata, untrusted.
    pub client_meta: Option<Bytes>,
}

/// A channel as its home shows it.
#[derive(Clone, Debug)]
pub struct ChannelInfo {
    /// Which.
    pub channel: ChannelKey,
    /// Connections that listen.
    pub connections: u32,
    /// Its newest record.
    pub position: Position,
    /// Records retained.
    pub records: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// A worker's counters and gauges, since its start. `published = delivered + dropped + filtered` per listener is checked by tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections now.
    pub connections: u64,
    /// Of these, over SSE.
    pub connections_sse: u64,
    /// Channels at home here.
    pub channels: u64,
    /// Subscriptions by name.
    pub subscriptions: u64,
    /// Bytes of history.
    pub history_bytes: u64,
    /// Connections since the start.
    pub connected: u64,
    /// Messages admitted here.
    pub published: u64,
    /// Messages put into outboxes.
    pub delivered: u64,
    /// Messages passed over because the publisher excluded the session.
    pub excluded: u64,
    /// Ephemeral messages dropped for slow readers or full queues.
    pub dropped: u64,
    /// Times a subscription fell behind.
    pub fell_behind: u64,
    /// Gaps told that are loss.
    pub gaps: u64,
    /// Commands refused.
    pub rejected: u64,
    /// Records that the log did not take.
    pub append_failures: u64,
    /// Blocks read from the log.
    pub log_reads: u64,
    /// Messages dropped from inboxes that were full.
    pub inbox_dropped: u64,
    /// Durable consumers of channels at home here.
    pub consumers: u64,
    /// Consumers that connections here take messages of.
    pub consuming: u64,
    /// Deliveries to members of consumers.
    pub handed_out: u64,
    /// Of these, those that were not the first of their message.
    pub handed_out_again: u64,
    /// Acks of members of consumers.
    pub acks: u64,
    /// Messages given up on.
    pub dead_letters: u64,
}
