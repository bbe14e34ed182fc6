//! Acks: what became of messages that were delivered to somebody who has to say so.
//!
//! - An inbox and a durable consumer are both a cursor with holes over a log ([`Acked`]): everything up to its floor is done, and some of
//!   what lies above.
//! - One command serves both ([`Acknowledge`]).

mod acked;

use std::sync::Arc;
use std::time::Duration;

pub use acked::Acked;

use crate::id::{ChannelName, ConsumerName};
use crate::position::{Epoch, Offset};

/// Says what became of deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledge {
    /// Whose deliveries.
    pub of: AckOf,
    /// The life of the log that the offsets belong to; `None` is the present one.
    pub epoch: Option<Epoch>,
    /// Which of them.
    pub which: Which,
    /// What became of them.
    pub outcome: AckOutcome,
}

/// Whose deliveries are acked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckOf {
    /// The own inbox.
    Inbox,
    /// A durable consumer's.
    Consumer {
        /// By the name of the member.
        consumer: ConsumerName,
        /// Of which group; a connection need not say it.
        group: Option<ConsumerName>,
        /// Of which channel.
        channel: ChannelName,
    },
}

/// Which deliveries are acked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// These; 1 to [`crate::limits::ACK_OFFSETS_MAX`].
    Offsets(Vec<Offset>),
    /// All that were delivered up to this one.
    UpTo(Offset),
}

/// What became of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckOutcome {
    /// It needs not come again.
    Done,
    /// It has to come again.
    Retry {
        /// Not before; `None` is the back-off of its attempt. At most [`crate::limits::ACK_DELAY_MAX`].
        delay: Option<Duration>,
    },
    /// It will never succeed.
    Dead {
        /// For people who look after dead letters; at most [`crate::limits::ACK_REASON_BYTES_MAX`] bytes.
        reason: Option<Arc<str>>,
    },
    /// It is still being worked on: the time to ack it begins anew.
    Progress,
}
