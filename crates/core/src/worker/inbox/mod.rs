//! Inboxes: at the home of a user's channel, and at the workers of the user's connections.

mod home;
mod opening;
mod sessions;

pub(crate) use home::not_enabled;

use std::sync::Arc;

use crate::acks::Which;
use crate::history::Rest;
use crate::id::{ConnectionKey, SlotKey};
use crate::position::{Epoch, Offset};

/// What the application asks of an inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxCall {
    /// What is pending, oldest first.
    List {
        /// Messages in one answer.
        limit: u32,
        /// What an earlier answer has left over.
        rest: Option<Rest>,
    },
    /// All of it leaves.
    Clear,
    /// These leave, for every device.
    Ack {
        /// The life of the log that the offsets belong to; `None` is the present one.
        epoch: Option<Epoch>,
        /// Which.
        which: Which,
    },
}

/// What a user's connections are told of their inbox, from its home to a worker.
#[derive(Debug)]
pub(crate) struct InboxNews {
    pub(crate) local: SlotKey,
    /// The connection that caused it.
    pub(crate) except: Option<ConnectionKey>,
    pub(crate) pending: u32,
    /// Messages that were acked elsewhere.
    pub(crate) cancelled: Arc<[Offset]>,
    /// They have arrived somewhere, which concerns only connections that ack by command.
    pub(crate) by_proof: bool,
    /// Messages that were dropped.
    pub(crate) dropped: u64,
}
