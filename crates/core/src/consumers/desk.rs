//! The consumers of one channel together: what is written of them, and who waits for it.
//!
//! One write is under way at a time; what changes meanwhile goes with the next one. Answers wait for the write that holds what they say.

use std::collections::BTreeMap;

use super::stored::{Changes, read_row};
use super::{Consumer, Done, Order};
use crate::history::Ring;
use crate::id::{ChannelKey, ConsumerName};
use crate::limits;
use crate::position::Offset;
use crate::publish::Origin;
use crate::rejection::Rejection;
use crate::state::{Change, Row, Scan, Table, key};
use crate::time::{Now, Time};

/// A question or an order on its way to the consumers of a channel.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) origin: Origin,
    pub(crate) channel: ChannelKey,
    pub(crate) order: Order,
}

/// What follows once everything is written.
#[derive(Debug)]
pub(crate) enum Then {
    /// The answer to an order.
    Answer(Box<Ask>, Result<Done, Rejection>),
    /// The order again, now that its consumer is there.
    Again(Box<Ask>),
}

#[derive(Debug, Default)]
pub(crate) struct Consumers {
    pub(crate) list: BTreeMap<ConsumerName, Consumer>,
    /// Orders whose answer waits for the next write. Bounded by the credits of the askers and the front's permits.
    then: Vec<Then>,
    /// Of consumers that are forgotten.
    erased: Vec<Change>,
    writing: Option<Writing>,
    /// What the state says is being read. Orders wait, bounded like `then`.
    pub(crate) loading: Option<Loading>,
    /// A write or a read of the log has failed and is tried again then.
    pub(crate) retry_at: Option<Time>,
    /// When the wheel wakes its home for it.
    pub(crate) armed: Option<Time>,
    /// Bytes of messages it holds, as its worker knows.
    pub(crate) bytes: u64,
}

#[derive(Debug)]
struct Writing {
    changes: Vec<Change>,
    /// How many of them are safe, and how many are under way.
    applied: usize,
    under_way: usize,
    failed: bool,
    then: Vec<Then>,
    counting: Vec<(ConsumerName, Vec<Offset>)>,
    /// Consumers that exist from then on.
    fresh: Vec<ConsumerName>,
}

#[derive(Debug)]
pub(crate) struct Loading {
    table: Table,
    after: Option<Box<[u8]>>,
    pub(crate) parked: Vec<Ask>,
}

/// What a finished write leads to.
#[derive(Debug)]
pub(crate) enum Applied {
    /// There is more of it.
    More(Vec<Change>),
    /// All of it is safe.
    All(Vec<Then>),
}

impl Consumers {
    /// Those of a channel whose state has to be read first.
    pub(crate) fn unread() -> Self {
        let loading = Loading { table: Table::Cursors, after: None, parked: Vec::new() };
        Self { loading: Some(loading), ..Self::default() }
    }

    /// Answers when everything that has changed by now is written; at once if nothing has.
    pub(crate) fn answer_when_written(&mut self, then: Then) -> Option<Then> {
        let clean = self.writing.is_none() && self.is_clean();
        if clean {
            return Some(then);
        }
        self.then.push(then);
        None
    }

    /// Follows the next write.
    pub(crate) fn push(&mut self, then: Then) {
        self.then.push(then);
    }

    fn is_clean(&self) -> bool {
        self.erased.is_empty() && self.list.values().all(|consumer| consumer.dirt.is_empty())
    }

    /// Begins a write of all that has changed, unless one is under way.
    pub(crate) fn begin_write(&mut self, channel: &ChannelKey, persisted: bool) -> Option<Vec<Change>> {
        if self.writing.is_some() || (self.is_clean() && self.then.is_empty()) {
            return None;
        }
        let mut changes = Changes::default();
        let mut counting = Vec::new();
        let mut fresh = Vec::new();
        for consumer in self.list.values_mut() {
            if consumer.fresh {
                fresh.push(consumer.name.clone());
            }
            let waiting = consumer.write(channel, &mut changes);
            if !waiting.is_empty() {
                counting.push((consumer.name.clone(), waiting));
            }
        }
        // One that is made anew under the name of one that is forgotten comes after it.
        let mut all = std::mem::take(&mut self.erased);
        all.append(&mut changes.in_order());
        let mut changes = all;
        if !persisted {
            changes.clear();
        }
        let then = std::mem::take(&mut self.then);
        self.writing = Some(Writing { changes, applied: 0, under_way: 0, failed: false, then, counting, fresh });
        Some(self.next_part())
    }

    /// The next changes of the write under way, or the same ones again.
    fn next_part(&mut self) -> Vec<Change> {
        let Some(writing) = &mut self.writing else { return Vec::new() };
        let rest = &writing.changes[writing.applied..];
        let part = rest[..rest.len().min(limits::CHANGES_MAX)].to_vec();
        writing.under_way = part.len();
        writing.failed = false;
        part
    }

