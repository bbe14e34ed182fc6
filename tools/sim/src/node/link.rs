//! A connection between a client and a worker: two streams with a delay, and two ends that may each be gone without the other's
//! knowledge.

use std::collections::VecDeque;
use std::rc::Rc;

use realtime_connector_core::command::Command;
use realtime_connector_core::frame::{Dialect, Frame};
use realtime_connector_core::id::ConnectionKey;
use realtime_connector_core::position::Offset;
use realtime_connector_core::rejection::Lost;

/// Names a connection within a run.
pub(crate) type LinkId = u64;

/// What a client says.
#[derive(Debug)]
pub(crate) enum Up {
    /// A frame.
    Frame(Box<Command>, Option<u64>),
    /// A sign of life.
    Pong,
    /// A sign of life that proves what has arrived before it.
    Probed(Offset),
    /// Its stream ends.
    End(Lost),
}

/// What a write brought: a frame, and the cursor that closes its block.
#[derive(Debug)]
pub(crate) struct Down {
    pub(crate) at_us: u64,
    pub(crate) frame: Rc<Frame>,
    pub(crate) cursor: Option<Vec<u8>>,
}

/// Where a connection stands for its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// On its way to its worker.
    New,
    Open,
    /// Core has said the last word; once that is written the session ends.
    Closing,
    Gone,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) worker: usize,
    pub(crate) key: ConnectionKey,
    pub(crate) dialect: Dialect,
    pub(crate) stage: Stage,
    /// On their way to the worker, with when they arrive.
    pub(crate) up: VecDeque<(u64, Up)>,
    /// Written and not yet read.
    pub(crate) down: VecDeque<Down>,
    /// Frames that fit into the socket.
    pub(crate) room: usize,
    /// The last write found no room.
    pub(crate) blocked: bool,
    /// Its commands wait for its outbox to drain or for credits.
    pub(crate) paused: bool,
    /// When writing begins to fail, because the client is gone and its machine says so.
    pub(crate) reset_us: Option<u64>,
    /// When the client sees the end of its stream.
    pub(crate) ended_us: Option<u64>,
    /// Its `connected` has left.
    pub(crate) is_connected: bool,
}

impl Link {
    pub(crate) fn new(worker: usize, dialect: Dialect, room: usize) -> Self {
        Self {
            worker,
            key: ConnectionKey { slot: 0, generation: 0 },
            dialect,
            stage: Stage::New,
            up: VecDeque::new(),
            down: VecDeque::new(),
            room,
            blocked: false,
            paused: false,
            reset_us: None,
            ended_us: None,
            is_connected: false,
        }
    }

    pub(crate) fn space(&self) -> usize {
        self.room.saturating_sub(self.down.len())
    }

    /// Puts something on its way to the worker, behind everything else.
    pub(crate) fn send(&mut self, at_us: u64, up: Up) -> u64 {
        let at_us = self.up.back().map_or(at_us, |last| last.0.max(at_us));
        self.up.push_back((at_us, up));
        at_us
    }
}
