//! The test command of the project: every step, in order, then a summary.
//!
//! - A step that fails does not stop the next ones; the exit status says whether all were good.
//! - What a machine lacks and no step strictly needs is skipped, and the summary says so.
//! - The last line is `N passed, N failed`: tests where their number can be read, else the step itself.

mod count;
mod packages;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{codegen, tidy};
use count::Count;

/// How a step ended.
enum Outcome {
    Done,
    Failed(String),
    Skipped(String),
}

/// What a step returns: its outcome and the tests it could count.
type Report = (Outcome, Count);

struct Step {
    name: &'static str,
    what: &'static str,
    run: fn(&Path) -> Report,
}

const STEPS: [Step; 9] = [
    Step { name: "packages", what: "programs the later steps need", run: packages::install },
    Step { name: "fmt", what: "cargo fmt --check", run: fmt },
    Step { name: "tidy", what: "the rules of the house", run: |root| inside(tidy::run(root)) },
    Step { name: "codegen", what: "generated files are up to date", run: |root| inside(codegen::check(root)) },
    Step { name: "clippy", what: "cargo clippy, warnings are errors", run: clippy },
    Step { name: "test", what: "cargo test, all crates", run: test },
    Step { name: "doc", what: "cargo doc, warnings are errors", run: doc },
    Step { name: "deny", what: "cargo deny: bans, licences, sources", run: deny },
    Step { name: "e2e", what: "a real browser against a real server", run: e2e },
];

/// Runs the steps the words choose.
///
/// # Errors
/// When a word is unknown or a step fails.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    if words == ["--list"] {
        for step in &STEPS {
            println!("{:9} {}", step.name, step.what);
        }
        return Ok(());
    }
    let mut lines = Vec::new();
    let mut total = Count::default();
    for step in choose(words)? {
        println!("\n=== {}: {}", step.name, step.what);
        let start = Instant::now();
        let (outcome, count) = (step.run)(root);
        let line = summary(step.name, &outcome, count, start.elapsed());
        println!("{line}");
        lines.push(line);
        total = total + weigh(&outcome, count);
    }
    println!("\n=== summary\n{}", lines.join("\n"));
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed == 0 { Ok(()) } else { Err("not all steps are good".to_owned()) }
}

/// The steps in their order: all, only the named ones, or all but the named ones.
fn choose(words: &[&str]) -> Result<Vec<&'static Step>, String> {
    let (mut only, mut skip) = (Vec::new(), Vec::new());
    for pair in words.chunks(2) {
        let list = match pair {
            ["--only", _] => &mut only,
            ["--skip", _] => &mut skip,
            _ => return Err(format!("expected --only STEP or --skip STEP, not {:?}", pair.join(" "))),
        };
        if !STEPS.iter().any(|step| step.name == pair[1]) {
            return Err(format!("no step {:?}; --list shows them", pair[1]));
        }
        list.push(pair[1]);
    }
    let wanted = |step: &&Step| (only.is_empty() || only.contains(&step.name)) && !skip.contains(&step.name);
    Ok(STEPS.iter().filter(wanted).collect())
}

/// What a step adds to the last line: its tests, or itself when it has none; a failure is never nothing.
fn weigh(outcome: &Outcome, count: Count) -> Count {
    match outcome {
        Outcome::Skipped(_) => Count::default(),
        Outcome::Done => Count { passed: count.passed.max(1), failed: count.failed },
        Outcome::Failed(_) => Count { passed: count.passed, failed: count.failed.max(1) },
    }
}

fn summary(name: &str, outcome: &Outcome, count: Count, time: Duration) -> String {
    let (word, note) = match outcome {
        Outcome::Done => ("ok", String::new()),
        Outcome::Failed(text) => ("FAILED", format!("  {text}")),
        Outcome::Skipped(text) => ("skipped", format!("  {text}")),
    };
    let tests = match count.passed + count.failed {
        0 => String::new(),
        tests => format!("  {tests} tests"),
    };
    format!("{word:8} {name:9} {:6.1} s{tests}{note}", time.as_secs_f64())
}

fn inside(result: Result<(), String>) -> Report {
    (result.map_or_else(Outcome::Failed, |()| Outcome::Done), Count::default())
}

fn fmt(root: &Path) -> Report {
    command(root, "cargo", &["fmt", "--all", "--check"], &[])
}

fn clippy(root: &Path) -> Report {
    command(root, "cargo", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[])
}

fn test(root: &Path) -> Report {
    if !answers("cargo", &["nextest", "--version"]) {
        return command(root, "cargo", &["test", "--workspace", "--no-fail-fast"], &[]);
    }
    // nextest does not run the examples in documentation.
    let tests = command(root, "cargo", &["nextest", "run", "--workspace", "--no-fail-fast"], &[]);
    both(tests, || command(root, "cargo", &["test", "--workspace", "--doc", "--no-fail-fast"], &[]))
}

