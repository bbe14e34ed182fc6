//! The table of a worker's sessions. The engine chooses the places, so its own tables share them.

use crate::id::ConnectionKey;
use crate::session::Session;

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    places: Vec<Option<Session>>,
    count: usize,
}

impl Sessions {
    pub(crate) fn insert(&mut self, session: Session) {
        let slot = session.key.slot as usize;
        if slot >= self.places.len() {
            self.places.resize_with(slot + 1, || None);
        }
        assert!(self.places[slot].is_none(), "the engine hands out free places");
        self.places[slot] = Some(session);
        self.count += 1;
    }

    pub(crate) fn remove(&mut self, key: ConnectionKey) -> Option<Session> {
        self.get(key)?;
        self.count -= 1;
        self.places[key.slot as usize].take()
    }

    pub(crate) fn get(&self, key: ConnectionKey) -> Option<&Session> {
        self.places.get(key.slot as usize)?.as_ref().filter(|session| session.key == key)
    }

    pub(crate) fn get_mut(&mut self, key: ConnectionKey) -> Option<&mut Session> {
        self.places.get_mut(key.slot as usize)?.as_mut().filter(|session| session.key == key)
    }

    /// Whoever lives there now.
    pub(crate) fn at_slot_mut(&mut self, slot: u32) -> Option<&mut Session> {
        self.places.get_mut(slot as usize)?.as_mut()
    }

    /// For callers that hold a subscription of this session, which ends before the session does.
    pub(crate) fn at_mut(&mut self, slot: u32) -> &mut Session {
        self.at_slot_mut(slot).expect("a listener is removed before its session")
    }

    /// Places there are, taken or not.
    pub(crate) fn places(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.count
    }

    pub(crate) fn iter_from(&self, slot: u32) -> impl Iterator<Item = &Session> {
        self.places.iter().skip(slot as usize).flatten()
    }
}
