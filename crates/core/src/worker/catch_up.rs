//! Catching up: subscriptions that are Behind pull pages until they reach the head.

use super::Worker;
use super::peers::{Peer, Pull, Pulled};
use crate::event::Event;
use crate::frame::Frame;
use crate::id::{Audience, SlotKey};
use crate::inbox::Policy;
use crate::limits;
use crate::position::{Gap, GapReason, Offset, Position};
use crate::session::Link;

impl Worker {
    /// Notes that a session may have something to pull. Only an empty outbox pulls, so a slow reader holds one page at most.
    pub(crate) fn schedule_pull(&mut self, slot: u32) {
        let Some(session) = self.sessions.at_slot_mut(slot) else { return };
        if session.outbox.is_empty() && session.listens() {
            self.pulls.push_back(session.key);
        }
    }

    /// Asks for one page for each session that waits for one, as far as credits go.
    pub(crate) fn settle_pulls(&mut self) {
        let mut refused = 0;
        for _ in 0..self.pulls.len() {
            let Some(key) = self.pulls.pop_front() else { return };
            let Some(session) = self.sessions.get_mut(key) else { continue };
            let pulling = |link: &Link| matches!(link, Link::Behind { pulling: true, .. });
            if !session.outbox.is_empty() || session.subscriptions.iter().any(|it| pulling(&it.link)) {
                continue;
            }
            let (room, inbox) = (session.inbox_room(), self.options.inbox);
            let is_inbox =
                |local: u32| inbox.is_some() && matches!(self.locals.at(local).channel.audience, Audience::User(_));
            let mut behind = session.subscriptions.iter_mut().filter(|it| matches!(it.link, Link::Behind { .. }));
            // Who has too much to ack gets no more of its inbox, and everything else.
            let mut held = None;
            let next = behind.find(|it| {
                let waits = room == 0 && is_inbox(it.local);
                held = held.or_else(|| waits.then_some(it.local));
                !waits
            });
            self.held.extend(held.map(|local| (local, key)));
            let Some(subscription) = next else { continue };
            let device = session.profile.device().filter(|_| inbox.is_some_and(|it| it.policy == Policy::Each));
            let room = if is_inbox(subscription.local) { room } else { usize::MAX };
            let local = self.locals.at(subscription.local);
            let (Some(home), to) = (local.home, local.home_worker) else { continue };
            if !self.peers.can_pull(to) {
                self.pulls.push_back(key);
                refused += 1;
                if refused == limits::PULLS_REFUSED {
                    return;
                }
                continue;
            }
            if let Link::Behind { next, pulling, .. } = &mut subscription.link {
                *pulling = true;
                let (worker, next) = (self.id, *next);
                let pull = Pull { connection: key, worker, local: local.key, home, next, room, device };
                self.peers.request(to, Peer::Pull(pull));
            }
        }
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
