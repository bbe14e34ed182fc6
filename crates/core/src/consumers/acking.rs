//! What members say of their deliveries.
//!
//! - What is with a member is settled by that member only; for others it is a `conflict`.
//! - What is with nobody, because its time was over or its holder is gone, may still be acked by whoever has done it.
//! - To ack what is done already changes nothing and is no error.

use super::consumer::Random;
use super::stored::Attempts;
use super::window::Place;
use super::{Consumer, Membership};
use crate::acks::{AckOutcome, Which};
use crate::id::ConsumerName;
use crate::position::Offset;
use crate::rejection::{Rejection, RejectionKind};
use crate::time::{Now, UnixMs};

impl Consumer {
    /// Settles what can be settled. The rejection is about the first one that cannot.
    pub(crate) fn ack(
        &mut self,
        member: &Membership,
        which: &Which,
        outcome: &AckOutcome,
        now: Now,
        random: Random<'_>,
    ) -> Result<(), Rejection> {
        let me = &member.consumer;
        if member.group.is_some() != self.is_group {
            return Err(Rejection::new(RejectionKind::NotFound, "there is no such consumer").at("consumer"));
        }
        let mut result = Ok(());
        match which {
            Which::Offsets(offsets) => {
                for offset in offsets {
                    let one = self.ack_one(me, *offset, outcome, now, random);
                    result = result.and(one);
                }
            }
            Which::UpTo(offset) => {
                for offset in self.held_up_to(me, *offset, outcome) {
                    let one = self.ack_one(me, offset, outcome, now, random);
                    result = result.and(one);
                }
            }
        }
        self.dismiss();
        result
    }

    /// What a member was handed up to here and nobody else has got since.
    fn held_up_to(&self, me: &ConsumerName, last: Offset, outcome: &AckOutcome) -> Vec<Offset> {
        let within = self.window.up_to(last).filter(|(_, item)| {
            let out = matches!(item.place, Place::Out { .. });
            item.holder.as_ref() == Some(me) && item.attempts > 0 && (out || *outcome != AckOutcome::Progress)
        });
        let mut offsets: Vec<Offset> = within.map(|(offset, _)| offset).collect();
        // What it was handed before a restart: nobody but the member of a consumer of its own can have got it.
        let last = last.min(self.handed);
        let mut offset = self.acked.next_open(0);
        while !self.is_group && *outcome == AckOutcome::Done && offset <= last {
            if self.window.get(offset).is_none() && self.was_handed(offset) {
                offsets.push(offset);
            }
            offset = self.acked.next_open(offset);
        }
        offsets
    }

    /// Whether a message that is not in the window was ever handed out. What was held back for its key has a row that says it was not.
    fn was_handed(&self, offset: Offset) -> bool {
        let counts = |known: &Attempts| known.count > 0;
        offset <= self.handed && !self.again.contains(&offset) && self.known.get(&offset).is_none_or(counts)
    }

    fn ack_one(
        &mut self,
        me: &ConsumerName,
        offset: Offset,
        outcome: &AckOutcome,
        now: Now,
        random: Random<'_>,
    ) -> Result<(), Rejection> {
        let Some(item) = self.window.get(offset) else { return self.ack_elsewhere(offset, outcome, now) };
        let is_out = matches!(item.place, Place::Out { .. });
        if item.attempts == 0 {
            return Err(refusal(RejectionKind::NotFound, offset, "was not delivered"));
        }
        if is_out && item.holder.as_ref() != Some(me) {
            return Err(refusal(RejectionKind::Conflict, offset, "is with another member by now"));
        }
        match outcome {
            AckOutcome::Done => self.finish(offset),
            AckOutcome::Dead { reason } => {
                let reason = reason.clone().unwrap_or_else(|| "its consumer gave it up".into());
                self.bury(offset, reason, now);
            }
            AckOutcome::Retry { delay } if is_out => {
                self.fail(offset, "its consumer could not do it", *delay, now, random);
            }
            // It comes again anyway.
            AckOutcome::Retry { .. } => {}
            AckOutcome::Progress if is_out => {
                let wait = self.members.iter().find(|member| member.name == *me).map(|member| member.ack_wait);
                if let Some(wait) = wait {
                    self.window.put(offset, Place::Out { until: now.time.after(wait) });
                }
            }
            AckOutcome::Progress => {
                return Err(refusal(RejectionKind::Conflict, offset, "was taken back, its time to ack was over"));
            }
        }
        Ok(())
    }

