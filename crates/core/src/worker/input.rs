//! What happens to a worker.

use std::sync::Arc;

use super::call::Call;
use super::peers::PeerMessage;
use crate::command::{Command, Connect, Ref};
use crate::frame::Dialect;
use crate::history::Block;
use crate::id::{ConnectionKey, MessageId, SlotKey, WorkerId};
use crate::permissions::Identity;
use crate::position::{Epoch, Offset, Position};
use crate::record::Record;
use crate::rejection::{Lost, Rejection};
use crate::session::{Client, Reply};
use crate::state::{Row, StateTicket};

/// One thing that happened. Everything a worker ever learns comes through here.
#[derive(Debug)]
pub enum Input {
    /// A connection was handed over. The engine has chosen its place.
    Opened(Box<Opened>),
    /// Bytes came from a connection, whatever they mean.
    Received {
        /// From which.
        connection: ConnectionKey,
    },
    /// A connection sent a command.
    Command {
        /// Which one.
        connection: ConnectionKey,
        /// The command.
        command: Command,
        /// Where the answer goes.
        reply: Reply,
    },
    /// A connection sent something that is no command.
    Malformed {
        /// Which one.
        connection: ConnectionKey,
        /// What is wrong.
        rejection: Box<Rejection>,
        /// Where the answer goes.
        reply: Reply,
    },
    /// The authenticator's answer to `Output::Ask`.
    Identified {
        /// For whom it was asked.
        connection: ConnectionKey,
        /// Who it is, or why not.
        identity: Result<Box<Identity>, Box<Rejection>>,
    },
    /// A connection is gone, or has taken its last bytes.
    Closed {
        /// Which one.
        connection: ConnectionKey,
        /// What the engine saw.
        lost: Lost,
    },
    /// A message from a worker (possibly this one).
    Peer {
        /// Which one.
        from: WorkerId,
        /// The message.
        message: PeerMessage,
    },
    /// A worker has taken messages of ours out of its queue.
    Room {
        /// Which one.
        peer: WorkerId,
        /// How many that were sent against room.
        entries: u32,
        /// Their cost.
        bytes: u64,
    },
    /// The answer to `Output::OpenLog`.
    LogOpened {
        /// Who asked.
        home: SlotKey,
        /// The log's life.
        epoch: Epoch,
        /// Its newest offset.
        head: Offset,
        /// The newest offset that it does not keep any more.
        floor: Offset,
    },
    /// The log could not open a channel, for now.
    LogNotOpened {
        /// Who asked.
        home: SlotKey,
        /// Why.
        failure: LogFailure,
    },
    /// The log has not taken a record.
    NotAppended {
        /// Who asked.
        home: SlotKey,
        /// The append it answers.
        ticket: u64,
        /// Why.
        outcome: NotAppended,
    },
    /// The answer to `Output::ReadLog`.
    LogRead {
        /// Who asked.
        home: SlotKey,
        /// The first offset that was asked for.
        from: Offset,
        /// What is there.
        result: Result<Block, LogFailure>,
    },
    /// The log has ordered a record.
    Committed {
        /// Whose channel.
        home: SlotKey,
        /// The append it answers; `None` for a record of another node.
        ticket: Option<u64>,
        /// The record with epoch and offset.
        record: Arc<Record>,
        /// The newest offset that the log does not keep any more, as far as this answer knows; 0 from a log that keeps nothing.
        floor: Offset,
    },
    /// The answer to `Output::LocateInLog`.
    Located {
        /// Who asked.
        home: SlotKey,
        /// Which question it answers.
        ticket: u64,
        /// Where it is; `None` if there is none.
        result: Result<Option<Offset>, LogFailure>,
    },
    /// The answer to `Output::PurgeLog`.
    Purged {
        /// Who asked.
        home: SlotKey,
        /// Which order it answers.
        ticket: u64,
        /// Up to where nothing can be read any more.
        result: Result<Offset, LogFailure>,
    },
    /// The answer to `Output::ApplyState`.
    StateApplied {
        /// Who asked.
        ticket: StateTicket,
        /// Whether the changes are as safe as the store makes them.
        result: Result<(), LogFailure>,
    },
    /// The answer to `Output::ScanState`.
    StateScanned {
        /// Who asked.
        ticket: StateTicket,
        /// The rows in the order of their keys, and whether there are more.
        result: Result<(Vec<Row>, bool), LogFailure>,
    },
    /// A question or an order from the HTTP API or the application.
    Call {
        /// To answer it.
        ticket: u64,
        /// The call.
        call: Call,
    },
    /// The node shuts down: every connection is told and closed.
    Drain,
}

/// Why a log did not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFailure {
    /// Its queue is full; soon again.
    Busy,
    /// The disk is full.
    Full,
    /// It does not work for now.
    Unavailable,
    /// What it kept is damaged: on reading, the first record that was asked for.
    Damaged,
}

/// Why a record was not appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAppended {
    /// The publisher's id was used for the same message.
    Duplicate {
        /// Its id.
        id: MessageId,
        /// Where it is.
        position: Position,
    },
    /// The publisher's id was used for another message.
    Conflict,
    /// It could not be.
    Failed(LogFailure),
}

/// A connection as the engine hands it over.
#[derive(Debug)]
pub struct Opened {
    /// Its place and generation.
    pub connection: ConnectionKey,
    /// How it spells frames.
    pub dialect: Dialect,
    /// The other end.
    pub client: Client,
    /// Who it is; `None` if its `connect` frame must say.
    pub identity: Option<Identity>,
    /// What its URL or body asked for; `None` if a `connect` frame must come.
    pub connect: Option<Connect>,
    /// The number of the `connect` frame in its body.
    pub reference: Option<Ref>,
}
