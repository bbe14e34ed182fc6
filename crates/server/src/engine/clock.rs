//! The only place of the engine that reads clocks.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use realtime_connector_core::time::{Now, Time, UnixMs};

/// The time of a turn: read once, the same for all that happens in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    origin: Instant,
    now: Now,
}

impl Clock {
    /// A clock whose monotonic time begins with the node.
    pub(crate) fn new(origin: Instant) -> Self {
        let mut clock = Self { origin, now: Now::default() };
        clock.tick();
        clock
    }

    /// Looks at the time.
    pub(crate) fn tick(&mut self) {
        let time = Time::default().after(self.origin.elapsed());
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = Now { time, wall: UnixMs(u64::try_from(wall.as_millis()).unwrap_or(0)) };
    }

    /// The time as last looked at.
    pub(crate) const fn now(&self) -> Now {
        self.now
    }

    /// How long until then, from this very moment.
    pub(crate) fn until(&self, deadline: Time) -> Duration {
        let at = self.origin + Duration::from_millis(deadline.as_ms());
        // A millisecond later rather than earlier: epoll rounds, and core compares whole milliseconds.
        at.saturating_duration_since(Instant::now()) + Duration::from_millis(1)
    }
}
