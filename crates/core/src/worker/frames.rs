//! Frames of records that several connections catch up with: made once, while they are in demand.

use std::rc::Rc;
use std::sync::Arc;

use crate::event::Event;
use crate::frame::Frame;
use crate::id::SlotKey;
use crate::limits;
use crate::record::Record;

/// Bytes of records the cache may keep alive beyond their channel's history.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// A direct-mapped cache by the record's address. A collision only costs another encoding.
#[derive(Debug)]
pub(crate) struct FrameCache {
    places: Vec<Option<(Rc<Frame>, Arc<Record>)>>,
    bytes: usize,
}

impl FrameCache {
    pub(crate) const fn new() -> Self {
        Self { places: Vec::new(), bytes: 0 }
    }

    pub(crate) fn frame(&mut self, record: &Arc<Record>, local: SlotKey) -> Rc<Frame> {
        if self.places.is_empty() {
            self.places.resize_with(limits::FRAME_CACHE, || None);
        }
        let address = Arc::as_ptr(record) as usize;
        let place = &mut self.places[(address >> 5) % limits::FRAME_CACHE];
        if let Some((frame, same)) = place
            && Arc::ptr_eq(same, record)
            && frame.moves().is_some_and(|(channel, _)| channel == local)
        {
            return frame.clone();
        }
        let moves = record.offset.map(|offset| (local, offset));
        let frame = Frame::moving(Event::Message(record.clone()), record.cost(), moves);
        let before = place.replace((frame.clone(), record.clone())).map_or(0, |(_, old)| old.cost() as usize);
        self.bytes = self.bytes + record.cost() as usize - before;
        if self.bytes > BYTES_MAX {
            self.clear();
        }
        frame
    }

    pub(crate) fn clear(&mut self) {
        self.places = Vec::new();
        self.bytes = 0;
    }
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.places.iter().flatten().count()
    }
}
