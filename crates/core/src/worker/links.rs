//! A worker's links to the others: credits and room, and what waits for either.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::{Feed, Interest};
use super::inbox::InboxNews;
use super::output::Output;
use super::peers::{Peer, PeerMessage, Succession};
use crate::id::{SlotKey, WorkerId};
use crate::options::Options;
use crate::record::Record;

#[derive(Debug)]
struct Link {
    credits: u32,
    room_entries: u32,
    room_bytes: u64,
    /// Channels, by the peer's name for them, whose notice has not been sent.
    behind: Vec<(SlotKey, SlotKey)>,
    /// What has not been sent for want of room: at most one for each connection that continues a session, and one for each session.
    succession: Vec<Succession>,
}

/// A worker's links to all workers of its node, itself included.
#[derive(Debug)]
pub(crate) struct Peers {
    links: Vec<Link>,
    requests_per_command: u32,
    /// Credits of each link that pulls of stored channels do not take.
    memory_pulls: u32,
    pub(crate) outputs: VecDeque<Output>,
    /// Ephemeral messages dropped because a queue was full.
    pub(crate) signals_dropped: u64,
}

impl Peers {
    pub(crate) fn new(workers: usize, options: &Options) -> Self {
        let bounds = options.bounds;
        let link = || Link {
            credits: bounds.credits,
            room_entries: bounds.deliveries,
            room_bytes: bounds.delivery_bytes,
            behind: Vec::new(),
            succession: Vec::new(),
        };
        Self {
            links: (0..workers).map(|_| link()).collect(),
            requests_per_command: options.requests_per_command(),
            memory_pulls: bounds.credits.saturating_sub(options.requests_per_command()) / 2,
            outputs: VecDeque::new(),
            signals_dropped: 0,
        }
    }

    fn link(&mut self, worker: WorkerId) -> &mut Link {
        &mut self.links[usize::from(worker.0)]
    }

    fn send(&mut self, to: WorkerId, message: Peer) {
        self.outputs.push_back(Output::Peer { to, message: PeerMessage(message) });
    }

    /// Whether every peer would take all requests of one command.
    pub(crate) fn can_ask(&self) -> bool {
        self.links.iter().all(|link| link.credits >= self.requests_per_command)
    }

    /// Whether this peer would take one request and leave those of a command. Commands wait for every peer, so pulls that took
    /// the last credits of one would keep all connections of this worker from being heard. Pulls of stored channels leave half of the
    /// others to those of channels in memory, which wait for no store.
    pub(crate) fn can_pull(&self, worker: WorkerId, stored: bool) -> bool {
        let reserved = if stored { self.memory_pulls } else { 0 };
        self.links[usize::from(worker.0)].credits > self.requests_per_command + reserved
    }

    pub(crate) fn request(&mut self, to: WorkerId, request: Peer) {
        let link = self.link(to);
        assert!(link.credits > 0, "the caller has checked that there is a credit");
        link.credits -= 1;
        self.send(to, request);
    }

    pub(crate) fn answer(&mut self, to: WorkerId, answer: Peer) {
        self.send(to, answer);
    }

    /// An answer has come: its credit is free again.
    pub(crate) fn return_credit(&mut self, from: WorkerId) {
        self.link(from).credits += 1;
    }

    /// The peer has taken this much out of its queue.
    pub(crate) fn return_room(&mut self, from: WorkerId, entries: u32, bytes: u64) {
        let link = self.link(from);
        link.room_entries += entries;
        link.room_bytes += bytes;
    }

    /// Whether a notice waits for room in some queue.
    pub(crate) fn holds_notices(&self) -> bool {
        self.links.iter().any(|link| !link.behind.is_empty() || !link.succession.is_empty())
    }

    fn take_room(&mut self, to: WorkerId, bytes: u32) -> bool {
        let link = self.link(to);
        if link.room_entries == 0 || link.room_bytes < u64::from(bytes) {
            return false;
        }
        link.room_entries -= 1;
        link.room_bytes -= u64::from(bytes);
        true
    }

