//! Catching up: subscriptions that are Behind pull pages until they reach the head.
//!
//! A page of a channel in memory is there at once, one of a stored channel may have to be read first. So a session waits for one of
//! the former and a few of the latter at the same time, and a store that is slow holds up no other channel.

use super::Worker;
use super::peers::{Peer, Pull, Pulled};
use crate::event::Event;
use crate::frame::Frame;
use crate::id::{Audience, ConnectionKey, SlotKey};
use crate::inbox::Policy;
use crate::limits;
use crate::position::{Gap, GapReason, Offset, Position};
use crate::session::Link;

impl Worker {
    /// Notes that a session may have something to pull. Only an empty outbox pulls, so a slow reader holds few pages at most.
    pub(crate) fn schedule_pull(&mut self, slot: u32) {
        let Some(session) = self.sessions.at_slot_mut(slot) else { return };
        if session.outbox.is_empty() && session.listens() {
            self.pulls.push_back(session.key);
        }
    }

    /// Asks for pages for each session that waits for some, as far as credits go.
    pub(crate) fn settle_pulls(&mut self) {
        let mut refused = 0;
        for _ in 0..self.pulls.len() {
            let Some(key) = self.pulls.pop_front() else { return };
            if self.pull_for(key) {
                continue;
            }
            self.pulls.push_back(key);
            refused += 1;
            if refused == limits::PULLS_REFUSED {
                return;
            }
        }
    }

    /// Asks for what a session may wait for at once: a page of one channel in memory, and of a few stored ones. Returns whether there
    /// were credits for all of it.
    fn pull_for(&mut self, key: ConnectionKey) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return true };
        if !session.outbox.is_empty() {
            return true;
        }
        let (mut stored, mut memory) = (0, 0);
        for subscription in &session.subscriptions {
            if let Link::Behind { pulling: true, .. } = subscription.link {
                let is_stored = self.locals.at(subscription.local).stored;
                *(if is_stored { &mut stored } else { &mut memory }) += 1;
            }
        }
        let mut has_credits = true;
        let (room, policy) = (session.inbox_room(), self.options.inbox.map(|inbox| inbox.policy));
        for subscription in &mut session.subscriptions {
            let Link::Behind { next, pulling: pulling @ false, .. } = &mut subscription.link else { continue };
            let local = self.locals.at(subscription.local);
            let is_inbox = policy.is_some() && matches!(local.channel.audience, Audience::User(_));
            if is_inbox && room == 0 {
                // Who has too much to ack gets no more of its inbox, and everything else.
                self.held_inboxes.insert((subscription.local, key));
                continue;
            }
            let (Some(home), to) = (local.home, local.home_worker) else { continue };
            let (count, most) = if local.stored { (&mut stored, limits::STORED_PULLS) } else { (&mut memory, 1) };
            if *count >= most {
                continue;
            }
            if !self.peers.can_pull(to, local.stored) {
                has_credits = false;
                continue;
            }
            *count += 1;
            *pulling = true;
            let room = if is_inbox { room } else { usize::MAX };
            let device = session.profile.device().filter(|_| is_inbox && policy == Some(Policy::Each));
            let pull = Pull { connection: key, worker: self.id, local: local.key, home, next: *next, room, device };
            self.peers.request(to, Peer::Pull(pull));
        }
        has_credits
    }

    /// A page has come, and whatever becomes of it the session may ask for the next.
    pub(crate) fn handle_pulled(&mut self, pulled: Pulled) {
        let key = pulled.connection;
        self.take_page(pulled);
        if self.sessions.get(key).is_some() {
            self.schedule_pull(key.slot);
        }
    }

    fn take_page(&mut self, pulled: Pulled) {
        let (local, slot) = (pulled.local, pulled.connection.slot);
        let Some(entry) = self.locals.get_mut(local) else { return };
        if pulled.live {
            // The home sends what follows, whether or not this session still wants it.
            entry.behind = false;
            entry.head = entry.head.max(pulled.page.reached);
        }
        let Some(session) = self.sessions.get_mut(pulled.connection) else { return };
        let (channel, epoch) = (entry.channel.clone(), entry.epoch.clone());
        let Some(index) = session.subscriptions.iter().position(|it| it.local == local.slot) else { return };
        let subscription = &mut session.subscriptions[index];
        let Link::Behind { mut next, pulling: true, slow } = subscription.link else { return };
        if next != pulled.from {
            return;
        }
        if let (Some(range), Some(epoch)) = (pulled.page.missing, epoch) {
            next = range.1 + 1;
            let reason = if slow && pulled.missing.lost() { GapReason::Slow } else { pulled.missing };
            let gap = Gap { range: Some(range), reason };
            let position = Position { epoch, offset: range.1 };
            let event = Event::Gap { channel, gap, position };
            session.outbox.push(Frame::moving(event, 256, Some((local, range.1))), &mut self.pool);
            self.figures.gaps += u64::from(reason.lost());
        }
        let reached = pulled.page.reached;
        let end = if reached >= next { reached + 1 } else { next };
        session.subscriptions[index].link = Link::Behind { next: end, pulling: false, slow };
        if !pulled.live {
            // The others of this session get their turn first.
            let last = session.subscriptions.len() - 1;
            session.subscriptions.swap(index, last);
        }
        self.push_page(slot, local, next, &pulled);
        if pulled.live {
            self.join_audience(slot, local.slot);
        }
        self.queue_write(slot);
    }

    /// Puts the records of a page into a session's outbox, and tells what it passes over.
    fn push_page(&mut self, slot: u32, local: SlotKey, mut next: Offset, pulled: &Pulled) {
        let me = self.session_id(pulled.connection);
        let own = self.is_inbox(local.slot);
        let entry = self.locals.at(local.slot);
        let (channel, Some(epoch)) = (entry.channel.clone(), entry.epoch.clone()) else { return };
        for record in &pulled.page.records {
            let offset = record.offset.unwrap_or(next);
            self.push_skip(slot, &channel, (next, offset - 1), pulled.skipped, &epoch, local);
            next = offset + 1;
            if !record.exclude.is_empty() && self.sessions.at_mut(slot).is_excluded(me, &record.exclude) {
                self.figures.excluded += 1;
                self.push_skip(slot, &channel, (offset, offset), GapReason::Excluded, &epoch, local);
                continue;
            }
            let frame = self.frames.frame(record, local);
            self.sessions.at_mut(slot).outbox.push(frame, &mut self.pool);
            self.figures.delivered += 1;
            if own {
                self.note_taken(slot, offset);
            }
        }
        self.push_skip(slot, &channel, (next, pulled.page.reached), pulled.skipped, &epoch, local);
    }
}
