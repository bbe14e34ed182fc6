//! Purging: the application removes messages of a channel, up to a position or all of them.
//!
//! Readers that come to such offsets are told that they were removed on purpose, which is no loss. On a persisted channel they go on
//! reading until the store has done it, so that nobody is told of what may fail.

use super::Worker;
use super::call::Answer;
use super::channel::{Parked, ready};
use super::input::LogFailure;
use super::output::Output;
use super::publishing::log_failure;
use crate::id::{ChannelKey, SlotKey};
use crate::position::{Offset, Position};
use crate::rejection::{Rejection, RejectionKind};

impl Worker {
    pub(crate) fn call_purge(&mut self, ticket: u64, channel: ChannelKey, through: Option<Position>) {
        let key = channel.clone();
        self.at_home(&key, Parked::Purge { ticket, channel, through });
    }

    pub(crate) fn handle_purge(&mut self, key: SlotKey, ticket: u64, through: Option<Position>) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        if through.as_ref().is_some_and(|position| position.epoch != *home.ring.epoch()) {
            let message = "is a position of another epoch; nothing was removed";
            let rejection = Rejection { kind: RejectionKind::Conflict, ..Rejection::field("until", message) };
            return self.answer_call(ticket, Answer::Purged(Err(rejection)));
        }
        let head = home.ring.head();
        let through = through.map_or(head, |position| position.offset.min(head));
        if home.ring.is_persisted() {
            let channel = home.channel.clone();
            return self.peers.outputs.push_back(Output::PurgeLog { home: key, channel, ticket, through });
        }
        self.finish_purge(key, ticket, through);
    }

    /// The store has removed them, or could not.
    pub(crate) fn handle_purged(&mut self, key: SlotKey, ticket: u64, result: Result<Offset, LogFailure>) {
        match result {
            Ok(through) => {
                self.blocks.forget(key);
                self.finish_purge(key, ticket, through);
            }
            Err(failure) => self.answer_call(ticket, Answer::Purged(Err(log_failure(failure)))),
        }
    }

    fn finish_purge(&mut self, key: SlotKey, ticket: u64, through: Offset) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        self.history_bytes -= home.ring.purge(through);
        if let Some(inbox) = &mut home.inbox {
            inbox.purge(through);
        }
        let position = Position { epoch: home.ring.epoch().clone(), offset: through };
        self.answer_call(ticket, Answer::Purged(Ok(position)));
        self.settle_inbox(key);
        self.purge_consumers(key, through);
        self.arm_home(key);
    }

    pub(crate) fn answer_call(&mut self, ticket: u64, answer: Answer) {
        self.peers.outputs.push_back(Output::Answered { ticket, answer });
    }
}
