//! Makes code and tables from `protocol/codes.toml`.
//!
//! - The Rust file is formatted by `rustfmt` and meets the lints of the workspace.
//! - In PROTOCOL.md only what stands between the markers is replaced.
//! - `check` makes the same and compares, so that a forgotten `codegen` fails the tests.

mod codes;
mod markdown;
mod rust;

use std::path::Path;

use crate::repo;
use codes::Codes;

const TABLE: &str = "protocol/codes.toml";
const RUST: &str = "crates/wire/src/codes.gen.rs";
const TEXT: &str = "protocol/PROTOCOL.md";

/// Writes every generated file whose text has changed.
///
/// # Errors
/// When the table breaks a rule, a file cannot be read or written, or `rustfmt` fails.
pub(crate) fn write(root: &Path) -> Result<(), String> {
    for (path, text) in generate(root)? {
        if repo::read(root, path).is_ok_and(|old| old == text) {
            println!("same     {path}");
        } else {
            std::fs::write(root.join(path), text).map_err(|error| format!("{path}: {error}"))?;
            println!("written  {path}");
        }
    }
    Ok(())
}

/// Fails when a generated file is not what `write` would make.
///
/// # Errors
/// As `write`, and naming the first file that differs.
pub(crate) fn check(root: &Path) -> Result<(), String> {
    for (path, text) in generate(root)? {
        if repo::read(root, path)? != text {
            return Err(format!("{path} differs from {TABLE}; run: cargo run -p xtask -- codegen"));
        }
    }
    Ok(())
}

fn generate(root: &Path) -> Result<Vec<(&'static str, String)>, String> {
    let codes = Codes::parse(&repo::read(root, TABLE)?).map_err(|error| format!("{TABLE}: {error}"))?;
    let text = markdown::replace(&repo::read(root, TEXT)?, &codes).map_err(|error| format!("{TEXT}: {error}"))?;
    Ok(vec![(RUST, rust::generate(&codes)?), (TEXT, text)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_files_are_up_to_date() {
        let root = repo::root().expect("tests run inside the repository");
        assert_eq!(check(&root), Ok(()));
    }
}
