//! The configuration before it is typed: a tree that remembers where each value was written.
//!
//! - Layers are merged key by key, the later one wins; a list is one value, and replaces the list below it.
//! - A value that was given as text (a variable, a flag) is read by what its key expects: `30000` is a number for a
//!   duration and a text for a name. Lists may be given as JSON or separated by commas.

use super::error::{ConfigError, Origin, Problem, ProblemKind};
use super::keys::{self, Kind};
use super::{Authenticator, Config, check, contradictions, json, toml};

/// Elements one list may have while it is read; above every bound of a key.
const LIST_MAX: usize = 4_096;

/// A configuration, or one layer of it, before it is typed.
#[derive(Clone, Debug, Default)]
pub struct Document {
    root: Node,
}

/// A value and where it was written.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Option<Origin>,
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    /// Where the key was written, which is not where its value begins.
    pub(super) origin: Option<Origin>,
    pub(super) node: Node,
}

/// What TOML and JSON have in common.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Bool(bool),
    Integer(i64),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
    /// Anything that no key accepts: null, fractions, dates. As it was written.
    Other(String),
}

impl Default for Value {
    fn default() -> Self {
        Self::Table(Vec::new())
    }
}

impl Document {
    /// Reads TOML. `file` is the name that errors show.
    ///
    /// # Errors
    /// If it is not TOML, or a key is there twice.
    pub fn from_toml(text: &str, file: Option<&str>) -> Result<Self, ConfigError> {
        Self { root: toml::parse(text, file)? }.unwrapped()
    }

    /// Reads JSON. `file` is the name that errors show.
    ///
    /// # Errors
    /// If it is not JSON, or a key is there twice.
    pub fn from_json(text: &str, file: Option<&str>) -> Result<Self, ConfigError> {
        Self { root: json::parse(text, file)? }.unwrapped()
    }

    /// The tree of a struct; nothing in it has an origin.
    pub(super) fn from_config(config: &Config) -> Self {
        let value = serde_json::to_value(config).expect("a config has only texts as keys and no failing serializer");
        Self { root: Node { value: json::from_value(value), origin: None } }
    }

    /// Replaces a sole top-level `realtime` by what is inside.
    fn unwrapped(mut self) -> Result<Self, ConfigError> {
        let Value::Table(entries) = &mut self.root.value else { return Ok(self) };
        if !entries.iter().any(|entry| entry.key == "realtime") {
            return Ok(self);
        }
        let problems = entries.iter().filter(|entry| entry.key != "realtime").map(|entry| Problem {
            key: entry.key.clone(),
            origin: entry.origin.clone(),
            kind: ProblemKind::RealtimeNotAlone,
        });
        ConfigError::unless_empty(problems.collect())?;
        self.root = entries.remove(0).node;
        Ok(self)
    }

    /// Sets one key of this layer from text, as a variable or a flag gives it. `path` is dotted, with indices as in
    /// `rules[0].pattern`; elements of a list are set in order.
    ///
    /// # Errors
    /// If there is no such key, or it is already set in this layer.
    pub fn set(&mut self, path: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let path = path.strip_prefix("realtime.").unwrap_or(path);
        let problem = |kind| Problem { key: path.to_owned(), origin: Some(origin.clone()), kind };
        let Some(key) = keys::find(path) else {
            let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
            return Err(problem(check::unknown(parent, name)).into());
        };
        let value = value_from_text(key.kind, path, text, &origin).map_err(&problem)?;
        let node = Node { value, origin: Some(origin.clone()) };
        put(&mut self.root, path, node, &origin).map_err(|kind| problem(kind).into())
    }

    /// Adds an element to a list of tables, and sets the key of it that `path` ends with: `auth.apiKeys[].key`.
    ///
    /// # Errors
    /// As [`Document::set`].
    pub fn push(&mut self, path: &str, text: &str, origin: Origin) -> Result<(), ConfigError> {
        let list = path.split("[]").next().unwrap_or(path);
        let length = match self.get(list).map(|node| &node.value) {
            Some(Value::List(elements)) => elements.len(),
            Some(_) | None => 0,
        };
        self.set(&path.replacen("[]", &format!("[{length}]"), 1), text, origin)
    }

