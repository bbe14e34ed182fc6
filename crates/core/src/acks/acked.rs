//! A cursor with holes.

use std::collections::BTreeMap;

use crate::limits;
use crate::position::Offset;

/// Which offsets of one life of a log are done: all up to a floor, and ranges above it.
///
/// ```
/// use realtime_connector_core::acks::Acked;
/// let mut acked = Acked::up_to(10);
/// acked.add(12);
/// assert_eq!((acked.floor(), acked.contains(11), acked.contains(12)), (10, false, true));
/// acked.add(11);
/// assert_eq!(acked.floor(), 12);
/// assert_eq!(Acked::from_bytes(&acked.to_bytes()), Some(acked));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acked {
    floor: Offset,
    /// First and last of each range; ranges neither touch each other nor the floor.
    ranges: BTreeMap<Offset, Offset>,
}

impl Acked {
    /// Everything up to here is done.
    #[must_use]
    pub const fn up_to(floor: Offset) -> Self {
        Self { floor, ranges: BTreeMap::new() }
    }

    /// Everything up to `head` is done but these, which ascend.
    pub fn all_but(open: impl Iterator<Item = Offset>, head: Offset) -> Self {
        let mut acked = Self::default();
        let mut reached: Option<Offset> = None;
        for offset in open {
            match reached {
                None => acked.floor = offset - 1,
                Some(before) if before + 1 < offset => drop(acked.ranges.insert(before + 1, offset - 1)),
                Some(_) => {}
            }
            reached = Some(offset);
        }
        match reached {
            None => acked.floor = head,
            Some(before) if before < head => drop(acked.ranges.insert(before + 1, head)),
            Some(_) => {}
        }
        acked
    }

    /// The place after which `count` offsets up to `head` are not done; the floor if there are fewer.
    #[must_use]
    pub fn newest_open(&self, head: Offset, mut count: u64) -> Offset {
        let mut end = head;
        for (first, last) in self.ranges.iter().rev() {
            let open = end.saturating_sub(*last);
            if open >= count {
                break;
            }
            count -= open;
            end = end.min(first - 1);
        }
        end.saturating_sub(count).max(self.floor.min(head))
    }

    /// Everything up to here is done, and the next one is not.
    #[must_use]
    pub const fn floor(&self) -> Offset {
        self.floor
    }

    /// Ranges above the floor that are done. Who adds offsets keeps them below [`limits::ACK_RANGES_MAX`].
    #[must_use]
    pub fn ranges(&self) -> usize {
        self.ranges.len()
    }

    /// Whether an offset is done.
    #[must_use]
    pub fn contains(&self, offset: Offset) -> bool {
        offset <= self.floor || self.ranges.range(..=offset).next_back().is_some_and(|(_, last)| offset <= *last)
    }

    /// One more is done. Returns whether it was not before.
    pub fn add(&mut self, offset: Offset) -> bool {
        if self.contains(offset) {
            return false;
        }
        let before = self.ranges.range(..offset).next_back().map(|(first, last)| (*first, *last));
        let first = match before {
            Some((first, last)) if last + 1 == offset => first,
            Some(_) | None => offset,
        };
        let last = self.ranges.remove(&(offset + 1)).unwrap_or(offset);
        self.ranges.insert(first, last);
        self.settle();
        true
    }

