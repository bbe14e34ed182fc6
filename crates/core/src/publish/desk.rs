//! The admission desk: idempotency, and what waits for the log.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use hashbrown::HashMap;

use super::{Draft, Origin, Publisher};
use crate::event::Published;
use crate::id::MessageId;
use crate::limits;
use crate::record::Record;
use crate::time::Time;

/// One channel's desk. Costs two words until the first publish.
#[derive(Debug, Default)]
pub(crate) struct Desk {
    /// Appends the log has not answered, by ticket.
    pending: BTreeMap<u64, Pending>,
    remembered: Option<Box<Remembered>>,
    next_ticket: u64,
    /// Records that came before their predecessors.
    held: BTreeMap<u64, Arc<Record>>,
}

type Name = (Publisher, MessageId);

#[derive(Debug, Default)]
struct Remembered {
    entries: HashMap<Name, Entry>,
    /// In order of age, for forgetting.
    ages: VecDeque<(Time, Name)>,
}

#[derive(Debug)]
struct Entry {
    since: Time,
    content: u64,
    result: Option<Published>,
    ticket: u64,
}

/// An append the log has not answered yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) origin: Origin,
    /// Publishes with the same id, which get the same result.
    pub(crate) waiters: Vec<Origin>,
    name: Option<Name>,
}

/// What the desk says.
#[derive(Debug)]
pub(crate) enum Admission {
    /// New: give it to the log with this ticket.
    Append { ticket: u64, record: Box<Record> },
    /// Seen before, with this result.
    Duplicate { origin: Origin, result: Published },
    /// Seen before, still at the log: answered together with the first one.
    Waits,
    /// The same id with other content.
    Conflict { origin: Origin },
    /// Too many wait for one id.
    Overloaded { origin: Origin },
}

impl Desk {
    pub(crate) fn admit(&mut self, now: Time, draft: Draft) -> Admission {
        self.forget(now);
        let name = draft.idempotent.then(|| (draft.publisher.clone(), draft.record.id.clone()));
        if let Some(name) = &name {
            let remembered = self.remembered.get_or_insert_default();
            let content = fingerprint(remembered.entries.hasher(), &draft.record);
            if let Some(entry) = remembered.entries.get(name) {
                if entry.content != content {
                    return Admission::Conflict { origin: draft.origin };
                }
                if let Some(result) = &entry.result {
                    let result = Published { duplicate: true, ..result.clone() };
                    return Admission::Duplicate { origin: draft.origin, result };
                }
                return match self.pending.get_mut(&entry.ticket) {
                    Some(first) if first.waiters.len() < limits::DEDUP_WAITERS => {
                        first.waiters.push(draft.origin);
                        Admission::Waits
                    }
                    Some(_) | None => Admission::Overloaded { origin: draft.origin },
                };
            }
            let entry = Entry { since: now, content, result: None, ticket: self.next_ticket };
            remembered.entries.insert(name.clone(), entry);
            remembered.ages.push_back((now, name.clone()));
        }
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.pending.insert(ticket, Pending { origin: draft.origin, waiters: Vec::new(), name });
        Admission::Append { ticket, record: Box::new(draft.record) }
    }

    /// The log has answered: remembers the result and returns who waits for it.
    pub(crate) fn settle(&mut self, ticket: u64, result: &Published) -> Option<Pending> {
        let pending = self.pending.remove(&ticket)?;
        if let (Some(name), Some(remembered)) = (&pending.name, &mut self.remembered)
            && let Some(entry) = remembered.entries.get_mut(name)
        {
            entry.result = Some(result.clone());
        }
        Some(pending)
    }

    /// Whoever waited has been answered; the rest of the append concerns nobody.
    pub(crate) fn take_origin(&mut self, ticket: u64) -> Option<Origin> {
        self.pending.get_mut(&ticket).map(|pending| std::mem::replace(&mut pending.origin, Origin::Nobody))
    }

    /// The log has not taken the record: the same id may be tried again. Returns who waits.
    pub(crate) fn fail(&mut self, ticket: u64) -> Option<Pending> {
        let pending = self.pending.remove(&ticket)?;
        if let (Some(name), Some(remembered)) = (&pending.name, &mut self.remembered) {
            remembered.entries.remove(name);
        }
        Some(pending)
    }

    /// Holds a record until the ones before it arrive.
    pub(crate) fn hold(&mut self, offset: u64, record: Arc<Record>) {
        if self.held.len() < limits::COMMIT_HOLD {
            self.held.insert(offset, record);
        }
    }

    pub(crate) fn take_held(&mut self, offset: u64) -> Option<Arc<Record>> {
        self.held.remove(&offset)
    }

    /// When the oldest id may be forgotten.
    pub(crate) fn forgets_at(&self) -> Option<Time> {
        let (since, _) = self.remembered.as_ref()?.ages.front()?;
        Some(since.after(limits::DEDUP_AGE))
    }

    /// Ids that are remembered.
    #[cfg(test)]
    pub(crate) fn remembered(&self) -> usize {
        self.remembered.as_ref().map_or(0, |remembered| remembered.entries.len())
    }

    /// From when on nothing would be lost by dropping it; `None` while the log owes an answer.
    pub(crate) fn idle_at(&self) -> Option<Time> {
        let youngest = self.remembered.as_ref().and_then(|remembered| remembered.ages.back());
        let idle = youngest.map_or_else(Time::default, |(since, _)| since.after(limits::DEDUP_AGE));
        self.pending.is_empty().then_some(idle)
    }

    /// Drops ids that are too old or too many. Ids whose result is outstanding are kept with their pending append.
    pub(crate) fn forget(&mut self, now: Time) {
        let Some(remembered) = &mut self.remembered else { return };
        while let Some((since, name)) = remembered.ages.front() {
            let over = remembered.ages.len() > limits::DEDUP_IDS;
            if !over && now.since(*since) < limits::DEDUP_AGE {
                return;
            }
            let since = *since;
            // After a failure the same name may stand here twice; the younger one counts.
            if remembered.entries.get(name).is_some_and(|entry| entry.since == since) {
                remembered.entries.remove(name);
            }
            remembered.ages.pop_front();
        }
        self.remembered = None;
    }
}

/// A hash over what must be equal for two publishes to be the same. A publisher that finds a collision deceives only itself.
fn fingerprint(seed: &impl BuildHasher, record: &Record) -> u64 {
    let mut hasher = seed.build_hasher();
    record.event_type.hash(&mut hasher);
    record.data.hash(&mut hasher);
    record.key.hash(&mut hasher);
    record.meta.hash(&mut hasher);
    hasher.finish()
}
