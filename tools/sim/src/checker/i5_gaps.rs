//! I5: each offset is covered, by a message or by a gap, without a hole; `recovered: true` is true, and `false` tells a loss. An epoch
//! gap stands between two epochs.

use super::{Heard, Journal, Journals, Position, Verdict};

pub(super) fn check(journals: &Journals, verdict: &mut Verdict) {
    for journal in &journals.heard {
        let tight = journals.tight.contains(&journal.channel);
        let mut cover = Cover { covered: None, since: None, begins_anywhere: false, may_lose: true };
        for heard in &journal.heard {
            cover.take(journal, heard, tight, verdict);
        }
        for segment in journal.segments().filter(|it| it.recovered == Some(false) && !it.messages.is_empty()) {
            if !segment.begins_with_loss {
                let position = &segment.position;
                verdict.violations.push(format!("I5 {journal}: not recovered at {position}, without a gap"));
            }
        }
    }
}

/// How far a subscriber knows what is there.
struct Cover {
    covered: Option<Position>,
    /// What it named when it came, until something follows.
    since: Option<Position>,
    /// It said no position that is known here, so that its first gap may begin anywhere.
    begins_anywhere: bool,
    may_lose: bool,
}

impl Cover {
    fn take(&mut self, journal: &Journal, heard: &Heard, tight: bool, verdict: &mut Verdict) {
        match heard {
            Heard::Kept => {}
            Heard::Came { since, position, recovered, .. } => {
                let comparable = since.as_ref().filter(|it| it.epoch == position.epoch && it.offset <= position.offset);
                self.covered = Some(comparable.unwrap_or(position).clone());
                self.begins_anywhere = since.is_none();
                self.since.clone_from(since);
                self.may_lose = *recovered != Some(true) || tight;
            }
            Heard::Message { offset, .. } => {
                (self.begins_anywhere, self.since) = (false, None);
                let Some(covered) = &mut self.covered else { return };
                if *offset > covered.offset + 1 {
                    let hole = format!("{} to {}", covered.offset + 1, offset - 1);
                    verdict.violations.push(format!("I5 {journal}: {hole} are missing without a gap"));
                }
                covered.offset = covered.offset.max(*offset);
            }
            Heard::Gap { range, lost, position } => {
                let begins_anywhere = std::mem::take(&mut self.begins_anywhere);
                let Some(covered) = self.covered.replace(position.clone()) else { return };
                let before = self.since.take().unwrap_or_else(|| covered.clone());
                match range {
                    Some((from, to)) => {
                        let follows = *from == covered.offset + 1 || (begins_anywhere && covered == *position);
                        if !follows || to < from || position.offset != *to || covered.epoch != position.epoch {
                            verdict.violations.push(format!("I5 {journal}: {heard:?} does not follow {covered}"));
                        }
                    }
                    None if !begins_anywhere && before.epoch == position.epoch => {
                        verdict.violations.push(format!("I5 {journal}: {heard:?} is in the epoch of {before}"));
                    }
                    None => {}
                }
                if *lost && !self.may_lose && covered < *position {
                    verdict.violations.push(format!("I5 {journal}: recovered, and then {heard:?}"));
                }
            }
        }
    }
}
