//! How a command ends badly: an exit code, what went wrong, and what to do next.

use std::io::Write;

use serde_json::json;

use crate::output;

/// Something failed that was asked for.
pub(crate) const EXIT_FAILED: u8 = 1;
/// It was asked for wrongly: usage or configuration.
pub(crate) const EXIT_USAGE: u8 = 2;
/// Ctrl-C came before it was done. What shells say of a process that SIGINT has ended: 128 and the number of the signal.
pub(crate) const EXIT_INTERRUPTED: u8 = 130;

/// A command that did not do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: u8,
    /// A word for programs: a code of the protocol, or one of ours.
    pub(crate) code: String,
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// What else was seen, and may be the cause.
    pub(crate) warnings: Vec<String>,
}

impl Failure {
    pub(crate) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self::new(EXIT_FAILED, code, message)
    }

    pub(crate) fn usage(code: &str, message: impl Into<String>) -> Self {
        Self::new(EXIT_USAGE, code, message)
    }

    pub(crate) fn interrupted(message: &str) -> Self {
        Self::new(EXIT_INTERRUPTED, "interrupted", message)
    }

    fn new(exit: u8, code: &str, message: impl Into<String>) -> Self {
        Self { exit, code: code.to_owned(), message: message.into(), hint: None, warnings: Vec::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writes it to standard error, for a person or (`json`) a program.
    pub(crate) fn report(&self, json: bool) {
        let text = if json {
            let mut error = json!({ "code": self.code, "message": self.message, "hint": self.hint });
            if !self.warnings.is_empty() {
                error["warnings"] = self.warnings.as_slice().into();
            }
            json!({ "error": error }).to_string() + "\n"
        } else {
            let lines: Vec<_> = self.message.lines().map(output::printable).collect();
            let warnings: String =
                self.warnings.iter().map(|it| format!("warning: {}\n", output::printable(it))).collect();
            let mut text = format!("{warnings}error: {}\n", lines.join("\n       "));
            if let Some(hint) = &self.hint {
                text.push_str(&format!("  {}\n", output::printable(hint)));
            }
            text
        };
        // Nobody is left to be told that standard error is gone.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

/// A write to standard output failed: with a closed pipe (`… | head`) that is how it should end.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self::new(0, "closed", "");
        }
        Self::failed("io", error.to_string())
    }
}
