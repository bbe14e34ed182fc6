//! `store check` and `store stats`: what they say of a store in use, of one that is damaged, and of none.

use std::fs;

use serde_json::{Value, json};

use crate::node::{Folder, Node};
use crate::people::Message;
use crate::support::run;

/// A server with three messages of ours in its store; in development mode it has some of its own.
async fn with_messages() -> Node {
    let mut node = Node::new("");
    node.start().await;
    for seq in 0..3 {
        let message = Message { channel: "orders".to_owned(), publisher: "server".to_owned(), seq };
        node.publish(&message.body()).await;
    }
    node
}

#[tokio::test]
async fn a_store_can_be_looked_at_while_it_is_in_use_and_after_a_kill() {
    let mut node = with_messages().await;
    let folder = node.store().display().to_string();
    for is_killed in [false, true] {
        if is_killed {
            node.kill();
        }
        let (exit, out, err) = run(&["store", "check", &folder]);
        assert_eq!((exit, err.as_str()), (0, ""), "{out}");
        assert!(out.contains("\nids       3\n"), "{out}");
        assert!(out.ends_with("\nSound: everything was read, nothing is wrong.\n"), "{out}");
        let (exit, out, _) = run(&["store", "check", &folder, "--json"]);
        let report: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((exit, &report["sound"], &report["ids"]), (0, &json!(true), &json!(3)), "{report}");
        assert_eq!(report["write"]["found"], report["write"]["acknowledged"], "{report}");

        let (exit, out, err) = run(&["store", "stats", &folder]);
        assert_eq!((exit, err.as_str()), (0, ""), "{out}");
        assert!(out.contains("\nids       3\n") && out.contains("\nlog       "), "{out}");
        let (exit, out, _) = run(&["store", "stats", &folder, "--json"]);
        let stats: Value = serde_json::from_str(&out).expect("JSON");
        assert_eq!((exit, &stats["ids"]), (0, &json!(3)), "{stats}");
        assert!(stats["fileBytes"].as_u64().is_some_and(|bytes| bytes > 0), "{stats}");
    }
    node.start().await;
    node.stop();
}

#[tokio::test]
async fn damage_is_found_and_named_and_the_exit_code_says_so() {
    let mut node = with_messages().await;
    node.stop();
    let (folder, database) = (node.store().display().to_string(), node.store().join("realtime.db"));
    let mut bytes = fs::read(&database).expect("a file");
    let needle = b"\"publisher\":\"server\"";
    let at = bytes.windows(needle.len()).position(|window| window == needle).expect("a message lies in the file");
    bytes[at + 1] ^= 1;
    fs::write(&database, bytes).expect("a file");
    let (exit, out, err) = run(&["store", "check", &folder]);
    assert_eq!((exit, err.as_str()), (1, ""), "{out}");
    assert!(
        out.contains("\nDamaged, ") && out.contains("has a wrong sum") && out.contains("restore a backup"),
        "{out}"
    );
    let (exit, out, _) = run(&["store", "check", &folder, "--json"]);
    let report: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!((exit, &report["sound"]), (1, &json!(false)), "{report}");
    assert_eq!(report["findingsTotal"], report["findings"].as_array().expect("a list").len(), "{report}");
}

#[test]
fn what_is_no_store_is_told_with_what_to_do() {
    let folder = Folder::new();
    let path = folder.0.display().to_string();
    for words in [["store", "check", &path], ["store", "stats", &path]] {
        let (exit, out, err) = run(&words);
        let expected = format!(
            "error: no store in {path}: {path}/realtime.db: there is no such file\n  name the folder that `store.path` names: \
             realtime-connector config explain store.path\n"
        );
        assert_eq!((exit, out.as_str(), err), (1, "", expected));
        let (exit, _, err) = run(&[&words[..], &["--json"]].concat());
        let error: Value = serde_json::from_str(&err).expect("JSON");
        assert_eq!((exit, error["error"]["code"].as_str()), (1, Some("no_store")), "{error}");
    }
    fs::write(folder.0.join("realtime.db"), "a text that is long enough to be no database. ".repeat(40))
        .expect("a file");
    let (exit, _, err) = run(&["store", "check", &path]);
    assert!(exit == 1 && err.contains("not a database") && err.contains("restore a backup"), "{err}");
}
