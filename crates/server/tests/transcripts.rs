//! Every transcript of `protocol/transcripts`, against a server of its own: over WebSocket and over SSE with POST, with one worker
//! and with three. Those that ask for a store get one in a folder of their own.
//!
//! Each is a case of its own: `cargo test --test transcripts -- publish/` runs a folder. What fails says where:
//! `publish/exclude.jsonl:7: …`, with both frames.

#[path = "support/client.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod client;
#[path = "support/folder.rs"]
mod folder;
#[path = "support/player.rs"]
mod player;
#[path = "support/server.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod server;
#[path = "support/transcript.rs"]
mod transcript;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use folder::Folder;
use libtest_mimic::{Arguments, Failed, Trial};
use player::{Player, Provider};
use realtime_connector::Config;
use realtime_connector::config::Store;
use server::Server;
use transcript::Transcript;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    // Asked at run time: a compiled-in path would be that of another checkout.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = PathBuf::from(package).join("../../protocol/transcripts");
    let mut trials = Vec::new();
    for (name, text) in files(&folder) {
        for (provider, provider_name) in [(Provider::WebSocket, "websocket"), (Provider::Sse, "sse")] {
            let exists = Transcript::parse(&text).map_or(true, |it| it.only.is_none_or(|only| only == provider_name));
            for workers in [1, 3] {
                let (file, text) = (name.clone(), text.clone());
                let case = format!("{name} {provider_name}, workers={workers}");
                let trial = Trial::test(case, move || run(&file, &text, provider, workers));
                trials.push(trial.with_ignored_flag(!exists));
            }
        }
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// All transcripts by their name below `folder`, sorted.
fn files(folder: &Path) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for feature in std::fs::read_dir(folder).expect("the folder of transcripts is there") {
        let feature = feature.expect("an entry").path();
        if !feature.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&feature).expect("a readable folder") {
            let path = file.expect("an entry").path();
            if path.extension().is_some_and(|extension| extension == "jsonl") {
                let name = path.strip_prefix(folder).expect("below it").display().to_string();
                files.push((name, std::fs::read_to_string(&path).expect("a readable file")));
            }
        }
    }
    files.sort();
    files
}

fn run(file: &str, text: &str, provider: Provider, workers: u32) -> Result<(), Failed> {
    let transcript = Transcript::parse(text).map_err(|error| format!("{file}: {error}"))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let folder = transcript.store.then(Folder::new);
        let store = Store { path: folder.as_ref().and_then(Folder::setting), ..Store::default() };
        let server = Server::start_with(Config { workers, store, ..Config::default() }).await;
        let result = Player::new(server.addr, provider).play(&transcript).await;
        server.stop().await;
        let (about, rules) = (&transcript.about, transcript.rules.join(" "));
        result.map_err(|(line, error)| format!("{file}:{line}: {error}\n  shows    {about} ({rules})").into())
    })
}
