//! Memory of Realtime Connector: the log behind every channel, and the state beside it.
//!
//! - A [`Log`] assigns epoch and offset, and nothing else does. A [`State`] keeps small values by key.
//! - Their calls never block; results are polled. Each worker has its own handles.
//! - [`MemoryLog`] and [`MemoryState`] live as long as the process. With the feature `sqlite`, [`sqlite`] keeps both in a file.
//! - Every back end passes the suite in [`conformance`]; [`faulty`] wraps any of them to make it late, refusing and forgetful.

#[doc(hidden)]
pub mod conformance;
pub mod faulty;
pub mod limits;
mod log;
mod memory;
#[cfg(feature = "sqlite")]
pub mod sqlite;
mod state;

/// Rings a worker when there may be an answer to poll, from any thread. It may ring more often than there is one.
pub type Wake = std::sync::Arc<dyn Fn() + Send + Sync>;

pub use log::{Append, Completion, Locate, Log, LogError, Read};
pub use memory::{MemoryLog, MemoryState};
pub use realtime_connector_core::state::{Change, Row, Scan, Table};
pub use state::{State, StateCompletion};
