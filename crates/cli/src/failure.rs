//! How a command ends badly: an exit code, what went wrong, and what to do next.

use std::io::Write;

use serde_json::json;

use crate::output;

/// Something failed that was asked for.
pub(crate) const EXIT_FAILED: u8 = 1;
/// It was asked for wrongly: usage or configuration.
pub(crate) const EXIT_USAGE: u8 = 2;

/// A command that did not do what it should.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: u8,
    /// A word for programs: a code of the protocol, or one of ours.
    pub(crate) code: String,
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn failed(code: &str, message: impl Into<String>) -> Self {
        Self { exit: EXIT_FAILED, code: code.to_owned(), message: message.into(), hint: None }
    }

    pub(crate) fn usage(code: &str, message: impl Into<String>) -> Self {
        Self { exit: EXIT_USAGE, code: code.to_owned(), message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writes it to standard error, for a person or (`json`) a program.
    pub(crate) fn report(&self, json: bool) {
        let text = if json {
            let error = json!({ "code": self.code, "message": self.message, "hint": self.hint });
            json!({ "error": error }).to_string() + "\n"
        } else {
            let lines: Vec<_> = self.message.lines().map(output::printable).collect();
            let mut text = format!("error: {}\n", lines.join("\n       "));
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
            return Self { exit: 0, code: "closed".to_owned(), message: String::new(), hint: None };
        }
        Self::failed("io", error.to_string())
    }
}
