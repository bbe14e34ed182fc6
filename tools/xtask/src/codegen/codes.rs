//! The table of codes: what it holds and the rules it must keep.
//!
//! - Names are unique and snake_case; close numbers are unique and ascending.
//! - An error has a status of 400 to 599; 429, 503, 504 and 507 are retryable and nothing else is.
//! - The hundred of an application close number says its verdict, so that a client can act on numbers it has never seen.

use std::collections::BTreeSet;

use serde::Deserialize;

/// The whole table, in the order of the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Codes {
    pub(super) error: Vec<ErrorCode>,
    pub(super) close: Vec<CloseCode>,
}

/// One error code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ErrorCode {
    pub(super) name: String,
    pub(super) status: u16,
    pub(super) retryable: bool,
    pub(super) meaning: String,
    pub(super) action: String,
}

/// One close code.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseCode {
    pub(super) number: u16,
    pub(super) name: String,
    pub(super) verdict: Verdict,
    #[serde(default)]
    pub(super) observed: bool,
    pub(super) meaning: String,
}

/// What a client does after a close.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    Stop,
    BackOff,
    ResumeNow,
    TokenFirst,
}

impl Codes {
    /// Reads the table and checks its rules.
    ///
    /// # Errors
    /// Names the entry and the rule it breaks.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let codes: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut names = BTreeSet::new();
        for error in &codes.error {
            check_words(&error.name, &[&error.meaning, &error.action])?;
            if !names.insert(&error.name) {
                return Err(format!("error {} is there twice", error.name));
            }
            if !(400..600).contains(&error.status) {
                return Err(format!("error {}: status {} is none of an error", error.name, error.status));
            }
            if error.retryable != matches!(error.status, 429 | 503 | 504 | 507) {
                return Err(format!("error {}: retryable contradicts status {}", error.name, error.status));
            }
        }
        let mut names = BTreeSet::new();
        let mut last = 0;
        for close in &codes.close {
            check_words(&close.name, &[&close.meaning])?;
            if !names.insert(&close.name) {
                return Err(format!("close {} is there twice", close.name));
            }
            if close.number <= last {
                return Err(format!("close {} is out of order", close.number));
            }
            last = close.number;
            check_verdict(close)?;
        }
        Ok(codes)
    }
}

fn check_words(name: &str, sentences: &[&String]) -> Result<(), String> {
    let snake = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if name.is_empty() || !name.bytes().all(snake) {
        return Err(format!("name {name:?} is not snake_case"));
    }
    for sentence in sentences {
        if !sentence.ends_with('.') || sentence.contains(['|', '\n']) {
            return Err(format!("{name}: texts are sentences on one line without |: {sentence:?}"));
        }
    }
    Ok(())
}

fn check_verdict(close: &CloseCode) -> Result<(), String> {
    let fits = match close.number {
        1000..=1015 => matches!(close.verdict, Verdict::Stop | Verdict::BackOff),
        4000..=4099 => close.verdict == Verdict::Stop,
        4100..=4199 => close.verdict == Verdict::BackOff,
        4200..=4299 => matches!(close.verdict, Verdict::ResumeNow | Verdict::TokenFirst),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("close {}: its number does not fit its verdict", close.number)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &str, complaint: &str) {
        let error = Codes::parse(table).expect_err(table);
        assert!(error.contains(complaint), "{error:?} does not say {complaint:?}");
    }

    fn error(name: &str, status: u16, retryable: bool) -> String {
        format!(
            "[[error]]\nname='{name}'\nstatus={status}\nretryable={retryable}\nmeaning='M.'\naction='A.'\n[[close]]\n\
             number=1000\nname='normal'\nverdict='stop'\nmeaning='M.'\n"
        )
    }

    fn close(number: u16, verdict: &str) -> String {
        format!(
            "{}[[close]]\nnumber={number}\nname='x'\nverdict='{verdict}'\nmeaning='M.'\n",
            error("bad_request", 400, false)
        )
    }

    #[test]
    fn rules_of_the_table() {
        assert!(Codes::parse(&close(4100, "back_off")).is_ok());
        check(&error("badRequest", 400, false), "snake_case");
        check(&error("fine", 200, false), "none of an error");
        check(&error("late", 503, false), "contradicts");
        check(&error("late", 400, true), "contradicts");
        check(&close(4000, "back_off"), "does not fit");
        check(&close(4100, "stop"), "does not fit");
        check(&close(4203, "back_off"), "does not fit");
        check(&close(3000, "stop"), "does not fit");
        check(&close(1000, "stop"), "out of order");
        check("[[error]]\nname='x'\ncolour='red'", "colour");
    }

    #[test]
    fn a_name_stands_once() {
        let one = "[[close]]\nnumber=1001\nname='normal'\nverdict='stop'\nmeaning='M.'\n";
        check(&(error("bad_request", 400, false) + one), "twice");
    }
}
