//! The trait of the state beside the log, and its words.

use crate::LogError;

/// Keeps small values by key: cursors, markers, what is unacked.
///
/// - Calls are answered once each. Answers to [`State::apply`] come in the order of the calls; scans overtake them.
/// - The changes of one call happen together or not at all. Calls of one worker, also those of its [`crate::Log`], take effect in
///   the order in which they were made, and those that fall into one group are committed together.
/// - `Applied` comes when the changes are as safe as this back end makes them, and a scan asked for after it sees them.
/// - Keys and values are bytes that only the caller understands; keys are ordered byte by byte.
pub trait State {
    /// Changes values; answered by [`StateCompletion::Applied`].
    fn apply(&mut self, ticket: u64, changes: Vec<Change>);

    /// Asks for a page; answered by [`StateCompletion::Scanned`].
    fn scan(&mut self, ticket: u64, scan: Scan);

    /// The next result.
    fn poll(&mut self) -> Option<StateCompletion>;
}

/// What a value is for. The numbers stand in files: they never change, and are not given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// How far a durable consumer has come.
    Cursors = 1,
    /// How far a user has read.
    Markers = 2,
    /// Deliveries that wait for an ack.
    PendingAcks = 3,
    /// Cursors of inboxes, with their holes.
    Inbox = 4,
    /// Tokens and users that are not let in any more.
    Revocations = 5,
    /// Messages given up on, by consumer.
    DeadLetters = 6,
}

impl Table {
    /// Every table.
    pub const ALL: [Self; 6] =
        [Self::Cursors, Self::Markers, Self::PendingAcks, Self::Inbox, Self::Revocations, Self::DeadLetters];
}

/// One change of one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Sets the value.
    Put {
        /// Where.
        table: Table,
        /// At most [`crate::limits::STATE_KEY_BYTES_MAX`].
        key: Box<[u8]>,
        /// At most [`crate::limits::STATE_VALUE_BYTES_MAX`].
        value: Box<[u8]>,
    },
    /// Sets the value unless the present one is greater, compared byte by byte. Numbers in it are big-endian and of fixed width, the
    /// most significant part first, so that the greater number is the greater value: merging commutes and may be repeated.
    Max {
        /// Where.
        table: Table,
        /// As in `Put`.
        key: Box<[u8]>,
        /// As in `Put`.
        value: Box<[u8]>,
    },
    /// Removes the value, if there is one.
    Delete {
        /// Where.
        table: Table,
        /// As in `Put`.
        key: Box<[u8]>,
    },
}

impl Change {
    /// Its key, and its value if it has one.
    #[must_use]
    pub fn parts(&self) -> (Table, &[u8], &[u8]) {
        match self {
            Self::Put { table, key, value } | Self::Max { table, key, value } => (*table, key, value),
            Self::Delete { table, key } => (*table, key, &[]),
        }
    }
}

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    /// Where.
    pub table: Table,
    /// How the keys begin.
    pub prefix: Box<[u8]>,
    /// Only keys above this one: the last key of the page before.
    pub after: Option<Box<[u8]>>,
    /// Rows; 1 … [`crate::limits::SCAN_ROWS_MAX`].
    pub rows_max: usize,
}

/// A key and its value.
pub type Row = (Box<[u8]>, Box<[u8]>);

/// What a state has done.
#[derive(Debug, PartialEq, Eq)]
pub enum StateCompletion {
    /// The answer to [`State::apply`].
    Applied {
        /// The ticket given.
        ticket: u64,
    },
    /// The answer to [`State::scan`].
    Scanned {
        /// The ticket given.
        ticket: u64,
        /// In the order of the keys.
        rows: Vec<Row>,
        /// Whether there are more.
        more: bool,
    },
    /// Any call that did not work.
    Failed {
        /// The ticket given.
        ticket: u64,
        /// Why.
        error: LogError,
    },
}

/// Whether changes are within the bounds of every back end.
pub(crate) fn fits(changes: &[Change]) -> Result<(), LogError> {
    use crate::limits;
    if changes.len() > limits::CHANGES_MAX {
        return Err(LogError::TooLarge { what: "the list of changes" });
    }
    for change in changes {
        let (_, key, value) = change.parts();
        if key.len() > limits::STATE_KEY_BYTES_MAX {
            return Err(LogError::TooLarge { what: "the key of a value" });
        }
        if value.len() > limits::STATE_VALUE_BYTES_MAX {
            return Err(LogError::TooLarge { what: "a value" });
        }
    }
    Ok(())
}
