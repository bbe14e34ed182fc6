//! The `realtime-connector` program: the server, and a few commands to talk to one.
//!
//! - The process is here: arguments, configuration layers, signals, logs, exit codes. The rules are in the library.
//! - Results go to standard output, everything else to standard error. `--json` is for programs.

mod args;
mod client;
mod failure;
mod output;
mod serve;
mod settings;
mod store;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command, ConfigCommand, StoreCommand};
use failure::Failure;
use settings::Surroundings;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    let json = wants_json(&command);
    match run(&command) {
        Ok(exit) => ExitCode::from(exit),
        Err(failure) => {
            if failure.exit != 0 {
                failure.report(json);
            }
            ExitCode::from(failure.exit)
        }
    }
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Serve(_) => false,
        Command::Publish(args) => args.json,
        Command::Tail(args) => args.json,
        Command::Connections(args) => args.json,
        Command::Config(args) => match &args.command {
            ConfigCommand::Check { json, .. }
            | ConfigCommand::Default { json }
            | ConfigCommand::Explain { json, .. } => *json,
        },
        Command::Store(args) => match &args.command {
            StoreCommand::Check { json, .. } | StoreCommand::Stats { json, .. } => *json,
        },
    }
}

fn run(command: &Command) -> Result<u8, Failure> {
    let mut out = std::io::stdout().lock();
    match command {
        Command::Serve(args) => {
            // The server has threads of its own that print.
            drop(out);
            return serve::run(args, &Surroundings::of_this_process()).map(|()| 0);
        }
        Command::Publish(args) => {
            // Standard input may come from a person. Outside the runtime Ctrl-C ends the process while it is awaited.
            let publish = client::publish::Publish::prepare(args)?;
            let unknown = "interrupted before the server answered: the message may have been published or not";
            as_client(publish.send(&mut out), Err(Failure::interrupted(unknown)))?;
        }
        // It goes on until somebody has seen enough, so Ctrl-C is how it ends well.
        Command::Tail(args) => as_client(client::tail::run(args, &mut out), Ok(()))?,
        Command::Connections(args) => {
            let interrupted = Failure::interrupted("interrupted before the list was complete");
            as_client(client::connections::run(args, &mut out), Err(interrupted))?;
        }
        Command::Config(args) => {
            let exit = settings::inspect::run(&args.command, &Surroundings::of_this_process(), &mut out)?;
            out.flush()?;
            return Ok(exit);
        }
        Command::Store(args) => {
            let exit = store::run(&args.command, &mut out)?;
            out.flush()?;
            return Ok(exit);
        }
    }
    out.flush()?;
    Ok(0)
}

/// Runs a command that is a client, or gives what Ctrl-C makes of it. One thread is plenty.
fn as_client(
    command: impl Future<Output = Result<(), Failure>>,
    interrupted: Result<(), Failure>,
) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        tokio::select! {
            result = command => result,
            _ = tokio::signal::ctrl_c() => interrupted,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_page_about_the_program_is_up_to_date() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/cli.md");
        let mut help = String::new();
        let names = ["serve", "publish", "tail", "connections", "config check", "config default", "config explain"];
        for name in [""].into_iter().chain(names).chain(["store check", "store stats"]) {
            let command = name.split_whitespace().try_fold(Cli::command(), |command, name| {
                let title = format!("{} {name}", command.get_bin_name().unwrap_or("realtime-connector"));
                command.find_subcommand(name).map(|command| command.clone().bin_name(title))
            });
            let mut command = command.expect("a subcommand");
            let title = command.get_bin_name().unwrap_or("realtime-connector").to_owned();
            let text = command.render_long_help().to_string();
            let lines: Vec<_> = text.lines().map(str::trim_end).collect();
            help.push_str(&format!("## {title}\n\n```text\n{}\n```\n\n", lines.join("\n").trim_end()));
        }
        let expected = include_str!("cli.md").replace("<!-- help -->\n", help.trim_end()) + "\n";
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &expected).expect("docs/ can be written");
        }
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(written == expected, "docs/cli.md is old: UPDATE_DOCS=1 cargo test -p realtime-connector-cli");
    }
}
