//! Logs of the program: to standard error, as `log.level` and `log.format` say.

use std::io::IsTerminal;

use realtime_connector::config::{Log, LogFormat, LogLevel};
use tracing_subscriber::EnvFilter;

/// Starts logging. Our own crates log at the level asked for; libraries below only what someone must repair or know.
pub(super) fn init(log: &Log) {
    let (level, libraries) = match log.level {
        LogLevel::Error => ("error", "error"),
        LogLevel::Warn => ("warn", "warn"),
        LogLevel::Info => ("info", "warn"),
        LogLevel::Debug => ("debug", "warn"),
        LogLevel::Trace => ("trace", "info"),
    };
    let filter = EnvFilter::new(format!("{libraries},realtime_connector={level}"));
    let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && !no_color);
    match log.format {
        LogFormat::Text => subscriber.with_target(false).init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
