//! Words that must not stand in code, by place.
//!
//! Comments and strings do not count, except for paths of one machine, which must not stand anywhere. The bans of core
//! are also in `crates/core/clippy.toml`, which sees through imports; the words here see what a lint does not reach.

use super::source::blank;
use super::{Finding, Tree, line_at};

/// Words core must not know, and where what they stand for comes from instead.
const CORE: &[(&str, &str)] = &[
    ("Instant::now", "`now` is a parameter"),
    ("std::time::Instant", "use core's own time types; `now` is a parameter"),
    ("SystemTime", "`now` is a parameter"),
    // `std::net::IpAddr` and its like are plain values; sockets are not.
    ("TcpStream", "core knows no sockets"),
    ("TcpListener", "core knows no sockets"),
    ("UdpSocket", "core knows no sockets"),
    ("ToSocketAddrs", "core resolves no names"),
    ("std::fs", "core reads nothing"),
    ("std::env", "options are values handed in"),
    ("std::process", "core starts nothing and ends nothing"),
    ("std::thread", "one owner, no threads"),
    ("thread_local!", "one owner, no threads"),
    ("std::sync::mpsc", "inputs and outputs are values"),
    ("Mutex", "each machine has one owner"),
    ("RwLock", "each machine has one owner"),
    ("Condvar", "each machine has one owner"),
    ("std::collections::HashMap", "use `hashbrown` for look-ups, `BTreeMap` to walk"),
    ("std::collections::HashSet", "use `hashbrown` for look-ups, `BTreeSet` to walk"),
    ("serde", "formats live in wire"),
    ("async fn", "core is polled, not awaited"),
    (".await", "core is polled, not awaited"),
];

/// Queues without a bound.
const QUEUES: &[(&str, &str)] = &[
    ("unbounded_channel", "use a bounded channel with its bound in limits"),
    ("mpsc::unbounded", "use a bounded channel with its bound in limits"),
    ("channel::unbounded", "use a bounded channel with its bound in limits"),
    ("mpsc::channel()", "`sync_channel` with its bound in limits"),
    ("mpsc::channel::<", "`sync_channel`, or name the type on the left"),
];

/// Core knows no clock, socket, thread, lock or format.
pub(super) fn check_core(tree: &Tree) -> Vec<Finding> {
    tree.under("crates/core/src/", ".rs").flat_map(|(path, text)| words(path, &blank(text), CORE)).collect()
}

/// Every queue has a bound, everywhere.
pub(super) fn check_queues(tree: &Tree) -> Vec<Finding> {
    tree.under("", ".rs").flat_map(|(path, text)| words(path, &blank(text), QUEUES)).collect()
}

fn words(path: &str, code: &str, banned: &[(&str, &str)]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (word, instead) in banned {
        for (at, _) in code.match_indices(word) {
            let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let starts_inside = word.starts_with(char::is_alphabetic) && joins(code[..at].chars().next_back());
            let ends_inside = word.ends_with(char::is_alphabetic) && joins(code[at + word.len()..].chars().next());
            if !starts_inside && !ends_inside {
                findings.push(Finding::new(path, line_at(code, at), format!("{word}: {instead}")));
            }
        }
    }
    findings
}

/// Home folders and work folders of somebody's machine; put together so that this file does not find itself.
const PLACES: [&str; 5] = [
    concat!("/ho", "me/"),
    concat!("/ro", "ot/"),
    concat!("/Us", "ers/"),
    concat!("/wo", "rk/"),
    concat!("\\Us", "ers\\"),
];

/// No file holds a path that exists on one machine only.
pub(super) fn check_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("", "") {
        for place in PLACES {
            for (at, _) in text.match_indices(place) {
                // `…/network/` or `example.com/home/` is a part of something else.
                let before = text[..at].chars().next_back();
                if !before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '}')) {
                    findings.push(Finding::new(path, line_at(text, at), format!("a path of one machine: {place}")));
                }
            }
        }
    }
    findings
}

/// The message that hands a record to a worker, and the one file that declares and builds it.
const DELIVER: (&str, &str) = ("Peer::Deliver", "crates/core/src/worker/links.rs");
/// The functions of that file, and the one file that calls them.
const DELIVERING: (&[&str], &str) = (&[".deliver(", ".deliver_if_room("], "crates/core/src/publish/commit.rs");

