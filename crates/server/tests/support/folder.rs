//! A folder of a test's own, for a store. It is removed with its value.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Folders of this process so far.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The folder. Whoever needs it makes it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A folder that is not there yet.
    pub(crate) fn new() -> Self {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("realtime-store-{}-{number}", std::process::id()));
        // Another process of this number may have left one behind.
        drop(std::fs::remove_dir_all(&path));
        Self(path)
    }

    /// Its path, as a setting.
    pub(crate) fn setting(&self) -> Option<String> {
        self.0.to_str().map(str::to_owned)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}
