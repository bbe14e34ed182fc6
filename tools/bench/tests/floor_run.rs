//! The whole tool end to end, with the floor as the only server: real processes, real sockets, no timing.

use std::path::PathBuf;
use std::process::{Command, Output};

fn bench(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench")).args(args).output().expect("the binary runs")
}

fn json_path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

fn run(name: &str, mode: &str) -> serde_json::Value {
    let path = json_path(name);
    let json = path.to_str().expect("a UTF-8 path");
    let fanout = ["fanout", "--floor-only", "--connections", "50", "--rounds", "3", "--seconds", "1"];
    let output = bench(&[&fanout[..], &["--mode", mode, "--limit-s", "60", "--json", json]].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("| floor"), "no table");
    let text = std::fs::read_to_string(&path).expect("the JSON file is there");
    serde_json::from_str(&text).expect("it is JSON")
}

/// One second is two slices, each of three rounds.
#[test]
fn three_rounds_on_fifty_sockets_are_confirmed_one_by_one() {
    for (mode, burst) in [("latency", 1), ("saturation", 64)] {
        let json = run(&format!("floor-{mode}.json"), mode);
        let score = &json["sections"][0]["result"]["scores"][0];
        assert_eq!(score["label"], "floor");
        assert_eq!(score["delivered"], 2 * 3 * 50 * burst, "{mode}");
        assert_eq!(score["wireBytesPerMessage"], 154.0, "{mode}: a 4-byte header and 150 bytes");
        assert_eq!(score["ratio"], 1.0, "{mode}: beside itself");
    }
}

#[test]
fn too_many_connections_are_refused_with_the_number_that_fits() {
    let output = bench(&["fanout", "--floor-only", "--connections", "5000000"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("5000000 connections do not fit") && said.contains("at most"), "{said}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let output = bench(&["fanout", "--server", "/nowhere/realtime-connector", "--connections", "10"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("/nowhere/realtime-connector does not exist"), "{said}");
}
