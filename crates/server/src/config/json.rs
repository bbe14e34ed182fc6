//! JSON with places: serde_json reads it, and raw values that borrow from the text tell where each one stands.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::document::{Entry, Node, Value};
use super::error::{ConfigError, Places, Problem, ProblemKind};

/// Tables within tables; the deepest key has four.
const DEPTH_MAX: usize = 16;

/// Reads a text.
pub(super) fn parse(text: &str, file: Option<&str>) -> Result<Node, ConfigError> {
    let parser = Parser { places: Places { text, file } };
    // A byte order mark is what some editors put before a text; it has no meaning in UTF-8.
    let content = text.trim_start_matches('\u{feff}');
    let raw: &RawValue = serde_json::from_str(content).map_err(|error| {
        // Reading real values says what is wrong in better words ("trailing comma") than skipping them does.
        let better = serde_json::from_str::<serde_json::Value>(content).err();
        parser.syntax(content, &better.unwrap_or(error))
    })?;
    parser.node(raw, "", 0)
}

struct Parser<'a> {
    places: Places<'a>,
}

impl<'a> Parser<'a> {
    fn node(&self, raw: &'a RawValue, path: &str, depth: usize) -> Result<Node, ConfigError> {
        let text = raw.get();
        let value = match text.as_bytes()[0] {
            b'{' | b'[' if depth == DEPTH_MAX => Value::Other(format!("a table {DEPTH_MAX} levels deep")),
            b'{' => self.table(text, path, depth)?,
            b'[' => {
                let Elements(elements) = self.read(text)?;
                let nodes = elements.into_iter().enumerate();
                let nodes = nodes.map(|(index, raw)| self.node(raw, &format!("{path}[{index}]"), depth + 1));
                Value::List(nodes.collect::<Result<_, _>>()?)
            }
            b'"' => Value::Text(self.read(text)?),
            b't' => Value::Bool(true),
            b'f' => Value::Bool(false),
            _ => text.parse().map_or_else(|_| Value::Other(text.to_owned()), Value::Integer),
        };
        Ok(Node { value, origin: Some(self.places.at(self.offset(text))) })
    }

    fn table(&self, text: &'a str, path: &str, depth: usize) -> Result<Value, ConfigError> {
        let Members(members) = self.read(text)?;
        let mut entries: Vec<Entry> = Vec::with_capacity(members.len());
        for (KeyText(key), raw) in members {
            // A key with escapes is a copy, and has no place of its own; that of its value is near enough.
            let offset = match &key {
                Cow::Borrowed(key) => self.offset(key) - 1,
                Cow::Owned(_) => self.offset(raw.get()),
            };
            let origin = Some(self.places.at(offset));
            let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
            if entries.iter().any(|entry| entry.key == key) {
                return Err(Problem { key: path, origin, kind: ProblemKind::DuplicateKey }.into());
            }
            let node = self.node(raw, &path, depth + 1)?;
            entries.push(Entry { key: key.into_owned(), origin, node });
        }
        Ok(Value::Table(entries))
    }

    fn read<T: Deserialize<'a>>(&self, part: &'a str) -> Result<T, ConfigError> {
        serde_json::from_str(part).map_err(|error| self.syntax(part, &error))
    }

    /// Where a part of the text begins.
    fn offset(&self, part: &str) -> usize {
        part.as_ptr() as usize - self.places.text.as_ptr() as usize
    }

    fn syntax(&self, part: &str, error: &serde_json::Error) -> ConfigError {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message).to_owned();
        let line_start: usize = part.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
        let offset = self.offset(part) + line_start + error.column().saturating_sub(1);
        let kind = ProblemKind::Syntax { format: "JSON", message };
        Problem { key: String::new(), origin: Some(self.places.at(offset)), kind }.into()
    }
}

/// The members of an object, in order, repeated ones included.
struct Members<'a>(Vec<(KeyText<'a>, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Read)
    }
}

/// The elements of an array.
struct Elements<'a>(Vec<&'a RawValue>);

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Elements(elements))
            }
        }
        deserializer.deserialize_seq(Read)
    }
}

/// A key; borrowed from the text where it has no escapes, which serde's own `Cow` never is.
struct KeyText<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for KeyText<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = KeyText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a key")
            }

            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(KeyText(Cow::Borrowed(key)))
            }

            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(KeyText(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(Read)
    }
}

/// A tree without places.
pub(super) fn from_value(value: serde_json::Value) -> Value {
    let node = |value| Node { value: from_value(value), origin: None };
    match value {
        serde_json::Value::Null => Value::Other("null".to_owned()),
        serde_json::Value::Bool(truth) => Value::Bool(truth),
        serde_json::Value::Number(number) => {
            number.as_i64().map_or_else(|| Value::Other(number.to_string()), Value::Integer)
        }
        serde_json::Value::String(text) => Value::Text(text),
        serde_json::Value::Array(elements) => Value::List(elements.into_iter().map(node).collect()),
        serde_json::Value::Object(members) => Value::Table(
            members.into_iter().map(|(key, value)| Entry { key, origin: None, node: node(value) }).collect(),
        ),
    }
}

/// The tree without its places.
pub(super) fn to_value(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Bool(truth) => (*truth).into(),
        Value::Integer(number) => (*number).into(),
        Value::Text(text) | Value::Other(text) => text.as_str().into(),
        Value::List(elements) => elements.iter().map(to_value).collect::<Vec<_>>().into(),
        Value::Table(entries) => {
            let members = entries.iter().map(|entry| (entry.key.clone(), to_value(&entry.node)));
            serde_json::Value::Object(members.collect())
        }
    }
}