    /// Lays another layer on top of this one.
    pub fn merge(&mut self, above: Self) {
        merge(&mut self.root, above.root);
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.root.value, Value::Table(entries) if entries.is_empty())
    }

    /// Where the value of a key was written; `None` if it is not set.
    #[must_use]
    pub fn origin(&self, path: &str) -> Option<&Origin> {
        self.get(path).and_then(|node| node.origin.as_ref())
    }

    /// All values that are set, by their path, with where they were written. A list of plain values is one value.
    #[must_use]
    pub fn values(&self) -> Vec<(String, Option<&Origin>)> {
        let mut values = Vec::new();
        collect(&self.root, &mut String::new(), &mut values);
        values
    }

    /// Checks names, types and bounds, and makes a [`Config`].
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn read(&self) -> Result<Config, ConfigError> {
        ConfigError::unless_empty(self.problems())?;
        let value = json::to_value(&self.root);
        Ok(serde_json::from_value(value).expect("names, types and bounds have been checked"))
    }

    /// [`Document::read`], then [`Config::validate`]; what contradicts is shown with where it was written.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn resolve(&self) -> Result<Config, ConfigError> {
        let config = self.read()?;
        let mut problems = contradictions::find(&config, Authenticator::FromConfig);
        for problem in &mut problems {
            problem.origin = self.origin(&problem.key).cloned();
        }
        ConfigError::unless_empty(problems)?;
        Ok(config)
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        check::check(&self.root, "", &mut problems);
        problems
    }

    fn get(&self, path: &str) -> Option<&Node> {
        segments(path).try_fold(&self.root, |node, segment| match (&node.value, segment) {
            (Value::Table(entries), Segment::Name(name)) => {
                entries.iter().find(|entry| entry.key == name).map(|entry| &entry.node)
            }
            (Value::List(elements), Segment::Index(index)) => elements.get(index),
            _ => None,
        })
    }
}

enum Segment<'a> {
    Name(&'a str),
    Index(usize),
}

/// `rules[0].pattern` → `rules`, 0, `pattern`. Anything that is not an index is a name, which then is not found.
fn segments(path: &str) -> impl Iterator<Item = Segment<'_>> {
    path.split(['.', '[']).filter(|part| !part.is_empty()).map(|part| {
        let index = part.strip_suffix(']').and_then(|index| index.parse().ok());
        index.map_or(Segment::Name(part), Segment::Index)
    })
}

/// Puts a value at a path, making the tables and lists on the way.
fn put(root: &mut Node, path: &str, node: Node, origin: &Origin) -> Result<(), ProblemKind> {
    let mut place = root;
    let mut fresh = false;
    for segment in segments(path) {
        fresh = false;
        place = match segment {
            Segment::Name(name) => {
                let Value::Table(entries) = &mut place.value else { return Err(ProblemKind::DuplicateKey) };
                let known = entries.iter().position(|entry| entry.key == name);
                let index = known.unwrap_or_else(|| {
                    fresh = true;
                    let node = Node { value: Value::default(), origin: Some(origin.clone()) };
                    entries.push(Entry { key: name.to_owned(), origin: Some(origin.clone()), node });
                    entries.len() - 1
                });
                &mut entries[index].node
            }
            Segment::Index(index) => {
                if matches!(&place.value, Value::Table(entries) if entries.is_empty()) {
                    place.value = Value::List(Vec::new());
                }
                let Value::List(elements) = &mut place.value else { return Err(ProblemKind::DuplicateKey) };
                if index > elements.len() || index >= LIST_MAX {
                    let expected = format!("numbered without a gap: the next one is [{}]", elements.len());
                    return Err(ProblemKind::Value { expected, found: None });
                }
                if index == elements.len() {
                    fresh = true;
                    elements.push(Node { value: Value::default(), origin: Some(origin.clone()) });
                }
                &mut elements[index]
            }
        };
    }
    if !fresh {
        return Err(ProblemKind::DuplicateKey);
    }
    *place = node;
    Ok(())
}

