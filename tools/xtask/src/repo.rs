//! Where the repository is and which files belong to it.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The top folder of the repository.
///
/// Asked at run time and not compiled in, so that a program built in one checkout works in another one.
///
/// # Errors
/// When no parent folder of the package or of the current folder holds `protocol/codes.toml`.
pub(crate) fn root() -> Result<PathBuf, String> {
    let start = match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(folder) => PathBuf::from(folder),
        None => std::env::current_dir().map_err(|error| format!("no current folder: {error}"))?,
    };
    start
        .ancestors()
        .find(|folder| folder.join("protocol/codes.toml").is_file())
        .map(Path::to_path_buf)
        .ok_or_else(|| format!("no repository around {}", start.display()))
}

/// Every file git knows or would add, as paths from the top folder with `/`, sorted.
///
/// # Errors
/// When git cannot be run here.
pub(crate) fn files(root: &Path) -> Result<Vec<String>, String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"])
        .current_dir(root)
        .output()
        .map_err(|error| format!("git ls-files: {error}"))?;
    if !output.status.success() {
        return Err(format!("git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let mut files: Vec<String> = String::from_utf8_lossy(&output.stdout)
        .split('\0')
        // A file deleted but not yet committed is still listed.
        .filter(|path| !path.is_empty() && root.join(path).is_file())
        .map(str::to_owned)
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// The text of a file of the repository.
///
/// # Errors
/// When it cannot be read or is not UTF-8.
pub(crate) fn read(root: &Path, path: &str) -> Result<String, String> {
    std::fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))
}
