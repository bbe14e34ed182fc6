//! Writes the table of codes as Rust.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::codes::{CloseCode, Codes, ErrorCode, Verdict};

/// Comments are wrapped here; rustfmt leaves their length alone.
const COMMENT_COLUMNS_MAX: usize = 110;

const HEAD: &str = "//! Error and close codes of the native protocol.\n//!\n//! Generated from `protocol/codes.toml` by \
`cargo run -p xtask -- codegen`: edit the table, not this file.\n\nuse core::fmt;\nuse core::str::FromStr;\n\n";

/// The Rust file as rustfmt leaves it.
///
/// # Errors
/// When `rustfmt` is missing or refuses the text.
pub(super) fn generate(codes: &Codes) -> Result<String, String> {
    let mut text = String::from(HEAD);
    errors(&mut text, &codes.error)
        .and_then(|()| closes(&mut text, &codes.close))
        .map_err(|error| error.to_string())?;
    text.push_str(VERDICT);
    format(&text)
}

fn errors(text: &mut String, errors: &[ErrorCode]) -> std::fmt::Result {
    doc(text, "Why a request was refused: `code` of an `error` frame and of a problem-JSON body.");
    writeln!(text, "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub enum Code {{")?;
    for error in errors {
        doc(text, &error.meaning);
        doc(text, "");
        doc(text, &format!("HTTP {}. {}", error.status, error.action));
        writeln!(text, "{},", camel(&error.name))?;
    }
    writeln!(text, "}}\n\nimpl Code {{")?;
    doc(text, "Every code, in the order of the table.");
    list(text, "Self", errors.iter().map(|error| error.name.as_str()))?;
    let arms = |value: fn(&ErrorCode) -> String| {
        errors.iter().map(|error| (camel(&error.name), value(error))).collect::<Vec<_>>()
    };
    doc(text, "The word on the wire.");
    method(text, "as_str", "&'static str", &arms(|error| format!("{:?}", error.name)))?;
    doc(text, "HTTP status of an answer with this code.");
    method(text, "status", "u16", &arms(|error| error.status.to_string()))?;
    doc(text, "Whether the same request, unchanged, can succeed later.");
    method(text, "retryable", "bool", &arms(|error| error.retryable.to_string()))?;
    writeln!(text, "}}\n\nimpl FromStr for Code {{\ntype Err = UnknownCode;\n")?;
    writeln!(text, "fn from_str(text: &str) -> Result<Self, UnknownCode> {{\nmatch text {{")?;
    for error in errors {
        writeln!(text, "{:?} => Ok(Self::{}),", error.name, camel(&error.name))?;
    }
    text.push_str("_ => Err(UnknownCode),\n}\n}\n}\n");
    text.push_str(UNKNOWN);
    Ok(())
}

fn closes(text: &mut String, closes: &[CloseCode]) -> std::fmt::Result {
    doc(text, "Why a connection ended: number of a WebSocket Close frame, `code` of a `goaway` frame.");
    writeln!(text, "#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]\npub enum CloseCode {{")?;
    for close in closes {
        doc(text, &format!("{}: {}", close.number, close.meaning));
        if close.observed {
            doc(text, "");
            doc(text, "Never sent; a WebSocket library reports it.");
        }
        writeln!(text, "{},", camel(&close.name))?;
    }
    writeln!(text, "}}\n\nimpl CloseCode {{")?;
    doc(text, "Every close code, ascending.");
    list(text, "Self", closes.iter().map(|close| close.name.as_str()))?;
    let arms = |value: fn(&CloseCode) -> String| {
        closes.iter().map(|close| (camel(&close.name), value(close))).collect::<Vec<_>>()
    };
    doc(text, "The number on the wire.");
    method(text, "number", "u16", &arms(|close| close.number.to_string()))?;
    doc(text, "The reason text of the Close frame, `reason` of `goaway`; at most 123 bytes.");
    method(text, "reason", "&'static str", &arms(|close| format!("{:?}", close.name)))?;
    doc(text, "What a client does after it.");
    method(text, "verdict", "Verdict", &arms(|close| format!("Verdict::{}", verdict(close.verdict))))?;
    doc(text, "Whether it may stand in a Close frame; the others are only reported by WebSocket libraries.");
    method(text, "is_sendable", "bool", &arms(|close| (!close.observed).to_string()))?;
    doc(text, "The code of a number, if it is one of the table.");
    writeln!(text, "#[must_use]\npub const fn from_number(number: u16) -> Option<Self> {{\nmatch number {{")?;
    for close in closes {
        writeln!(text, "{} => Some(Self::{}),", close.number, camel(&close.name))?;
    }
    text.push_str("_ => None,\n}\n}\n}\n");
    text.push_str(CLOSE_DISPLAY);
    Ok(())
}

