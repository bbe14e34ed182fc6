//! Lock files name versions and hashes, never where one machine downloaded from.

use super::{Finding, Tree, line_at};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Sources in Cargo.lock are crates.io; package-lock.json has no `resolved` addresses.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("", "Cargo.lock") {
        for (index, line) in text.lines().enumerate() {
            let source = line.strip_prefix("source = \"").and_then(|rest| rest.strip_suffix('"'));
            if source.is_some_and(|source| source != CRATES_IO) {
                findings.push(Finding::new(path, index + 1, format!("{line}: only crates.io is a source")));
            }
        }
    }
    for (path, text) in tree.under("", "package-lock.json") {
        for (at, _) in text.match_indices("\"resolved\": \"http") {
            findings.push(Finding::new(path, line_at(text, at), "a download address; .npmrc leaves them out"));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn addresses() {
        let ours = format!("[[package]]\nsource = \"{CRATES_IO}\"\n");
        testing::check(check, &[("Cargo.lock", &ours)], &[]);
        let mirror = "[[package]]\nsource = \"registry+https://mirror.example/index\"\n";
        testing::check(check, &[("fuzz/Cargo.lock", mirror)], &["fuzz/Cargo.lock:2"]);
        let npm = "{\n\"resolved\": \"https://mirror.example/x.tgz\"}";
        testing::check(check, &[("e2e/package-lock.json", npm)], &["e2e/package-lock.json:2"]);
    }
}
