//! The project's own commands: `cargo run -p xtask -- <command>`.
//!
//! - `codegen [--check]` makes code and tables from `protocol/codes.toml`; with `--check` it only compares.
//! - `fuzz [--seconds N] [--keep] [TARGET]…` runs the fuzz targets, all unless some are named, each for 60 s unless told otherwise.
//! - `tidy` checks the rules of the house that no compiler knows; `cargo test -p xtask` runs it too.
//! - `test [--only STEP]… [--skip STEP]… [--list]` is the test command of the project: all steps, then a summary.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program speaks through them")]

mod codegen;
mod fuzz;
mod repo;
mod steps;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "usage: cargo run -p xtask -- codegen [--check] | fuzz [--seconds N] [--keep] [TARGET]... | tidy \
                     | test [--only STEP]... [--skip STEP]... [--list]";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("xtask: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<(), String> {
    let root = repo::root()?;
    match words {
        ["codegen"] => codegen::write(&root),
        ["codegen", "--check"] => codegen::check(&root),
        ["fuzz", rest @ ..] => fuzz::run(&root, rest),
        ["tidy"] => tidy::run(&root),
        ["test", rest @ ..] => steps::run(&root, rest),
        _ => Err(USAGE.to_owned()),
    }
}