fn list<'a>(text: &mut String, kind: &str, names: impl Iterator<Item = &'a str>) -> std::fmt::Result {
    let variants: Vec<String> = names.map(|name| format!("Self::{}", camel(name))).collect();
    writeln!(text, "pub const ALL: [{kind}; {}] = [{}];\n", variants.len(), variants.join(", "))
}

/// A method with one value per variant; variants with the same value share an arm.
fn method(text: &mut String, name: &str, kind: &str, arms: &[(String, String)]) -> std::fmt::Result {
    writeln!(text, "#[must_use]\npub const fn {name}(self) -> {kind} {{\nmatch self {{")?;
    let mut done: Vec<&str> = Vec::new();
    for (_, value) in arms {
        if done.contains(&value.as_str()) {
            continue;
        }
        done.push(value);
        let variants: Vec<String> =
            arms.iter().filter(|arm| arm.1 == *value).map(|arm| format!("Self::{}", arm.0)).collect();
        writeln!(text, "{} => {value},", variants.join(" | "))?;
    }
    text.push_str("}\n}\n\n");
    Ok(())
}

fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Stop => "Stop",
        Verdict::BackOff => "BackOff",
        Verdict::ResumeNow => "ResumeNow",
        Verdict::TokenFirst => "TokenFirst",
    }
}

fn camel(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn doc(text: &mut String, sentence: &str) {
    let mut line = String::from("///");
    for word in sentence.split(' ') {
        if line.len() + 1 + word.len() > COMMENT_COLUMNS_MAX {
            text.push_str(&line);
            text.push('\n');
            line = String::from("///");
        }
        line.push(' ');
        line.push_str(word);
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

fn format(text: &str) -> Result<String, String> {
    // The options of rustfmt.toml, given here so that the result does not depend on the current folder.
    let options = "max_width=120,use_small_heuristics=Max,newline_style=Unix";
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--emit", "stdout", "--config", options])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("rustfmt: {error}"))?;
    let mut stdin = child.stdin.take().expect("stdin was asked for");
    stdin.write_all(text.as_bytes()).map_err(|error| format!("rustfmt: {error}"))?;
    drop(stdin);
    let output = child.wait_with_output().map_err(|error| format!("rustfmt: {error}"))?;
    if !output.status.success() {
        return Err(format!("rustfmt: {}", String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("rustfmt: {error}"))
}

const UNKNOWN: &str = r#"
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no error code of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no error code of this version")
    }
}

impl core::error::Error for UnknownCode {}

"#;

const CLOSE_DISPLAY: &str = r#"
impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.reason())
    }
}

"#;

const VERDICT: &str = r#"
/// What a client does after a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Do not come back by yourself: `stop`.
    Stop,
    /// Wait with growing, jittered delays, then resume: `back_off`.
    BackOff,
    /// Resume at once, here or elsewhere: `resume_now`.
    ResumeNow,
    /// Fetch a new token, then resume at once: `token_first`.
    TokenFirst,
}

impl Verdict {
    /// The word in the tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::BackOff => "back_off",
            Self::ResumeNow => "resume_now",
            Self::TokenFirst => "token_first",
        }
    }

    /// The verdict on any close number: that of the table, else that of its hundred, else back off.
    #[must_use]
    pub const fn of_number(number: u16) -> Self {
        if let Some(code) = CloseCode::from_number(number) {
            return code.verdict();
        }
        match number {
            4000..=4099 => Self::Stop,
            4200..=4299 => Self::ResumeNow,
            _ => Self::BackOff,
        }
    }
}
"#;
