//! Writing: what waits for a connection goes into its socket, as far as there is room.

use std::rc::Rc;

use realtime_connector_core::cursor::CursorPositions;
use realtime_connector_core::event::Event;
use realtime_connector_core::frame::Frame;
use realtime_connector_core::id::ConnectionId;
use realtime_connector_core::limits;
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::worker::Input;
use realtime_connector_wire::json::Secrets;

use super::outputs::weight;
use super::{Down, LinkId, Notice, Present, Process, Stage};

/// Frames in one write.
const BATCH_FRAMES: usize = 64;
/// Batches of one connection in one turn.
const BATCHES: usize = 4;
/// The longest way of a byte through the network.
pub(super) const NETWORK_US_MAX: u64 = 4_000;

/// Session tokens are the ids of connections: nobody here forges any.
struct Open;

impl Secrets for Open {
    fn session_token(&self, connection: ConnectionId) -> String {
        connection.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Process {
    pub(super) fn write_all(&mut self, worker: usize, present: &mut Present<'_>) {
        let mut left = 1 + present.rng.below(32);
        while left > 0
            && let Some(key) = self.threads[worker].core.poll_writable()
        {
            let Some(link) = self.threads[worker].links.get(&key).copied() else { continue };
            if !self.links[&link].blocked {
                self.flush(worker, link, present);
            }
            left -= 1;
        }
    }

    /// Writes one connection until it has nothing more to say or its socket is full.
    pub(super) fn flush(&mut self, worker: usize, id: LinkId, present: &mut Present<'_>) {
        for _ in 0..BATCHES {
            let Some(link) = self.links.get_mut(&id) else { return };
            if link.stage == Stage::Gone {
                return;
            }
            let key = link.key;
            let core = &mut self.threads[worker].core;
            let frames: Vec<Rc<Frame>> = core.outbox(key).take(BATCH_FRAMES).cloned().collect();
            if frames.is_empty() {
                return self.handle_drained(worker, id, present);
            }
            if link.reset_us.is_some_and(|at| at <= present.now_us) {
                return self.lose(worker, id, Lost::Dropped, present);
            }
            if !self.write(worker, id, &frames, present) {
                return;
            }
            if self.threads[worker].core.is_drained(key) {
                return self.handle_drained(worker, id, present);
            }
        }
        let key = self.links[&id].key;
        self.threads[worker].core.requeue(key);
    }

    /// Writes what fits. Returns whether that is all.
    fn write(&mut self, worker: usize, id: LinkId, frames: &[Rc<Frame>], present: &mut Present<'_>) -> bool {
        let connection = self.id_of(worker, self.links[&id].key);
        let link = self.links.get_mut(&id).expect("just looked at");
        let thread = &mut self.threads[worker];
        let waiting = thread.core.outbox(link.key).count() as u64;
        let options = &self.options;
        let pages = (1 + limits::STORED_PULLS as u32) * options.bounds.page_records as u32;
        let replies = limits::OUTBOX_REPLIES + u32::from(limits::COMMANDS_IN_FLIGHT);
        // A record may end in a gap for each channel, and the first write has the answers to all of them.
        let most = options.outbox_records + pages + replies + 2 * options.channels_per_connection + 4;
        self.gauges.note("frames in an outbox", waiting, u64::from(most));
        let mut cursor = None;
        if link.dialect.is_sse() {
            let mut positions = CursorPositions::default();
            if let Some(last) = thread.core.move_cursor(link.key, BATCH_FRAMES, &mut positions) {
                let mut sealed = Vec::new();
                realtime_connector_wire::cursor::encode(&mut sealed, &positions, connection);
                cursor = Some((last, sealed));
            }
        }
        // A frame that has begun to leave counts as written; its rest leaves when there is room.
        let spilled = usize::from(present.rng.percent(20));
        let space = if link.space() > 0 { link.space() + spilled } else { 0 };
        let fits = frames.len().min(space);
        for (index, frame) in frames.iter().take(fits).enumerate() {
            let bytes = frame.bytes(link.dialect, |event| realtime_connector_wire::encode(event, link.dialect, &Open));
            present.trace.bytes(bytes);
            let cursor = cursor.take_if(|(last, _)| *last == index).map(|(_, sealed)| sealed);
            present.trace.bytes(cursor.as_deref().unwrap_or_default());
            let (messages, gaps) = weight(frame.event());
            thread.seen.messages += messages;
            thread.seen.gaps += gaps;
            link.is_connected |= matches!(frame.event(), Event::Connected(_));
            let earliest = link.down.back().map_or(0, |last| last.at_us);
            let at_us = earliest.max(present.now_us + present.rng.below(NETWORK_US_MAX));
            link.down.push_back(Down { at_us, frame: frame.clone(), cursor });
            self.notices.push(Notice::Readable { link: id, at_us });
        }
        thread.core.written(link.key, fits);
        link.blocked = fits < frames.len();
        !link.blocked
    }

    /// Everything is written: go on with what waited for that.
    fn handle_drained(&mut self, worker: usize, id: LinkId, present: &mut Present<'_>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        match link.stage {
            Stage::Open | Stage::New => {
                if std::mem::take(&mut link.paused) {
                    self.ring(worker, present);
                }
            }
            Stage::Closing => {
                let key = link.key;
                link.stage = Stage::Gone;
                link.up.clear();
                self.free(worker, key);
                self.handle(worker, Input::Closed { connection: key, lost: Lost::Closed }, present);
                self.tell_end(id, present);
            }
            Stage::Gone => {}
        }
    }

    /// The client will see that its stream has ended.
    pub(super) fn tell_end(&mut self, id: LinkId, present: &mut Present<'_>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let earliest = link.down.back().map_or(0, |last| last.at_us);
        let at_us = earliest.max(present.now_us + present.rng.below(NETWORK_US_MAX));
        link.ended_us = Some(at_us);
        self.notices.push(Notice::Readable { link: id, at_us });
    }
}
