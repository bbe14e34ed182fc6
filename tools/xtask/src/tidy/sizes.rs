//! Files of at most 500 lines, functions of at most 70, and a module doc at the top of each file.

use super::source::{blank, functions};
use super::{Finding, Tree};

/// More does not fit into a reader's head; the worst files of good projects are all above it.
const FILE_LINES_MAX: usize = 500;
/// One screen.
const FUNCTION_LINES_MAX: usize = 70;

/// Files that may be longer, or hold longer functions, and why. An entry that is not needed any more is a finding.
const EXEMPT: &[(&str, &str)] =
    &[("crates/wire/tests/websocket_support/kuhn.rs", "a table of texts, one per line, that grew over no rules")];

/// Lengths of files and functions. Generated files (`*.gen.rs`) are read by nobody and may be as long as they like.
pub(super) fn check_lengths(tree: &Tree) -> Vec<Finding> {
    check_lengths_except(tree, EXEMPT)
}

fn check_lengths_except(tree: &Tree, exempt: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("", ".rs").filter(|(path, _)| !path.ends_with(".gen.rs")) {
        let found = lengths(path, text);
        match exempt.iter().find(|entry| entry.0 == path) {
            Some(_) if found.is_empty() => findings.push(Finding::new(path, 0, "is exempt in tidy/sizes.rs and fits")),
            Some(_) => {}
            None => findings.extend(found),
        }
    }
    findings
}

fn lengths(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lines = text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(Finding::new(path, 0, format!("{lines} lines, at most {FILE_LINES_MAX}: split it by feature")));
    }
    for function in functions(&blank(text)).into_iter().filter(|function| function.lines > FUNCTION_LINES_MAX) {
        let text = format!("fn {} has {} lines, at most {FUNCTION_LINES_MAX}", function.name, function.lines);
        findings.push(Finding::new(path, function.line, text));
    }
    findings
}

/// The first lines of each file say what it is; only inner attributes may stand above. An empty file is a place kept free.
pub(super) fn check_docs(tree: &Tree) -> Vec<Finding> {
    let has_doc = |text: &str| {
        let mut lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with("#!["));
        lines.next().is_some_and(|line| line.starts_with("//! "))
    };
    tree.under("", ".rs")
        .filter(|(_, text)| !text.trim().is_empty() && !has_doc(text))
        .map(|(path, _)| Finding::new(path, 1, "no module doc: one `//!` sentence on what this is, then its rules"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn long_functions_and_files_are_named() {
        let body = |lines: usize| format!("\nfn long() {{\n{}}}\n", "  x;\n".repeat(lines - 2));
        let check =
            |path: &str, text: &str, expected: &[&str]| testing::check(check_lengths, &[(path, text)], expected);
        check("a.rs", &body(70), &[]);
        check("a.rs", &body(71), &["a.rs:2: fn long has 71 lines, at most 70"]);
        check("a.rs", &"\n".repeat(500), &[]);
        check("a.rs", &"\n".repeat(501), &["a.rs: 501 lines, at most 500"]);
        check("a.gen.rs", &"\n".repeat(501), &[]);
    }

    #[test]
    fn an_exemption_that_is_not_needed_is_a_finding() {
        let exempt = |tree: &Tree| check_lengths_except(tree, &[("a.rs", "a table")]);
        testing::check(exempt, &[("a.rs", &"\n".repeat(501))], &[]);
        testing::check(exempt, &[("a.rs", "x")], &["is exempt"]);
    }

    #[test]
    fn module_docs() {
        let check = |text: &str, expected: &[&str]| testing::check(check_docs, &[("a.rs", text)], expected);
        check("//! What it is.\n", &[]);
        check("#![forbid(unsafe_code)]\n\n//! What it is.\n", &[]);
        check("// What it is.\n", &["a.rs:1: no module doc"]);
        check("mod a;\n", &["no module doc"]);
        check("\n", &[]);
    }
}
