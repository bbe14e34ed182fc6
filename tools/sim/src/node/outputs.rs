//! Carrying out what core wants, but for its logs.

use realtime_connector_core::consumers::News;
use realtime_connector_core::event::Event;
use realtime_connector_core::id::UserId;
use realtime_connector_core::permissions::{Grants, Identity};
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::worker::Output;

use super::{Front, LinkId, Notice, Present, Process, Reply, Stage};

impl Process {
    pub(super) fn carry(&mut self, worker: usize, output: Output, present: &mut Present<'_>) {
        match output {
            Output::Peer { to, message } => self.threads[worker].outgoing[usize::from(to.0)].push_back(message),
            // A token is the name of a user; who has none is anonymous.
            Output::Ask { connection, token } => {
                let identity = identity(UserId::parse(&token).ok());
                self.receive(worker, Front::Identified(connection, identity), present);
            }
            Output::Close { connection, .. } => {
                let link = self.threads[worker].links.get(&connection).and_then(|link| self.links.get_mut(link));
                if let Some(link) = link {
                    link.stage = Stage::Closing;
                }
                self.threads[worker].core.requeue(connection);
            }
            Output::Abort { connection } => {
                if let Some(link) = self.threads[worker].links.get(&connection).copied() {
                    self.lose(worker, link, Lost::Dropped, present);
                }
            }
            Output::Replied { ticket, event } => {
                present.trace.number(ticket);
                self.reply(ticket, Reply::Event(event));
            }
            Output::Answered { ticket, answer } => {
                present.trace.number(ticket);
                self.reply(ticket, Reply::Answer(answer));
            }
            Output::Lifecycle(_) => {}
            Output::OpenLog { .. }
            | Output::Append { .. }
            | Output::ReadLog { .. }
            | Output::LocateInLog { .. }
            | Output::PurgeLog { .. }
            | Output::ApplyState { .. }
            | Output::ScanState { .. }
            | Output::ForgetLog { .. } => unreachable!("the logs have carried it out"),
        }
    }

    fn reply(&mut self, ticket: u64, reply: Reply) {
        if let Some(caller) = self.tickets.remove(&ticket) {
            self.notices.push(Notice::Replied { caller, reply });
        }
    }

    /// Puts what was said to peers into their queues, whose bounds are looked at.
    pub(super) fn send_outgoing(&mut self, worker: usize, present: &mut Present<'_>) {
        let (count, bounds) = (self.threads.len(), self.options.bounds);
        for peer in 0..count {
            let mut messages = std::mem::take(&mut self.threads[worker].outgoing[peer]);
            if messages.is_empty() {
                continue;
            }
            let index = worker * count + peer;
            for message in messages.iter().filter(|message| message.takes_room()) {
                let sent = &mut self.sent[index];
                *sent = (sent.0 + 1, sent.1 + u64::from(message.cost()));
            }
            self.queues[index].append(&mut messages);
            self.threads[worker].outgoing[peer] = messages;
            let (sent, taken) = (self.sent[index], self.taken[index]);
            self.gauges.note("deliveries to a worker", sent.0 - taken.0, u64::from(bounds.deliveries));
            self.gauges.note("bytes of deliveries to a worker", sent.1 - taken.1, bounds.delivery_bytes);
            let asked = self.queues[index].iter().filter(|message| !message.takes_room()).count();
            // Its own requests, and its answers to those of the other.
            self.gauges.note("requests and answers to a worker", asked as u64, 2 * u64::from(bounds.credits));
            if peer != worker {
                self.ring(peer, present);
            }
        }
    }

    /// A connection's outbox goes with it: what was in it was delivered, as far as the worker counts.
    pub(super) fn count_unwritten(&mut self, worker: usize, id: LinkId) {
        let Some(link) = self.links.get(&id) else { return };
        let thread = &mut self.threads[worker];
        // Before `connected` has left nobody is shown what waits.
        thread.seen.blind |= !link.is_connected;
        let (mut messages, mut gaps) = (0, 0);
        for frame in thread.core.outbox(link.key) {
            let (message, gap) = weight(frame.event());
            messages += message;
            gaps += gap;
        }
        thread.seen.messages += messages;
        thread.seen.gaps += gaps;
    }
}

/// Somebody who may do everything.
pub(crate) fn identity(user: Option<UserId>) -> Identity {
    match user {
        Some(user) => Identity::of(user, Grants::ALL),
        None => Identity::anonymous(Grants::ALL),
    }
}

/// Messages and gaps of loss that an event is.
pub(super) fn weight(event: &Event) -> (u64, u64) {
    match event {
        Event::Message(_) => (1, 0),
        Event::Gap { gap, .. } => (0, u64::from(gap.reason.lost())),
        Event::Consumer(notice) => match &notice.news {
            News::Gap(gap, _) => (0, u64::from(gap.reason.lost())),
            News::Ended(_) => (0, 0),
        },
        Event::Connected(_)
        | Event::Ok { .. }
        | Event::Error { .. }
        | Event::Subscribed { .. }
        | Event::Unsubscribed { .. }
        | Event::Inbox { .. }
        | Event::Delivery(_)
        | Event::Probe(_)
        | Event::Ping
        | Event::Heartbeat
        | Event::Pong { .. }
        | Event::Goaway { .. } => (0, 0),
    }
}
