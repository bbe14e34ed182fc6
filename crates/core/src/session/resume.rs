//! Resuming: what survives the end of a connection, and for how long.
//!
//! - A connection that ends without anybody having wanted it leaves its session behind for the resume window (120 s). Whoever shows
//!   the session's token on a new connection takes it over: its channels, its metadata and its name as a publisher.
//! - Taking over also ends the old connection, if it is still there: a page that came back must not meet its own ghost, and of two
//!   copies of one page only the newer one lives.
//! - What it left stays until the new connection is open and has been written to: whose answer is lost comes again with the same token,
//!   and of two that do, the later one is the session.
//! - Positions come from the client, never from here: what was written is not what was read. A channel that the client does not
//!   list goes on from now.
//! - A session that was ended on purpose – by the client, by the application, for breaking the protocol – leaves nothing behind.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashMap;
use smallvec::SmallVec;

use crate::id::{AppId, ChannelName, ConnectionId, ConnectionKey, UserId, WorkerId};
use crate::limits;
use crate::rejection::Close;
use crate::time::Time;

/// The connections a session has had, the first one first. Bounded by [`limits::FORMER_CONNECTIONS`]: the oldest but the first go.
pub(crate) type Formers = SmallVec<[ConnectionId; 1]>;

/// What a session leaves behind. Copies share what is long.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Legacy {
    pub(crate) app: AppId,
    pub(crate) user: Option<UserId>,
    /// Channels it subscribed to by name.
    pub(crate) channels: Arc<[ChannelName]>,
    pub(crate) meta: Option<Bytes>,
    /// Its connections up to now.
    pub(crate) formers: Formers,
}

impl Legacy {
    /// What it costs to keep, in bytes: its variable parts, as if nobody else held them, and a round figure for the rest.
    fn cost(&self) -> u64 {
        const FIXED_BYTES: usize = 384;
        /// The pointer, and the counts and the rounding of what it points to.
        const NAME_BYTES: usize = 48;
        let channels: usize = self.channels.iter().map(|name| NAME_BYTES + name.as_str().len()).sum();
        (FIXED_BYTES + channels + self.meta.as_ref().map_or(0, Bytes::len)) as u64
    }
}

/// Which connection goes on with a session.
type Heir = (WorkerId, ConnectionKey);

/// Sessions of a worker that wait to be taken over, and those whose heirs have not been heard of.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    sessions: HashMap<ConnectionKey, (Legacy, Option<Heir>)>,
    /// In order of age.
    ages: VecDeque<(Time, ConnectionKey)>,
    bytes: u64,
}

impl Waiting {
    pub(crate) fn put(&mut self, now: Time, key: ConnectionKey, legacy: Legacy, heir: Option<Heir>) {
        self.forget(now);
        let cost = legacy.cost();
        while self.ages.len() >= limits::RESUMABLE_SESSIONS || self.bytes + cost > limits::RESUMABLE_BYTES {
            let Some((_, oldest)) = self.ages.pop_front() else { return };
            self.remove(oldest);
        }
        self.ages.push_back((now, key));
        self.bytes += cost;
        self.sessions.insert(key, (legacy, heir));
    }

    /// A session that waits here, and its heir so far.
    pub(crate) fn get_mut(&mut self, now: Time, key: ConnectionKey) -> Option<(&Legacy, &mut Option<Heir>)> {
        self.forget(now);
        self.sessions.get_mut(&key).map(|(legacy, heir)| (&*legacy, heir))
    }

    /// An heir has been written to. Unless another one has come since, nobody needs what was left behind any more.
    pub(crate) fn settle(&mut self, key: ConnectionKey, heir: Heir) {
        if self.sessions.get(&key).is_some_and(|(_, latest)| *latest == Some(heir)) {
            self.remove(key);
        }
    }

    fn remove(&mut self, key: ConnectionKey) {
        if let Some((legacy, _)) = self.sessions.remove(&key) {
            self.bytes -= legacy.cost();
        }
    }

    /// Drops those whose window has passed.
    pub(crate) fn forget(&mut self, now: Time) {
        while let Some((since, key)) = self.ages.front().copied() {
            if since.after(limits::RESUME_WINDOW) > now {
                return;
            }
            // A connection's key never comes back, so this one cannot be a younger session.
            self.remove(key);
            self.ages.pop_front();
        }
    }

    /// When somebody's window may be over.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.ages.front().map(|(since, _)| since.after(limits::RESUME_WINDOW))
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.sessions.len().max(self.ages.len())
    }
}

/// Whether whoever is told this may come back as the same session.
pub(crate) const fn resumable(close: Close) -> bool {
    match close {
        Close::Overloaded | Close::Slow | Close::Drain | Close::Silent | Close::TokenExpired => true,
        Close::Normal
        | Close::Stopped
        | Close::Unauthenticated
        | Close::ConnectDeadline
        | Close::Blocked
        | Close::TakenOver
        | Close::ConnectionLimit
        | Close::Protocol => false,
    }
}