/// `publish::commit` is the only place that delivers a record.
pub(super) fn check_deliver(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.under("crates/core/src/", ".rs").filter(|(path, _)| !path.ends_with("/tests.rs")) {
        let code = blank(text);
        let built = code.match_indices(DELIVER.0).filter(|(at, word)| builds(&code[..*at], &code[at + word.len()..]));
        let called = DELIVERING.0.iter().flat_map(|word| code.match_indices(word));
        let (built, called) = (built.filter(|_| path != DELIVER.1), called.filter(|_| path != DELIVERING.1));
        findings.extend(built.chain(called).map(|(at, word)| {
            let text = format!("{word}: only publish::commit delivers a record");
            Finding::new(path, line_at(&code, at), text)
        }));
    }
    findings
}

/// Whether the word between these texts builds a value; otherwise it is a pattern.
fn builds(before: &str, after: &str) -> bool {
    let introduced = before.trim_end();
    if introduced.ends_with("let") || introduced.ends_with("matches!(") || introduced.ends_with('|') {
        return false;
    }
    let (mut depth, mut rest) = (0_usize, after);
    for (at, c) in after.char_indices() {
        match c {
            '{' | '(' => depth += 1,
            '}' | ')' if depth > 0 => {
                depth -= 1;
                if depth == 0 {
                    rest = &after[at + 1..];
                    break;
                }
            }
            _ if depth == 0 && !c.is_whitespace() => break,
            _ => {}
        }
    }
    let next = rest.trim_start();
    let in_matches = introduced.rfind("matches!(").is_some_and(|at| !introduced[at..].contains(';'));
    !(next.starts_with("=>") || next.starts_with('|') || next.starts_with("if ") || in_matches)
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn core_is_pure() {
        let check = |text: &str, expected: &[&str]| {
            testing::check(check_core, &[("crates/core/src/a.rs", text)], expected);
        };
        check("use std::net::IpAddr; // a Mutex, TcpStream\nlet text = \"SystemTime\";", &[]);
        check("use std::sync::Mutex;", &["a.rs:1: Mutex"]);
        check("\nlet t = std::time::Instant::now();", &["Instant::now", "a.rs:2: std::time::Instant"]);
        check("struct MutexLike; struct Instants;", &[]);
        check("#[derive(serde::Serialize)]", &["serde"]);
        check("x.await", &[".await"]);
        testing::check(check_core, &[("crates/server/src/a.rs", "use std::net::TcpStream;")], &[]);
    }

    #[test]
    fn queues_are_bounded() {
        let check = |text: &str, expected: &[&str]| testing::check(check_queues, &[("a.rs", text)], expected);
        check("mpsc::channel(64); mpsc::sync_channel(8);", &[]);
        check("tokio::sync::mpsc::unbounded_channel();", &["unbounded_channel"]);
        check("mpsc::channel();", &["mpsc::channel()"]);
        check("mpsc::channel::<u8>();", &["mpsc::channel::<"]);
    }

    #[test]
    fn paths_of_one_machine() {
        let check = |text: &str, expected: &[&str]| testing::check(check_paths, &[("a.md", text)], expected);
        for place in PLACES {
            check(&format!("\nsee {place}ada"), &["a.md:2: a path of one machine"]);
            check(&format!("\"{place}.cargo\""), &["a.md:1: a path of one machine"]);
            check(&format!("https://example.com{place} and a{place}b and .{place}"), &[]);
        }
    }

    #[test]
    fn only_publish_delivers() {
        let check =
            |path: &str, text: &str, expected: &[&str]| testing::check(check_deliver, &[(path, text)], expected);
        let elsewhere = "crates/core/src/worker/mod.rs";
        check(elsewhere, "self.send(to, Peer::Deliver { local, record });", &["Peer::Deliver: only publish::commit"]);
        check(elsewhere, "peers.deliver(interest, &record);", &[".deliver(: only publish::commit"]);
        check(elsewhere, "match peer { Peer::Deliver { record, .. } => a(record), Peer::Pull(_) => b() }", &[]);
        check(elsewhere, "if let Peer::Deliver { record, .. } = peer {}", &[]);
        check(elsewhere, "matches!(peer, Peer::Deliver { .. })", &[]);
        check(elsewhere, "Peer::Pull(_) | Peer::Deliver { .. } => {}", &[]);
        check("crates/core/src/worker/links.rs", "self.send(to, Peer::Deliver { local, record })", &[]);
        check("crates/core/src/publish/commit.rs", "peers.deliver_if_room(interest, &record)", &[]);
        check("crates/core/src/worker/tests.rs", "peers.deliver(interest, &record)", &[]);
    }
}
