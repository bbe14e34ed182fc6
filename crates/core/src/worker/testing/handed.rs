//! What was handed out to consumers, and what must hold of it whatever happens.
//!
//! - What was answered `ok` to have been done, or is a dead letter, is not handed out again, unless it is requeued.
//! - Each delivery counts one more than the one before, at most five times. Deliveries that were given back do not count; a restart may
//!   forget that a first one was made, or count one that was not.
//! - Of messages with one key the older one is over before the younger one is handed out.
//!
//! It looks at what homes send, in their own order.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::acks::{AckOutcome, Which};
use crate::consumers::{Delivery, Done, Order};
use crate::id::{ChannelKey, ConsumerName};
use crate::limits;
use crate::position::Offset;
use crate::record::Record;

/// A message of a consumer.
type Place = (ChannelKey, ConsumerName, Offset);

#[derive(Debug, Default)]
pub(crate) struct HandedBooks {
    /// Said to be done, and answered.
    acked: BTreeSet<Place>,
    /// Said to be over, answered or not.
    perhaps_over: BTreeSet<Place>,
    dead: BTreeSet<Place>,
    /// The same, but nobody was answered that it is stored.
    dead_unless_restarted: BTreeSet<Place>,
    attempts: BTreeMap<Place, u8>,
    /// Consumers to whom deliveries were given back: from then on theirs may count less.
    given_back: BTreeSet<(ChannelKey, ConsumerName)>,
    /// Messages that were dead letters when somebody requeued some: what is said of them counts from then on, or not.
    unsure: BTreeSet<Place>,
    /// Orders to requeue that were not answered yet.
    requeues: BTreeMap<(ChannelKey, ConsumerName), u32>,
    ever_dead: BTreeSet<Place>,
    /// How often the process was restarted since a message was handed out.
    restarted: BTreeMap<Place, u8>,
    /// Messages with a key, by consumer, of which some have been handed out.
    keyed: BTreeMap<(ChannelKey, ConsumerName), BTreeMap<Offset, Arc<Record>>>,
    pub(crate) deliveries: u64,
}

impl HandedBooks {
    /// Somebody says what became of deliveries.
    pub(crate) fn said(&mut self, channel: &ChannelKey, order: &Order) {
        if let Order::Requeue { consumer, offsets } = order {
            self.requeued(channel, consumer, offsets.as_deref());
        }
        let Order::Ack { member, which, outcome, .. } = order else { return };
        if !matches!(outcome, AckOutcome::Done | AckOutcome::Dead { .. }) {
            return;
        }
        let offsets: Vec<Offset> = match which {
            Which::Offsets(offsets) => offsets.clone(),
            Which::UpTo(last) => (1..=*last).collect(),
        };
        let place = |offset| (channel.clone(), member.cursor().clone(), offset);
        self.perhaps_over.extend(offsets.into_iter().map(place));
    }

    /// Whether somebody has said that a message is over, or it was given up.
    pub(crate) fn is_settled(&self, channel: &ChannelKey, consumer: &ConsumerName, offset: Offset) -> bool {
        self.perhaps_over.contains(&(channel.clone(), consumer.clone(), offset))
    }

    /// An order was answered.
    pub(crate) fn answered(&mut self, channel: &ChannelKey, order: &Order, result: Option<&Done>) {
        if let Order::Requeue { consumer, .. } = order
            && let Some(open) = self.requeues.get_mut(&(channel.clone(), consumer.clone()))
        {
            *open -= 1;
        }
        let Some(done) = result else { return };
        match order {
            Order::Ack { member, which: Which::Offsets(offsets), outcome, .. } => {
                let places = offsets.iter().map(|offset| (channel.clone(), member.cursor().clone(), *offset));
                match outcome {
                    AckOutcome::Done => self.acked.extend(places),
                    AckOutcome::Dead { .. } if !self.is_requeueing(channel, member.cursor()) => {
                        self.dead.extend(places)
                    }
                    AckOutcome::Dead { .. } => self.unsure.extend(places),
                    AckOutcome::Retry { .. } | AckOutcome::Progress => {}
                }
            }
            Order::Take { member, .. } => {
                if let Done::Taken(taken) = done {
                    for delivery in &taken.deliveries {
                        self.handed(member.cursor(), delivery);
                    }
                }
            }
            Order::Delete { consumer } => self.forget(channel, consumer),
            Order::Ack { .. }
            | Order::Join { .. }
            | Order::Leave { .. }
            | Order::Requeue { .. }
            | Order::List
            | Order::DeadLetters { .. } => {}
        }
    }

