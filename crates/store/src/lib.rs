//! Memory of Realtime Connector: the log behind every channel.
//!
//! A [`Log`] assigns epoch and offset, and nothing else does. Its calls never block; results are polled. Each worker has its own.

mod memory;

use std::sync::Arc;

use realtime_connector_core::id::{ChannelKey, SlotKey};
use realtime_connector_core::position::{Epoch, Offset};
use realtime_connector_core::record::Record;

pub use memory::MemoryLog;

/// Orders records, and remembers how far each channel has come.
///
/// Offsets of a channel rise by one from record to record and never repeat within an epoch, also when a channel was forgotten in
/// between.
pub trait Log {
    /// Asks where a channel stands; answered by [`Completion::Opened`].
    fn open(&mut self, home: SlotKey, channel: &ChannelKey);

    /// Gives a channel its next record; answered by [`Completion::Committed`] once it is as safe as this log makes it. Appends to
    /// one channel are committed in the order given.
    fn append(&mut self, home: SlotKey, ticket: u64, record: Box<Record>);

    /// A channel's state is freed. A log that keeps nothing may forget it.
    fn forget(&mut self, channel: &ChannelKey);

    /// The next result.
    fn poll(&mut self) -> Option<Completion>;
}

/// What a log has done.
#[derive(Debug)]
pub enum Completion {
    /// The answer to [`Log::open`].
    Opened {
        /// Who asked.
        home: SlotKey,
        /// The log's life.
        epoch: Epoch,
        /// The newest offset; the next one is one higher.
        head: Offset,
    },
    /// The answer to [`Log::append`].
    Committed {
        /// Who asked.
        home: SlotKey,
        /// The ticket given.
        ticket: u64,
        /// The record with epoch and offset.
        record: Arc<Record>,
    },
}
