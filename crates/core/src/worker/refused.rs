//! Attach requests that a home could not take, because there is no place for it or its log cannot say where the channel stands.
//!
//! - The answer comes at once and frees its credit, so that channels that cannot be opened take nothing from the others.
//! - Who can ask again is told when to. Who cannot waits here, as long as a connection may take to begin, and the request is made
//!   again: an event stream, whose next cursor would forget the channel, and whoever listens to `$all` or `$user`, which nobody
//!   subscribes to. So does whoever connects while the log is only busy. Meanwhile nothing is told, and nothing is lost.

use super::Worker;
use super::crowding::too_many;
use super::input::LogFailure;
use super::peers::{Attach, AttachFor, Peer, Refusal, Refused};
use super::publishing::log_failure;
use super::subscribing::given_up;
use crate::id::{Audience, ChannelKey, ConnectionKey, SlotKey};
use crate::limits;
use crate::position::Start;
use crate::session::Provider;
use crate::time::Time;

/// A request that waits to be made again.
#[derive(Debug)]
pub(crate) struct Held {
    due: Time,
    asker: AttachFor,
    local: SlotKey,
    channel: ChannelKey,
    start: Start,
}

impl Worker {
    pub(crate) fn refuse_attach(&mut self, attach: Attach, refusal: Refusal) {
        let Attach { asker, local, start, worker, .. } = attach;
        self.peers.answer(worker, Peer::Refused(Box::new(Refused { asker, local, start, refusal })));
    }

    /// A home has refused to open for an attach request: it is held, or what waited for it is undone.
    pub(crate) fn handle_refused(&mut self, refused: Refused) {
        let Refused { asker, local: key, start, refusal } = refused;
        let Some(local) = self.locals.get_mut(key) else { return };
        local.attaching -= 1;
        if local.attaching == 0 && (std::mem::take(&mut local.owed) || local.listeners == 0) {
            self.mark_dirty(key.slot);
        }
        let channel = self.locals.at(key.slot).channel.clone();
        let rejection = match refusal {
            Refusal::Crowded => too_many(channel),
            Refusal::Log(failure) if self.must_wait(asker, key, failure) => {
                let due = self.now.time.after(limits::LOG_RETRY);
                return self.held.push_back(Held { due, asker, local: key, channel, start });
            }
            Refusal::Log(failure) => log_failure(failure).on(channel),
        };
        match asker {
            AttachFor::Everyone => {}
            AttachFor::Repeat { connection, reply } => {
                self.reject(connection, reply, rejection);
                self.land(connection);
            }
            AttachFor::Subscribe { connection, reply, nonce } => {
                self.give_up(connection, key, nonce);
                self.reject(connection, reply, rejection);
                self.land(connection);
            }
            AttachFor::Connect { connection, index, nonce } => {
                self.give_up(connection, key, nonce);
                self.note_outcome(connection, index, Some(Err(rejection)));
                self.note_answer(connection);
            }
        }
    }

    /// Whether nobody could make this request again but this worker, or it need not be told of what is soon over.
    fn must_wait(&self, asker: AttachFor, local: SlotKey, failure: LogFailure) -> bool {
        let AttachFor::Connect { connection, nonce, .. } = asker else {
            return matches!(asker, AttachFor::Everyone);
        };
        let named = matches!(self.locals.at(local.slot).channel.audience, Audience::Named(_));
        let streams = self.sessions.get(connection).is_some_and(|it| it.profile.client.provider == Provider::Sse);
        let passes = match failure {
            LogFailure::Busy | LogFailure::Full => true,
            LogFailure::Unavailable | LogFailure::Damaged => false,
        };
        self.is_pending(connection, local, nonce) && (streams || passes || !named)
    }

    /// Makes the requests again whose time has come, as far as credits go.
    pub(crate) fn settle_held(&mut self) {
        while self.held.front().is_some_and(|held| held.due <= self.now.time && self.can_attach(held)) {
            let Some(Held { asker, local, channel, start, .. }) = self.held.pop_front() else { return };
            if let AttachFor::Connect { connection, index, nonce } = asker
                && !self.is_pending(connection, local, nonce)
            {
                self.note_outcome(connection, index, Some(Err(given_up(channel))));
                self.note_answer(connection);
                continue;
            }
            // A count that was told meanwhile has it in it already, and the request adds to it again.
            self.locals.at_mut(local.slot).owed = true;
            self.attach(local, asker, start);
        }
    }

    /// Commands go first.
    fn can_attach(&self, held: &Held) -> bool {
        self.locals.get(held.local).is_none_or(|local| self.peers.can_pull(local.home_worker, true))
    }

    /// When to look again. Without a credit, the answer that brings one is looked at anyway.
    pub(crate) fn held_deadline(&self) -> Option<Time> {
        self.held.front().filter(|held| self.can_attach(held)).map(|held| held.due)
    }

    /// Drops the subscription that waits for this very request, if it still does.
    fn give_up(&mut self, connection: ConnectionKey, local: SlotKey, nonce: u32) {
        if self.is_pending(connection, local, nonce) {
            let channel = self.locals.at(local.slot).channel.clone();
            self.unsubscribe(connection, &channel);
        }
    }
}
