//! The list of keys as text: the annotated default file and the page `docs/configuration.md`.

use std::fmt::Write;

use super::keys::{self, Key, Kind};
use super::{ApiKey, Config, Rule, SECTIONS};

/// The hand-written part of the page; the keys replace its last line.
const PAGE: &str = include_str!("reference.md");
/// The line of [`PAGE`] that the keys replace.
const PAGE_MARKER: &str = "<!-- keys -->\n";

/// The default of a key as TOML; `None` where there is none.
#[must_use]
pub fn default_of(key: &Key) -> Option<String> {
    let config = Config { rules: vec![Rule::default()], ..Config::default() };
    let mut config = serde_json::to_value(config).ok()?;
    config["auth"]["apiKeys"] = serde_json::to_value([ApiKey::default()]).ok()?;
    let pointer = format!("/{}", key.path.replace("[]", ".0").replace('.', "/"));
    let value = config.pointer(&pointer)?;
    let absent = key.kind == Kind::Secret || key.is_section() || value.as_str() == Some("");
    (!absent).then(|| value.to_string())
}

/// A file with every key, its description and its default. Reading it gives the default configuration.
///
/// Lines that begin with `#` and a space are prose; the others that begin with `#` are keys without a default.
#[must_use]
pub fn default_toml() -> String {
    let mut text = String::from(
        "# Every key with its default. A file needs only what differs.\n\
         # Lines that begin with '#' and no space behind it are examples of keys that have no default.\n",
    );
    for section in SECTIONS {
        let parent = section[0].path.rsplit_once('.').map_or("", |(parent, _)| parent);
        if !parent.is_empty() && section.iter().all(Key::is_section) {
            continue;
        }
        text.push('\n');
        let mark = if parent.contains("[]") { "#" } else { "" };
        if !parent.is_empty() {
            write_header(&mut text, parent, mark);
        }
        for key in section.iter().filter(|key| !key.is_section()) {
            write_prose(&mut text, &key.doc());
            write_prose(&mut text, &format!("Must be {}.", key.kind.describe()));
            match (default_of(key), key.example) {
                (Some(default), _) => writeln!(text, "{mark}{} = {default}", key.name()),
                (None, Some(example)) => writeln!(text, "#{} = {example}", key.name()),
                (None, None) => unreachable!("a key has a default or an example"),
            }
            .expect("a String takes everything");
        }
    }
    text
}

/// The header of a section: `[providers.sse]`, `[[rules]]`, `[rules.history]`.
fn write_header(text: &mut String, parent: &str, mark: &str) {
    let element = parent.ends_with("[]");
    let plain = parent.replace("[]", "");
    if let Some(key) = keys::find(parent.strip_suffix("[]").unwrap_or(parent)) {
        write_prose(text, &key.doc());
    }
    let header = if element { format!("[[{plain}]]") } else { format!("[{plain}]") };
    writeln!(text, "{mark}{header}").expect("a String takes everything");
}

fn write_prose(text: &mut String, prose: &str) {
    for line in prose.lines() {
        let space = if line.is_empty() { "" } else { " " };
        writeln!(text, "#{space}{line}").expect("a String takes everything");
    }
}

/// The page `docs/configuration.md`.
#[must_use]
pub fn markdown() -> String {
    let mut tables = String::new();
    for section in SECTIONS {
        let parent = section[0].path.rsplit_once('.').map_or("", |(parent, _)| parent);
        if !parent.is_empty() && section.iter().all(Key::is_section) {
            continue;
        }
        let title = if parent.is_empty() { "Top level".to_owned() } else { format!("`{parent}`") };
        write!(tables, "### {title}\n\n").expect("a String takes everything");
        if let Some(key) = keys::find(parent.strip_suffix("[]").unwrap_or(parent)) {
            write!(tables, "{}\n\n", key.doc()).expect("a String takes everything");
        }
        tables.push_str("| key | default | what it is |\n|---|---|---|\n");
        for key in section.iter().filter(|key| !key.is_section()) {
            let default = default_of(key).map_or("–".to_owned(), |default| format!("`{default}`"));
            let doc = key.doc().replace("\n\n", " ").replace('\n', " ");
            writeln!(tables, "| `{}` | {default} | {doc} Must be {}. |", key.name(), key.kind.describe())
                .expect("a String takes everything");
        }
        tables.push('\n');
    }
    PAGE.replace(PAGE_MARKER, tables.trim_end()) + "\n"
}
