//! A timer wheel: one for all deadlines of a worker, nothing per idle connection but eight bytes in a bucket.
//!
//! Entries are hints. Whoever is woken looks at its own deadline and either acts or asks to be woken again, so a deadline that
//! moves later costs nothing and one that moves earlier just adds an entry.

use std::time::Duration;

use crate::id::SlotKey;
use crate::time::Time;

/// Width of a bucket: deadlines here are seconds long, and waking four times a second is free.
const TICK_MS: u64 = 250;
/// Buckets: 128 s in one round, beyond every deadline of a connection. Later ones wait for further rounds.
const BUCKETS: usize = 512;

/// How far ahead an entry may lie; later deadlines are armed again when it comes.
pub(crate) const HORIZON: Duration = Duration::from_millis((BUCKETS as u64 - 2) * TICK_MS);

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timer {
    /// A connection: connect, heartbeat, close.
    Session(SlotKey),
    /// A channel at its home: history ages, idle state is freed.
    Channel(SlotKey),
    /// An inbox at its home: messages expire, or wait long enough to be told.
    Inbox(SlotKey),
    /// The consumers of a channel: deliveries that were not acked, and those that come again.
    Consumers(SlotKey),
}

#[derive(Debug)]
pub(crate) struct Wheel {
    sessions: Vec<Vec<SlotKey>>,
    channels: Vec<Vec<SlotKey>>,
    inboxes: Vec<Vec<SlotKey>>,
    consumers: Vec<Vec<SlotKey>>,
    /// The tick that has been handed out last.
    tick: u64,
    entries: usize,
}

impl Wheel {
    pub(crate) fn new(now: Time) -> Self {
        let tick = now.as_ms() / TICK_MS;
        let buckets = || vec![Vec::new(); BUCKETS];
        Self { sessions: buckets(), channels: buckets(), inboxes: buckets(), consumers: buckets(), tick, entries: 0 }
    }

    /// Wakes `timer` at the first tick after `at`, and at the end of the round if that is sooner. Returns when that is: a wheel
    /// that is late wakes earlier than asked.
    pub(crate) fn arm(&mut self, timer: Timer, at: Time, now: Time) -> Time {
        if self.entries == 0 {
            // Nobody turned it while it was empty.
            self.tick = self.tick.max(now.as_ms() / TICK_MS);
        }
        let ahead = (at.as_ms() / TICK_MS + 1).saturating_sub(self.tick).clamp(1, BUCKETS as u64 - 1);
        let bucket = ((self.tick + ahead) % BUCKETS as u64) as usize;
        match timer {
            Timer::Session(key) => self.sessions[bucket].push(key),
            Timer::Channel(key) => self.channels[bucket].push(key),
            Timer::Inbox(key) => self.inboxes[bucket].push(key),
            Timer::Consumers(key) => self.consumers[bucket].push(key),
        }
        self.entries += 1;
        Time::from_ms((self.tick + ahead) * TICK_MS)
    }

    /// Takes the entries that are due, a bucket at a time, into `due`. Returns whether there may be more.
    pub(crate) fn take_due(&mut self, now: Time, due: &mut Vec<Timer>) -> bool {
        let present = now.as_ms() / TICK_MS;
        // After a long stop one round visits every bucket; further ones would find them empty.
        self.tick = self.tick.max(present.saturating_sub(BUCKETS as u64));
        while self.tick < present {
            self.tick += 1;
            let bucket = (self.tick % BUCKETS as u64) as usize;
            if self.is_empty(bucket) {
                continue;
            }
            due.extend(std::mem::take(&mut self.sessions[bucket]).into_iter().map(Timer::Session));
            due.extend(std::mem::take(&mut self.channels[bucket]).into_iter().map(Timer::Channel));
            due.extend(std::mem::take(&mut self.inboxes[bucket]).into_iter().map(Timer::Inbox));
            due.extend(std::mem::take(&mut self.consumers[bucket]).into_iter().map(Timer::Consumers));
            self.entries -= due.len();
            return true;
        }
        false
    }

