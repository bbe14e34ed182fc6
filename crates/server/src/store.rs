//! Where the store of a node lives: one folder with everything that outlives the process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use realtime_connector_store::sqlite::{Options, Sqlite, StoreError};

use crate::engine::Clock;

/// The database within the folder. Its companions have the same name and an ending.
const DATABASE: &str = "realtime.db";

/// The database of a store's folder, for `store check` and `store stats`.
#[must_use]
pub fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// How a node's store is opened.
#[derive(Clone, Debug)]
pub(crate) struct StorePlan {
    pub(crate) folder: PathBuf,
    pub(crate) accept_loss: bool,
}

/// Why a store does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    /// There is no folder, and none can be made.
    #[error("failed to make the folder {path} of the store: {source}")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store itself: each says what to do.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl StorePlan {
    /// Opens the store, or begins a new one. Its clock counts from `origin`, like the workers'.
    pub(crate) fn open(&self, origin: Instant) -> Result<Sqlite, OpenStoreError> {
        fs::create_dir_all(&self.folder)
            .map_err(|source| OpenStoreError::Folder { path: self.folder.clone(), source })?;
        let clock = Arc::new(move || Clock::new(origin).now());
        let options = Options { accept_loss: self.accept_loss, clock };
        Ok(Sqlite::open(&database(&self.folder), options)?)
    }
}
