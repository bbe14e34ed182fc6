//! Programs from the system's packages that later steps need.
//!
//! - Nothing is installed that is already there, and nothing at all unless we are root on a Debian-like system.
//! - A missing program is told, not an error of this step: the step that needs it fails by itself.

use std::path::Path;

use super::{Count, Outcome, Report, answers, command};

/// Program, and the Debian package that has it. All of them are for the browser tests.
const NEEDED: [(&str, &str); 3] = [("chromium", "chromium"), ("node", "nodejs"), ("npm", "npm")];

/// Installs what is missing where that is possible.
pub(super) fn install(root: &Path) -> Report {
    if !root.join("e2e/package.json").is_file() {
        return (Outcome::Skipped("nothing needs any yet".to_owned()), Count::default());
    }
    let missing: Vec<&str> = NEEDED.iter().filter(|entry| !is_there(entry.0)).map(|entry| entry.1).collect();
    if missing.is_empty() {
        return (Outcome::Done, Count::default());
    }
    if !(is_root() && answers("apt-get", &["--version"])) {
        return (Outcome::Skipped(format!("please install: {}", missing.join(" "))), Count::default());
    }
    let quiet = [("DEBIAN_FRONTEND", "noninteractive")];
    let update = command(root, "apt-get", &["update", "-qq"], &quiet);
    if matches!(update.0, Outcome::Failed(_)) {
        return update;
    }
    let mut words = vec!["install", "-y", "-qq", "--no-install-recommends"];
    words.extend(missing);
    command(root, "apt-get", &words, &quiet)
}

fn is_there(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn is_root() -> bool {
    // Owner of our own process, without a dependency for one system call.
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|data| data.uid() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_by_the_path() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-anywhere"));
    }
}
