//! TOML with places: the toml crate's own spanned tree.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Entry, Node, Value};
use super::error::{ConfigError, Places, Problem, ProblemKind};

/// Reads a text.
pub(super) fn parse(text: &str, file: Option<&str>) -> Result<Node, ConfigError> {
    let places = Places { text, file };
    let table = DeTable::parse(text).map_err(|error| syntax(&places, &error))?;
    let origin = Some(places.at(0));
    Ok(Node { value: table_value(&places, table.get_ref()), origin })
}

fn node(places: &Places<'_>, value: &Spanned<DeValue<'_>>) -> Node {
    let span = value.span();
    let value = match value.get_ref() {
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other(written(places, &span)),
        },
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Array(elements) => Value::List(elements.iter().map(|element| node(places, element)).collect()),
        DeValue::Table(table) => table_value(places, table),
        DeValue::Float(_) | DeValue::Datetime(_) => Value::Other(written(places, &span)),
    };
    Node { value, origin: Some(places.at(span.start)) }
}

fn table_value(places: &Places<'_>, table: &DeTable<'_>) -> Value {
    let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let origin = Some(places.at(key.span().start));
        Entry { key: key.get_ref().to_string(), origin, node: node(places, value) }
    };
    Value::Table(table.iter().map(entry).collect())
}

fn written(places: &Places<'_>, span: &Range<usize>) -> String {
    places.text.get(span.clone()).unwrap_or_default().to_owned()
}

fn syntax(places: &Places<'_>, error: &toml::de::Error) -> ConfigError {
    let span = error.span().unwrap_or(places.text.len()..places.text.len());
    let origin = Some(places.at(span.start));
    if error.message() == "duplicate key" {
        return Problem { key: written(places, &span), origin, kind: ProblemKind::DuplicateKey }.into();
    }
    let message = error.message().replace('\n', ", ");
    Problem { key: String::new(), origin, kind: ProblemKind::Syntax { format: "TOML", message } }.into()
}
