//! What a consumer has taken out of its channel and is not done with, in the order of the channel.
//!
//! Of messages with the same key only one is on its way; the later ones wait behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use hashbrown::HashMap;

use crate::id::{ConsumerName, MessageKey};
use crate::position::Offset;
use crate::record::Record;
use crate::time::Time;

#[derive(Debug, Default)]
pub(super) struct Window {
    items: BTreeMap<Offset, Item>,
    ready: BTreeSet<Offset>,
    /// Those whose time runs.
    due: BTreeSet<(Time, Offset)>,
    keys: HashMap<MessageKey, Queue>,
    /// Those whose next delivery is being counted.
    counting: Load,
    bytes: u64,
}

/// Some messages, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) messages: u32,
    pub(super) bytes: u64,
}

/// Messages of one key.
#[derive(Debug)]
struct Queue {
    on_its_way: Offset,
    behind: BTreeSet<Offset>,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) record: Arc<Record>,
    /// Times it was handed out.
    pub(super) attempts: u8,
    /// Times the state knows of, or will before it is handed out once more.
    pub(super) counted: u8,
    /// The state has a row of it, or will.
    pub(super) stored: bool,
    /// It was a dead letter and has been given back.
    pub(super) again: bool,
    /// Who had it last, as far as this process knows.
    pub(super) holder: Option<ConsumerName>,
    pub(super) place: Place,
}

/// Where a message of the window stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// For whoever has room.
    Ready,
    /// An older one with its key is on its way.
    Behind,
    /// Its next delivery is being counted in the state.
    Counting,
    /// With its holder, until then.
    Out { until: Time },
    /// It comes again then.
    Waits { until: Time },
}

impl Window {
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// Deliveries that are being counted.
    pub(super) const fn counting(&self) -> Load {
        self.counting
    }

    /// Whether some deliveries are about to be made.
    pub(super) const fn is_counting(&self) -> bool {
        self.counting.messages > 0
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn get(&self, offset: Offset) -> Option<&Item> {
        self.items.get(&offset)
    }

    pub(super) fn get_mut(&mut self, offset: Offset) -> Option<&mut Item> {
        self.items.get_mut(&offset)
    }

    /// All up to an offset.
    pub(super) fn up_to(&self, offset: Offset) -> impl Iterator<Item = (Offset, &Item)> {
        self.items.range(..=offset).map(|(offset, item)| (*offset, item))
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = (Offset, &mut Item)> {
        self.items.iter_mut().map(|(offset, item)| (*offset, item))
    }

    /// Those between two offsets, neither included, that were never handed out.
    pub(super) fn untouched(&mut self, after: Offset, before: Offset) -> impl Iterator<Item = (Offset, &mut Item)> {
        let between = self.items.range_mut(after + 1..before.max(after + 1));
        between.filter(|(_, item)| item.attempts == 0).map(|(offset, item)| (*offset, item))
    }

    /// The oldest one that may be handed out.
    pub(super) fn first_ready(&self) -> Option<Offset> {
        self.ready.first().copied()
    }

    /// The next one whose time is over, and when.
    pub(super) fn first_due(&self) -> Option<(Time, Offset)> {
        self.due.first().copied()
    }

    /// Takes a message in. Returns whether it is on its way, and not behind another one.
    pub(super) fn insert(&mut self, offset: Offset, item: Item) -> bool {
        self.bytes += u64::from(item.record.cost());
        let mut first = true;
        if let Some(key) = &item.record.key {
            match self.keys.get_mut(key) {
                Some(queue) => {
                    queue.behind.insert(offset);
                    first = false;
                }
                None => {
                    let queue = Queue { on_its_way: offset, behind: BTreeSet::new() };
                    self.keys.insert(key.clone(), queue);
                }
            }
        }
        self.items.insert(offset, Item { place: Place::Behind, ..item });
        first
    }

    pub(super) fn put(&mut self, offset: Offset, place: Place) {
        let Some(item) = self.items.get_mut(&offset) else { return };
        let cost = u64::from(item.record.cost());
        match item.place {
            Place::Ready => drop(self.ready.remove(&offset)),
            Place::Out { until } | Place::Waits { until } => drop(self.due.remove(&(until, offset))),
            Place::Counting => {
                self.counting.messages -= 1;
                self.counting.bytes -= cost;
            }
            Place::Behind => {}
        }
        match place {
            Place::Ready => drop(self.ready.insert(offset)),
            Place::Out { until } | Place::Waits { until } => drop(self.due.insert((until, offset))),
            Place::Counting => {
                self.counting.messages += 1;
                self.counting.bytes += cost;
            }
            Place::Behind => {}
        }
        item.place = place;
    }

    /// Takes a message out. Returns it, and the one with its key that is on its way from now on.
    pub(super) fn remove(&mut self, offset: Offset) -> Option<(Item, Option<Offset>)> {
        let place = self.items.get(&offset)?.place;
        self.put(offset, Place::Behind);
        let item = self.items.remove(&offset)?;
        self.bytes -= u64::from(item.record.cost());
        let Some(key) = &item.record.key else { return Some((Item { place, ..item }, None)) };
        let mut next = None;
        if let Some(queue) = self.keys.get_mut(key) {
            if queue.on_its_way == offset {
                next = queue.behind.pop_first();
                match next {
                    Some(next) => queue.on_its_way = next,
                    None => drop(self.keys.remove(key)),
                }
            } else {
                queue.behind.remove(&offset);
            }
        }
        Some((Item { place, ..item }, next))
    }
}

#[cfg(test)]
impl Window {
    pub(super) fn items(&self) -> impl Iterator<Item = (Offset, &Item)> {
        self.up_to(Offset::MAX)
    }

    /// What must hold between any two inputs.
    pub(super) fn check(&self) {
        let of = |place: fn(Place) -> bool| self.items().filter(move |(_, item)| place(item.place));
        let ready: BTreeSet<Offset> = of(|place| place == Place::Ready).map(|(offset, _)| offset).collect();
        assert_eq!(ready, self.ready);
        let counting = || self.items().filter(|(_, item)| item.place == Place::Counting);
        assert_eq!(counting().count(), self.counting.messages as usize);
        assert_eq!(counting().map(|(_, item)| u64::from(item.record.cost())).sum::<u64>(), self.counting.bytes);
        let due = self.items().filter_map(|(offset, item)| match item.place {
            Place::Out { until } | Place::Waits { until } => Some((until, offset)),
            Place::Ready | Place::Behind | Place::Counting => None,
        });
        assert_eq!(due.collect::<BTreeSet<_>>(), self.due);
        assert_eq!(self.items().map(|(_, item)| u64::from(item.record.cost())).sum::<u64>(), self.bytes);
        for (offset, item) in self.items() {
            let queue = item.record.key.as_ref().and_then(|key| self.keys.get(key));
            let behind = queue.is_some_and(|queue| queue.on_its_way != offset);
            assert_eq!(behind, item.place == Place::Behind, "{offset} is {:?}", item.place);
            assert!(!behind || queue.is_some_and(|queue| queue.behind.contains(&offset)), "{offset} is remembered");
        }
    }
}