    /// Changes were written.
    pub(crate) fn applied(&mut self) -> Applied {
        let Some(writing) = &mut self.writing else { return Applied::All(Vec::new()) };
        writing.applied += writing.under_way;
        if writing.applied < writing.changes.len() {
            return Applied::More(self.next_part());
        }
        let Some(writing) = self.writing.take() else { return Applied::All(Vec::new()) };
        for name in writing.fresh {
            if let Some(consumer) = self.list.get_mut(&name) {
                consumer.fresh = false;
            }
        }
        for (name, offsets) in writing.counting {
            if let Some(consumer) = self.list.get_mut(&name) {
                consumer.counted(&offsets);
            }
        }
        Applied::All(writing.then)
    }

    /// Changes were not written; they will be tried again at some time. Returns who need not wait for that.
    pub(crate) fn not_applied(&mut self, again_at: Time) -> Vec<Then> {
        self.retry_at = Some(again_at);
        let Some(writing) = &mut self.writing else { return Vec::new() };
        writing.failed = true;
        // Those who wait for the write after it hold credits of all connections of their workers.
        let mut waiting = std::mem::take(&mut writing.then);
        waiting.append(&mut self.then);
        waiting
    }

    /// The write that has failed, once more.
    pub(crate) fn write_again(&mut self) -> Option<Vec<Change>> {
        self.writing.as_ref().is_some_and(|writing| writing.failed).then(|| self.next_part())
    }

    /// What to list next of the state; `None` when everything is read.
    pub(crate) fn next_scan(&self, channel: &ChannelKey) -> Option<Scan> {
        let loading = self.loading.as_ref()?;
        let prefix = key(channel, &[]);
        Some(Scan { table: loading.table, prefix, after: loading.after.clone(), rows_max: limits::SCAN_ROWS_MAX })
    }

    /// Takes rows of the state. Returns the orders that have waited, if this was the last of it.
    pub(crate) fn take_rows(&mut self, channel: &ChannelKey, rows: &[Row], more: bool, now: Now) -> Option<Vec<Ask>> {
        let loading = self.loading.as_mut()?;
        for (key, value) in rows {
            read_row(&mut self.list, channel, loading.table, (key, value), now);
        }
        loading.after = rows.last().filter(|_| more).map(|(key, _)| key.clone());
        if loading.after.is_none() {
            let next = match loading.table {
                Table::Cursors if self.list.is_empty() => None,
                Table::Cursors => Some(Table::PendingAcks),
                Table::PendingAcks => Some(Table::DeadLetters),
                Table::DeadLetters | Table::Markers | Table::Inbox | Table::Revocations => None,
            };
            match next {
                Some(table) => loading.table = table,
                None => return self.loading.take().map(|loading| loading.parked),
            }
        }
        None
    }

    /// Everything is read: fits it to the log as it is now.
    pub(crate) fn fit(&mut self, channel: &ChannelKey, ring: &Ring, now: Now) {
        for consumer in self.list.values_mut() {
            if consumer.epoch != *ring.epoch() {
                consumer.begin_anew(ring.epoch());
            }
        }
        self.forget_unused(channel, now);
    }

    /// Forgets consumers that nobody has used for long. Returns how many.
    pub(crate) fn forget_unused(&mut self, channel: &ChannelKey, now: Now) -> usize {
        let linger = u64::try_from(limits::CONSUMER_LINGER.as_millis()).unwrap_or(u64::MAX);
        let unused: Vec<ConsumerName> = self
            .list
            .values()
            .filter(|it| it.members.is_empty() && it.used.0.saturating_add(linger) < now.wall.0)
            .map(|it| it.name.clone())
            .collect();
        unused.iter().filter(|name| self.delete(channel, name)).count()
    }

    /// Forgets a consumer. Returns whether there was one.
    pub(crate) fn delete(&mut self, channel: &ChannelKey, name: &ConsumerName) -> bool {
        let Some(consumer) = self.list.remove(name) else { return false };
        self.erased.extend(consumer.erase(channel));
        true
    }

    /// Whether its home has to stay: somebody takes messages, or something is not written. In memory the cursors themselves are a
    /// reason, because nobody else has them.
    pub(crate) fn holds_home(&self, persisted: bool) -> bool {
        let busy = self.loading.is_some() || self.writing.is_some() || !self.then.is_empty() || !self.erased.is_empty();
        busy || self.list.values().any(|consumer| !persisted || !consumer.is_idle())
    }

    /// When to look at it next.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.list.values().filter_map(Consumer::next_deadline).chain(self.retry_at).min()
    }
}
