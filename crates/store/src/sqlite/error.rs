//! What goes wrong, in words for the operator and in kinds for the writer.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;

use rusqlite::{Error, ErrorCode, ffi};

use crate::LogError;

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Its answer.
        source: io::Error,
    },
    /// Another process has it open.
    #[error("{} is in use by another process; a store has one", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A database of somebody else.
    #[error("{} is not a store of this program (application id {found:#x}); name another file", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Whose it says it is.
        found: i64,
    },
    /// Written by a newer version.
    #[error("{} has format {found}, this version knows formats up to {known}; use the newer version again", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest format known.
        known: i64,
    },
    /// Acknowledged groups are missing.
    #[error(
        "{} came back shorter: group {acknowledged} was acknowledged, the newest one found is {found}; \
         copy the files aside, restore the -wal file or a backup, or accept the loss, which begins a new epoch in every channel",
        path.display()
    )]
    Shorter {
        /// The database.
        path: PathBuf,
        /// The newest group that somebody was told of.
        acknowledged: u64,
        /// The newest group there is.
        found: u64,
    },
    /// The file that says what was acknowledged cannot say it.
    #[error(
        "{}: {what}; without it nobody can tell whether anything is missing: restore it, or accept the loss, which begins a new \
         epoch in every channel",
        path.display()
    )]
    SideFile {
        /// The side file.
        path: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// What was read is not what was written.
    #[error("{} is damaged: {what}; restore a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What and where.
        what: Cow<'static, str>,
    },
    /// SQLite said no.
    #[error("cannot {what} {}: {source}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// Its answer.
        source: Error,
    },
}

/// Why an operation on an open store did not work, as far as the writer has to know.
#[derive(Debug)]
pub(super) enum Fault {
    /// This operation alone; the rest of its group goes on.
    Operation(LogError),
    /// No space: undone, and worth another try later.
    Full,
    /// Another process holds the write lock, or there is no memory: undone, and worth another try.
    Busy,
    /// A write, a sync or the file itself is broken: nothing is written any more.
    Stop(LogError),
}

impl Fault {
    /// What whoever asked is told.
    pub(super) fn told(&self) -> LogError {
        match self {
            Self::Operation(error) | Self::Stop(error) => error.clone(),
            Self::Full => LogError::Full,
            Self::Busy => LogError::Busy,
        }
    }
}

/// Damage with its place.
pub(super) fn damaged(what: impl Into<Cow<'static, str>>) -> Fault {
    Fault::Operation(LogError::Corrupt { what: what.into() })
}

/// A commit that failed. SQLite indexes the log after it has written and synced it, so that a commit which failed at anything but a
/// write for want of space may come back at the next start: it is in doubt, and so is everything after it.
pub(super) fn in_doubt(error: Error) -> Fault {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Fault::Full,
        Some(_) | None => Fault::Stop(LogError::Unavailable),
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let Error::SqliteFailure(failure, _) = &error else {
            // A column that is not of its type: what was read is not what was written.
            return damaged(error.to_string());
        };
        if failure.extended_code == ffi::SQLITE_IOERR_SHMSIZE {
            // The index of the write-ahead log could not grow, for want of space.
            return Self::Full;
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "codes of another library, of which a few matter")]
        match failure.code {
            ErrorCode::DiskFull => Self::Full,
            ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked | ErrorCode::OutOfMemory => Self::Busy,
            ErrorCode::SystemIoFailure
            | ErrorCode::ReadOnly
            | ErrorCode::CannotOpen
            | ErrorCode::PermissionDenied
            | ErrorCode::FileLockingProtocolFailed => Self::Stop(LogError::Unavailable),
            ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => {
                Self::Stop(LogError::Corrupt { what: Cow::Owned(error.to_string()) })
            }
            // A constraint: the rows contradict each other. Everything else would be a bug of ours.
            _ => damaged(error.to_string()),
        }
    }
}
