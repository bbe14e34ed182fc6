//! Reading along: a bounded list of what the server published, for a reader that may be slow and never holds anything up.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Event, Pattern};

/// Events that may wait for one reader. A busy server makes thousands per second, and a reader that is away for long is told how
/// many it missed.
pub(super) const TAP_EVENTS: usize = 1_024;
/// Readers at once: services of the operator, not browsers.
pub(super) const TAPS_MAX: usize = 64;

/// What a reader gets next.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Next {
    Event(Arc<Event>),
    /// So many events did not fit, right here.
    Dropped(u64),
    End,
}

#[derive(Debug, Default)]
struct State {
    events: VecDeque<Arc<Event>>,
    /// Events dropped behind the last one in the list. Until the reader has been told, everything else is dropped too.
    dropped: u64,
    ended: bool,
}

/// The bus's side.
#[derive(Debug)]
pub(crate) struct Tap {
    patterns: Vec<Pattern>,
    state: Mutex<State>,
    moved: Notify,
}

impl Tap {
    /// A reader of the types that match one of `patterns`; of all without any.
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        Self { patterns, state: Mutex::default(), moved: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn offer(&self, event: &Arc<Event>) {
        if !self.patterns.is_empty() && !self.patterns.iter().any(|pattern| pattern.matches(&event.event_type)) {
            return;
        }
        let mut state = self.state();
        if state.dropped > 0 || state.events.len() >= TAP_EVENTS {
            state.dropped += 1;
        } else {
            state.events.push_back(event.clone());
        }
        drop(state);
        self.moved.notify_one();
    }

    /// Events were lost before anybody could look at their type.
    pub(super) fn note_dropped(&self, count: u64) {
        self.state().dropped += count;
        self.moved.notify_one();
    }

    pub(super) fn end(&self) {
        self.state().ended = true;
        self.moved.notify_one();
    }
}

/// Takes a tap off whatever it listens to.
type Remove = Box<dyn Fn(&Arc<Tap>) + Send + Sync>;

/// The reader's side. Dropping it ends the reading.
pub(crate) struct Tapped {
    tap: Arc<Tap>,
    remove: Remove,
}

impl std::fmt::Debug for Tapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tapped").finish_non_exhaustive()
    }
}

impl Tapped {
    pub(super) fn new(tap: Arc<Tap>, remove: impl Fn(&Arc<Tap>) + Send + Sync + 'static) -> Self {
        Self { tap, remove: Box::new(remove) }
    }

    /// Waits for what comes next. Nothing is lost when it is given up in the middle.
    pub(crate) async fn next(&self) -> Next {
        loop {
            {
                let mut state = self.tap.state();
                if let Some(event) = state.events.pop_front() {
                    return Next::Event(event);
                }
                if state.dropped > 0 {
                    return Next::Dropped(std::mem::take(&mut state.dropped));
                }
                if state.ended {
                    return Next::End;
                }
            }
            self.tap.moved.notified().await;
        }
    }
}

impl Drop for Tapped {
    fn drop(&mut self) {
        (self.remove)(&self.tap);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tapped(patterns: &[&str]) -> Tapped {
        let patterns = patterns.iter().map(|it| Pattern::parse(it).expect("a pattern")).collect();
        Tapped::new(Arc::new(Tap::new(patterns)), |_| {})
    }

    fn event(event_type: &str, number: usize) -> Arc<Event> {
        Arc::new(Event::new(event_type, json!(number), number as u64))
    }

    #[tokio::test]
    async fn a_slow_reader_is_told_where_events_are_missing_and_how_many() {
        let reader = tapped(&[]);
        for number in 0..TAP_EVENTS + 3 {
            reader.tap.offer(&event("a", number));
        }
        for number in 0..TAP_EVENTS {
            assert!(matches!(reader.next().await, Next::Event(event) if event.payload == json!(number)));
            // Room alone does not let new ones in: the gap would be told in the wrong place.
            if number == 5 {
                reader.tap.offer(&event("a", TAP_EVENTS + 3));
            }
        }
        assert_eq!(reader.next().await, Next::Dropped(4));
        reader.tap.offer(&event("a", 7));
        assert!(matches!(reader.next().await, Next::Event(event) if event.payload == json!(7)));
    }

    #[tokio::test]
    async fn only_what_matches_is_kept_and_the_end_comes_last() {
        let reader = tapped(&["client.*", "channel.vacated"]);
        for name in ["client.connected", "channel.occupied", "channel.vacated"] {
            reader.tap.offer(&event(name, 0));
        }
        reader.tap.end();
        let mut seen = Vec::new();
        while let Next::Event(event) = reader.next().await {
            seen.push(event.event_type.clone());
        }
        assert_eq!(seen, ["client.connected", "channel.vacated"]);
    }
}
