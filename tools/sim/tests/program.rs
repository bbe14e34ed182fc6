//! The program: what it prints, and how it ends.

use std::process::{Command, Output};

use serde_json::Value;
use sim::report::{regressions, write_failure};
use sim::{Detail, run};

fn program(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_sim")).args(arguments).output().expect("it was built for this test")
}

#[test]
fn a_few_seeds_are_good_and_counted_with_those_that_have_failed_once() {
    let output = program(&["--seeds", "2", "--from", "1000"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let count = 2 + regressions().count();
    assert!(output.status.success() && text.ends_with(&format!("{count} passed, 0 failed\n")), "{text}");
}

#[test]
fn a_seed_for_programs_is_an_object_with_its_digest() {
    let output = program(&["--seed", "7", "--json"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let digest = format!("{:016x}", run(7, Detail::Digest).digest);
    assert_eq!((&lines[0]["seed"], &lines[0]["digest"]), (&Value::from(7), &Value::from(digest)), "{text}");
    assert_eq!((&lines[1]["seeds"], &lines[1]["failed"]), (&Value::from(1), &Value::from(Vec::<u64>::new())), "{text}");
}

#[test]
fn a_trace_has_every_line_and_a_wrong_word_is_refused() {
    let output = program(&["--seed", "7", "--trace"]);
    let trace = String::from_utf8_lossy(&output.stderr);
    assert!(trace.contains("node 0 starts") && trace.contains("nothing goes wrong any more"), "{trace}");
    assert_eq!(program(&["--seed", "seven"]).status.code(), Some(2));
}

#[test]
fn a_failure_names_seed_invariant_and_the_end_of_the_trace() {
    let mut planted = run(7, Detail::Digest);
    planted.verdict.violations.push("I5 planted".to_owned());
    let mut report = Vec::new();
    write_failure(&mut report, &planted).expect("memory takes everything");
    let report = String::from_utf8_lossy(&report);
    for part in ["seed 7 fails", "I5 planted", " ms  p", "--seed 7 --trace"] {
        assert!(report.contains(part), "{part}: {report}");
    }
}
