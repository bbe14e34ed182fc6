//! A table whose places are reused, with a generation per tenant so that a stale key finds nobody.

use crate::id::SlotKey;

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    tenant: Option<T>,
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(crate) fn insert_with(&mut self, make: impl FnOnce(SlotKey) -> T) -> SlotKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place { generation: 0, tenant: None });
            u32::try_from(self.places.len() - 1).expect("tables are bounded far below 2^32")
        });
        let place = &mut self.places[slot as usize];
        place.generation = place.generation.wrapping_add(1).max(1);
        let key = SlotKey { slot, generation: place.generation };
        place.tenant = Some(make(key));
        key
    }

    pub(crate) fn get(&self, key: SlotKey) -> Option<&T> {
        self.places.get(key.slot as usize).filter(|place| place.generation == key.generation)?.tenant.as_ref()
    }

    pub(crate) fn get_mut(&mut self, key: SlotKey) -> Option<&mut T> {
        self.places.get_mut(key.slot as usize).filter(|place| place.generation == key.generation)?.tenant.as_mut()
    }

    /// The tenant of a place, for whoever holds a reference that keeps it alive.
    pub(crate) fn at(&self, slot: u32) -> &T {
        self.places[slot as usize].tenant.as_ref().expect("its holder keeps it alive")
    }

    /// See [`Slab::at`].
    pub(crate) fn at_mut(&mut self, slot: u32) -> &mut T {
        self.places[slot as usize].tenant.as_mut().expect("its holder keeps it alive")
    }

    pub(crate) fn remove(&mut self, key: SlotKey) -> Option<T> {
        let place = self.places.get_mut(key.slot as usize).filter(|place| place.generation == key.generation)?;
        let tenant = place.tenant.take()?;
        self.free.push(key.slot);
        Some(tenant)
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Every tenant from a place on, in order of places.
    pub(crate) fn iter_from(&self, slot: u32) -> impl Iterator<Item = (SlotKey, &T)> {
        self.places.iter().enumerate().skip(slot as usize).filter_map(|(slot, place)| {
            let key = SlotKey { slot: slot as u32, generation: place.generation };
            place.tenant.as_ref().map(|tenant| (key, tenant))
        })
    }
}
