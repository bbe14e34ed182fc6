//! The rules of the house that no compiler knows.
//!
//! - Every check looks at the files git knows, and finds nothing where a file or folder does not exist yet.
//! - A finding names file, line where there is one, and what to do.
//! - Exceptions stand in a list beside the check, each with its reason.

mod bans;
mod layout;
mod limits;
mod locks;
mod manifests;
mod protocol;
mod sizes;
mod source;

use std::fmt;
use std::path::Path;

use crate::repo;

/// The repository as the checks see it.
struct Tree {
    /// Path from the top folder and text, sorted by path; files that are not UTF-8 are left out.
    files: Vec<(String, String)>,
}

impl Tree {
    fn read(root: &Path) -> Result<Self, String> {
        let paths = repo::files(root)?;
        let files = paths.into_iter().filter_map(|path| repo::read(root, &path).ok().map(|text| (path, text)));
        Ok(Self { files: files.collect() })
    }

    fn text(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|file| file.0 == path).map(|file| file.1.as_str())
    }

    /// Files whose path begins and ends so.
    fn under<'a>(&'a self, head: &'a str, tail: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        let fits = move |file: &&(String, String)| file.0.starts_with(head) && file.0.ends_with(tail);
        self.files.iter().filter(fits).map(|file| (file.0.as_str(), file.1.as_str()))
    }
}

/// A rule that is broken somewhere.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 = the file as a whole.
    line: usize,
    text: String,
}

impl Finding {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.text),
            line => write!(f, "{}:{line}: {}", self.path, self.text),
        }
    }
}

type Check = fn(&Tree) -> Vec<Finding>;

const CHECKS: [(&str, Check); 10] = [
    ("imports go one way", manifests::check),
    ("files and functions stay small", sizes::check_lengths),
    ("every module says what it is", sizes::check_docs),
    ("core is pure", bans::check_core),
    ("every queue is bounded", bans::check_queues),
    ("no place of one machine", bans::check_paths),
    ("one function delivers records", bans::check_deliver),
    ("lock files hold no addresses", locks::check),
    ("one feature, one name", layout::check),
    ("the ring holds four outboxes", limits::check),
];

/// Runs every check and prints what it finds.
///
/// # Errors
/// When there is a finding, or the repository cannot be read.
pub(crate) fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let mut findings = 0;
    for (rule, check) in CHECKS.iter().chain(&protocol::CHECKS) {
        let found = check(&tree);
        println!("{}  {rule}", if found.is_empty() { "ok    " } else { "FAILED" });
        for finding in &found {
            println!("        {finding}");
        }
        findings += found.len();
    }
    if findings == 0 { Ok(()) } else { Err(format!("{findings} findings of tidy")) }
}

/// The line of a byte offset, from 1.
fn line_at(text: &str, offset: usize) -> usize {
    1 + text[..offset].matches('\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let tree = Tree::read(&repo::root().expect("tests run inside the repository")).expect("git is there");
        assert!(tree.text("Cargo.toml").is_some(), "the tree is not the repository");
        for (rule, check) in CHECKS.iter().chain(&protocol::CHECKS) {
            let found: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
            assert!(found.is_empty(), "{rule}:\n{}", found.join("\n"));
        }
    }
}

/// Helps the tests of the checks.
#[cfg(test)]
mod testing {
    use super::{Check, Tree};

    /// Runs a check over made-up files; each expected text must stand in the finding of the same place.
    #[track_caller]
    pub(super) fn check(check: Check, files: &[(&str, &str)], expected: &[&str]) {
        let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let found: Vec<String> = check(&Tree { files }).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (finding, part) in found.iter().zip(expected) {
            assert!(finding.contains(part), "{finding:?} does not say {part:?}");
        }
    }
}
