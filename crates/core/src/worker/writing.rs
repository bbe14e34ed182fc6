//! Writing: which connections have something to say, and what was said.

use std::rc::Rc;

use super::Worker;
use super::audience::Local;
use super::output::Output;
use crate::cursor::CursorPositions;
use crate::event::Event;
use crate::frame::{Dialect, Frame};
use crate::id::{Audience, ConnectionKey};
use crate::inbox::Taker;
use crate::limits;
use crate::position::{Epoch, Offset};
use crate::rejection::Close;
use crate::session::{Due, LastPosition, LastPositions, Link, Phase, Provider, Subscription, carry};
use crate::slab::Slab;
use crate::timer::{HORIZON, Timer};

impl Worker {
    /// Puts a connection on the write list, once per turn.
    pub(crate) fn queue_write(&mut self, slot: u32) {
        let Some(session) = self.sessions.at_slot_mut(slot) else { return };
        if !session.queued && session.writes() {
            session.queued = true;
            self.writable.push_back(session.key);
        }
    }

    /// Puts a connection on the write list again: it has more to say than one turn takes, or the transport itself has.
    pub fn requeue(&mut self, key: ConnectionKey) {
        if self.sessions.get(key).is_some() {
            self.wake_reader(key.slot);
        }
    }

    /// The next connection on the write list.
    pub fn poll_writable(&mut self) -> Option<ConnectionKey> {
        while let Some(key) = self.writable.pop_front() {
            if let Some(session) = self.sessions.get_mut(key) {
                session.queued = false;
                return Some(key);
            }
        }
        None
    }

    /// Whether connections wait to be written.
    #[must_use]
    pub fn has_writable(&self) -> bool {
        !self.writable.is_empty()
    }

    /// What waits for a connection, first one first.
    pub fn outbox(&self, key: ConnectionKey) -> impl Iterator<Item = &Rc<Frame>> {
        self.sessions.get(key).filter(|session| session.writes()).into_iter().flat_map(|session| session.outbox.iter())
    }

    /// Whether nothing waits for a connection.
    #[must_use]
    pub fn is_drained(&self, key: ConnectionKey) -> bool {
        self.sessions.get(key).is_none_or(|session| session.outbox.is_empty())
    }

    /// How a connection spells its frames.
    #[must_use]
    pub fn dialect(&self, key: ConnectionKey) -> Option<Dialect> {
        self.sessions.get(key).map(|session| session.dialect)
    }

    /// Whether a connection is not to be read on: its own replies have piled up, too many of its commands are at their homes,
    /// what it has sent after its token waits for the authenticator, or the node goes down. When that may have changed it is on the write list, and it is
    /// read again when everything is written.
    #[must_use]
    pub fn is_congested(&self, key: ConnectionKey) -> bool {
        self.sessions.get(key).is_some_and(|session| {
            session.outbox.is_congested(&self.options)
                || session.in_flight >= limits::COMMANDS_IN_FLIGHT
                || session.questions >= limits::QUESTIONS_IN_FLIGHT
                || session.phase.waits_for_a_name()
                || self.draining
        })
    }

    /// One command of a connection has been answered, which may be what it was kept for.
    pub(crate) fn land(&mut self, key: ConnectionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.in_flight -= 1;
        if session.in_flight + 1 == limits::COMMANDS_IN_FLIGHT {
            self.wake_reader(key.slot);
        } else if session.in_flight == 0 && self.draining {
            self.end(key, Close::Drain, None);
        }
    }

    /// Puts a connection on the write list, even with nothing to write: what is found written there is read again.
    pub(crate) fn wake_reader(&mut self, slot: u32) {
        let Some(session) = self.sessions.at_slot_mut(slot) else { return };
        if !session.queued {
            session.queued = true;
            self.writable.push_back(session.key);
        }
    }

    /// Whether nothing of a connection has left yet. What an event stream writes first has a cursor of its own: a client that hears no more
    /// than that goes on from there.
    #[must_use]
    pub fn is_fresh(&self, key: ConnectionKey) -> bool {
        self.sessions.get(key).is_some_and(|session| session.profile.messages_out == 0)
    }

    /// Notes the positions that the next `count` frames of an SSE connection carry, and fills in all it then has. Returns which
    /// of the frames moves a position last; `None` if none does. They count as carried even if the write is cut short, so the
    /// next call must reach at least as far.
    pub fn move_cursor(&mut self, key: ConnectionKey, count: usize, positions: &mut CursorPositions) -> Option<usize> {
        positions.clear();
        let session = self.sessions.get_mut(key)?;
        let mut last_mover = None;
        let frames = session.outbox.iter().take(count).enumerate();
        let moves = frames.filter_map(|(index, frame)| frame.moves().map(|moves| (index, moves)));
        if let Phase::Closing(last) = &mut session.phase {
            let last = last.as_mut()?;
            for (index, (local, offset)) in moves {
                last_mover = Some(index);
                if let Some(channel) = last.channels.iter_mut().find(|it| it.local == local) {
                    carry(&mut channel.written, offset);
                }
            }
            last.channels.iter().for_each(|it| positions.push(&it.epoch, it.fingerprint, it.written));
            return last_mover;
        }
        for (index, (local, offset)) in moves {
            last_mover = Some(index);
            if self.locals.get(local).is_none() {
                // Unsubscribed in the meantime, and another channel may have taken its place.
                continue;
            }
            if let Some(subscription) = session.subscriptions.iter_mut().find(|it| it.local == local.slot) {
                carry(&mut subscription.written, offset);
            }
        }
        last_mover?;
        for (local, epoch, written) in known(&session.subscriptions, &self.locals) {
            positions.push(epoch, local.fingerprint, written);
        }
        last_mover
    }

