//! Taking a socket out of HTTP/1.1.
//!
//! hyper reads the request and our handler decides. A handler that wants the socket leaves a note and never answers. The driver then
//! takes the socket, with the bytes that were read beyond the request, before hyper writes or keeps anything; the head of the answer
//! is the worker's first bytes, so that it leaves together with the first frame.

use std::sync::{Arc, Mutex, PoisonError};

use super::Handover;

/// Where a handler leaves the note. It is in the extensions of every request that came by our own listener over HTTP/1.1.
#[derive(Clone, Debug, Default)]
pub(crate) struct Takeover(Arc<Mutex<Option<Handover>>>);

impl Takeover {
    /// Leaves a note.
    pub(crate) fn request(&self, handover: Handover) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(handover);
    }

    /// Whether the socket is wanted.
    pub(crate) fn is_due(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Takes the note.
    pub(crate) fn take(&self) -> Option<Handover> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