    /// Everything up to here is done.
    pub fn raise(&mut self, floor: Offset) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        let rest = self.ranges.split_off(&(floor + 1));
        let reached = self.ranges.last_key_value().map_or(floor, |(_, last)| *last);
        self.ranges = rest;
        self.floor = self.floor.max(reached);
        self.settle();
    }

    /// All of these are done, both ends included.
    pub fn cover(&mut self, first: Offset, last: Offset) {
        if first <= self.floor + 1 {
            return self.raise(last);
        }
        if last < first {
            return;
        }
        let before = self.ranges.range(..first).next_back().filter(|(_, end)| **end + 1 >= first);
        let (first, mut end) = before.map_or((first, last), |(start, end)| (*start, last.max(*end)));
        while let Some((start, reached)) = self.ranges.range(first..=end + 1).next_back().map(|(a, b)| (*a, *b)) {
            end = end.max(reached);
            self.ranges.remove(&start);
        }
        self.ranges.insert(first, end);
    }

    /// The first offset above this one that is not done.
    #[must_use]
    pub fn next_open(&self, after: Offset) -> Offset {
        let next = after.max(self.floor) + 1;
        let within = self.ranges.range(..=next).next_back().filter(|(_, last)| next <= **last);
        within.map_or(next, |(_, last)| last + 1)
    }

    /// How many of these are not done, both ends included.
    #[must_use]
    pub fn open_within(&self, first: Offset, last: Offset) -> u64 {
        let first = first.max(self.floor + 1);
        if last < first {
            return 0;
        }
        let done =
            self.ranges.range(..=last).map(|(start, end)| (end.min(&last) + 1).saturating_sub(*start.max(&first)));
        last + 1 - first - done.sum::<u64>()
    }

    fn settle(&mut self) {
        while let Some(last) = self.ranges.remove(&(self.floor + 1)) {
            self.floor = last;
        }
    }

    /// For the state beside the log: the floor, then the first and the last of each range, big-endian.
    #[must_use]
    pub fn to_bytes(&self) -> Box<[u8]> {
        let ranges = self.ranges.iter().flat_map(|(first, last)| [*first, *last]);
        std::iter::once(self.floor).chain(ranges).flat_map(u64::to_be_bytes).collect()
    }

    /// `None` for bytes that [`Acked::to_bytes`] did not make.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (numbers, rest) = bytes.as_chunks::<8>();
        let mut numbers = numbers.iter().map(|number| Offset::from_be_bytes(*number));
        let mut acked = Self::up_to(numbers.next()?);
        let mut reached = acked.floor;
        while let Some(first) = numbers.next() {
            let last = numbers.next()?;
            if first <= reached.saturating_add(1) || last < first {
                return None;
            }
            acked.ranges.insert(first, last);
            reached = last;
        }
        rest.is_empty().then_some(acked)
    }
}

const _: () = assert!(8 + 16 * limits::ACK_RANGES_MAX <= limits::STATE_VALUE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn numbers(seed: u64) -> impl Iterator<Item = u64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        })
    }

    #[test]
    fn it_says_what_a_set_of_offsets_says() {
        for seed in 0..200 {
            let mut numbers = numbers(seed);
            let mut next = |max: u64| numbers.next().expect("endless") % max;
            let floor = next(5);
            let mut acked = Acked::up_to(floor);
            let mut model: BTreeSet<Offset> = (0..=floor).collect();
            for _ in 0..60 {
                if next(10) == 0 {
                    let to = next(60);
                    acked.raise(to);
                    model.extend(0..=to);
                } else if next(5) == 0 {
                    let first = 1 + next(60);
                    let last = first + next(6) - next(2);
                    acked.cover(first, last);
                    model.extend(first..=last);
                } else {
                    let offset = 1 + next(60);
                    assert_eq!(acked.add(offset), model.insert(offset), "seed {seed}");
                }
                let expected = (0..).take_while(|offset| model.contains(offset)).last();
                assert_eq!(Some(acked.floor()), expected, "seed {seed}");
                assert!((0..70).all(|it| acked.contains(it) == model.contains(&it)), "seed {seed}: {acked:?}");
                let (from, to) = (next(40), next(80));
                let open = (from..=to).filter(|offset| !model.contains(offset)).count() as u64;
                assert_eq!(acked.open_within(from, to), open, "seed {seed}: {from} to {to} of {acked:?}");
                let open = (from + 1..).find(|offset| !model.contains(offset));
                assert_eq!(Some(acked.next_open(from)), open, "seed {seed}: after {from} of {acked:?}");
                assert_eq!(Acked::from_bytes(&acked.to_bytes()), Some(acked.clone()), "seed {seed}");
                let open = |from: Offset| (from..70).filter(|it| !model.contains(it));
                let until = acked.next_open(69) - 1;
                assert_eq!(Acked::all_but(open(0).chain(70..=until), until), acked, "seed {seed}");
                let after = next(70);
                assert_eq!(open(after + 1).next().unwrap_or(70), acked.next_open(after).min(70), "seed {seed}");
                let (head, count) = (next(70), next(20));
                let newest = (0..=head).rev().filter(|it| !model.contains(it)).take(count as usize);
                let begins = acked.newest_open(head, count);
                assert_eq!(open(begins + 1).take_while(|it| *it <= head).count(), newest.count(), "seed {seed}");
            }
        }
    }

    #[test]
    fn other_bytes_are_no_cursor() {
        let bytes = |numbers: &[u64]| numbers.iter().flat_map(|it| it.to_be_bytes()).collect::<Vec<_>>();
        for wrong in [
            vec![],
            vec![0; 7],
            vec![0; 9],
            bytes(&[5, 6, 7]),
            bytes(&[5, 8, 7]),
            bytes(&[5, 8]),
            bytes(&[5, 7, 8, 9, 10]),
        ] {
            assert_eq!(Acked::from_bytes(&wrong), None, "{wrong:?}");
        }
        assert!(Acked::from_bytes(&bytes(&[5, 7, 8, 10, 10])).is_some());
    }
}
