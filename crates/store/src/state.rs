//! The trait of the state beside the log, and its answers. Its words are core's.

use realtime_connector_core::state::{Change, Row, Scan};

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
