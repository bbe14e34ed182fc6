//! The past: what a store loses of it, and what is there for whoever asks.

use super::people::{CHANNELS, Simulation, channel};
use crate::history::{Direction, Query, Span};
use crate::id::{AppId, ChannelKey};
use crate::position::Offset;
use crate::worker::Call;

impl Simulation {
    /// The store's retention takes the beginning of a channel.
    pub(super) fn trim(&mut self) {
        let key = ChannelKey::named(AppId::default(), channel(self.rng.pick::<&str>(&CHANNELS)));
        let kept = self.rng.below(6) as Offset;
        if self.node.plan.options.retention(&key).is_some() {
            let head = self.node.log.head(&key);
            self.node.log.trim(&key, head.saturating_sub(kept));
        }
    }

    /// A record of the store is damaged.
    pub(super) fn damage(&mut self) {
        let key = ChannelKey::named(AppId::default(), channel(self.rng.pick::<&str>(&CHANNELS)));
        let head = self.node.log.head(&key);
        if self.node.plan.options.retention(&key).is_some() && head > 0 {
            self.node.log.damage(&key, 1 + self.rng.below(head as usize) as Offset);
        }
    }

    /// Whoever pages through a channel's past sees everything that is kept, once and in order.
    pub(super) fn check_past(&mut self) {
        let key = ChannelKey::named(AppId::default(), channel(self.rng.pick::<&str>(&CHANNELS)));
        let direction = *self.rng.pick(&[Direction::Forward, Direction::Backward]);
        let limit = 1 + self.rng.below(5) as u32;
        let (home, head) = (self.node.home_of(&key), self.node.log.head(&key));
        let mut span = Span::All(direction);
        let (mut seen, mut told): (Vec<Offset>, Vec<(Offset, Offset)>) = (Vec::new(), Vec::new());
        for _ in 0..=head {
            let (channel, query) = (key.clone(), Query { span: span.clone(), limit });
            self.node.call(home, |_| Call::History { channel, query });
            self.node.settle();
            let Some(page) = self.node.pages.pop_front() else {
                assert!(self.node.workers[home].refuses(&key), "at rest everything is answered");
                return;
            };
            let trimmed = self.node.log.floor(&key);
            assert!(page.records.len() <= limit as usize);
            told.extend(page.gap.and_then(|gap| gap.range));
            // What retention has taken may lie in memory still, until the home hears of it.
            seen.extend(page.records.iter().filter_map(|record| record.offset).filter(|offset| *offset > trimmed));
            match page.next {
                Some(rest) => span = Span::Rest(rest),
                None => break,
            }
        }
        // By now the log knows whether it keeps the channel.
        let head = self.node.log.head(&key);
        let floor = self.node.trimmed(&key).max(self.node.log.floor(&key));
        let rule = self.node.plan.options.rule(&key).is_some_and(|rule| rule.latest_per_key);
        let (log, now) = (&self.node.log, self.node.now.time);
        let expected = (floor + 1..=head).filter(|offset| {
            let record = log.record(&key, *offset).expect("the log keeps everything");
            let replaced = rule && log.is_replaced(record);
            // A damaged record may lie in memory still.
            let lost = log.is_damaged(&key, *offset) && !seen.contains(offset);
            let is_told = told.iter().any(|(from, to)| from <= offset && offset <= to);
            let skipped = record.is_expired(now) || replaced;
            assert!(skipped || is_told == lost, "{key:?} {offset}: told {is_told}, lost {lost}");
            !skipped && !lost
        });
        let mut expected: Vec<_> = expected.collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        assert_eq!(seen, expected, "the past of {key:?} above {floor}");
    }
}
