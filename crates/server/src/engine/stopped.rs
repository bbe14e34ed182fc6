//! Sessions that were ended for good.
//!
//! An `EventSource` comes back after every end of its stream, with the cursor it had. For a session that was stopped the answer is
//! 204, which makes the browser give up (WHATWG HTML, section 9.2.3).

use std::collections::{HashSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use realtime_connector_core::record::SessionId;

/// Sessions remembered. Browsers come back within seconds; later ones begin anew, which the application may stop again.
const REMEMBERED_MAX: usize = 16_384;

/// The last sessions that were stopped.
#[derive(Debug, Default)]
pub(crate) struct Stopped(Mutex<Sessions>);

#[derive(Debug, Default)]
struct Sessions {
    known: HashSet<[u8; 13]>,
    order: VecDeque<[u8; 13]>,
}

impl Stopped {
    /// Remembers a session, and forgets the oldest one if there are too many.
    pub(crate) fn note(&self, session: SessionId) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let session = session.to_bytes();
        if sessions.known.insert(session) {
            sessions.order.push_back(session);
        }
        if sessions.order.len() > REMEMBERED_MAX
            && let Some(oldest) = sessions.order.pop_front()
        {
            sessions.known.remove(&oldest);
        }
    }

    /// Whether a session was stopped.
    pub(crate) fn contains(&self, session: SessionId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).known.contains(&session.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use realtime_connector_core::id::{SlotKey, WorkerId};

    use super::*;

    fn session(slot: u32) -> SessionId {
        SessionId { node: 1, worker: WorkerId(0), key: SlotKey { slot, generation: 1 } }
    }

    #[test]
    fn the_oldest_is_forgotten_first() {
        let stopped = Stopped::default();
        let count = u32::try_from(REMEMBERED_MAX).expect("a small number");
        (0..=count).for_each(|slot| stopped.note(session(slot)));
        assert!(!stopped.contains(session(0)));
        assert!(stopped.contains(session(1)) && stopped.contains(session(count)));
        assert_eq!(stopped.0.lock().expect("nobody panicked").known.len(), REMEMBERED_MAX);
    }
}
