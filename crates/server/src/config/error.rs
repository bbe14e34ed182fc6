//! What can be wrong with a configuration, and where.
//!
//! A [`ConfigError`] is a list of [`Problem`]s. Each names its key, where the value came from, and what to do.

use std::fmt;

use super::Contradiction;

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The full path of the key, as in `providers.sse.path`; empty where a file cannot be read at all.
    pub key: String,
    /// Where it was written; `None` for a struct that was filled by code, and for values by default.
    pub origin: Option<Origin>,
    /// What is wrong.
    pub kind: ProblemKind,
}

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In a file, or in a text without a name.
    Text {
        /// Name of the file.
        file: Option<String>,
        /// Line, from 1.
        line: u32,
        /// Column in characters, from 1.
        column: u32,
    },
    /// In an environment variable of this name.
    Variable(String),
    /// In a command line flag, as it was written.
    Flag(String),
}

/// What is wrong with a key.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ProblemKind {
    /// The text is not TOML or not JSON.
    Syntax {
        /// "TOML" or "JSON".
        format: &'static str,
        /// What the parser expected.
        message: String,
    },
    /// There is no such key.
    UnknownKey {
        /// The valid name that was most likely meant.
        nearest: Option<String>,
        /// All names that are valid in its place.
        valid: Vec<&'static str>,
    },
    /// The key was set twice in one layer.
    DuplicateKey,
    /// `realtime` stands beside other keys.
    RealtimeNotAlone,
    /// The value has the wrong type or is out of bounds.
    Value {
        /// What it must be.
        expected: String,
        /// What it is; absent for secrets.
        found: Option<String>,
    },
    /// The value contradicts another one, or is refused for a reason of its own.
    Contradiction(Contradiction),
}

impl ConfigError {
    /// `Ok` without problems; otherwise an error with all of them, in the order of their places.
    pub(super) fn unless_empty(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by(|a, b| a.origin.cmp(&b.origin));
        Err(Self { problems })
    }

    /// What is wrong; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The problems of all results together, so that one attempt shows everything that is wrong.
    ///
    /// # Errors
    /// If any of them is an error.
    pub fn gather(results: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let problems: Vec<_> = results.into_iter().filter_map(Result::err).flat_map(|error| error.problems).collect();
        if problems.is_empty() { Ok(()) } else { Err(Self { problems }) }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Problem {
    /// What is wrong, then in brackets where, then what to do.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let place = self.origin.as_ref().map(|origin| format!(" ({origin})")).unwrap_or_default();
        match &self.kind {
            ProblemKind::Syntax { format, message } => write!(f, "not valid {format}{place}: {message}"),
            ProblemKind::UnknownKey { nearest: Some(nearest), .. } => {
                write!(f, "unknown key `{key}`{place}: did you mean `{nearest}`?")
            }
            ProblemKind::UnknownKey { nearest: None, valid } => {
                write!(f, "unknown key `{key}`{place}: valid here: {}", valid.join(", "))
            }
            ProblemKind::DuplicateKey => {
                write!(f, "duplicate key `{key}`{place}: it is set twice, and only one counts")
            }
            ProblemKind::RealtimeNotAlone => {
                write!(f, "unknown key `{key}`{place}: beside `realtime` there must be no other key; move it inside")
            }
            ProblemKind::Value { expected, found: Some(found) } => {
                write!(f, "`{key}` must be {expected}, not {found}{place}")
            }
            ProblemKind::Value { expected, found: None } => write!(f, "`{key}` must be {expected}{place}"),
            ProblemKind::Contradiction(contradiction) => write!(f, "`{key}`{place}: {contradiction}"),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { file: Some(file), line, column } => write!(f, "{file}:{line}:{column}"),
            Self::Text { file: None, line, column } => write!(f, "line {line}, column {column}"),
            Self::Variable(name) => write!(f, "environment variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// Finds line and column of byte offsets in one text.
pub(super) struct Places<'a> {
    pub(super) text: &'a str,
    pub(super) file: Option<&'a str>,
}

impl Places<'_> {
    /// The place of a byte; one beyond the text is its end.
    pub(super) fn at(&self, offset: usize) -> Origin {
        // serde_json counts bytes, and may point into a character.
        let boundary = (0..=offset.min(self.text.len())).rev().find(|end| self.text.is_char_boundary(*end));
        let before = &self.text[..boundary.unwrap_or(0)];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[line_start..].chars().count() + 1;
        Origin::Text { file: self.file.map(str::to_owned), line: saturate(line), column: saturate(column) }
    }
}

fn saturate(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
