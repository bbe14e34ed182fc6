//! Positions: "I have everything up to and including this offset of this epoch."

use std::fmt;
use std::sync::Arc;

/// The number of a record within its channel and epoch: at least 1, and below 2^53 so that JSON carries it. 0 means before the first.
pub type Offset = u64;

/// A life of a log. Offsets are comparable only within one epoch; a new epoch says that history went backwards or was lost.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(Arc<str>);

impl Epoch {
    /// Longest epoch accepted from a client, in bytes; ours are far shorter.
    pub const BYTES_MAX: usize = 64;

    /// Takes a string as an epoch: 1–64 ASCII letters and digits. `None` for anything else, so that a position in a URL has one
    /// reading.
    #[must_use]
    pub fn parse(epoch: &str) -> Option<Self> {
        let plain =
            !epoch.is_empty() && epoch.len() <= Self::BYTES_MAX && epoch.bytes().all(|b| b.is_ascii_alphanumeric());
        plain.then(|| Self(epoch.into()))
    }

    /// The epoch of a record that no log has taken yet.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::default())
    }

    /// The epoch's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Everything up to and including `offset` of `epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which life of the log.
    pub epoch: Epoch,
    /// The last record covered; 0 covers none.
    pub offset: Offset,
}

impl Position {
    /// In place of a position that nobody can read any more: whoever begins here is told of the loss, and gets what is kept.
    #[must_use]
    pub fn unknown() -> Self {
        Self { epoch: Epoch::none(), offset: 0 }
    }
}

/// Where a subscription begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With the next record.
    Now,
    /// After a position the client already has; what was missed is replayed, or a gap says what cannot be.
    Since(Position),
    /// This many records back, as far as they are retained.
    Rewind(u32),
    /// With what came in the last so many milliseconds, as far as it is retained.
    RewindMs(u64),
    /// With the first record of this epoch, as far as its home knows. Used for a channel that had none yet when the client left.
    Beginning(Epoch),
}

/// A stretch of offsets for which the client gets no message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First and last offset covered; `None` where the epoch changed and numbers cannot be compared.
    pub range: Option<(Offset, Offset)>,
    /// Why.
    pub reason: GapReason,
}

/// Why a gap exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GapReason {
    /// Older than what history keeps.
    Window,
    /// The reader was too slow and history moved on.
    Slow,
    /// The log began a new life.
    Epoch,
    /// The publisher excluded this session.
    Excluded,
    /// Its time to live passed.
    Expired,
    /// A newer message with the same key took its place.
    Replaced,
    /// The application removed it.
    Purged,
    /// It has left the inbox: it was acked, or its time to live has passed.
    Acked,
}

impl GapReason {
    /// Whether the gap is loss, as opposed to a deliberate skip.
    #[must_use]
    pub const fn lost(self) -> bool {
        match self {
            Self::Window | Self::Slow | Self::Epoch => true,
            Self::Excluded | Self::Expired | Self::Replaced | Self::Purged | Self::Acked => false,
        }
    }
}