    fn is_requeueing(&self, channel: &ChannelKey, consumer: &ConsumerName) -> bool {
        self.requeues.get(&(channel.clone(), consumer.clone())).is_some_and(|open| *open > 0)
    }

    fn requeued(&mut self, channel: &ChannelKey, consumer: &ConsumerName, offsets: Option<&[Offset]>) {
        let of = |place: &&Place| {
            place.0 == *channel && place.1 == *consumer && offsets.is_none_or(|offsets| offsets.contains(&place.2))
        };
        *self.requeues.entry((channel.clone(), consumer.clone())).or_default() += 1;
        let dead: Vec<Place> = self.ever_dead.iter().filter(of).cloned().collect();
        for place in dead {
            self.dead.remove(&place);
            self.dead_unless_restarted.remove(&place);
            self.unsure.insert(place);
        }
    }

    fn forget(&mut self, channel: &ChannelKey, consumer: &ConsumerName) {
        let stays = |place: &Place| place.0 != *channel || place.1 != *consumer;
        self.acked.retain(stays);
        self.dead.retain(stays);
        self.dead_unless_restarted.retain(stays);
        self.attempts.retain(|place, _| stays(place));
        self.keyed.remove(&(channel.clone(), consumer.clone()));
    }

    /// A consumer has given a message up.
    pub(crate) fn died(&mut self, channel: &ChannelKey, consumer: &ConsumerName, offset: Offset) {
        let place = (channel.clone(), consumer.clone(), offset);
        self.perhaps_over.insert(place.clone());
        self.ever_dead.insert(place.clone());
        if self.is_requeueing(channel, consumer) {
            self.unsure.insert(place);
        } else {
            self.dead_unless_restarted.insert(place);
        }
    }

    /// Deliveries of these consumers may be given back: they are not counted.
    pub(crate) fn gives_back(&mut self, channel: &ChannelKey, consumer: &ConsumerName) {
        self.given_back.insert((channel.clone(), consumer.clone()));
    }

    pub(crate) fn restart(&mut self) {
        self.dead_unless_restarted.clear();
        self.requeues.clear();
        for place in self.attempts.keys() {
            *self.restarted.entry(place.clone()).or_default() += 1;
        }
    }

    /// A message was handed out.
    pub(crate) fn handed(&mut self, cursor: &ConsumerName, delivery: &Delivery) {
        self.deliveries += 1;
        let record = &delivery.record;
        let offset = record.offset.expect("consumers get logged messages");
        let place = (record.channel.clone(), cursor.clone(), offset);
        assert!(!self.acked.contains(&place), "{place:?} was acked, and comes again");
        assert!(
            !self.dead.contains(&place) && !self.dead_unless_restarted.contains(&place),
            "{place:?} is a dead letter, and comes again"
        );
        let attempt = delivery.attempt;
        assert!((1..=limits::DELIVERIES_MAX).contains(&attempt), "{place:?} for the {attempt}th time");
        let before = self.attempts.insert(place.clone(), attempt).unwrap_or(0);
        let unsure = self.unsure.remove(&place);
        let given_back = unsure || self.given_back.contains(&(place.0.clone(), place.1.clone()));
        let restarts = self.restarted.remove(&place).unwrap_or(0);
        let forgets = restarts > 0 && before <= 1;
        let least = if given_back || forgets { 1 } else { before + 1 };
        let most = before + 1 + restarts + u8::from(given_back);
        assert!((least..=most).contains(&attempt), "{place:?}: delivery {attempt} after {before}");
        self.check_key(&place, record);
    }

    fn check_key(&mut self, place: &Place, record: &Arc<Record>) {
        if record.key.is_none() {
            return;
        }
        let keyed = self.keyed.entry((place.0.clone(), place.1.clone())).or_default();
        keyed.insert(place.2, record.clone());
        let later = keyed.range(place.2 + 1..).filter(|(_, it)| it.key == record.key);
        for (offset, _) in later {
            let later = (place.0.clone(), place.1.clone(), *offset);
            // A younger one may be over already only if this one was a dead letter, which `perhaps_over` knows.
            assert!(self.perhaps_over.contains(place), "{later:?} was handed out before {place:?}, which is not over");
        }
        let earlier = keyed.range(..place.2).filter(|(_, it)| it.key == record.key && it.ttl.is_none());
        for (offset, _) in earlier {
            let earlier = (place.0.clone(), place.1.clone(), *offset);
            assert!(self.perhaps_over.contains(&earlier), "{place:?} was handed out before {earlier:?} was over");
        }
    }
}
