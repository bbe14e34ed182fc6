//! PROTOCOL.md and the transcripts agree: rules have one number each, citations exist, examples are JSON.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Check, Finding, Tree};

const TEXT: &str = "protocol/PROTOCOL.md";
const TRANSCRIPTS: &str = "protocol/transcripts/";

pub(super) const CHECKS: [(&str, Check); 3] = [
    ("every rule of the protocol has its number", check_rules),
    ("examples in the protocol are JSON", check_examples),
    ("transcripts cite rules that exist", check_citations),
];

/// A rule begins a line with `- **NAME-n** `; numbers are never used twice.
fn check_rules(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut seen = BTreeMap::new();
    for (line, rule) in rules(tree) {
        if let Some(first) = seen.insert(rule, line) {
            findings.push(Finding::new(TEXT, line, format!("{rule} stands on line {first} already")));
        }
    }
    findings
}

fn rules(tree: &Tree) -> Vec<(usize, &str)> {
    let lines = tree.text(TEXT).unwrap_or_default().lines().enumerate();
    let rule = |line: &'_ str| -> Option<(usize, usize)> {
        let rest = line.strip_prefix("- **")?;
        let end = rest.find("**")?;
        let (name, number) = rest[..end].split_once('-')?;
        let fits =
            name.bytes().all(|byte| byte.is_ascii_uppercase()) && number.bytes().all(|byte| byte.is_ascii_digit());
        fits.then_some((4, 4 + end))
    };
    lines.filter_map(|(index, line)| rule(line).map(|(from, to)| (index + 1, &line[from..to]))).collect()
}

/// Each line of a `json` block is one frame; a block with a line that is no frame is one value.
fn check_examples(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (index, line) in tree.text(TEXT).unwrap_or_default().lines().enumerate() {
        match &mut block {
            None if line == "```json" => block = Some((index + 1, String::new())),
            None => {}
            Some((start, text)) if line == "```" => {
                let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok();
                if !is_json(text) && !text.lines().all(is_json) {
                    findings.push(Finding::new(TEXT, *start, "the block is no JSON"));
                }
                block = None;
            }
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    findings
}

/// The first line of a transcript says what it shows, and cites rules of PROTOCOL.md.
fn check_citations(tree: &Tree) -> Vec<Finding> {
    let rules: Vec<&str> = rules(tree).into_iter().map(|rule| rule.1).collect();
    let mut findings = Vec::new();
    for (path, text) in tree.under(TRANSCRIPTS, ".jsonl") {
        let head = text.lines().next().and_then(|line| serde_json::from_str::<Value>(line).ok());
        let cited = head.as_ref().and_then(|head| head.get("rules")).and_then(Value::as_array);
        match cited {
            Some(cited) if !cited.is_empty() => {
                let unknown = cited.iter().filter(|rule| !rule.as_str().is_some_and(|rule| rules.contains(&rule)));
                findings.extend(unknown.map(|rule| Finding::new(path, 1, format!("{rule} is no rule of {TEXT}"))));
            }
            _ => findings.push(Finding::new(path, 1, "the first line must be {\"about\":…,\"rules\":[…]}")),
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::testing;
    use super::*;

    #[test]
    fn rules_and_citations() {
        let text = "# P\n- **PUB-1** One.\n- **PUB-2** Two.\n";
        let transcript = "protocol/transcripts/publish/a.jsonl";
        testing::check(check_rules, &[(TEXT, text)], &[]);
        testing::check(check_rules, &[(TEXT, &format!("{text}- **PUB-1** Again."))], &["4: PUB-1 stands on line 2"]);
        let good = "{\"about\":\"x\",\"rules\":[\"PUB-2\"]}\n";
        testing::check(check_citations, &[(TEXT, text), (transcript, good)], &[]);
        let bad = "{\"about\":\"x\",\"rules\":[\"PUB-3\"]}\n";
        testing::check(check_citations, &[(TEXT, text), (transcript, bad)], &["\"PUB-3\" is no rule"]);
        testing::check(check_citations, &[(TEXT, text), (transcript, "{}\n")], &["the first line"]);
    }

    #[test]
    fn examples() {
        let block = |text: &str| format!("```json\n{text}\n```\n");
        testing::check(check_examples, &[(TEXT, &block("{\"a\":1}\n{\"b\":2}"))], &[]);
        testing::check(check_examples, &[(TEXT, &block("{\n\"a\":1}"))], &[]);
        testing::check(check_examples, &[(TEXT, &block("{\"a\":1"))], &["1: the block is no JSON"]);
    }
}
