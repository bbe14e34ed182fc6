//! Too many channels: a worker that is full opens no new home, because names cost their inventor nothing.

use super::Worker;
use super::call::Answer;
use super::channel::Parked;
use super::peers::Refusal;
use crate::id::{Audience, ChannelKey};
use crate::rejection::{Rejection, RejectionKind};

/// When trying again may work: homes that nobody needs go one by one.
const RETRY_MS: u32 = 5_000;

impl Worker {
    /// Whether a channel may get a home. Who listens to `$all` or to its own user is bounded by the connections.
    pub(crate) fn may_open(&self, channel: &ChannelKey, request: &Parked) -> bool {
        let own = match (&channel.audience, request) {
            (Audience::Everyone, _) | (Audience::User(_), Parked::Attach(_)) => true,
            (
                Audience::User(_),
                Parked::Publish(_)
                | Parked::History(_)
                | Parked::Purge { .. }
                | Parked::Inbox(_)
                | Parked::Consumers(_),
            )
            | (Audience::Named(_), _) => false,
        };
        own || self.homes.len() < self.options.bounds.channels
    }

    /// Whether a message to this channel would be refused now.
    #[cfg(test)]
    pub(crate) fn refuses(&self, channel: &ChannelKey) -> bool {
        let full = self.homes.len() >= self.options.bounds.channels;
        full && channel.audience != Audience::Everyone && !self.home_index.contains_key(channel)
    }

    pub(crate) fn refuse(&mut self, request: Parked) {
        match request {
            Parked::Publish(draft) => self.settle(draft.origin, Err(too_many(draft.channel))),
            Parked::History(ask) => self.answer_history(ask.origin, Err(too_many(ask.channel))),
            Parked::Inbox(ask) => {
                let rejection = too_many(ask.channel.clone());
                self.refuse_inbox(*ask, rejection);
            }
            Parked::Purge { ticket, channel, .. } => self.answer_call(ticket, Answer::Purged(Err(too_many(channel)))),
            Parked::Consumers(ask) => {
                let rejection = too_many(ask.channel.clone());
                self.answer_order(ask, Err(rejection));
            }
            Parked::Attach(attach) => self.refuse_attach(*attach, Refusal::Crowded),
        }
    }
}

pub(super) fn too_many(channel: ChannelKey) -> Rejection {
    let rejection = Rejection::new(RejectionKind::Overloaded, "too many channels are in use or were until just now");
    rejection.on(channel).retry_after_ms(RETRY_MS)
}
