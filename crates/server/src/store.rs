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
        // A first start that was cut short: nothing was ever sealed with it.
        Ok(bytes) if bytes.is_empty() => make_secret(path),
        Ok(bytes) => bytes.try_into().map_err(|_| io::Error::other("it has not 32 bytes")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => make_secret(path),
        Err(error) => Err(error),
    }
}

/// Writes a secret aside and moves it into its place, so that there is a whole one or none whenever the power fails.
fn make_secret(path: &Path) -> io::Result<Secret> {
    let (secret, aside) = (seal::fresh_secret(), aside(path));
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(&aside)?;
    file.write_all(&secret)?;
    file.sync_all()?;
    fs::rename(&aside, path)?;
    #[cfg(unix)]
    fs::File::open(path.parent().unwrap_or(path))?.sync_all()?;
    Ok(secret)
}

fn aside(path: &Path) -> PathBuf {
    path.with_extension("new")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("store-secret-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// The server did not start any more after a crash or a full disk at its very first start.
    #[test]
    fn a_secret_that_was_never_written_whole_is_made_again() {
        for left in ["", "half of one"] {
            let folder = folder("crash");
            let path = folder.join(SECRET);
            fs::write(aside(&path), left).expect("a file");
            let made = secret(&path).expect("a secret");
            assert_eq!(fs::read(&path).expect("a file"), made);
            assert_eq!(secret(&path).expect("the secret"), made, "it stays the same");
            assert!(!aside(&path).exists());
            fs::write(&path, "").expect("an empty file, as former versions left it");
            assert_ne!(secret(&path).expect("a secret"), made);
            fs::write(&path, "no secret").expect("a file");
            assert!(secret(&path).is_err(), "what is there and no secret is nothing to overwrite");
            fs::remove_dir_all(folder).expect("it is ours");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_reads_the_secret() {
        use std::os::unix::fs::PermissionsExt;
        let folder = folder("mode");
        let path = folder.join(SECRET);
        secret(&path).expect("a secret");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
