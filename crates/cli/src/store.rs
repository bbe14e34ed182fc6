//! `store check` and `store stats`: looking at a store, also beside the server that uses it.

use std::io::Write;
use std::path::{Path, PathBuf};

use realtime_connector::store::{self, Report, Stats, StoreError};
use serde_json::{Value, json};

use crate::args::StoreCommand;
use crate::failure::{EXIT_FAILED, Failure};
use crate::output::{self, printable};

/// Runs the command; the exit code says whether the store is sound.
pub(crate) fn run(command: &StoreCommand, out: &mut impl Write) -> Result<u8, Failure> {
    match command {
        StoreCommand::Check { folder, json } => {
            let database = database(folder)?;
            let report = store::check(&database).map_err(|error| unreadable(&error))?;
            let text = if *json { report_json(&report).to_string() + "\n" } else { report_text(&database, &report) };
            out.write_all(text.as_bytes())?;
            Ok(if report.is_sound() { 0 } else { EXIT_FAILED })
        }
        StoreCommand::Stats { folder, json } => {
            let database = database(folder)?;
            let stats = store::stats(&database).map_err(|error| unreadable(&error))?;
            let text = if *json { stats_json(&stats).to_string() + "\n" } else { stats_text(&database, &stats) };
            out.write_all(text.as_bytes())?;
            Ok(0)
        }
    }
}

/// The database in a folder. SQLite's own words for a file that is not there help nobody.
fn database(folder: &Path) -> Result<PathBuf, Failure> {
    let database = store::database(folder);
    let problem = match std::fs::metadata(&database) {
        Ok(_) => return Ok(database),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        Err(error) => error.to_string(),
    };
    let message = format!("no store in {}: {}: {problem}", folder.display(), database.display());
    let hint = "name the folder that `store.path` names: realtime-connector config explain store.path";
    Err(Failure::failed("no_store", message).hint(hint))
}

fn unreadable(error: &StoreError) -> Failure {
    let (code, hint) = match error {
        StoreError::Locked { .. } | StoreError::Io { .. } => {
            ("unreadable", "run this as the user that the server runs as")
        }
        StoreError::Foreign { .. } => ("foreign", "name the folder that `store.path` names"),
        StoreError::Newer { .. } => ("newer", "use the program of the version that wrote it"),
        StoreError::Shorter { .. } | StoreError::SideFile { .. } | StoreError::Damaged { .. } => ("damaged", REPAIR),
        StoreError::Sqlite { .. } => {
            ("unreadable", "if the user may write there and the disk is sound, the file is damaged: restore a backup")
        }
    };
    Failure::failed(code, error.to_string()).hint(hint)
}

const REPAIR: &str = "stop the server, copy the whole folder aside, then restore a backup of all of it; `store.acceptLoss` opens a \
                      store that came back shorter, and tells every reader of the loss";

fn report_text(database: &Path, report: &Report) -> String {
    let acknowledged = report.acknowledged.map_or_else(|| "unknown".to_owned(), |group| group.to_string());
    let mut text = rows(&[
        ("store", printable(&database.display().to_string())),
        ("channels", report.channels.to_string()),
        ("messages", report.records.to_string()),
        ("values", report.values.to_string()),
        ("ids", report.ids.to_string()),
        ("write", format!("{} found, {acknowledged} acknowledged", report.group)),
    ]);
    if report.is_sound() {
        text.push_str("\nSound: everything was read, nothing is wrong.\n");
        return text;
    }
    text.push_str(&format!("\nDamaged, {}:\n", count(report.findings_total, "finding")));
    for finding in &report.findings {
        text.push_str(&format!("  - {}\n", printable(finding)));
    }
    let left_out = report.findings_total - report.findings.len() as u64;
    if left_out > 0 {
        text.push_str(&format!("  - and {left_out} more\n"));
    }
    text.push_str(&format!("\nWhat to do: {REPAIR}.\n"));
    text
}

fn report_json(report: &Report) -> Value {
    json!({
        "sound": report.is_sound(),
        "channels": report.channels,
        "messages": report.records,
        "values": report.values,
        "ids": report.ids,
        "write": { "found": report.group, "acknowledged": report.acknowledged },
        "findings": report.findings,
        "findingsTotal": report.findings_total,
    })
}

fn stats_text(database: &Path, stats: &Stats) -> String {
    rows(&[
        ("store", printable(&database.display().to_string())),
        ("format", stats.format.to_string()),
        ("channels", stats.channels.to_string()),
        ("messages", format!("{} ({})", stats.records, output::bytes(stats.bytes))),
        ("values", stats.values.to_string()),
        ("ids", stats.ids.to_string()),
        ("writes", stats.group.to_string()),
        ("file", output::bytes(stats.file_bytes)),
        ("log", output::bytes(stats.wal_bytes)),
    ])
}

fn stats_json(stats: &Stats) -> Value {
    json!({
        "format": stats.format,
        "channels": stats.channels,
        "messages": stats.records,
        "messageBytes": stats.bytes,
        "values": stats.values,
        "ids": stats.ids,
        "writes": stats.group,
        "fileBytes": stats.file_bytes,
        "logBytes": stats.wal_bytes,
    })
}

fn rows(rows: &[(&str, String)]) -> String {
    let rows: Vec<_> = rows.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    output::table(&rows)
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
