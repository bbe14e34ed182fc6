//! The trait of a log, and its words.

use std::borrow::Cow;
use std::sync::Arc;

use realtime_connector_core::id::{ChannelKey, MessageId, SlotKey};
use realtime_connector_core::options::Retention;
use realtime_connector_core::position::{Epoch, Offset, Position};
use realtime_connector_core::publish::Publisher;
use realtime_connector_core::record::Record;
use realtime_connector_core::time::UnixMs;

/// Orders records, and remembers how far each channel has come.
///
/// Rules every log keeps:
///
/// - Offsets of a channel rise by one from record to record and never repeat within an epoch, also when a channel was forgotten in
///   between. A new epoch says that history was lost.
/// - Each call but [`Log::forget`] gets exactly one answer. Answers to appends, opens and purges that worked come in the order of the
///   calls; reads overtake them and each other, and so do failures.
/// - `Committed` comes when the record is as safe as this log makes it, and a read that is asked for after it sees the record.
/// - `Failed` with [`LogError::Unavailable`] leaves open whether the record was taken: the publisher tries again with the same id.
///   With any other error it was not.
pub trait Log {
    /// Asks where a channel stands and says how much of it is kept; answered by [`Completion::Opened`].
    fn open(&mut self, home: SlotKey, channel: &ChannelKey, retention: Retention);

    /// Gives a channel its next record; answered by [`Completion::Committed`], [`Completion::Duplicate`] or
    /// [`Completion::Conflict`]. The channel has been opened.
    fn append(&mut self, home: SlotKey, ticket: u64, append: Append);

    /// Asks for a page; answered by [`Completion::Read`].
    fn read(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, read: Read);

    /// Asks where something is; answered by [`Completion::Located`].
    fn locate(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, locate: Locate);

    /// Makes everything up to `through` unreadable; answered by [`Completion::Purged`].
    fn purge(&mut self, home: SlotKey, ticket: u64, channel: &ChannelKey, through: Offset);

    /// A channel's state at its home is freed. A log that keeps nothing may forget it; what is kept stays.
    fn forget(&mut self, channel: &ChannelKey);

    /// The next result.
    fn poll(&mut self) -> Option<Completion>;
}

/// A record on its way into a log.
#[derive(Clone, Debug)]
pub struct Append {
    /// The record but for epoch and offset.
    pub record: Box<Record>,
    /// Who published it, if its id is to be remembered for 5 minutes.
    pub idempotent: Option<Publisher>,
    /// Older records with the same key cannot be read any more.
    pub replaces: bool,
}

/// What to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// The first offset wanted.
    pub from: Offset,
    /// Records; at least 1.
    pub records_max: usize,
    /// Bytes, as [`Record::cost`] counts them. The first record comes also if it alone is larger.
    pub bytes_max: usize,
}

/// What to look for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Locate {
    /// The newest record with this id.
    Id(MessageId),
    /// The first record that is not older. Where the clock went backwards, one of those before which an older one stands.
    Time(UnixMs),
}

/// What a log has done.
#[derive(Debug)]
pub enum Completion {
    /// The answer to [`Log::open`].
    Opened {
        /// Who asked.
        home: SlotKey,
        /// The log's life.
        epoch: Epoch,
        /// The newest offset; the next one is one higher.
        head: Offset,
        /// The newest offset that cannot be read any more.
        trimmed: Offset,
    },
    /// The record is in the log.
    Committed {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: u64,
        /// The record with epoch and offset.
        record: Arc<Record>,
        /// The newest offset that cannot be read any more; 0 from a log that keeps nothing.
        trimmed: Offset,
    },
    /// The same publisher, channel, id and content within 5 minutes: nothing was appended.
    Duplicate {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: u64,
        /// Where the first one is.
        position: Position,
        /// Its id.
        id: MessageId,
    },
    /// The same publisher, channel and id within 5 minutes, with other content: nothing was appended.
    Conflict {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: u64,
    },
    /// The answer to [`Log::read`].
    Read {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: u64,
        /// The first offset wanted, as it was asked for.
        from: Offset,
        /// In order. What is missing between `from` (or `trimmed` + 1, if higher) and `through` has expired or was replaced. A damaged
        /// record ends the page before it; one that would begin it is [`LogError::Corrupt`].
        records: Vec<Arc<Record>>,
        /// This page covers everything up to here; `from` − 1 if it covers nothing.
        through: Offset,
        /// The newest offset that cannot be read any more.
        trimmed: Offset,
        /// The newest offset; 0 while the log knows nothing of the channel.
        head: Offset,
    },
    /// The answer to [`Log::locate`].
    Located {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: u64,
        /// `None` if nothing fits, or no longer.
        offset: Option<Offset>,
    },
    /// The answer to [`Log::purge`].
    Purged {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: u64,
        /// What was asked for, but never beyond the head. Retention may have taken more; that is lost, not purged.
        through: Offset,
    },
    /// Any call that did not work; `ticket` is `None` for [`Log::open`].
    Failed {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: Option<u64>,
        /// Why.
        error: LogError,
    },
}

/// Why a call did not work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Too much waits; try again later.
    #[error("too many requests wait for the store")]
    Busy,
    /// No space; works again when there is some.
    #[error("the disk of the store is full")]
    Full,
    /// A write failed, and nothing is written any more until a restart. What was asked for may or may not have happened.
    #[error("the store takes no writes since one failed; look at the disk and restart")]
    Unavailable,
    /// It cannot be read for now, or until an operator has looked at it. Whether anything is lost is not known.
    #[error("the file of the store cannot be read: {what}")]
    Unreadable {
        /// For the operator: what the engine says.
        what: Cow<'static, str>,
    },
    /// What was read is not what was written.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// For the operator: what is damaged, and what to do.
        what: Cow<'static, str>,
    },
    /// Larger than a store takes; it never will.
    #[error("{what} is larger than the store takes")]
    TooLarge {
        /// What is too large.
        what: &'static str,
    },
}
