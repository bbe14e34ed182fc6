//! A frame: one event, encoded at most once per dialect and shared by every connection of a worker that gets it.

use std::cell::OnceCell;
use std::rc::Rc;

use bytes::Bytes;

use crate::event::Event;
use crate::id::SlotKey;
use crate::position::Offset;

/// How a connection spells its frames. Core knows that there are several, `wire` knows what they look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// One JSON object per WebSocket text message.
    WebSocketJson,
    /// SSE with event names; the payload alone in `data:`.
    SseData,
    /// SSE with every frame whole in `data:`.
    SseFrames,
}

impl Dialect {
    /// How many there are.
    pub const COUNT: usize = 3;

    const fn index(self) -> usize {
        match self {
            Self::WebSocketJson => 0,
            Self::SseData => 1,
            Self::SseFrames => 2,
        }
    }

    /// Whether it is one of the SSE dialects.
    #[must_use]
    pub const fn is_sse(self) -> bool {
        match self {
            Self::WebSocketJson => false,
            Self::SseData | Self::SseFrames => true,
        }
    }
}

/// An event and its bytes. Queues hold `Rc<Frame>`: a worker's frames never leave its thread, so sharing costs no atomic.
#[derive(Debug)]
pub struct Frame {
    event: Event,
    /// What it costs to queue, in bytes.
    cost: u32,
    /// The position it moves: the worker's channel and the offset reached.
    moves: Option<(SlotKey, Offset)>,
    encoded: [OnceCell<Bytes>; Dialect::COUNT],
}

impl Frame {
    /// A frame for one connection.
    #[must_use]
    pub fn new(event: Event) -> Rc<Self> {
        let cost = event.answer_cost();
        Rc::new(Self { event, cost, moves: None, encoded: Default::default() })
    }

    pub(crate) fn moving(event: Event, cost: u32, moves: Option<(SlotKey, Offset)>) -> Rc<Self> {
        Rc::new(Self { event, cost, moves, encoded: Default::default() })
    }

    /// The event.
    #[must_use]
    pub const fn event(&self) -> &Event {
        &self.event
    }

    /// Its bytes in a dialect, made by `encode` the first time they are wanted.
    pub fn bytes(&self, dialect: Dialect, encode: impl FnOnce(&Event) -> Bytes) -> &Bytes {
        self.encoded[dialect.index()].get_or_init(|| encode(&self.event))
    }

    /// Whether it moves a position of its receiver.
    #[must_use]
    pub const fn moves_position(&self) -> bool {
        self.moves.is_some()
    }

    pub(crate) const fn moves(&self) -> Option<(SlotKey, Offset)> {
        self.moves
    }

    pub(crate) const fn cost(&self) -> u32 {
        self.cost
    }
}
