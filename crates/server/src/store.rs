//! Where the store of a node lives: one folder with everything that outlives the process.

use std::fs::OpenOptions;
use std::io::Write;
#[cfg(unix)]
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use std::{fs, io};

use realtime_connector_store::sqlite::{Options, Sqlite};

pub use realtime_connector_store::sqlite::{Report, Stats, StoreError, check, stats};

use crate::auth::seal::{self, Secret};
use crate::engine::Clock;

/// The database within the folder. Its companions have the same name and an ending.
const DATABASE: &str = "realtime.db";
/// What the keys of session tokens and cursors come from.
const SECRET: &str = "secret.key";

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
    /// The secret cannot be read or made.
    #[error("failed to read the secret {path}: {source}; without it (delete it) clients lose their place once")]
    Secret {
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
    pub(crate) fn open(&self, origin: Instant) -> Result<(Sqlite, Secret), OpenStoreError> {
        fs::create_dir_all(&self.folder)
            .map_err(|source| OpenStoreError::Folder { path: self.folder.clone(), source })?;
        let clock = Arc::new(move || Clock::new(origin).now());
        let options = Options { accept_loss: self.accept_loss, clock };
        let store = Sqlite::open(&database(&self.folder), options)?;
        let path = self.folder.join(SECRET);
        let secret = secret(&path).map_err(|source| OpenStoreError::Secret { path, source })?;
        Ok((store, secret))
    }
}

/// Reads the secret, or makes it. The store is locked by now, so nobody else does.
fn secret(path: &Path) -> io::Result<Secret> {
    match fs::read(path) {
        Ok(bytes) => bytes.try_into().map_err(|_| io::Error::other("it has not 32 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let secret = seal::fresh_secret();
            let mut options = OpenOptions::new();
            options.write(true).create_new(true);
            #[cfg(unix)]
            options.mode(0o600);
            let mut file = options.open(path)?;
            file.write_all(&secret)?;
            file.sync_all()?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}