    fn is_empty(&self, bucket: usize) -> bool {
        [&self.sessions, &self.channels, &self.inboxes, &self.consumers].iter().all(|kind| kind[bucket].is_empty())
    }

    /// Entries that have not come.
    #[cfg(test)]
    pub(crate) const fn len(&self) -> usize {
        self.entries
    }

    /// When to call [`Wheel::take_due`] next; `None` while nothing is armed.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        (self.entries > 0).then(|| {
            let bucket = |tick: u64| (tick % BUCKETS as u64) as usize;
            let armed = |tick: &u64| !self.is_empty(bucket(*tick));
            let next = (self.tick + 1..=self.tick + BUCKETS as u64).find(armed).unwrap_or(self.tick + 1);
            Time::from_ms(next * TICK_MS)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(slot: u32) -> SlotKey {
        SlotKey { slot, generation: 1 }
    }

    fn arm(wheel: &mut Wheel, timer: Timer, at: u64, now: u64) -> u64 {
        wheel.arm(timer, Time::from_ms(at), Time::from_ms(now)).as_ms()
    }

    fn due(wheel: &mut Wheel, ms: u64) -> Vec<u32> {
        let mut all = Vec::new();
        let mut batch = Vec::new();
        while wheel.take_due(Time::from_ms(ms), &mut batch) {
            all.extend(batch.drain(..).map(|timer| match timer {
                Timer::Session(key) | Timer::Channel(key) | Timer::Inbox(key) | Timer::Consumers(key) => key.slot,
            }));
        }
        all
    }

    #[test]
    fn a_timer_fires_once_and_never_early() {
        let mut wheel = Wheel::new(Time::from_ms(1_000));
        for (slot, at) in [(1, 1_000), (2, 1_249), (3, 1_300), (4, 31_000)] {
            arm(&mut wheel, Timer::Session(key(slot)), at, 1_000);
        }
        assert_eq!(due(&mut wheel, 1_249), [] as [u32; 0]);
        assert_eq!(due(&mut wheel, 1_250), [1, 2]);
        assert_eq!(due(&mut wheel, 1_600), [3]);
        assert_eq!(wheel.next_deadline(), Some(Time::from_ms(31_250)));
        assert_eq!(due(&mut wheel, 31_249), [] as [u32; 0]);
        assert_eq!(due(&mut wheel, 31_250), [4]);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn a_frozen_worker_finds_everything_that_came_due() {
        let mut wheel = Wheel::new(Time::default());
        arm(&mut wheel, Timer::Session(key(1)), 5_000, 0);
        arm(&mut wheel, Timer::Channel(key(2)), 100_000, 0);
        let mut found = due(&mut wheel, 10_000_000);
        found.sort_unstable();
        assert_eq!(found, [1, 2]);
        arm(&mut wheel, Timer::Session(key(3)), 10_000_100, 10_000_000);
        assert_eq!(due(&mut wheel, 10_000_500), [3]);
    }

    #[test]
    fn a_deadline_beyond_the_round_wakes_early_enough_to_be_armed_again() {
        let mut wheel = Wheel::new(Time::default());
        assert_eq!(arm(&mut wheel, Timer::Channel(key(1)), 600_000, 0), 127_750);
        assert_eq!(due(&mut wheel, 128_000), [1]);
    }

    #[test]
    fn a_wheel_that_stood_still_says_when_it_wakes() {
        let mut wheel = Wheel::new(Time::default());
        // Empty for an hour: it does not matter where it stood.
        assert_eq!(arm(&mut wheel, Timer::Session(key(1)), 3_610_000, 3_600_000), 3_610_250);
        // Late by two minutes: the next round ends before the deadline that is asked for.
        assert_eq!(arm(&mut wheel, Timer::Session(key(2)), 3_850_000, 3_720_000), 3_727_750);
        assert_eq!(due(&mut wheel, 3_727_500), [1]);
        assert_eq!(due(&mut wheel, 3_727_750), [2]);
    }
}
