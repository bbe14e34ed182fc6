//! What workers ask of the threads of the store.

use std::sync::Arc;

use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::Offset;

use super::queue::Mailbox;
use crate::{Append, Change, Completion, Locate, LogError, Read, Scan, StateCompletion};

pub(super) type LogMail = Arc<Mailbox<Completion>>;
pub(super) type StateMail = Arc<Mailbox<StateCompletion>>;

/// For the writer.
pub(super) enum Write {
    Open { mail: LogMail, home: SlotKey, channel: ChannelKey, retention: Retention },
    Append { mail: LogMail, home: SlotKey, ticket: u64, append: Append },
    Purge { mail: LogMail, home: SlotKey, ticket: u64, channel: ChannelKey, through: Offset },
    Forget { channel: ChannelKey },
    Apply { mail: StateMail, ticket: u64, changes: Vec<Change> },
}

/// For the readers.
pub(super) enum Query {
    Read { mail: LogMail, home: SlotKey, ticket: u64, channel: ChannelKey, read: Read },
    Locate { mail: LogMail, home: SlotKey, ticket: u64, channel: ChannelKey, locate: Locate },
    Scan { mail: StateMail, ticket: u64, scan: Scan },
}

/// An answer with its address, held back until the sync that covers it.
pub(super) enum Letter {
    Log(LogMail, Completion),
    State(StateMail, StateCompletion),
    /// Nobody waits.
    None,
}

impl Letter {
    pub(super) fn send(self) {
        match self {
            Self::Log(mail, completion) => mail.put(completion),
            Self::State(mail, completion) => mail.put(completion),
            Self::None => {}
        }
    }
}

/// Where the answer to a write goes if it fails.
pub(super) enum Sender {
    Log { mail: LogMail, home: SlotKey, ticket: Option<u64> },
    State { mail: StateMail, ticket: u64 },
    Nobody,
}

impl Sender {
    pub(super) fn failed(self, error: LogError) -> Letter {
        match self {
            Self::Log { mail, home, ticket } => Letter::Log(mail, Completion::Failed { home, ticket, error }),
            Self::State { mail, ticket } => Letter::State(mail, StateCompletion::Failed { ticket, error }),
            Self::Nobody => Letter::None,
        }
    }
}

impl Write {
    pub(super) fn sender(&self) -> Sender {
        match self {
            Self::Open { mail, home, .. } => Sender::Log { mail: mail.clone(), home: *home, ticket: None },
            Self::Append { mail, home, ticket, .. } | Self::Purge { mail, home, ticket, .. } => {
                Sender::Log { mail: mail.clone(), home: *home, ticket: Some(*ticket) }
            }
            Self::Forget { .. } => Sender::Nobody,
            Self::Apply { mail, ticket, .. } => Sender::State { mail: mail.clone(), ticket: *ticket },
        }
    }
}

impl Query {
    pub(super) fn sender(&self) -> Sender {
        match self {
            Self::Read { mail, home, ticket, .. } | Self::Locate { mail, home, ticket, .. } => {
                Sender::Log { mail: mail.clone(), home: *home, ticket: Some(*ticket) }
            }
            Self::Scan { mail, ticket, .. } => Sender::State { mail: mail.clone(), ticket: *ticket },
        }
    }
}
