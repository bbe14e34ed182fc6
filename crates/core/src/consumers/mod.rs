//! Durable consumers: each message of a channel goes to one member, and again until somebody says that it is done.
//!
//! - A consumer is a cursor with holes over one channel ([`crate::acks::Acked`]), kept at the channel's home. It has the name of its
//!   group, whose members compete; without a group it has one member, which bears its name.
//! - A message is handed out, and its holder has a time to ack it. What is not acked in time, or is given back, comes again after a
//!   pause that grows; after [`limits::DELIVERIES_MAX`] deliveries it is a dead letter, with a reason, until somebody requeues it.
//! - Of messages with the same key one is on its way at a time, in their order. Others go out as they come.
//! - Who comes with the name of a member that is there takes its place; what the former one held comes again at once. A member whose
//!   connection is lost keeps what it holds until its time is over; one that leaves by its own will gives it back at once.
//! - What the log has lost is passed over, counted and told.
//! - A consumer of a persisted channel outlives the process: its cursor, the deliveries of what is not done, and its dead letters are
//!   state beside the log. An ack is answered when it is there. A second and further delivery is counted there before it is made; a
//!   first one is noted on the side, so that a crash may forget that the latest ones were made.

mod acking;
mod consumer;
mod desk;
mod intake;
mod members;
mod seats;
mod stored;
#[cfg(test)]
mod tests;
mod window;

use std::sync::Arc;
use std::time::Duration;

pub(crate) use consumer::Consumer;
pub(crate) use desk::{Applied, Ask, Consumers, Then};
pub(crate) use intake::Wanted;
pub(crate) use members::{Poll, Seat};

use crate::acks::{AckOutcome, Which};
use crate::id::{ChannelKey, ConsumerName, MessageId};
use crate::limits;
use crate::position::{Epoch, Gap, Offset, Position};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::time::UnixMs;

/// Who takes messages: a member of a group, or a consumer of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// Its name.
    pub consumer: ConsumerName,
    /// Of which group.
    pub group: Option<ConsumerName>,
}

impl Membership {
    /// The name of the cursor.
    #[must_use]
    pub fn cursor(&self) -> &ConsumerName {
        self.group.as_ref().unwrap_or(&self.consumer)
    }
}

/// Where a new consumer begins. One that exists goes on where it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum From {
    /// With the next message.
    #[default]
    New,
    /// With the oldest message that is kept.
    All,
    /// After a position.
    Position(Position),
}

/// How a member wants its messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Where the consumer begins, if it is new.
    pub from: From,
    /// Time to ack a delivery; [`limits::ACK_WAIT_MIN`] to [`limits::ACK_WAIT_MAX`].
    pub ack_wait: Duration,
    /// Deliveries it may hold; 1 to [`limits::PENDING_MAX`].
    pub pending_max: u32,
}

impl Default for Terms {
    fn default() -> Self {
        Self { from: From::New, ack_wait: limits::ACK_WAIT, pending_max: limits::PENDING }
    }
}

/// What is asked of the consumers of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// A connection takes messages from now on.
    Join {
        /// As whom.
        member: Membership,
        /// How.
        terms: Terms,
    },
    /// A connection takes no more, and gives back what it holds.
    Leave {
        /// As whom.
        member: Membership,
    },
    /// A service without a connection takes what there is. By call only.
    Take {
        /// As whom.
        member: Membership,
        /// How.
        terms: Terms,
        /// At most so many.
        limit: u32,
        /// How long to wait if there is nothing; at most [`limits::TAKE_WAIT_MAX`].
        wait: Duration,
    },
    /// Says what became of deliveries.
    Ack {
        /// Whose.
        member: Membership,
        /// The life of the log that the offsets belong to; `None` is the present one.
        epoch: Option<Epoch>,
        /// Which.
        which: Which,
        /// What became of them.
        outcome: AckOutcome,
    },
    /// Lists the consumers of the channel. By call only.
    List,
    /// Lists dead letters. By call only.
    DeadLetters {
        /// Of which consumer.
        consumer: ConsumerName,
        /// Those above this offset.
        after: Offset,
        /// At most so many.
        limit: usize,
    },
    /// Gives dead letters back, as if they had never been delivered. By call only.
    Requeue {
        /// Of which consumer.
        consumer: ConsumerName,
        /// Which; `None` is all of them.
        offsets: Option<Vec<Offset>>,
    },
    /// Forgets a consumer. By call only.
    Delete {
        /// Which.
        consumer: ConsumerName,
    },
}

/// What came of an [`Order`].
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// Nothing to add.
    Nothing,
    /// A connection has become a member.
    Joined(Joined),
    /// Messages for a service.
    Taken(Taken),
    /// The consumers of the channel.
    List(Vec<ConsumerInfo>),
    /// Dead letters in the order of the channel, and whether there are more.
    DeadLetters(Vec<DeadLetter>, bool),
    /// So many dead letters were given back.
    Requeued(u32),
}

/// Where a consumer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Everything up to here is done.
    pub position: Position,
    /// What it has lost and was not told of yet.
    pub gap: Option<Gap>,
}

/// Messages for a service without a connection.
#[derive(Clone, Debug, PartialEq)]
pub struct Taken {
    /// What was handed out; empty if there was nothing in time.
    pub deliveries: Vec<Delivery>,
    /// Everything up to here is done.
    pub position: Position,
    /// What the consumer has lost and was not told of yet.
    pub gap: Option<Gap>,
}

/// A message that was handed out, and has to be acked.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// The member it goes to.
    pub consumer: ConsumerName,
    /// Which delivery of this message it is; the first one is 1.
    pub attempt: u8,
    /// The message.
    pub record: Arc<Record>,
}

/// What a member is told of its consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// Of which channel.
    pub channel: ChannelKey,
    /// The member.
    pub member: Membership,
    /// What.
    pub news: News,
}

/// See [`Notice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// It takes no more messages.
    Ended(Rejection),
    /// Messages that it has not got are lost.
    Gap(Gap, Position),
}

/// A consumer as the API shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerInfo {
    /// Its name.
    pub name: ConsumerName,
    /// Whether it is a group.
    pub is_group: bool,
    /// Everything up to here is done.
    pub position: Position,
    /// Members that are there.
    pub members: u32,
    /// Messages that are not done, those that are out included.
    pub pending: u64,
    /// Of these, with a member.
    pub outstanding: u32,
    /// Dead letters.
    pub dead: u32,
    /// Dead letters that were dropped because there were too many.
    pub dead_dropped: u64,
    /// Messages that the log lost before they were done.
    pub lost: u64,
}

/// A message given up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the message is, as long as its channel keeps it.
    pub position: Position,
    /// How often it was delivered.
    pub attempts: u8,
    /// Why it was given up.
    pub reason: Arc<str>,
    /// When.
    pub time: UnixMs,
}

/// A message has become a dead letter; the application is told.
#[derive(Clone, Debug, PartialEq)]
pub struct Death {
    /// Which consumer has given up.
    pub consumer: ConsumerName,
    /// The id of the message, if it is known.
    pub id: Option<MessageId>,
    /// The rest.
    pub letter: DeadLetter,
}