fn merge(below: &mut Node, above: Node) {
    match (&mut below.value, above.value) {
        (Value::Table(entries), Value::Table(new)) => {
            for entry in new {
                match entries.iter_mut().find(|old| old.key == entry.key) {
                    Some(old) => merge(&mut old.node, entry.node),
                    None => entries.push(entry),
                }
            }
        }
        (_, value) => *below = Node { value, origin: above.origin },
    }
}

fn collect<'a>(node: &'a Node, path: &mut String, into: &mut Vec<(String, Option<&'a Origin>)>) {
    let length = path.len();
    match &node.value {
        Value::Table(entries) => {
            for entry in entries {
                path.push_str(if length == 0 { "" } else { "." });
                path.push_str(&entry.key);
                collect(&entry.node, path, into);
                path.truncate(length);
            }
        }
        Value::List(elements) if elements.iter().any(|element| matches!(element.value, Value::Table(_))) => {
            for (index, element) in elements.iter().enumerate() {
                path.push_str(&format!("[{index}]"));
                collect(element, path, into);
                path.truncate(length);
            }
        }
        Value::Bool(_) | Value::Integer(_) | Value::Text(_) | Value::List(_) | Value::Other(_) => {
            into.push((path.clone(), node.origin.as_ref()));
        }
    }
}

/// Reads a text as what its key expects. What does not fit stays text, and the check says what it must be.
fn value_from_text(kind: Kind, path: &str, text: &str, origin: &Origin) -> Result<Value, ProblemKind> {
    let plain = || Value::Text(text.to_owned());
    let number = || text.trim().parse().map_or_else(|_| plain(), Value::Integer);
    let truth = || text.trim().parse().map_or_else(|_| plain(), Value::Bool);
    Ok(match kind {
        Kind::Bool => truth(),
        Kind::FalseOrSection if text.trim_start().starts_with('{') => embedded_json(text, origin)?,
        Kind::FalseOrSection => truth(),
        Kind::Integer(..) | Kind::Size(..) | Kind::Duration(..) => number(),
        Kind::Section if text.trim_start().starts_with('{') => embedded_json(text, origin)?,
        Kind::SectionList(..) | Kind::Origins(..) if text.trim_start().starts_with('[') => embedded_json(text, origin)?,
        Kind::Origins(..) => Value::List(separated(text, origin)),
        // The only list of tables that a person would write as a list of texts.
        Kind::SectionList(..) if path == "auth.apiKeys" => {
            Value::List(separated(text, origin).into_iter().map(|key| table_of("key", key)).collect())
        }
        Kind::Section | Kind::SectionList(..) => plain(),
        Kind::Address
        | Kind::Path
        | Kind::Folder
        | Kind::CookieName
        | Kind::Pattern
        | Kind::Secret
        | Kind::Name
        | Kind::Provider
        | Kind::InboxPolicy
        | Kind::LogLevel
        | Kind::LogFormat => plain(),
    })
}

/// The texts between commas; an empty text is an empty list.
fn separated(text: &str, origin: &Origin) -> Vec<Node> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| Node { value: Value::Text(part.to_owned()), origin: Some(origin.clone()) }).collect()
}

fn table_of(key: &str, node: Node) -> Node {
    let origin = node.origin.clone();
    let entry = Entry { key: key.to_owned(), origin: origin.clone(), node };
    Node { value: Value::Table(vec![entry]), origin }
}

/// JSON inside a variable or a flag: all of it comes from there, whatever its line.
fn embedded_json(text: &str, origin: &Origin) -> Result<Value, ProblemKind> {
    let mut node = json::parse(text, None).map_err(|error| error.problems()[0].kind.clone())?;
    node.set_origin(origin);
    Ok(node.value)
}

impl Node {
    fn set_origin(&mut self, origin: &Origin) {
        self.origin = Some(origin.clone());
        match &mut self.value {
            Value::List(elements) => elements.iter_mut().for_each(|element| element.set_origin(origin)),
            Value::Table(entries) => {
                for entry in entries {
                    entry.origin = Some(origin.clone());
                    entry.node.set_origin(origin);
                }
            }
            Value::Bool(_) | Value::Integer(_) | Value::Text(_) | Value::Other(_) => {}
        }
    }
}
