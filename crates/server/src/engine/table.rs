//! The connections of a worker by place. Places are those of core's sessions.

use realtime_connector_core::id::ConnectionKey;

use super::connection::Connection;

#[derive(Debug, Default)]
pub(super) struct Table {
    places: Vec<Place>,
    free: Vec<u32>,
}

#[derive(Debug, Default)]
struct Place {
    generation: u32,
    connection: Option<Connection>,
}

impl Table {
    /// A free place and the generation of its next tenant.
    pub(super) fn reserve(&mut self) -> ConnectionKey {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            u32::try_from(self.places.len() - 1).expect("descriptors run out long before 2^32")
        });
        let place = &mut self.places[slot as usize];
        place.generation = place.generation.wrapping_add(1).max(1);
        ConnectionKey { slot, generation: place.generation }
    }

    /// Gives a reserved place back.
    pub(super) fn release(&mut self, key: ConnectionKey) {
        self.free.push(key.slot);
    }

    pub(super) fn insert(&mut self, key: ConnectionKey, connection: Connection) {
        self.places[key.slot as usize].connection = Some(connection);
    }

    /// Who lives there now.
    pub(super) fn key_at(&self, slot: u32) -> Option<ConnectionKey> {
        let place = self.places.get(slot as usize)?;
        place.connection.as_ref().map(|_| ConnectionKey { slot, generation: place.generation })
    }

    /// All who live here.
    pub(super) fn keys(&self) -> Vec<ConnectionKey> {
        (0..self.places.len() as u32).filter_map(|slot| self.key_at(slot)).collect()
    }

    pub(super) fn get_mut(&mut self, key: ConnectionKey) -> Option<&mut Connection> {
        let place = self.places.get_mut(key.slot as usize).filter(|place| place.generation == key.generation)?;
        place.connection.as_mut()
    }

    /// Drops a connection, which closes its stream.
    pub(super) fn remove(&mut self, key: ConnectionKey) {
        let place = self.places.get_mut(key.slot as usize).filter(|place| place.generation == key.generation);
        if place.and_then(|place| place.connection.take()).is_some() {
            self.free.push(key.slot);
        }
    }
}
