//! Instants as values: nothing in core reads a clock.
//!
//! [`Time`] is monotonic and orders deadlines; [`UnixMs`] is wall-clock time and is only ever shown to people. They never mix,
//! so a clock that jumps changes no order and fires no deadline.

use std::time::Duration;

/// A monotonic instant: milliseconds since an arbitrary origin, the same for all workers of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(u64);

impl Time {
    /// Later than any deadline.
    pub const MAX: Self = Self(u64::MAX);

    /// The instant `ms` milliseconds after the origin.
    #[must_use]
    pub const fn from_ms(ms: u64) -> Self {
        Self(ms)
    }

    /// Milliseconds since the origin.
    #[must_use]
    pub const fn as_ms(self) -> u64 {
        self.0
    }

    /// This instant plus a duration; saturates instead of wrapping.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_millis() as u64))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Wall-clock time: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMs(pub u64);

/// The present, as every `handle` call gets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// For deadlines and ages.
    pub time: Time,
    /// For the `time` of messages and for people.
    pub wall: UnixMs,
}
