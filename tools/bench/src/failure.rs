//! What can end a run, and which of it is the fault of whom.

use std::io;

/// Shorthand used by the whole tool.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// The reason why a run (or one contestant of it) ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// A peer cannot be had on this machine: reported as skipped, the run goes on.
    #[error("skipped: {0}")]
    Skip(String),
    /// A message was lost, repeated or reordered, or a connection closed: the server under test is wrong.
    #[error("delivery is broken: {0}")]
    Delivery(String),
    /// What was asked for does not fit this machine.
    #[error("{0}")]
    DoesNotFit(String),
    /// Ctrl-C or SIGTERM.
    #[error("interrupted")]
    Interrupted,
    /// The whole run is bounded, see `--limit-s`.
    #[error("time limit of {0} s for the whole run reached")]
    TimeLimit(u64),
    /// `--max-ratio` was given and a contestant is above it.
    #[error("{0}")]
    RatioExceeded(String),
    /// The server under test did not speak as expected.
    #[error("{0}")]
    Protocol(String),
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being tried.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// Adds what was being tried to an I/O error.
pub(crate) trait Trying<T> {
    /// Turns an `io::Error` into a [`Failure::Io`] that names the attempt.
    fn trying(self, what: &str) -> Result<T>;
}

impl<T> Trying<T> for io::Result<T> {
    fn trying(self, what: &str) -> Result<T> {
        self.map_err(|source| Failure::Io { what: what.to_owned(), source })
    }
}
