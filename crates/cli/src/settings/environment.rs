//! The layer of environment variables: `REALTIME__PROVIDERS__SSE__HEARTBEAT_INTERVAL`.
//!
//! - `__` separates sections, a number is an element of a list, and `_` inside a name is ignored like its case.
//! - `…_FILE` names a file that holds the value; one line break at its end is not part of it.

use std::path::Path;

use realtime_connector::config::{self, ConfigError, Document, Key, Kind, Origin, Problem, ProblemKind, children};

use super::{Layer, Surroundings, is_open_to_all, read_text};

/// What settings begin with.
const PREFIX: &str = "REALTIME__";
/// What else of ours begins with `REALTIME_`: settings of the client commands.
const CLIENT: [&str; 3] = ["REALTIME_URL", "REALTIME_API_KEY", "REALTIME_API_KEY_FILE"];

/// A variable that sets a key.
struct Setting {
    path: String,
    name: String,
    value: String,
    /// The value is the name of a file.
    in_file: bool,
}

/// Reads the layer; everything wrong with it is reported.
pub(super) fn read(surroundings: &Surroundings, warnings: &mut Vec<String>) -> Layer {
    let mut results = Vec::new();
    let mut layer = Document::default();
    let mut settings = Vec::new();
    for (name, value) in &surroundings.variables {
        let Some(name) = name.to_str() else { continue };
        match (name.strip_prefix(PREFIX), value.to_str()) {
            (None, _) => warnings.extend(lookalike(name)),
            (Some(rest), Some(value)) => settings.push(setting(name, rest, value)),
            (Some(rest), None) => results.push(Err(unreadable(&path_of(rest), name, "text in UTF-8").into())),
        }
    }
    // Elements of a list are set in order, and `10` comes after `9`.
    settings.sort_by_cached_key(|setting| (in_order(&setting.path), setting.name.clone()));
    for setting in settings {
        results.push(apply(&setting, &mut layer, &surroundings.directory, warnings));
    }
    ConfigError::gather(results).map(|()| layer)
}

fn setting(name: &str, rest: &str, value: &str) -> Setting {
    let of_file = rest.strip_suffix("_FILE").map(path_of).filter(|path| config::find(path).is_some());
    let in_file = of_file.is_some();
    Setting { path: of_file.unwrap_or_else(|| path_of(rest)), name: name.to_owned(), value: value.to_owned(), in_file }
}

fn apply(
    setting: &Setting,
    layer: &mut Document,
    directory: &Path,
    warnings: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let Setting { path, name, value, in_file } = setting;
    let mut text = value.clone();
    if *in_file {
        let file = directory.join(value);
        text = read_text(&file).map_err(|error| unreadable(path, name, &format!("in the file {value:?}: {error}")))?;
        text.truncate(text.strip_suffix('\n').map_or(text.len(), |text| text.strip_suffix('\r').unwrap_or(text).len()));
        let secret = config::find(path).is_some_and(|key| key.kind == Kind::Secret);
        if secret && is_open_to_all(&file) {
            warnings.push(format!("{value} ({name}) holds a secret, and every user of this machine may read it"));
        }
    }
    layer.set(path, &text, Origin::Variable(name.clone())).map_err(|error| in_words_of_variables(path, error))
}

fn unreadable(path: &str, name: &str, expected: &str) -> Problem {
    let kind = ProblemKind::Value { expected: expected.to_owned(), found: None };
    Problem { key: path.to_owned(), origin: Some(Origin::Variable(name.to_owned())), kind }
}

/// `PROVIDERS__SSE__PATH` → `providers.sse.path`. What is unknown is spelled as a key, and found to be none later.
fn path_of(rest: &str) -> String {
    let mut path = String::new();
    for part in rest.split("__") {
        if !path.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && !part.is_empty() {
            path.push_str(&format!("[{part}]"));
            continue;
        }
        let known = children(&path).into_iter().find(|key| plain(key.name()) == plain(part));
        let name = known.map_or_else(|| camel_case(part), |key| key.name().to_owned());
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(&name);
    }
    path
}

fn plain(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).map(|character| character.to_ascii_lowercase()).collect()
}

fn camel_case(part: &str) -> String {
    let mut words = part.split('_').map(str::to_ascii_lowercase);
    let first = words.next().unwrap_or_default();
    words.fold(first, |mut name, word| {
        let (head, tail) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        name.push_str(&head.to_ascii_uppercase());
        name.push_str(tail);
        name
    })
}

/// Parts of a path, with numbers as numbers.
fn in_order(path: &str) -> Vec<(u64, String)> {
    path.split(['.', '[', ']']).map(|part| (part.parse().unwrap_or(0), part.to_owned())).collect()
}

/// The nearest name, as a variable.
fn in_words_of_variables(path: &str, error: ConfigError) -> ConfigError {
    let problem = error.problems()[0].clone();
    let ProblemKind::UnknownKey { nearest: Some(nearest), valid } = problem.kind else { return error };
    let parent = path.rsplit_once('.').map_or("", |(parent, _)| parent);
    let full = if nearest.contains('.') || parent.is_empty() { nearest } else { format!("{parent}.{nearest}") };
    let nearest = config::find(&full).map(Key::variable);
    Problem { kind: ProblemKind::UnknownKey { nearest, valid }, ..problem }.into()
}

/// A variable that was surely meant as a setting, and is none: `REALTIME_LISTEN`, `REALTIME_AUTH_API_KEYS_0_KEY`.
fn lookalike(name: &str) -> Option<String> {
    let rest = name.strip_prefix("REALTIME_").filter(|_| !CLIENT.contains(&name))?;
    let (of_value, file) = rest.strip_suffix("_FILE").map_or((rest, ""), |rest| (rest, "_FILE"));
    let letters = |text: &str| plain(text).replace(|character: char| character.is_ascii_digit(), "");
    let key = config::keys().find(|key| !key.is_section() && letters(key.path) == letters(of_value))?;
    let mut variable = key.variable();
    // The element that was meant, where it is one of a list.
    if let Some(index) = of_value.split('_').find(|part| part.parse::<u32>().is_ok()) {
        variable = variable.replace("__0__", &format!("__{index}__"));
    }
    Some(format!("the environment variable {name} has no effect: did you mean {variable}{file}?"))
}
