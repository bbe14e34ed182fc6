//! Imports go one way: `cli → server → {wire, store} → core`, and core and wire take only what is listed here.
//!
//! Dev-dependencies may name any third-party crate, and our own crates in the same direction only.

use toml::Table;

use super::{Finding, Tree};

/// What a crate of ours may import.
struct Edge {
    folder: &'static str,
    ours: &'static [&'static str],
    /// None = any third-party crate.
    others: Option<&'static [&'static str]>,
}

const CORE: &str = "realtime-connector-core";
const WIRE: &str = "realtime-connector-wire";
const STORE: &str = "realtime-connector-store";
const SERVER: &str = "realtime-connector";
const CLI: &str = "realtime-connector-cli";
const SIM: &str = "sim";
const OURS: [&str; 8] = [CORE, WIRE, STORE, SERVER, CLI, SIM, "xtask", "bench"];

/// The crate table of ARCHITECTURE.md. A new entry in `others` needs the same reason as a new dependency.
const EDGES: [Edge; 8] = [
    Edge { folder: "crates/core", ours: &[], others: Some(&["bytes", "hashbrown", "smallvec", "thiserror"]) },
    Edge {
        folder: "crates/wire",
        ours: &[CORE],
        others: Some(&["base64", "bytes", "memchr", "serde", "serde_json", "sha1", "simdutf8", "thiserror"]),
    },
    Edge {
        folder: "crates/store",
        ours: &[CORE],
        others: Some(&["bytes", "crc32fast", "hashbrown", "rusqlite", "thiserror"]),
    },
    Edge { folder: "crates/server", ours: &[CORE, WIRE, STORE], others: None },
    // The checker of journals is the simulator's; tests alone use it.
    Edge { folder: "crates/cli", ours: &[SERVER, WIRE, SIM], others: None },
    Edge { folder: "tools/xtask", ours: &[], others: Some(&["serde", "serde_json", "toml"]) },
    // The load generator speaks the protocol from outside; only formats may be shared with the server.
    Edge { folder: "tools/bench", ours: &[WIRE], others: None },
    Edge { folder: "tools/sim", ours: &[CORE, WIRE, STORE], others: Some(&["clap", "serde_json"]) },
];

/// Every dependency of every crate of ours.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for edge in &EDGES {
        let path = format!("{}/Cargo.toml", edge.folder);
        let Some(text) = tree.text(&path) else { continue };
        match text.parse::<Table>() {
            Err(error) => findings.push(Finding::new(&path, 0, error.to_string())),
            Ok(manifest) => {
                let names = dependencies(&manifest);
                let wrong = names.iter().filter(|(name, is_dev)| !edge.allows(name, *is_dev));
                findings.extend(wrong.map(|(name, _)| {
                    Finding::new(&path, 0, format!("must not import {name}; the allowed ones are in tidy/manifests.rs"))
                }));
            }
        }
    }
    findings.extend(unlisted(tree));
    findings
}

impl Edge {
    fn allows(&self, name: &str, is_dev: bool) -> bool {
        if OURS.contains(&name) {
            return self.ours.contains(&name);
        }
        is_dev || self.others.is_none_or(|others| others.contains(&name))
    }
}

/// Crates that stand in no edge: a new crate needs a reason, and a line in the table.
fn unlisted(tree: &Tree) -> Vec<Finding> {
    let folders = tree.under("crates/", "/Cargo.toml").chain(tree.under("tools/", "/Cargo.toml"));
    folders
        .filter(|(path, _)| !EDGES.iter().any(|edge| path.strip_suffix("/Cargo.toml") == Some(edge.folder)))
        .map(|(path, _)| Finding::new(path, 0, "not in the crate table of tidy/manifests.rs"))
        .collect()
}

/// Package names in all dependency tables, and whether only tests and examples see them.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let mut tables = vec![manifest];
    if let Some(targets) = manifest.get("target").and_then(toml::Value::as_table) {
        tables.extend(targets.values().filter_map(toml::Value::as_table));
    }
    let mut names = Vec::new();
    for table in tables {
        for (kind, is_dev) in [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)] {
            let Some(entries) = table.get(kind).and_then(toml::Value::as_table) else { continue };
            for (key, value) in entries {
                let package = value.get("package").and_then(toml::Value::as_str);
                names.push((package.unwrap_or(key).to_owned(), is_dev));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn edges() {
        let check = |path: &str, text: &str, expected: &[&str]| testing::check(check, &[(path, text)], expected);
        let core = "crates/core/Cargo.toml";
        check(core, "[dependencies]\nbytes = '1'\n[dev-dependencies]\nproptest = '1'", &[]);
        check(core, "[dependencies]\nserde = '1'", &["must not import serde"]);
        check(core, "[build-dependencies]\ncc = '1'", &["cc"]);
        check(core, "[target.'cfg(unix)'.dependencies]\nlibc = '1'", &["libc"]);
        check(core, "[dependencies]\nbytes = { version = '1', package = 'tokio' }", &["tokio"]);
        check(core, "[dev-dependencies]\nrealtime-connector = { workspace = true }", &["must not import"]);
        let wire = "crates/wire/Cargo.toml";
        check(wire, "[dependencies]\nrealtime-connector-core = '1'\nsha1 = '1'", &[]);
        check(wire, "[dependencies]\nrealtime-connector-store = '1'", &["realtime-connector-store"]);
        check("crates/store/Cargo.toml", "[dependencies]\nrealtime-connector-wire = '1'", &["wire"]);
        check("crates/server/Cargo.toml", "[dependencies]\nrealtime-connector-cli = '1'\naxum = '1'", &["cli"]);
        check("crates/cli/Cargo.toml", "[dependencies]\nrealtime-connector-core = '1'", &["core"]);
        check("crates/utils/Cargo.toml", "", &["not in the crate table"]);
        check(core, "[dependencies", &["crates/core/Cargo.toml: "]);
    }
}