fn doc(root: &Path) -> Report {
    // With private items, because most of what is documented here is for those who change it.
    let strict = [("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links")];
    let build = |kind: &str| {
        let words = ["doc", "--workspace", "--no-deps", "--document-private-items", "--quiet", kind];
        command(root, "cargo", &words, &strict)
    };
    // Programs first: the one named like the library would otherwise replace the library's pages.
    both(build("--bins"), || build("--lib"))
}

fn deny(root: &Path) -> Report {
    if answers("cargo", &["deny", "--version"]) {
        return command(root, "cargo", &["deny", "check", "bans", "licenses", "sources"], &[]);
    }
    (Outcome::Skipped("cargo-deny is not installed".to_owned()), Count::default())
}

fn e2e(root: &Path) -> Report {
    let folder = root.join("e2e");
    if !folder.join("package.json").is_file() {
        return (Outcome::Skipped("there is no e2e/package.json".to_owned()), Count::default());
    }
    let build = command(root, "cargo", &["build", "-p", "realtime-connector-cli"], &[]);
    let install = both(build, || command(&folder, "npm", &["ci"], &[]));
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |path| root.join(path));
    let server = target.join("debug/realtime-connector").to_string_lossy().into_owned();
    both(install, || command(&folder, "npm", &["test"], &[("REALTIME_BIN", &server)]))
}

/// The second one runs only after the first one was good.
fn both(first: Report, second: impl FnOnce() -> Report) -> Report {
    match first {
        (Outcome::Done, count) => {
            let (outcome, more) = second();
            (outcome, count + more)
        }
        other => other,
    }
}

/// Whether a program is there and answers.
fn answers(program: &str, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Runs a program, shows what it says and counts the tests it reports.
fn command(folder: &Path, program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Report {
    let shown = format!("{program} {}", arguments.join(" "));
    println!("$ {shown}");
    let mut count = Count::default();
    let child = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(folder)
        .stdout(Stdio::piped())
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return (Outcome::Failed(format!("{shown}: {error}")), count),
    };
    let stdout = child.stdout.take().expect("stdout was asked for");
    // Bytes and not lines of text: a test may print what is no UTF-8.
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        count = count + Count::of_line(&line);
    }
    match child.wait() {
        Ok(status) if status.success() => (Outcome::Done, count),
        Ok(status) => (Outcome::Failed(format!("{shown}: {status}")), count),
        Err(error) => (Outcome::Failed(format!("{shown}: {error}")), count),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_steps_in_their_order() {
        let check = |words: &[&str], expected: &[&str]| {
            let chosen = choose(words).expect("known words");
            assert_eq!(chosen.iter().map(|step| step.name).collect::<Vec<_>>(), expected, "{words:?}");
        };
        check(&["--only", "clippy", "--only", "fmt"], &["fmt", "clippy"]);
        check(&["--only", "fmt", "--skip", "fmt"], &[]);
        assert_eq!(choose(&[]).expect("no words").len(), STEPS.len());
        assert_eq!(choose(&["--skip", "e2e"]).expect("known words").len(), STEPS.len() - 1);
        for wrong in [&["--only"][..], &["--only", "speed"], &["fmt"], &["--only", "fmt", "extra"]] {
            assert!(choose(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_failed_step_is_never_nothing() {
        let check = |outcome: Outcome, count: (u64, u64), expected: (u64, u64)| {
            let total = weigh(&outcome, Count { passed: count.0, failed: count.1 });
            assert_eq!((total.passed, total.failed), expected);
        };
        check(Outcome::Done, (0, 0), (1, 0));
        check(Outcome::Done, (7, 0), (7, 0));
        check(Outcome::Failed(String::new()), (0, 0), (0, 1));
        check(Outcome::Failed(String::new()), (7, 2), (7, 2));
        check(Outcome::Skipped(String::new()), (0, 0), (0, 0));
    }

    #[test]
    fn a_command_is_counted_and_its_failure_told() {
        let here = std::env::current_dir().expect("tests run somewhere");
        let says = "echo 'test result: FAILED. 3 passed; 2 failed; 0 ignored'; exit 3";
        let (outcome, count) = command(&here, "sh", &["-c", says], &[]);
        assert!(matches!(outcome, Outcome::Failed(text) if text.contains("exit status: 3")));
        assert_eq!(count, Count { passed: 3, failed: 2 });
        let (outcome, _) = command(&here, "no-such-program-anywhere", &[], &[]);
        assert!(matches!(outcome, Outcome::Failed(_)));
    }
}
