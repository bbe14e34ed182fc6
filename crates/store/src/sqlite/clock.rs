//! Store time: milliseconds that never run backwards and do not jump with the wall clock.
//!
//! Ages in files need a clock that outlives the process, and the wall clock may be set by hours. So the store counts its own: while
//! it runs, by the monotonic clock; over a restart, by the wall clock, and not at all if that went backwards. A wall clock that is set
//! forward while the store is closed looks like a long pause.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use realtime_connector_core::time::{Now, Time, UnixMs};

/// Where the present comes from.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// The clocks of this machine. A node that hands in its own gets records whose `admitted` is on its own scale.
#[must_use]
pub fn system() -> Clock {
    let origin = Instant::now();
    Arc::new(move || {
        let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { time: Time::from_ms(ms(origin.elapsed())), wall: UnixMs(ms(wall)) }
    })
}

/// Store time of one life of the process.
#[derive(Clone)]
pub(super) struct StoreClock {
    clock: Clock,
    started: Time,
    base_ms: i64,
}

/// One look at the clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instants {
    pub(super) now: Now,
    /// Store time.
    pub(super) store_ms: i64,
}

impl StoreClock {
    /// Goes on from what was noted last.
    pub(super) fn resume(clock: Clock, store_ms: i64, wall_ms: i64) -> Self {
        let now = clock();
        let pause_ms = i64::try_from(now.wall.0).unwrap_or(i64::MAX).saturating_sub(wall_ms).max(0);
        Self { clock, started: now.time, base_ms: store_ms.saturating_add(pause_ms) }
    }

    pub(super) fn now(&self) -> Instants {
        let now = (self.clock)();
        let elapsed = i64::try_from(now.time.since(self.started).as_millis()).unwrap_or(i64::MAX);
        Instants { now, store_ms: self.base_ms.saturating_add(elapsed) }
    }
}

impl Instants {
    /// When an instant of store time that has not passed yet will come, on the node's own scale.
    pub(super) fn at(self, store_ms: i64) -> Time {
        let ahead = u64::try_from(store_ms.saturating_sub(self.store_ms)).unwrap_or(0);
        Time::from_ms(self.now.time.as_ms().saturating_add(ahead))
    }

    /// When something stored at this time was admitted, on the node's own scale.
    pub(super) fn admitted(self, stored_ms: i64) -> Time {
        let age = u64::try_from(self.store_ms.saturating_sub(stored_ms)).unwrap_or(0);
        Time::from_ms(self.now.time.as_ms().saturating_sub(age))
    }
}
