//! Delivery: what waits for a connection becomes one vectored write.
//!
//! The bytes of a frame are made once per dialect and worker and are shared by all who get it. What is a connection's own – a
//! pong, an SSE cursor – travels in slices of its own between them.

use std::io::{self, IoSlice};

use bytes::Bytes;
use realtime_connector_core::cursor::CursorPositions;
use realtime_connector_core::id::ConnectionId;
use realtime_connector_core::worker::Worker;
use smallvec::SmallVec;

use super::connection::{Connection, Rest};
use crate::auth::seal::{CursorSealer, Keys};

/// Frames in one write. The floor of performance does not fall further beyond it, and IOV_MAX is 1,024.
const BATCH_FRAMES: usize = 64;

/// Up to here copying several slices into one is cheaper than handing the kernel a list of them.
const COPY_BYTES: usize = 2 * 1024;

/// What makes bytes, one per worker.
#[derive(Debug)]
pub(super) struct Delivery {
    keys: Keys,
    sealer: CursorSealer,
    positions: CursorPositions,
    plain: Vec<u8>,
    cursor: Vec<u8>,
    joined: Vec<u8>,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flushed {
    /// Nothing is left.
    Drained,
    /// More is there, and the stream would take it.
    More,
    /// The stream takes no more for now.
    Blocked,
    /// The stream is broken.
    Broken,
}

impl Delivery {
    pub(super) fn new(keys: Keys, worker: u8) -> Self {
        let sealer = CursorSealer::new(&keys, worker);
        Self {
            keys,
            sealer,
            positions: CursorPositions::default(),
            plain: Vec::new(),
            cursor: Vec::new(),
            joined: Vec::new(),
        }
    }