    /// Hands a record to a worker that listens, or marks it behind.
    pub(crate) fn deliver(&mut self, interest: &mut Interest, record: &Arc<Record>) {
        match interest.feed {
            Feed::Behind { .. } => {}
            Feed::Live if self.take_room(interest.worker, record.cost()) => {
                self.send(interest.worker, Peer::Deliver { local: interest.local, record: record.clone() });
            }
            Feed::Live => {
                interest.feed = Feed::Behind { noticed: false };
                self.link(interest.worker).behind.push((interest.home, interest.local));
            }
        }
    }

    /// Hands an ephemeral message to a worker that listens, or drops and counts it.
    pub(crate) fn deliver_if_room(&mut self, interest: &Interest, record: &Arc<Record>) {
        if self.take_room(interest.worker, record.cost()) {
            self.send(interest.worker, Peer::Deliver { local: interest.local, record: record.clone() });
        } else {
            self.signals_dropped += 1;
        }
    }

    /// Tells a worker that something has happened to an inbox, or drops and counts it.
    pub(crate) fn send_news(&mut self, to: WorkerId, news: InboxNews) {
        if self.take_room(to, 0) {
            self.send(to, Peer::InboxNews(Box::new(news)));
        } else {
            self.signals_dropped += 1;
        }
    }

    /// Tells a worker something about a session at the end of the turn, or when there is room.
    pub(crate) fn say(&mut self, to: WorkerId, said: Succession) {
        self.link(to).succession.push(said);
    }

    /// Sends the notices that have room. Returns the homes and workers whose `Behind` is out.
    pub(crate) fn send_notices(&mut self) -> Vec<(SlotKey, WorkerId)> {
        let mut noticed = Vec::new();
        for index in 0..self.links.len() {
            let worker = WorkerId(u8::try_from(index).expect("at most 256 workers"));
            if !self.links[index].succession.is_empty() && self.take_room(worker, 0) {
                let said = std::mem::take(&mut self.links[index].succession);
                self.send(worker, Peer::Succession(said));
            }
            if self.links[index].behind.is_empty() || !self.take_room(worker, 0) {
                continue;
            }
            let behind = std::mem::take(&mut self.links[index].behind);
            noticed.extend(behind.iter().map(|(home, _)| (*home, worker)));
            self.send(worker, Peer::Behind { locals: behind.into_iter().map(|(_, local)| local).collect() });
        }
        noticed
    }

    /// Tells a home how many listen, if there is room.
    pub(crate) fn send_interest(&mut self, to: WorkerId, interest: Peer) -> Result<(), Peer> {
        self.send_if_room(to, interest)
    }

    /// Whether a message of this cost would find room.
    pub(crate) fn has_room(&self, to: WorkerId, bytes: u32) -> bool {
        let link = &self.links[usize::from(to.0)];
        link.room_entries > 0 && link.room_bytes >= u64::from(bytes)
    }

    /// Sends what needs room, or hands it back.
    pub(crate) fn send_if_room(&mut self, to: WorkerId, message: Peer) -> Result<(), Peer> {
        let message = PeerMessage(message);
        if !self.take_room(to, message.cost()) {
            return Err(message.0);
        }
        self.outputs.push_back(Output::Peer { to, message });
        Ok(())
    }
}

#[cfg(test)]
impl Peers {
    /// Whether nothing is asked, owed or waiting to be told.
    pub(crate) fn is_at_rest(&self, options: &Options) -> bool {
        let bounds = options.bounds;
        let quiet = |link: &Link| {
            link.credits == bounds.credits
                && link.room_entries == bounds.deliveries
                && link.room_bytes == bounds.delivery_bytes
                && link.behind.is_empty()
                && link.succession.is_empty()
        };
        self.outputs.is_empty() && self.links.iter().all(quiet)
    }
}
