//! One feature, one name, in every layer: a folder in core for each `wire/src/json/<feature>.rs`, and the other way.

use std::collections::BTreeSet;

use super::{Finding, Tree};

const CORE: &str = "crates/core/src/";
const WIRE: &str = "crates/wire/src/json/";

/// Folders of core that have no frames of their own, and why.
const WITHOUT_FRAMES: &[(&str, &str)] = &[
    ("permissions", "decides about the frames of others"),
    ("ratelimit", "decides about the frames of others"),
    ("worker", "holds sessions and channels together"),
];

/// Files of wire/json that belong to no feature, and why.
const WITHOUT_RULES: &[(&str, &str)] = &[
    ("mod", "the entry: chooses the feature by `op`"),
    ("tests", "tests of the whole folder"),
    ("error", "the answer of every feature"),
    ("fields", "reads fields and names for every feature"),
    ("scan", "finds duplicate keys and depth for every feature"),
    ("write", "writes JSON for every feature"),
];

/// Compares the two lists of names; nothing is said while one of the two layers does not exist.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let core = names(tree, CORE, |rest| rest.strip_suffix("/mod.rs"));
    let wire = names(tree, WIRE, |rest| rest.strip_suffix("/mod.rs").or_else(|| rest.strip_suffix(".rs")));
    if core.is_empty() || wire.is_empty() {
        return Vec::new();
    }
    let listed = |list: &[(&str, &str)], name: &str| list.iter().any(|entry| entry.0 == name);
    let mut findings = Vec::new();
    for name in core.difference(&wire).filter(|name| !listed(WITHOUT_FRAMES, name)) {
        findings.push(Finding::new(&format!("{CORE}{name}"), 0, format!("no {WIRE}{name}.rs; one feature, one name")));
    }
    for name in wire.difference(&core).filter(|name| !listed(WITHOUT_RULES, name)) {
        findings.push(Finding::new(&format!("{WIRE}{name}"), 0, format!("no {CORE}{name}/; one feature, one name")));
    }
    findings
}

fn names<'a>(tree: &'a Tree, head: &'a str, name: fn(&str) -> Option<&str>) -> BTreeSet<&'a str> {
    let paths = tree.under(head, ".rs").filter_map(|(path, _)| path.strip_prefix(head));
    paths.filter_map(name).filter(|name| !name.contains('/')).collect()
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn names_are_the_same_in_both_layers() {
        let check = |paths: &[&str], expected: &[&str]| {
            let files: Vec<_> = paths.iter().map(|path| (*path, "")).collect();
            testing::check(check, &files, expected);
        };
        check(&["crates/core/src/typing/mod.rs"], &[]);
        check(&["crates/core/src/typing/mod.rs", "crates/wire/src/json/typing.rs", "crates/wire/src/json/mod.rs"], &[]);
        check(
            &["crates/core/src/typing/mod.rs", "crates/wire/src/json/mod.rs"],
            &["no crates/wire/src/json/typing.rs"],
        );
        check(&["crates/core/src/worker/mod.rs", "crates/wire/src/json/history.rs"], &["no crates/core/src/history/"]);
    }
}