    /// Writes what waits for one connection, once.
    pub(super) fn flush(&mut self, core: &mut Worker, id: ConnectionId, connection: &mut Connection) -> Flushed {
        if let Some(pongs) = connection.pongs.take() {
            connection.owe(&pongs);
        }
        let key = id.key;
        let sse = connection.dialect.is_sse();
        // A stream that is cut behind its first frame must not leave its client without a cursor.
        let most = if sse && core.is_fresh(key) { 1 } else { BATCH_FRAMES };
        let last_mover = if sse { self.prepare_cursor(core, id, most) } else { None };
        let keys = &self.keys;
        let (dialect, cursor) = (connection.dialect, &*self.cursor);
        let mut slices: SmallVec<[IoSlice<'_>; BATCH_FRAMES + 2]> = SmallVec::new();
        let (mut total, mut frames) = (0, 0);
        if let Some(rest) = &connection.rest {
            slices.push(IoSlice::new(&rest.bytes));
            total += rest.bytes.len();
        }
        for (index, frame) in core.outbox(key).take(most).enumerate() {
            let bytes = frame.bytes(dialect, |event| realtime_connector_wire::encode(event, dialect, keys));
            frames += 1;
            if last_mover == Some(index) {
                let open = &bytes[..bytes.len() - 1];
                slices.push(IoSlice::new(open));
                slices.push(IoSlice::new(cursor));
                total += open.len() + cursor.len();
            } else {
                slices.push(IoSlice::new(bytes));
                total += bytes.len();
            }
        }
        if slices.is_empty() {
            return Flushed::Drained;
        }
        let outcome = if slices.len() > 1 && total <= COPY_BYTES {
            self.joined.clear();
            slices.iter().for_each(|slice| self.joined.extend_from_slice(slice));
            connection.transport.write(&[IoSlice::new(&self.joined)])
        } else {
            connection.transport.write(&slices)
        };
        match outcome {
            Ok(written) if written == total => {
                drop(slices);
                connection.rest = None;
                core.written(key, frames);
                if core.is_drained(key) { Flushed::Drained } else { Flushed::More }
            }
            Ok(written) => {
                let left = Left::after(&slices, written, connection.rest.is_some(), last_mover);
                drop(slices);
                connection.rest = left.rest.map(|bytes| Box::new(Rest { bytes }));
                core.written(key, left.frames_begun);
                Flushed::Blocked
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Flushed::Blocked,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Flushed::More,
            Err(_) => Flushed::Broken,
        }
    }

    /// Seals the positions that the next write brings. Returns the frame after which the cursor stands.
    fn prepare_cursor(&mut self, core: &mut Worker, id: ConnectionId, frames: usize) -> Option<usize> {
        let last = core.move_cursor(id.key, frames, &mut self.positions)?;
        self.plain.clear();
        realtime_connector_wire::cursor::encode(&mut self.plain, &self.positions, id);
        self.cursor.clear();
        self.cursor.extend_from_slice(b"id: ");
        self.sealer.seal(&self.plain, &mut self.cursor);
        self.cursor.extend_from_slice(b"\n\n");
        Some(last)
    }
}

/// What a partial write leaves behind.
struct Left {
    /// Frames that have begun to leave; the one cut in the middle is continued from `rest`.
    frames_begun: usize,
    rest: Option<Bytes>,
}

impl Left {
    fn after(slices: &[IoSlice<'_>], written: usize, had_rest: bool, last_mover: Option<usize>) -> Self {
        let mut remaining = written;
        let mut index = 0;
        while index < slices.len() && remaining >= slices[index].len() {
            remaining -= slices[index].len();
            index += 1;
        }
        // The slice `index` was cut after `remaining` bytes. Count the frames up to and including it.
        let cursor_slice = last_mover.map(|frame| frame + 1 + usize::from(had_rest));
        let before = |slice: usize| {
            let owed = usize::from(had_rest && slice > 0);
            let cursors = usize::from(cursor_slice.is_some_and(|cursor| slice > cursor));
            slice - owed - cursors
        };
        let in_rest = had_rest && index == 0;
        if remaining == 0 && Some(index) != cursor_slice && !in_rest {
            return Self { frames_begun: before(index), rest: None };
        }
        let mut rest = slices[index][remaining..].to_vec();
        let mut end = index + 1;
        // A block and the cursor that closes it are one.
        if Some(end) == cursor_slice {
            rest.extend_from_slice(&slices[end]);
            end += 1;
        }
        Self { frames_begun: before(end), rest: Some(rest.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Slices as words, where the write stopped, and what is left: `rest? frames… cursor` cut after so many bytes.
    fn check(slices: &[&str], had_rest: bool, last_mover: Option<usize>, written: usize, expected: (usize, &str)) {
        let slices: Vec<_> = slices.iter().map(|slice| IoSlice::new(slice.as_bytes())).collect();
        let left = Left::after(&slices, written, had_rest, last_mover);
        let rest = left.rest.unwrap_or_default();
        let rest = std::str::from_utf8(&rest).expect("text");
        assert_eq!((left.frames_begun, rest), expected, "after {written} bytes of {slices:?}");
    }

    #[test]
    fn a_cut_write_goes_on_exactly_where_it_stopped() {
        let frames = ["aaaa", "bbbb", "cccc"];
        check(&frames, false, None, 0, (0, ""));
        check(&frames, false, None, 1, (1, "aaa"));
        check(&frames, false, None, 4, (1, ""));
        check(&frames, false, None, 6, (2, "bb"));
        check(&frames, true, None, 2, (0, "aa"));
        check(&frames, true, None, 4, (0, ""));
        check(&frames, true, None, 5, (1, "bbb"));
    }

    #[test]
    fn a_block_never_loses_the_cursor_that_closes_it() {
        // The cursor stands behind the second frame; a third follows.
        let slices = ["aaaa", "bbb", "ID", "cccc"];
        check(&slices, false, Some(1), 4, (1, ""));
        check(&slices, false, Some(1), 5, (2, "bbID"));
        check(&slices, false, Some(1), 7, (2, "ID"));
        check(&slices, false, Some(1), 8, (2, "D"));
        check(&slices, false, Some(1), 9, (2, ""));
        check(&slices, false, Some(1), 10, (3, "ccc"));
        check(&["r", "aaa", "ID"], true, Some(0), 1, (0, ""));
        check(&["r", "aaa", "ID"], true, Some(0), 4, (1, "ID"));
        check(&["r", "aaa", "ID"], true, Some(0), 0, (0, "r"));
    }
}
