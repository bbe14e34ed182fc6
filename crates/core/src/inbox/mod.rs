//! Inbox: messages to a user stay until somebody says that they have arrived.
//!
//! - It is a cursor with holes over the log of the user's own channel. An index of what is pending lives at that channel's home
//!   ([`Inbox`]); the messages themselves stay in history. What must outlive a restart are rows beside the log ([`rows`]).
//! - It is bounded by messages, bytes and age. What does not fit drops the oldest: counted, and told to the user's connections and to
//!   the application. A message whose time to live has passed leaves without a word.
//! - Policy `any`: the first ack removes a message for all. Policy `each`: a message leaves when every known device of the user has
//!   acked it; connections without a device share a place that holds nothing back while a device is known.
//! - A connection starts at the first message that is pending for it, and what is not pending is passed over. An *auto* connection acks
//!   by proving that it is alive after a message was written: by the Pong to a Ping that followed it, a POST, or a position it comes back
//!   with. A *manual* one acks by command, and gets at most [`crate::limits::INBOX_OUT_MAX`] messages that it has not acked.

mod loading;
mod pending;
mod rows;
mod taker;

#[cfg(test)]
mod tests;

pub(crate) use loading::Loading;
pub(crate) use pending::{Actor, Inbox, Notice};
pub(crate) use taker::Taker;

use crate::acks::Which;
use crate::id::{ChannelKey, DeviceId};
use crate::position::{Epoch, Offset};
use crate::publish::Origin;
use crate::session::Formers;

/// What it takes for a message to leave an inbox.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Policy {
    /// One ack.
    #[default]
    Any,
    /// An ack of every known device.
    Each,
}

/// How a connection says that messages have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// By being alive after them.
    #[default]
    Auto,
    /// By command.
    Manual,
}

/// An `inbox` command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxCommand {
    /// Shows what is pending, oldest first.
    List {
        /// Messages in one answer.
        limit: u32,
        /// What an earlier answer has left over.
        rest: Option<crate::history::Rest>,
    },
    /// Removes all that is pending, for every device.
    Clear,
}

/// Something that is asked of an inbox, on its way to its home.
#[derive(Debug)]
pub(crate) struct InboxAsk {
    pub(crate) origin: Origin,
    pub(crate) channel: ChannelKey,
    pub(crate) act: Act,
}

#[derive(Debug)]
pub(crate) enum Act {
    /// A connection has proved that it has everything up to here, but for what excluded it. Answered at once.
    Proof { device: Option<DeviceId>, up_to: Offset, names: Formers },
    /// Answered when the state has it.
    Ack { by: Actor, epoch: Option<Epoch>, which: Which, names: Formers },
    /// Answered when the state has it.
    Clear,
}

/// How a connection listens to its user's channel.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    pub(crate) device: Option<DeviceId>,
    pub(crate) mode: Mode,
    /// The connections of its session, for what excludes them.
    pub(crate) names: Formers,
}
