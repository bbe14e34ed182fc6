//! What one connection has taken of its user's messages.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Mode;
use crate::acks::Which;
use crate::limits;
use crate::position::Offset;
use crate::time::Time;

/// See [`Taker::note_written`]: how old a write must be when a POST proves that it has arrived.
const ARRIVED_AFTER: Duration = Duration::from_secs(1);

/// A connection's part of an inbox. Only connections that get messages of an inbox, or ack by command, have one.
#[derive(Debug, Default)]
pub(crate) struct Taker {
    pub(crate) mode: Mode,
    /// The newest offset put into the outbox.
    pushed: Offset,
    /// The newest offset a Ping was sent for.
    probed: Offset,
    /// The newest offset that is proved to have arrived.
    proved: Offset,
    /// The newest offset whose proof is on its way to the home.
    told: Offset,
    /// Writes of one second, and those of the second before: when it began, and the newest offset of it.
    writes: [(Time, Offset); 2],
    /// Manual: taken and not acked. Bounded by [`limits::INBOX_OUT_MAX`].
    out: BTreeSet<Offset>,
}

impl Taker {
    pub(crate) fn manual() -> Self {
        Self { mode: Mode::Manual, ..Self::default() }
    }

    /// A message was put into the outbox.
    pub(crate) fn note_pushed(&mut self, offset: Offset) {
        self.pushed = offset;
        if self.mode == Mode::Manual {
            self.out.insert(offset);
        }
    }

    /// More messages that a manual connection may take.
    pub(crate) fn room(&self) -> usize {
        match self.mode {
            Mode::Auto => usize::MAX,
            Mode::Manual => limits::INBOX_OUT_MAX.saturating_sub(self.out.len()),
        }
    }

    /// Messages were acked, by whomever. Returns whether there is room again where there was none.
    pub(crate) fn take_acked(&mut self, which: &Which) -> bool {
        let full = self.room() == 0;
        match which {
            Which::UpTo(last) => self.out = self.out.split_off(&(last + 1)),
            Which::Offsets(offsets) => self.out.retain(|offset| !offsets.contains(offset)),
        }
        full && self.room() > 0
    }

    /// Whether a Ping should follow soon.
    pub(crate) fn wants_probe(&self) -> bool {
        self.mode == Mode::Auto && self.pushed > self.probed
    }

    /// A Ping is put into the outbox. Returns what its Pong will prove, if anything.
    pub(crate) fn probe(&mut self) -> Option<Offset> {
        self.probed = self.pushed;
        (self.mode == Mode::Auto && self.pushed > self.told).then_some(self.pushed)
    }

    /// A Pong has come. What no Ping has asked for says nothing: a Pong may also be sent unasked, with whatever in it.
    pub(crate) fn take_pong(&mut self, offset: Offset) {
        if self.mode == Mode::Auto && offset <= self.probed {
            self.proved = self.proved.max(offset);
        }
    }

    /// An event stream was written up to this offset. What was written lately may still be on its way when a POST comes.
    pub(crate) fn note_written(&mut self, offset: Offset, now: Time) {
        let [before, newest] = &mut self.writes;
        if now >= newest.0.after(ARRIVED_AFTER) {
            *before = std::mem::replace(newest, (now, offset));
        } else {
            newest.1 = newest.1.max(offset);
        }
    }

    /// A POST has come.
    pub(crate) fn take_post(&mut self, now: Time) {
        if self.mode == Mode::Manual {
            return;
        }
        let arrived = |(began, _): &&(Time, Offset)| began.after(2 * ARRIVED_AFTER) <= now;
        let newest = self.writes.iter().rev().find(arrived).map_or(0, |(_, offset)| *offset);
        self.proved = self.proved.max(newest);
    }

    /// What the home is to be told, if anything.
    pub(crate) fn untold_proof(&self) -> Option<Offset> {
        (self.proved > self.told).then_some(self.proved)
    }

    /// It is on its way.
    pub(crate) const fn note_told(&mut self) {
        self.told = self.proved;
    }
}
