//! Writes the table of codes into PROTOCOL.md, between its markers.

use super::codes::{Codes, Verdict};

/// The text with both tables made anew.
///
/// # Errors
/// When a marker is missing.
pub(super) fn replace(text: &str, codes: &Codes) -> Result<String, String> {
    let text = between(text, "errors", &errors(codes))?;
    between(&text, "closes", &closes(codes))
}

fn between(text: &str, name: &str, table: &str) -> Result<String, String> {
    let begin = format!("<!-- codes.toml: {name} -->\n");
    let end = format!("<!-- end of {name} -->\n");
    let (head, rest) = text.split_once(&begin).ok_or_else(|| format!("no line {begin:?}"))?;
    let (_, tail) = rest.split_once(&end).ok_or_else(|| format!("no line {end:?}"))?;
    Ok(format!("{head}{begin}{table}{end}{tail}"))
}

fn errors(codes: &Codes) -> String {
    let mut table =
        String::from("| code | HTTP | retryable | meaning | what the client does |\n|---|---|---|---|---|\n");
    for error in &codes.error {
        let retryable = if error.retryable { "yes" } else { "no" };
        let (name, status) = (&error.name, error.status);
        table += &format!("| `{name}` | {status} | {retryable} | {} | {} |\n", error.meaning, error.action);
    }
    table
}

fn closes(codes: &Codes) -> String {
    let mut table = String::from("| number | reason | verdict | meaning |\n|---|---|---|---|\n");
    for close in &codes.close {
        let verdict = match close.verdict {
            Verdict::Stop => "stop",
            Verdict::BackOff => "back off",
            Verdict::ResumeNow => "resume now",
            Verdict::TokenFirst => "token first",
        };
        let note = if close.observed { " Never sent, only reported by WebSocket libraries." } else { "" };
        table += &format!("| {} | `{}` | {verdict} | {}{note} |\n", close.number, close.name, close.meaning);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "a\n<!-- codes.toml: x -->\nold\n<!-- end of x -->\nb\n";
        let new = between(text, "x", "new\n").expect("both markers are there");
        assert_eq!(new, "a\n<!-- codes.toml: x -->\nnew\n<!-- end of x -->\nb\n");
        assert!(between("a\n", "x", "new\n").is_err());
    }
}