    /// What the cursors of an event stream will need once it listens to nothing any more.
    pub(crate) fn last_positions(&self, key: ConnectionKey) -> Option<Box<LastPositions>> {
        let session = self.sessions.get(key).filter(|it| it.profile.client.provider == Provider::Sse)?;
        let mut last = LastPositions::default();
        for (local, epoch, written) in known(&session.subscriptions, &self.locals) {
            let (local, epoch, fingerprint) = (local.key, epoch.clone(), local.fingerprint);
            last.channels.push(LastPosition { local, epoch, fingerprint, written });
        }
        Some(Box::new(last))
    }

    /// The first `count` frames of a connection have left.
    pub fn written(&mut self, key: ConnectionKey, count: usize) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let is_first = session.profile.messages_out == 0 && count > 0;
        session.profile.messages_out += count as u64;
        if session.ping_queued && count > 0 {
            let is_ping =
                |frame: &Rc<Frame>| Rc::ptr_eq(frame, &self.heartbeat) || matches!(frame.event(), Event::Probe(_));
            let left = session.outbox.iter().take(count).any(is_ping);
            session.handle_ping_progress(self.now.time, left);
        }
        if session.profile.client.provider == Provider::Sse
            && let Some(extras) = &mut session.profile.extras
            && let Some(taker) = &mut extras.inbox
        {
            let is_own =
                |local| self.locals.get(local).is_some_and(|it| matches!(it.channel.audience, Audience::User(_)));
            let moves = session.outbox.iter().take(count).filter_map(|frame| frame.moves());
            if let Some((_, offset)) = moves.filter(|(local, _)| is_own(*local)).last() {
                taker.note_written(offset, self.now.time);
            }
        }
        session.outbox.consume(count, &mut self.pool);
        if session.outbox.is_empty() {
            let slow = session.profile.extras.as_ref().is_some_and(|it| it.consuming.iter().any(|entry| entry.slow));
            let behind = |it: &Subscription| matches!(it.link, Link::Behind { .. });
            if session.subscriptions.iter().any(behind) {
                self.schedule_pull(key.slot);
            }
            if slow {
                self.wake_consuming(key);
            }
        }
        if is_first {
            self.settle_inheritance(key);
        }
    }

    pub(crate) fn arm_session(&mut self, key: ConnectionKey) {
        let now = self.now.time;
        let Some(session) = self.sessions.get_mut(key) else { return };
        let at = session.wake_at().min(now.after(HORIZON));
        session.armed = self.wheel.arm(Timer::Session(key), at, now);
    }

    pub(crate) fn handle_session_deadline(&mut self, key: ConnectionKey) {
        let now = self.now.time;
        let excused = now < self.excused_until;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.armed > now {
            return;
        }
        match session.handle_deadline(now, excused, &self.options) {
            Due::Later => {}
            Due::Beat => {
                self.beat(key);
                self.stay_known(key);
            }
            Due::Close(close) => return self.end(key, close, None),
            Due::Abort => {
                // Said once, though another entry of the wheel may lie in the same place.
                session.armed = now.after(HORIZON);
                return self.peers.outputs.push_back(Output::Abort { connection: key });
            }
        }
        self.arm_session(key);
    }

    /// Queues a sign of life. A Ping is queued behind whatever waits, once; a comment only if nothing else waits.
    fn beat(&mut self, key: ConnectionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        match session.profile.client.provider {
            Provider::WebSocket if session.ping_queued => return,
            Provider::WebSocket => {
                session.ping_queued = true;
                let probe = session.taker_mut().and_then(Taker::probe).map(|offset| Frame::new(Event::Probe(offset)));
                session.outbox.push(probe.unwrap_or_else(|| self.heartbeat.clone()), &mut self.pool);
                if session.pings {
                    session.outbox.push(self.ping.clone(), &mut self.pool);
                }
            }
            Provider::Sse if !session.outbox.is_empty() => return,
            Provider::Sse => {
                let frames = session.pings || session.dialect == Dialect::SseFrames;
                let frame = if frames { &self.ping } else { &self.heartbeat };
                session.outbox.push(frame.clone(), &mut self.pool);
            }
        }
        self.queue_write(key.slot);
    }
}

/// The subscriptions that a cursor names: all that have begun, the first message of their channel seen or not. Left out, they
/// would begin at the head when their client comes back, and what came in between would be lost without a word. Only a user's own
/// channel may have no epoch: nothing was ever sent there. `$all` and `$user` come first: for them a cursor always has room.
fn known<'a>(
    subscriptions: &'a [Subscription],
    locals: &'a Slab<Local>,
) -> impl Iterator<Item = (&'a Local, &'a Epoch, Offset)> {
    let begun = subscriptions.iter().filter(|it| !matches!(it.link, Link::Pending { .. }));
    let (implicit, named) = (begun.clone().filter(|it| !it.named), begun.filter(|it| it.named));
    implicit.chain(named).filter_map(|it| {
        let local = locals.at(it.local);
        local.epoch.as_ref().map(|epoch| (local, epoch, it.written))
    })
}