    /// A message that is not in the window: done, delivered before a restart, or none of ours.
    fn ack_elsewhere(&mut self, offset: Offset, outcome: &AckOutcome, now: Now) -> Result<(), Rejection> {
        let is_dead = self.letters.contains_key(&offset);
        let was_handed = self.was_handed(offset);
        if self.acked.contains(offset) && was_handed {
            return match outcome {
                AckOutcome::Done => {
                    // It was done after all, and nobody has to look after it.
                    if self.letters.remove(&offset).is_some() {
                        self.dirt.letters.insert(offset);
                    }
                    Ok(())
                }
                AckOutcome::Dead { .. } if is_dead => Ok(()),
                AckOutcome::Dead { .. } | AckOutcome::Retry { .. } | AckOutcome::Progress => {
                    Err(refusal(RejectionKind::Conflict, offset, "is done with already"))
                }
            };
        }
        if !was_handed {
            return Err(refusal(RejectionKind::NotFound, offset, "was not delivered"));
        }
        match outcome {
            AckOutcome::Done => self.settle_unseen(offset),
            AckOutcome::Dead { reason } => {
                let attempts = self.known.get(&offset).map_or(1, |known| known.count);
                let reason = reason.clone().unwrap_or_else(|| "its consumer gave it up".into());
                self.settle_unseen(offset);
                self.write_letter(offset, attempts, reason, None, now);
            }
            AckOutcome::Retry { delay: Some(delay) } => {
                let count = self.known.get(&offset).map_or(1, |known| known.count);
                let until = UnixMs(now.wall.0 + u64::try_from(delay.as_millis()).unwrap_or(0));
                let attempts = Attempts { count, until };
                self.known.insert(offset, attempts);
                self.dirt.rows.insert(offset, Some(attempts));
            }
            AckOutcome::Retry { delay: None } => {}
            AckOutcome::Progress => {
                return Err(refusal(RejectionKind::Conflict, offset, "was taken back, its time to ack was over"));
            }
        }
        Ok(())
    }

    fn settle_unseen(&mut self, offset: Offset) {
        self.acked.cover(offset, offset);
        self.dirt.cursor = true;
        if self.known.remove(&offset).is_some() {
            self.dirt.rows.insert(offset, None);
        }
    }

    /// Gives dead letters back as if they had never been delivered. Returns how many.
    pub(crate) fn requeue(&mut self, offsets: Option<&[Offset]>) -> Result<u32, Rejection> {
        let offsets: Vec<Offset> = match offsets {
            None => self.letters.keys().copied().collect(),
            Some(offsets) => {
                let missing = offsets.iter().find(|offset| !self.letters.contains_key(offset));
                if let Some(missing) = missing {
                    let message = format!("{missing} is no dead letter of this consumer; nothing was requeued");
                    return Err(Rejection::new(RejectionKind::NotFound, message).at("offsets"));
                }
                offsets.to_vec()
            }
        };
        let mut count = 0;
        for offset in offsets {
            if self.letters.remove(&offset).is_none() {
                continue;
            }
            count += 1;
            let attempts = Attempts { count: 0, until: UnixMs(0) };
            self.dirt.letters.insert(offset);
            self.dirt.rows.insert(offset, Some(attempts));
            self.known.insert(offset, attempts);
            self.again.insert(offset);
        }
        Ok(count)
    }
}

fn refusal(kind: RejectionKind, offset: Offset, what: &str) -> Rejection {
    Rejection::new(kind, format!("{offset} {what}")).at("offsets")
}
