//! Beginning at a time: where memory cannot tell which message was the first since then, the log has to look.
//!
//! While the log cannot be read there is nothing true to tell, so whoever subscribes is refused or waits at its own worker.

use super::Worker;
use super::channel::{Parked, ready};
use super::input::LogFailure;
use super::output::Output;
use super::peers::{Attach, HistoryAsk, Refusal};
use crate::history::At;
use crate::id::SlotKey;
use crate::position::Offset;

/// Who waits for the log to find a place in the past.
#[derive(Debug)]
pub(crate) enum Seeker {
    /// A question.
    History(HistoryAsk),
    /// A subscription. The channel's head at that moment: if the log finds nothing, all up to here is older.
    Attach(Box<Attach>, Offset),
}

impl Worker {
    /// Asks the log for a place. [`Worker::handle_located`] goes on.
    pub(crate) fn seek(&mut self, home: SlotKey, at: At, who: Seeker) {
        let channel = match &who {
            Seeker::History(ask) => ask.channel.clone(),
            Seeker::Attach(attach, _) => attach.channel.clone(),
        };
        let ticket = self.next_location;
        self.next_location += 1;
        self.locating.insert(ticket, who);
        self.peers.outputs.push_back(Output::LocateInLog { home, channel, ticket, at });
    }

    pub(crate) fn seek_start(&mut self, key: SlotKey, attach: Box<Attach>, at: At) {
        let Some(home) = ready(&mut self.homes, key) else { return };
        let head = home.ring.head();
        self.seek(key, at, Seeker::Attach(attach, head));
    }

    /// The log has looked for where a subscription begins.
    pub(crate) fn handle_start_located(
        &mut self,
        key: SlotKey,
        attach: Box<Attach>,
        head: Offset,
        result: Result<Option<Offset>, LogFailure>,
    ) {
        let Some(home) = ready(&mut self.homes, key) else {
            // Forgotten meanwhile, for want of listeners: it begins anew.
            let channel = attach.channel.clone();
            return self.at_home(&channel, Parked::Attach(attach));
        };
        let first = match result {
            Ok(found) => found.unwrap_or(head + 1),
            // What cannot be read is not retained.
            Err(LogFailure::Damaged) => home.ring.trimmed() + 1,
            Err(failure @ (LogFailure::Busy | LogFailure::Full | LogFailure::Unavailable)) => {
                return self.refuse_attach(*attach, Refusal::Log(failure));
            }
        };
        let window = home.ring.from(first);
        self.attach_at(key, *attach, window);
    }
}
