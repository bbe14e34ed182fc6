//! What a worker wants done.

use std::sync::Arc;

use super::call::Answer;
use super::peers::PeerMessage;
use crate::event::Event;
use crate::id::{ChannelKey, ConnectionId, ConnectionKey, SlotKey, UserId, WorkerId};
use crate::record::Record;
use crate::rejection::Close;
use crate::session::Provider;

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
    },
    /// Give a record to the log. Answered by `Input::Committed`.
    Append {
        /// Who asks.
        home: SlotKey,
        /// To find the append again.
        ticket: u64,
        /// All but epoch and offset.
        record: Box<Record>,
    },
    /// A channel's state is freed; the log may forget a memory channel.
    ForgetLog {
        /// Which channel.
        channel: ChannelKey,
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
