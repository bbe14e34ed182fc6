//! Runs the fuzz targets, each for some time, then says in a table what came of it.
//!
//! - Any compiler will do: LLVM's own pass measures the coverage. Sanitizers, which want a nightly one, are left out, because our
//!   code has no `unsafe`. libFuzzer itself is C++ and is built from its crate.
//! - What is learned stays in `target/fuzz-corpus` and serves the next run. `--keep` moves what covers something new to
//!   `fuzz/corpus`, where plain tests replay it.
//! - A finding ends its target, not the others. The input that shows it is in `fuzz/artifacts`.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::repo;

/// Seconds for each target, where nothing else is asked for: a first look, not a night.
const SECONDS: u64 = 60;
/// Seconds that one input may take; more is a finding. A busy machine is a hundred times slower at worst, and inputs take microseconds.
const INPUT_SECONDS_MAX: u32 = 10;

/// What makes the compiler count where an input leads, for libFuzzer. Overflows and broken assertions are findings.
const RUSTFLAGS: [&str; 10] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "-Coverflow-checks",
];

/// What the words ask for.
#[derive(Debug, PartialEq, Eq)]
struct Wish {
    seconds: u64,
    keep: bool,
    targets: Vec<String>,
}

/// What came of one target.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    target: String,
    runs: u64,
    seconds: f64,
    /// Inputs that led somewhere new.
    units: u64,
    /// The file with the input, or how the program ended if there is none.
    finding: Option<String>,
}

/// Builds all targets, then runs the chosen ones, one after the other.
///
/// # Errors
/// When a word is unknown, something does not build, or there is a finding.
pub(crate) fn run(root: &Path, words: &[&str]) -> Result<(), String> {
    let wish = wish(words, &targets(root)?)?;
    let programs = build(root)?;
    let mut outcomes = Vec::new();
    for target in &wish.targets {
        println!("\n=== {target}: {} s", wish.seconds);
        let program = format!("{programs}/{target}");
        let outcome = fuzz(root, target, &program, wish.seconds)?;
        if let Some(finding) = &outcome.finding {
            println!("FOUND: {finding}");
            if root.join(finding).is_file() {
                println!("again: {program} {finding}");
            }
        } else if wish.keep {
            keep(root, target, &program)?;
        }
        outcomes.push(outcome);
    }
    println!("\n{}", table(&outcomes));
    match outcomes.iter().filter(|outcome| outcome.finding.is_some()).count() {
        0 => Ok(()),
        count => Err(format!("findings in {count} of {} targets", outcomes.len())),
    }
}

/// The names of all targets, in the order of their manifest.
fn targets(root: &Path) -> Result<Vec<String>, String> {
    let path = "fuzz/Cargo.toml";
    let manifest: toml::Table =
        repo::read(root, path)?.parse().map_err(|error: toml::de::Error| format!("{path}: {error}"))?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array).into_iter().flatten();
    Ok(programs.filter_map(|program| program.get("name")?.as_str().map(str::to_owned)).collect())
}

fn wish(words: &[&str], targets: &[String]) -> Result<Wish, String> {
    let mut wish = Wish { seconds: SECONDS, keep: false, targets: Vec::new() };
    let mut words = words.iter();
    while let Some(&word) = words.next() {
        match word {
            "--seconds" => {
                let number = words.next().and_then(|number| number.parse().ok()).filter(|number| *number > 0);
                wish.seconds = number.ok_or("--seconds wants a number above 0")?;
            }
            "--keep" => wish.keep = true,
            name if targets.iter().any(|target| target == name) => wish.targets.push(name.to_owned()),
            name => return Err(format!("no target {name:?}; there are {}", targets.join(", "))),
        }
    }
    if wish.targets.is_empty() {
        targets.clone_into(&mut wish.targets);
    }
    Ok(wish)
}

/// Builds all targets and returns the folder of the programs, from the top folder.
fn build(root: &Path) -> Result<String, String> {
    let host = host()?;
    // With a target named, the flags are not for build scripts and procedural macros.
    let words = "build --release --locked --manifest-path fuzz/Cargo.toml --target-dir fuzz/target --target";
    println!("$ cargo {words} {host}");
    let status = Command::new("cargo")
        .args(words.split(' '))
        .arg(&host)
        .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\x1f"))
        .current_dir(root)
        .status()
        .map_err(|error| format!("cargo build: {error}"))?;
    if status.success() {
        return Ok(format!("fuzz/target/{host}/release"));
    }
    Err(format!("cargo build: {status}"))
}

