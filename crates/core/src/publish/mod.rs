//! Publish: how a message becomes a record, at its channel's home.
//!
//! - [`Desk::admit`] decides whether a message is new. The same publisher, target and id within 5 minutes is a duplicate and gets
//!   the first result; other content with the same id is a conflict. Only ids that publishers chose are remembered.
//! - The log assigns epoch and offset, and answers with the record.
//! - [`commit()`] takes records strictly in order: it keeps them in history and hands one `Deliver` to each worker with listeners.
//!   It is the only function that delivers a record. Lower offsets are ignored, a few higher ones wait.
//! - A persisted channel delivers nothing before its log has it. The ack level moves the answer: `node` comes at admission and has no
//!   position there, `stored` comes with the log's word. What the log refuses is refused to the publisher, and the id is free again.
//! - Ephemeral messages have no offset and no history, and are dropped where a queue is full.

mod commit;
mod desk;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub(crate) use commit::{commit, deliver_ephemeral};
pub(crate) use desk::{Admission, Desk};

use crate::command::Ack;
use crate::event::Published;
use crate::id::{ChannelKey, ConnectionKey, UserId, WorkerId};
use crate::record::{Record, SessionId};
use crate::rejection::Rejection;
use crate::session::Reply;

/// Who publishes, as far as idempotency is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Publisher {
    /// A user, on whatever connection.
    User(UserId),
    /// An anonymous session.
    Session(SessionId),
    /// A holder of an API key, by the key's name.
    Server(Arc<str>),
}

/// Where the answer to a publish goes.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// To a session of some worker.
    Session {
        /// The worker that owns it.
        worker: WorkerId,
        /// The connection.
        connection: ConnectionKey,
        /// And from there.
        reply: Reply,
    },
    /// To a call at the home itself.
    Call {
        /// Which call.
        ticket: u64,
    },
    /// Nobody waits.
    Nobody,
}

/// A message on its way to its home.
#[derive(Clone, Debug, PartialEq)]
pub struct Draft {
    /// The channel whose log or audience it goes to.
    pub channel: ChannelKey,
    /// The record but for epoch and offset. Its `channel` differs from the above for "this user in that channel".
    pub record: Record,
    /// Who publishes.
    pub publisher: Publisher,
    /// The publisher chose the id, so it is remembered.
    pub idempotent: bool,
    /// At most once, never stored.
    pub ephemeral: bool,
    /// When to answer; `None` is the channel's default.
    pub ack: Option<Ack>,
    /// Whom to answer.
    pub origin: Origin,
}

/// The answer to a publish.
pub type PublishResult = Result<Published, Rejection>;
