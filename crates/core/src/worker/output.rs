//! What a worker wants done.

use std::sync::Arc;

use super::call::Answer;
use super::peers::PeerMessage;
use crate::consumers::Death;
use crate::event::Event;
use crate::history::At;
use crate::id::{AppId, ChannelKey, ConnectionId, ConnectionKey, SlotKey, UserId, WorkerId};
use crate::options::Retention;
use crate::position::Offset;
use crate::publish::Publisher;
use crate::record::Record;
use crate::rejection::Close;
use crate::session::Provider;
use crate::state::{Change, Scan, StateTicket};

/// One effect. The engine carries them out in order.
#[derive(Debug)]
pub enum Output {
    /// Put a message into the queue to a worker (possibly this one).
    Peer {
        /// Whose queue.
        to: WorkerId,
        /// What.
        message: PeerMessage,
    },
    /// Ask the log where a channel stands. Answered by `Input::LogOpened`.
    OpenLog {
        /// Who asks.
        home: SlotKey,
        /// Which channel.
        channel: ChannelKey,
        /// How long the store keeps it; `None` is the memory log's.
        retention: Option<Retention>,
    },
    /// Give a record to the log. Answered by `Input::Committed` or `Input::NotAppended`.
    Append {
        /// Who asks.
        home: SlotKey,
        /// To find the append again.
        ticket: u64,
        /// All but epoch and offset.
        record: Box<Record>,
        /// What the store has to know; `None` is for the memory log.
        persist: Option<Persist>,
    },
    /// Read a block of a persisted channel: at most [`crate::limits::BLOCK_RECORDS`] and [`crate::limits::BLOCK_BYTES`], but one
    /// record if there is any. Answered by `Input::LogRead`.
    ReadLog {
        /// Who asks.
        home: SlotKey,
        /// Of which channel.
        channel: ChannelKey,
        /// The first offset wanted.
        from: Offset,
    },
    /// Find a message of a persisted channel: that of an id, or the first one at a time or later. Answered by `Input::Located`.
    LocateInLog {
        /// Who asks.
        home: SlotKey,
        /// In which channel.
        channel: ChannelKey,
        /// To find the question again.
        ticket: u64,
        /// What to look for.
        at: At,
    },
    /// Make everything up to an offset of a persisted channel unreadable. Answered by `Input::Purged`.
    PurgeLog {
        /// Who asks.
        home: SlotKey,
        /// In which channel.
        channel: ChannelKey,
        /// To find the order again.
        ticket: u64,
        /// Up to here.
        through: Offset,
    },
    /// Change values of the state beside the log. Takes effect in order with appends of the same worker. Answered by
    /// `Input::StateApplied`.
    ApplyState {
        /// Who asks.
        ticket: StateTicket,
        /// Whether it is about a channel of the store. State of a channel in memory lives at its home only: it is applied at once
        /// and kept nowhere.
        persisted: bool,
        /// At most [`crate::limits::CHANGES_MAX`], all or none.
        changes: Vec<Change>,
    },
    /// List values of the state beside the log. Answered by `Input::StateScanned`; for a channel in memory there are none.
    ScanState {
        /// Who asks.
        ticket: StateTicket,
        /// Whether it is about a channel of the store.
        persisted: bool,
        /// What to list.
        scan: Scan,
    },
    /// A channel's state is freed; the log may forget a memory channel.
    ForgetLog {
        /// Which channel.
        channel: ChannelKey,
        /// Whether it is one of the store.
        persisted: bool,
    },
    /// Verify a token. Answered by `Input::Identified`.
    Ask {
        /// For whom.
        connection: ConnectionKey,
        /// The token of its `connect` frame.
        token: String,
    },
    /// Write what is queued, then end the connection. The last frame says why.
    Close {
        /// Which connection.
        connection: ConnectionKey,
        /// Why.
        close: Close,
        /// Its browser would come back by itself and must be told not to: an event stream that was ended for good.
        stays_away: bool,
    },
    /// End the connection now.
    Abort {
        /// Which connection.
        connection: ConnectionKey,
    },
    /// The answer to a command that came by a call.
    Replied {
        /// Which call.
        ticket: u64,
        /// The answer.
        event: Event,
    },
    /// The answer to a call.
    Answered {
        /// Which call.
        ticket: u64,
        /// The answer.
        answer: Answer,
    },
    /// Something the application may want to know.
    Lifecycle(Lifecycle),
}

/// How a record is appended to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persist {
    /// Its publisher, if the same id of the same publisher is the same message.
    pub publisher: Option<Publisher>,
    /// It takes the place of older records with the same key.
    pub replaces: bool,
}

/// What happened to connections and channels, for the application.
#[derive(Clone, Debug, PartialEq)]
pub enum Lifecycle {
    /// A session began: it is known who it is, and its first subscriptions are under way.
    Connected {
        /// Its connection.
        connection: ConnectionId,
        /// Number of this event among those of its connection.
        sequence: u64,
        /// Who.
        user: Option<UserId>,
        /// How.
        provider: Provider,
    },
    /// A connection continues the session of a former one.
    Resumed {
        /// The new connection.
        connection: ConnectionId,
        /// The former one.
        former: ConnectionId,
        /// See above.
        sequence: u64,
        /// Who.
        user: Option<UserId>,
    },
    /// A session ended.
    Disconnected {
        /// Its connection.
        connection: ConnectionId,
        /// See above.
        sequence: u64,
        /// Who.
        user: Option<UserId>,
        /// Why.
        reason: DisconnectReason,
    },
    /// A subscription began.
    SubscriptionAdded {
        /// Whose.
        connection: ConnectionId,
        /// See above.
        sequence: u64,
        /// Who.
        user: Option<UserId>,
        /// To what.
        channel: ChannelKey,
    },
    /// A subscription ended.
    SubscriptionRemoved {
        /// Whose.
        connection: ConnectionId,
        /// See above.
        sequence: u64,
        /// Who.
        user: Option<UserId>,
        /// To what.
        channel: ChannelKey,
    },
    /// A channel got its first listener.
    ChannelOccupied {
        /// Which.
        channel: ChannelKey,
    },
    /// A channel lost its last listener.
    ChannelVacated {
        /// Which.
        channel: ChannelKey,
    },
    /// Messages have waited for a user for some seconds.
    InboxQueued {
        /// Whose application.
        app: AppId,
        /// For whom.
        user: UserId,
        /// Messages that wait.
        pending: u32,
        /// The first and …
        from: Offset,
        /// … the last of those that no earlier event has told of.
        to: Offset,
        /// The user's connections now.
        connections: u32,
    },
    /// Too much waited for a user, and the oldest messages were dropped.
    InboxOverflow {
        /// Whose application.
        app: AppId,
        /// For whom.
        user: UserId,
        /// Messages that wait.
        pending: u32,
        /// Messages dropped since the last such event.
        dropped: u64,
    },
    /// A consumer has given a message up.
    ConsumerDead {
        /// Of which channel.
        channel: ChannelKey,
        /// Which message, and why.
        death: Death,
    },
    /// A message was published in a channel whose rule asks for these events.
    MessagePublished {
        /// The message.
        record: Arc<Record>,
    },
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DisconnectReason {
    /// The server closed it.
    Server(Close),
    /// The client left properly.
    Closed,
    /// The stream ended or broke.
    Lost,
    /// The client broke the framing.
    Violation,
}