/// What this machine is to the compiler.
fn host() -> Result<String, String> {
    let output = Command::new("rustc").arg("-vV").output().map_err(|error| format!("rustc -vV: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "rustc -vV names no host".to_owned())
}

/// Where the inputs of a target are: the corpus that grows, and the one in git.
fn corpora(target: &str) -> [String; 2] {
    [format!("target/fuzz-corpus/{target}"), format!("fuzz/corpus/{target}")]
}

fn fuzz(root: &Path, target: &str, program: &str, seconds: u64) -> Result<Outcome, String> {
    let artifacts = format!("fuzz/artifacts/{target}/");
    let corpora = corpora(target);
    for folder in corpora.iter().chain([&artifacts]) {
        std::fs::create_dir_all(root.join(folder)).map_err(|error| format!("{folder}: {error}"))?;
    }
    let start = Instant::now();
    let mut child = Command::new(root.join(program))
        .args([format!("-max_total_time={seconds}"), format!("-timeout={INPUT_SECONDS_MAX}")])
        .args(["-print_final_stats=1".to_owned(), format!("-artifact_prefix={artifacts}")])
        .args(corpora)
        .current_dir(root)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let mut outcome = Outcome { target: target.to_owned(), ..Outcome::default() };
    let stderr = child.stderr.take().expect("stderr was asked for");
    // Bytes and not lines of text: inputs are printed too.
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        if outcome.reads(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().map_err(|error| format!("{program}: {error}"))?;
    if !status.success() && outcome.finding.is_none() {
        outcome.finding = Some(format!("no file, but {status}"));
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}

/// Adds to the corpus in git what covers something that nothing there covers.
fn keep(root: &Path, target: &str, program: &str) -> Result<(), String> {
    let [grown, kept] = corpora(target);
    let count = || std::fs::read_dir(root.join(&kept)).map_or(0, Iterator::count);
    let before = count();
    let status = Command::new(root.join(program))
        .args(["-merge=1", &kept, &grown])
        .current_dir(root)
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("{program}: {error}"))?;
    println!("kept {} units in {kept}", count() - before);
    if status.success() { Ok(()) } else { Err(format!("{program} -merge=1: {status}")) }
}

impl Outcome {
    /// Takes a line of libFuzzer and says whether people want to see it: progress and everything about a finding.
    fn reads(&mut self, line: &str) -> bool {
        let number = |name: &str| line.strip_prefix(name).and_then(|rest| rest.trim().parse().ok());
        if let Some(runs) = number("stat::number_of_executed_units:") {
            self.runs = runs;
        } else if let Some(units) = number("stat::new_units_added:") {
            self.units = units;
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.finding = Some(path.to_owned());
        }
        let is_of_dictionary = line.contains(" # Uses: ") || line.starts_with("######");
        let is_progress = line.contains("\tpulse ") || line.contains("\tINITED ");
        let is_news = line.starts_with('#') && !is_progress;
        let is_chatter = ["INFO:", "WARNING: Failed to find", "stat::", "\tNEW_FUNC", "Done "]
            .iter()
            .any(|head| line.starts_with(head));
        !is_of_dictionary && !is_news && !is_chatter
    }
}

fn table(outcomes: &[Outcome]) -> String {
    let mut table = format!("{:20} {:>12} {:>8} {:>10}  finding", "target", "runs", "seconds", "new units");
    for Outcome { target, runs, seconds, units, finding } in outcomes {
        let finding = finding.as_deref().unwrap_or("none");
        write!(table, "\n{target:20} {runs:>12} {seconds:>8.1} {units:>10}  {finding}").expect("a String takes it");
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_choose_targets_and_time() {
        let targets = ["a".to_owned(), "b".to_owned()];
        let check = |words: &[&str], seconds: u64, keep: bool, chosen: &[&str]| {
            let targets = wish(words, &targets).expect("known words");
            let chosen = chosen.iter().map(|name| (*name).to_owned()).collect();
            assert_eq!(targets, Wish { seconds, keep, targets: chosen }, "{words:?}");
        };
        check(&[], SECONDS, false, &["a", "b"]);
        check(&["b", "--seconds", "5", "--keep"], 5, true, &["b"]);
        for wrong in [&["c"][..], &["--seconds"], &["--seconds", "0"], &["--seconds", "a"], &["--speed"]] {
            assert!(wish(wrong, &targets).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn lines_of_libfuzzer() {
        let mut outcome = Outcome::default();
        let table = [
            ("INFO: Running with entropic power schedule (0xFF, 100).", false),
            ("WARNING: Failed to find function \"__sanitizer_print_stack_trace\".", false),
            ("#32768\tpulse  cov: 2015 ft: 6183 corp: 924/27Kb lim: 310 exec/s: 16384 rss: 29Mb", true),
            ("#31\tINITED cov: 899 ft: 1303 corp: 28/2044b exec/s: 0 rss: 26Mb", true),
            ("#32\tNEW    cov: 900 ft: 1304 corp: 29/2050b lim: 310 exec/s: 0 rss: 26Mb", false),
            ("\tNEW_FUNC[1/2]: 0x1234  (program+0x1234)", false),
            ("###### Recommended dictionary. ######", false),
            ("\"k13\" # Uses: 364", false),
            ("Done 1071100 runs in 6 second(s)", false),
            ("stat::number_of_executed_units: 1071100", false),
            ("stat::new_units_added:          6610", false),
            ("thread '<unnamed>' panicked at crates/wire/src/fuzzing.rs:99:9:", true),
            ("artifact_prefix='fuzz/artifacts/a/'; Test unit written to fuzz/artifacts/a/crash-01", true),
        ];
        for (line, shown) in table {
            assert_eq!(outcome.reads(line), shown, "{line}");
        }
        let finding = Some("fuzz/artifacts/a/crash-01".to_owned());
        assert_eq!(outcome, Outcome { runs: 1_071_100, units: 6_610, finding, ..Outcome::default() });
    }

    #[test]
    fn every_target_has_a_corpus_in_git() {
        let root = repo::root().expect("tests run inside the repository");
        let targets = targets(&root).expect("there is a manifest");
        assert!(!targets.is_empty());
        for target in targets {
            assert!(root.join(&corpora(&target)[1]).is_dir(), "{target}");
        }
    }
}
