//! Blocks: what was read from the log lately, so that one read serves every reader that wants the same stretch.
//!
//! - A block has at most [`limits::BLOCK_RECORDS`] records, and as many offsets or more if some were skipped. Its beginning is a
//!   multiple of that number, so that readers that are close together ask for the same one; where its bytes were cut short, the next
//!   block begins right there.
//! - While a block is being read, further readers of it wait for the same answer.
//! - Where a newer record takes the place of those with the same key, each such commit makes the channel's blocks old: they are
//!   forgotten, and those under way are handed out without what was replaced meanwhile.
//! - The budget is one over all channels of a worker; the block that was used longest ago gives way.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use crate::id::{MessageKey, SlotKey};
use crate::limits;
use crate::position::Offset;
use crate::record::Record;

/// A stretch of a log.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// In order; offsets between them were skipped on purpose.
    pub records: Vec<Arc<Record>>,
    /// Offsets whose records are damaged, in order.
    pub damaged: Vec<Offset>,
    /// The last offset covered.
    pub reached: Offset,
    /// The newest offset that the log does not keep any more.
    pub floor: Offset,
}

/// A worker's blocks, by home and first offset. `W` waits for a block.
#[derive(Debug)]
pub(crate) struct Blocks<W> {
    places: BTreeMap<(SlotKey, Offset), Place<W>>,
    bytes: u64,
    /// Counts uses, to find the one longest ago.
    clock: u64,
    /// Reads asked of the log since the start.
    pub(crate) reads: u64,
}

#[derive(Debug)]
enum Place<W> {
    /// Keys that have got a newer record since it was asked for, and where.
    Reading {
        waiting: Vec<W>,
        replaced: HashMap<MessageKey, Offset>,
    },
    Here {
        block: Block,
        bytes: u64,
        used: u64,
    },
}

/// What became of a wish for a block.
#[derive(Debug)]
pub(crate) enum Wanted<'a, W> {
    /// It is here.
    Here(&'a Block, W),
    /// It is being read; the one who wants it will be handed back by [`Blocks::arrived`].
    Waits,
    /// The same, and the log has to be asked for it.
    Ask { from: Offset },
}

impl<W> Default for Blocks<W> {
    fn default() -> Self {
        Self { places: BTreeMap::new(), bytes: 0, clock: 0, reads: 0 }
    }
}

impl<W> Blocks<W> {
    /// Finds the block that holds `next`, which lies above `floor`.
    pub(crate) fn want(&mut self, home: SlotKey, next: Offset, floor: Offset, who: W) -> Wanted<'_, W> {
        let before = (next - 1) / limits::BLOCK_RECORDS * limits::BLOCK_RECORDS;
        let from = before.max(floor) + 1;
        let near = self.places.range((home, 0)..=(home, next)).next_back().map(|(key, place)| (key.1, place));
        let at = match near {
            Some((at, Place::Here { block, .. })) if next <= block.reached => at,
            // Cut short before what is wanted.
            Some((at, Place::Here { .. })) if at >= from => next,
            Some((at, Place::Reading { .. })) if at >= from => at,
            Some(_) | None => from,
        };
        self.clock += 1;
        let clock = self.clock;
        let place = self.places.entry((home, at));
        let fresh = matches!(place, std::collections::btree_map::Entry::Vacant(_));
        match place.or_insert_with(|| Place::Reading { waiting: Vec::new(), replaced: HashMap::new() }) {
            Place::Here { block, used, .. } => {
                *used = clock;
                Wanted::Here(block, who)
            }
            Place::Reading { waiting, .. } => {
                waiting.push(who);
                self.reads += u64::from(fresh);
                if fresh { Wanted::Ask { from: at } } else { Wanted::Waits }
            }
        }
    }

    /// Forgets the block that holds `next`, so that it is read again. One that is being read is new enough.
    pub(crate) fn renew(&mut self, home: SlotKey, next: Offset) {
        while let Some((key, Place::Here { block, bytes, .. })) =
            self.places.range((home, 0)..=(home, next)).next_back()
            && next <= block.reached
        {
            let (key, bytes) = (*key, *bytes);
            self.places.remove(&key);
            self.bytes -= bytes;
        }
    }

    /// A block was read. Returns who waits for it; they want it again, and find it.
    pub(crate) fn arrived(&mut self, home: SlotKey, from: Offset, mut block: Block) -> Vec<W> {
        const FIXED_BYTES: u64 = 256;
        let waiting = match self.places.remove(&(home, from)) {
            Some(Place::Reading { waiting, replaced }) => {
                block.records.retain(|record| {
                    let newer = record.key.as_ref().and_then(|key| replaced.get(key));
                    newer.is_none_or(|newer| record.offset.is_some_and(|offset| offset >= *newer))
                });
                waiting
            }
            Some(Place::Here { bytes, .. }) => {
                self.bytes -= bytes;
                Vec::new()
            }
            None => Vec::new(),
        };
        let bytes = FIXED_BYTES + block.records.iter().map(|record| u64::from(record.cost())).sum::<u64>();
        self.clock += 1;
        self.places.insert((home, from), Place::Here { block, bytes, used: self.clock });
        self.bytes += bytes;
        waiting
    }

    /// A record has taken the place of older ones with its key, wherever they are.
    pub(crate) fn replace(&mut self, home: SlotKey, key: &MessageKey, offset: Offset) {
        self.forget(home);
        for (_, place) in self.places.range_mut((home, 0)..=(home, Offset::MAX)) {
            if let Place::Reading { replaced, .. } = place
                && (replaced.len() < limits::REPLACED_KEYS || replaced.contains_key(key))
            {
                replaced.insert(key.clone(), offset);
            }
        }
    }

    /// A block could not be read. Returns who waits for it.
    pub(crate) fn failed(&mut self, home: SlotKey, from: Offset) -> Vec<W> {
        match self.places.remove(&(home, from)) {
            Some(Place::Reading { waiting, .. }) => waiting,
            Some(Place::Here { bytes, .. }) => {
                self.bytes -= bytes;
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    /// The channel's state is freed, or what was read of it is no longer true.
    pub(crate) fn forget(&mut self, home: SlotKey) {
        let keys: Vec<_> = self.places.range((home, 0)..=(home, Offset::MAX)).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(Place::Here { .. }) = self.places.get(&key)
                && let Some(Place::Here { bytes, .. }) = self.places.remove(&key)
            {
                self.bytes -= bytes;
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn homes(&self) -> impl Iterator<Item = SlotKey> {
        self.places.keys().map(|(home, _)| *home)
    }

    /// Keeps all blocks together within their budget.
    pub(crate) fn fit(&mut self) {
        while self.bytes > limits::BLOCKS_BYTES {
            let oldest = self.places.iter().filter_map(|(key, place)| match place {
                Place::Here { used, .. } => Some((*used, *key)),
                Place::Reading { .. } => None,
            });
            let Some((_, key)) = oldest.min() else { return };
            if let Some(Place::Here { bytes, .. }) = self.places.remove(&key) {
                self.bytes -= bytes;
            }
        }
    }
}
