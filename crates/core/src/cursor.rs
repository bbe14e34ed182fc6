//! Cursors: all positions of an event stream at one moment. What a sealed one looks like is known to `wire` and the server.

use crate::limits::{self, SAFE_INTEGER_MAX};
use crate::position::{Epoch, Offset, Position};

/// The positions of a connection, for its sealed SSE cursor: channel fingerprints and offsets, by epoch. The storage is reused from
/// one cursor to the next.
///
/// Offset 0 is before the first message. [`CursorPositions::NOWHERE`] stands for a position that cannot be said, so that its loss is
/// told.
#[derive(Clone, Debug, Default)]
pub struct CursorPositions {
    /// Groups beyond the epochs in use are left over from earlier cursors and hold no offsets.
    groups: Vec<EpochPositions>,
}

/// Positions of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EpochPositions {
    /// The epoch.
    pub epoch: Epoch,
    /// Channel fingerprint and offset, in order of importance.
    pub offsets: Vec<(u64, Offset)>,
}

impl EpochPositions {
    /// The position in a channel, by its fingerprint.
    #[must_use]
    pub fn position(&self, fingerprint: u64) -> Option<Position> {
        let (_, offset) = self.offsets.iter().find(|(print, _)| *print == fingerprint)?;
        Some(Position { epoch: self.epoch.clone(), offset: *offset })
    }
}

impl CursorPositions {
    /// Beyond every head: whoever comes back with it is told of the loss.
    pub const NOWHERE: Offset = SAFE_INTEGER_MAX;

    /// Takes all positions out.
    pub fn clear(&mut self) {
        self.groups.iter_mut().for_each(|group| group.offsets.clear());
    }

    /// Adds a position.
    pub fn push(&mut self, epoch: &Epoch, fingerprint: u64, offset: Offset) {
        // The same epochs come again and again; taking one anew would touch a counter that all workers share.
        if let Some(group) = self.groups.iter_mut().find(|group| group.epoch == *epoch) {
            return group.offsets.push((fingerprint, offset));
        }
        if let Some(group) = self.groups.iter_mut().find(|group| group.offsets.is_empty()) {
            group.epoch = epoch.clone();
            return group.offsets.push((fingerprint, offset));
        }
        if self.groups.len() < limits::CURSOR_EPOCHS {
            return self.groups.push(EpochPositions { epoch: epoch.clone(), offsets: vec![(fingerprint, offset)] });
        }
        self.groups[0].offsets.push((fingerprint, Self::NOWHERE));
    }

    /// The positions, by epoch.
    pub fn iter(&self) -> impl Iterator<Item = &EpochPositions> {
        self.groups.iter().filter(|group| !group.offsets.is_empty())
    }
}

impl PartialEq for CursorPositions {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}
