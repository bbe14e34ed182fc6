//! One checker for the journals of publishers, subscribers and servers: a module per invariant, named as in the design.
//!
//! - A publisher notes each message and what it was told. A subscriber notes, per channel, where each of its connections begins, what
//!   it hears, and what it would not ask for again. A server may note how full its queues were and what it counted.
//! - The checker knows nothing of sockets and of the server, so that the simulator and the tests with real processes share it, and it
//!   can be tested itself.
//! - A violation is a text that begins with the invariant's name. Loss that was told by a gap is no violation; it is counted.
//! - What homes of durable consumers hand out is noted where they do it, so that nothing on the way blurs it.

#[cfg(test)]
mod consumer_tests;
mod i15_counters;
mod i1_no_loss;
mod i2_no_invention;
mod i3_no_duplicates;
mod i4_order;
mod i5_gaps;
mod i6_seam;
mod i8_redelivery;
mod i9_bounds;
mod journal;
#[cfg(test)]
mod tests;

pub use i8_redelivery::{Duty, Happened, Word, Work};
pub use i9_bounds::Gauges;
pub use i15_counters::Account;
pub use journal::{Heard, Journal, Journals, Label, Outcome, Position, Sent};

/// What the checker says.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Each begins with the name of the invariant.
    pub violations: Vec<String>,
    /// Acknowledged messages that a gap told some subscriber to be lost.
    pub told_losses: usize,
    /// The same where the gap said that they are left out on purpose.
    pub told_skips: usize,
    /// Messages that came twice as they may: those of a write that was cut off.
    pub repeats: usize,
    /// Answers that said yes.
    pub acknowledged: usize,
    /// Messages that subscribers heard.
    pub heard: usize,
    /// Deliveries of durable consumers …
    pub handed_out: usize,
    /// … of these, those of messages that were handed out before …
    pub handed_out_again: usize,
    /// … and messages that were given up.
    pub dead: usize,
}

impl Verdict {
    /// Panics if anything is wrong, and if anything was lost or left out: with a store and long retention, and where nothing expires
    /// and nobody is excluded, nothing may be.
    ///
    /// # Panics
    /// With the first violations.
    #[track_caller]
    pub fn assert_flawless(&self) {
        let shown = self.violations.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(self.violations.is_empty(), "{} violations:\n{shown}", self.violations.len());
        let told = (self.told_losses, self.told_skips);
        assert_eq!(told, (0, 0), "acknowledged messages were told to be lost, or to be left out");
    }
}

impl Journals {
    /// Checks everything.
    #[must_use]
    pub fn check(&self) -> Verdict {
        let mut verdict = Verdict {
            acknowledged: self.acknowledged().count(),
            heard: self.heard.iter().flat_map(|it| &it.heard).filter(|it| matches!(it, Heard::Message { .. })).count(),
            ..Verdict::default()
        };
        i1_no_loss::check(self, &mut verdict);
        i2_no_invention::check(self, &mut verdict);
        i3_no_duplicates::check(self, &mut verdict);
        i4_order::check(self, &mut verdict);
        i5_gaps::check(self, &mut verdict);
        i6_seam::check(self, &mut verdict);
        i8_redelivery::check(self, &mut verdict);
        i9_bounds::check(self, &mut verdict);
        i15_counters::check(self, &mut verdict);
        verdict
    }

    /// Channel, label and position of every answer that says yes.
    fn acknowledged(&self) -> impl Iterator<Item = (&str, &Label, &Position)> {
        self.sent.iter().filter_map(|sent| match &sent.outcome {
            Outcome::Acknowledged { position, .. } => Some((sent.channel.as_str(), &sent.label, position)),
            Outcome::Refused | Outcome::Unknown => None,
        })
    }
}
