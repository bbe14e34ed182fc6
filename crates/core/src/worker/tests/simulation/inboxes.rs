//! Acks of inboxes, and what must never come again after them.

use std::collections::{BTreeMap, BTreeSet};

use super::people::Simulation;
use crate::acks::{AckOf, AckOutcome, Acknowledge, Which};
use crate::command::Command;
use crate::id::{AppId, ChannelKey, UserId};
use crate::inbox::{InboxCommand, Policy};
use crate::options::InboxOptions;
use crate::position::Offset;
use crate::worker::testing::{Node, Rng};

/// Mostly small ones, so that they overflow.
pub(super) fn options(rng: &mut Rng) -> Option<InboxOptions> {
    let policy = *rng.pick(&[Policy::Any, Policy::Any, Policy::Each]);
    let messages = *rng.pick(&[1, 3, 10, 1_000]);
    let age = std::time::Duration::from_secs(*rng.pick(&[5, 300, 600_000]));
    rng.percent(85).then_some(InboxOptions { policy, messages, age, ..InboxOptions::default() })
}

/// What was acked, and what was answered.
#[derive(Debug, Default)]
pub(super) struct Inboxes {
    /// Acks under way, by client and number.
    asked: BTreeMap<(usize, u64), BTreeSet<Offset>>,
    /// What was acked for all of a user's devices, answered with `ok`.
    acked: BTreeMap<UserId, BTreeSet<Offset>>,
    /// What had been acked when a client came, and how much of its journal was looked at.
    clients: BTreeMap<usize, (BTreeSet<Offset>, usize)>,
}

impl Inboxes {
    pub(super) fn note_opened(&mut self, client: usize, user: Option<&UserId>) {
        let acked = user.and_then(|user| self.acked.get(user)).cloned().unwrap_or_default();
        self.clients.insert(client, (acked, 0));
    }

    /// An ack of what a client has read, or of anything.
    pub(super) fn command(
        &mut self,
        rng: &mut Rng,
        (client, reference): (usize, u64),
        position: Option<Offset>,
    ) -> Command {
        if rng.percent(10) {
            return Command::Inbox(InboxCommand::Clear);
        }
        if rng.percent(20) {
            return Command::Inbox(InboxCommand::List { limit: 1 + rng.below(4) as u32, rest: None });
        }
        let newest = position.unwrap_or(3).max(1);
        let any = |rng: &mut Rng| 1 + rng.below(newest as usize) as u64;
        let which = if rng.percent(40) {
            Which::UpTo(any(rng))
        } else {
            Which::Offsets((0..1 + rng.below(3)).map(|_| any(rng)).collect())
        };
        // An ack of what is not there yet means nothing.
        let read = position.unwrap_or(0);
        let counts = match &which {
            Which::UpTo(last) => (1..=*last).filter(|offset| *offset <= read).collect(),
            Which::Offsets(offsets) => offsets.iter().copied().filter(|offset| *offset <= read).collect(),
        };
        self.asked.insert((client, reference), counts);
        Command::Ack(Box::new(Acknowledge { of: AckOf::Inbox, epoch: None, which, outcome: AckOutcome::Done }))
    }

    /// Looks at what clients have read since the last time. Before their journals are cleared it must have been called.
    pub(super) fn check(&mut self, node: &Node) {
        let any = node.plan.options.inbox.is_some_and(|options| options.policy == Policy::Any);
        for (client, (acked, looked)) in &mut self.clients {
            let it = &node.clients[*client];
            let Some(user) = &it.user else { continue };
            let own = format!("$user:{user} ");
            for line in it.journal.iter().skip(*looked) {
                if let Some(reference) = line.strip_prefix("ok #")
                    && let Some(counts) = reference.parse().ok().and_then(|it| self.asked.remove(&(*client, it)))
                    && any
                {
                    self.acked.entry(user.clone()).or_default().extend(counts);
                }
                let offset = line.strip_prefix(&own).and_then(|rest| rest.split(' ').next()?.parse().ok());
                let again = offset.is_some_and(|offset: Offset| acked.contains(&offset));
                assert!(!again, "{line}: was acked before {} came", it.name);
            }
            *looked = it.journal.len();
        }
    }

    pub(super) fn note_cleared(&mut self) {
        self.clients.values_mut().for_each(|(_, looked)| *looked = 0);
    }
}

impl Simulation {
    pub(super) fn ack(&mut self, who: usize) {
        let Some(client) = self.people[who].client else { return };
        let own = self.people[who].user.clone().map(|user| ChannelKey::user(AppId::default(), user));
        let position = own.and_then(|own| self.node.clients[client].streams.position(&own));
        let reference = self.reference(who);
        let command = self.inboxes.command(&mut self.rng, (client, reference), position);
        self.node.command(client, command, Some(reference));
    }
}
