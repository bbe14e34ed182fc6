//! What waits to be written to one connection.

use std::collections::VecDeque;
use std::collections::vec_deque;
use std::rc::Rc;

use crate::frame::Frame;
use crate::limits;
use crate::options::Options;

type Frames = VecDeque<Rc<Frame>>;

/// A bounded queue that owns storage only while something waits: an idle connection pays 16 bytes.
///
/// Records and answers have bounds of their own: a page of history that is still on its way to a client keeps no message from it.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    frames: Option<Box<Frames>>,
    /// Of all but the answers.
    record_bytes: u32,
    answer_bytes: u32,
}

/// Storage of empty outboxes, for reuse by the next connection that has something to say.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "the boxes themselves are what is reused")]
pub(crate) struct OutboxPool(Vec<Box<Frames>>);

impl Outbox {
    pub(crate) fn len(&self) -> usize {
        self.frames.as_ref().map_or(0, |frames| frames.len())
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.frames.is_none()
    }

    pub(crate) const fn bytes(&self) -> u32 {
        self.record_bytes.saturating_add(self.answer_bytes)
    }

    fn add(&mut self, frame: &Frame) {
        let bytes = if frame.event().is_answer() { &mut self.answer_bytes } else { &mut self.record_bytes };
        *bytes = bytes.saturating_add(frame.cost());
    }

    fn subtract(&mut self, frame: &Frame) {
        let bytes = if frame.event().is_answer() { &mut self.answer_bytes } else { &mut self.record_bytes };
        *bytes = bytes.saturating_sub(frame.cost());
    }

    /// Whether a record of this cost may wait here. An empty outbox takes any record, or a large one would never arrive.
    pub(crate) fn has_room(&self, cost: u32, options: &Options) -> bool {
        self.is_empty()
            || (self.len() < options.outbox_records as usize
                && self.record_bytes.saturating_add(cost) <= options.outbox_bytes)
    }

    /// Whether replies have piled up so that no more commands should be read.
    pub(crate) fn is_congested(&self, options: &Options) -> bool {
        self.answer_bytes >= limits::OUTBOX_ANSWER_BYTES
            || self.len() >= (options.outbox_records + limits::OUTBOX_REPLIES) as usize
    }

    pub(crate) fn push(&mut self, frame: Rc<Frame>, pool: &mut OutboxPool) {
        self.add(&frame);
        self.frames.get_or_insert_with(|| pool.0.pop().unwrap_or_default()).push_back(frame);
    }

    /// Puts a frame before all others.
    pub(crate) fn push_first(&mut self, frame: Rc<Frame>, pool: &mut OutboxPool) {
        self.add(&frame);
        self.frames.get_or_insert_with(|| pool.0.pop().unwrap_or_default()).push_front(frame);
    }

    pub(crate) fn last(&self) -> Option<&Rc<Frame>> {
        self.frames.as_ref().and_then(|frames| frames.back())
    }

    /// Takes the last frame back, if it is nobody else's.
    pub(crate) fn pop_last(&mut self) -> Option<Rc<Frame>> {
        let frame = self.frames.as_mut().and_then(|frames| frames.pop_back())?;
        self.subtract(&frame);
        Some(frame)
    }

    pub(crate) fn iter(&self) -> std::iter::Flatten<std::option::IntoIter<vec_deque::Iter<'_, Rc<Frame>>>> {
        self.frames.as_ref().map(|frames| frames.iter()).into_iter().flatten()
    }

    /// Drops the first `count` frames, which have been written; the last one returns the storage.
    pub(crate) fn consume(&mut self, count: usize, pool: &mut OutboxPool) {
        let Some(mut frames) = self.frames.take() else { return };
        if count >= frames.len() {
            frames.clear();
            (self.record_bytes, self.answer_bytes) = (0, 0);
        } else {
            frames.drain(..count).for_each(|frame| self.subtract(&frame));
        }
        if frames.is_empty() { pool.put(frames) } else { self.frames = Some(frames) }
    }

    /// Takes out what does not stay. Returns how many frames that were.
    pub(crate) fn retain(&mut self, stays: impl Fn(&Frame) -> bool, pool: &mut OutboxPool) -> usize {
        let Some(mut frames) = self.frames.take() else { return 0 };
        let before = frames.len();
        frames.retain(|frame| stays(frame));
        let removed = before - frames.len();
        (self.record_bytes, self.answer_bytes) = (0, 0);
        frames.iter().for_each(|frame| self.add(frame));
        self.frames = Some(frames);
        self.consume(0, pool);
        removed
    }

    pub(crate) fn clear(&mut self, pool: &mut OutboxPool) {
        self.consume(usize::MAX, pool);
    }
}

impl OutboxPool {
    fn put(&mut self, storage: Box<Frames>) {
        if self.0.len() < limits::OUTBOX_POOL && storage.capacity() <= 2 * limits::OUTBOX_RECORDS as usize {
            self.0.push(storage);
        }
    }
}
