//! Taking a socket out of HTTP/1.1.
//!
//! hyper reads the request and our handler decides. For a WebSocket the handler answers 101 and hyper ends after writing it; for
//! SSE the handler leaves a note and never answers. Either way the driver then takes the socket, with the bytes that were read
//! beyond the request, before hyper writes or keeps anything.

use std::sync::{Arc, Mutex, PoisonError};

use super::Handover;

/// Where a handler leaves the note. It is in the extensions of every request that came by our own listener over HTTP/1.1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Takeover(Arc<Mutex<Option<Note>>>);

/// What the handler wants.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) handover: Handover,
    /// Now, as opposed to after the response is written.
    pub(crate) at_once: bool,
}

impl Takeover {
    /// Leaves a note.
    pub(crate) fn request(&self, note: Note) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(note);
    }

    /// Whether the socket is wanted now.
    pub(crate) fn is_due(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|note| note.at_once)
    }

    /// Takes the note.
    pub(crate) fn take(&self) -> Option<Handover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().map(|note| note.handover)
    }
}
