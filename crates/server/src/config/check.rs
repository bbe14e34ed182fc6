//! Names, types and bounds of a tree, by the list of keys. Everything wrong is reported, not only the first.

use super::document::{Node, Value};
use super::error::{Problem, ProblemKind};
use super::keys::{self, Key, Kind};
use super::value;

/// Checks the tables and values below `path`; the whole tree is the empty path.
pub(super) fn check(node: &Node, path: &str, problems: &mut Vec<Problem>) {
    let Value::Table(entries) = &node.value else {
        problems.push(wrong(path, node, "a table"));
        return;
    };
    for entry in entries {
        let key_path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
        // A name with brackets or dots in it must not be taken for a path.
        let known = keys::children(path).into_iter().find(|key| key.name() == entry.key);
        match known {
            Some(key) => check_key(key, &entry.node, &key_path, problems),
            None => {
                problems.push(Problem { key: key_path, origin: entry.origin.clone(), kind: unknown(path, &entry.key) })
            }
        }
    }
}

/// The problem of a name that is not valid below `parent`.
pub(super) fn unknown(parent: &str, name: &str) -> ProblemKind {
    ProblemKind::UnknownKey { nearest: keys::nearest(parent, name), valid: keys::valid_names(parent) }
}

fn check_key(key: &Key, node: &Node, path: &str, problems: &mut Vec<Problem>) {
    match (key.kind, &node.value) {
        (Kind::Section, _) | (Kind::FalseOrSection, Value::Table(_)) => check(node, path, problems),
        (Kind::SectionList(min, max), Value::List(elements)) => {
            if !within(elements.len() as u64, number(min), number(max)) {
                problems.push(wrong(path, node, &key.kind.describe()));
            }
            for (index, element) in elements.iter().enumerate() {
                check(element, &format!("{path}[{index}]"), problems);
            }
        }
        (kind, value) => {
            if let Err(expected) = check_value(kind, value) {
                problems.push(wrong(path, node, &expected));
            }
        }
    }
}

/// Whether a plain value is what its key expects; otherwise what it must be.
fn check_value(kind: Kind, value: &Value) -> Result<(), String> {
    let expected = || kind.describe();
    let fits = match (kind, value) {
        (Kind::Bool, Value::Bool(_)) | (Kind::FalseOrSection, Value::Bool(false)) => true,
        (Kind::Integer(min, max), Value::Integer(given)) => is_within(*given, number(min), number(max)),
        (Kind::Size(min, max), value) => measured(value, value::parse_size, min, max),
        (Kind::Duration(min, max), value) => measured(value, value::parse_duration_ms, min, max),
        (Kind::Address, Value::Text(text)) => value::parse_address(text).is_some(),
        (Kind::Path, Value::Text(text)) => match value::path_problem(text) {
            Some(problem) => return Err(problem.to_owned()),
            None => true,
        },
        (Kind::Origins(min, max), Value::List(elements)) => {
            within(elements.len() as u64, number(min), number(max))
                && elements.iter().all(|element| matches!(&element.value, Value::Text(text) if value::is_origin(text)))
        }
        (Kind::Folder, Value::Text(text)) => (1..=4_096).contains(&text.len()) && !text.contains('\0'),
        (Kind::CookieName, Value::Text(text)) => value::is_cookie_name(text),
        // What a pattern or a secret must be is more than a type; see `contradictions`.
        (Kind::Pattern | Kind::Secret, Value::Text(_)) => true,
        (Kind::Name, Value::Text(text)) => {
            (1..=64).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        }
        (kind, Value::Text(text)) => kind.choices().is_some_and(|choices| choices.contains(&text.as_str())),
        _ => false,
    };
    if fits { Ok(()) } else { Err(expected()) }
}

fn measured(value: &Value, parse: fn(&str) -> Option<u64>, min: &str, max: &str) -> bool {
    let given = match value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::Text(text) => parse(text),
        Value::Bool(_) | Value::List(_) | Value::Table(_) | Value::Other(_) => None,
    };
    let bound = |text| parse(text).expect("bounds of keys are written with a unit");
    given.is_some_and(|given| within(given, bound(min), bound(max)))
}

fn is_within(given: i64, min: u64, max: u64) -> bool {
    u64::try_from(given).is_ok_and(|given| within(given, min, max))
}

fn within(given: u64, min: u64, max: u64) -> bool {
    (min..=max).contains(&given)
}

fn number(bound: &str) -> u64 {
    bound.parse().expect("bounds of keys are numbers")
}

fn wrong(path: &str, node: &Node, expected: &str) -> Problem {
    let secret = keys::find(path).is_some_and(|key| key.kind == Kind::Secret) || path.starts_with("auth.apiKeys");
    let found = (!secret).then(|| found(&node.value));
    let key = if path.is_empty() { "realtime".to_owned() } else { path.to_owned() };
    Problem { key, origin: node.origin.clone(), kind: ProblemKind::Value { expected: expected.to_owned(), found } }
}

/// A value as an error shows it: short, on one line, with nothing a terminal would obey.
fn found(value: &Value) -> String {
    /// Characters of a value that are shown; enough to recognise it.
    const SHOWN_MAX: usize = 60;
    match value {
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) if text.chars().count() > SHOWN_MAX => {
            format!("{:?}…", text.chars().take(SHOWN_MAX).collect::<String>())
        }
        Value::Text(text) => format!("{text:?}"),
        Value::List(elements) => match elements.iter().map(|element| &element.value).collect::<Vec<_>>()[..] {
            [] => "an empty list".to_owned(),
            [only @ Value::Text(_)] => format!("[{}]", found(only)),
            _ => format!("a list of {}", elements.len()),
        },
        Value::Table(_) => "a table".to_owned(),
        Value::Other(text) => text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect(),
    }
}
