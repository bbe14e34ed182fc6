//! Reads objects, lists and single values of a client's frame.
//!
//! - An object is taken apart once, into names and raw texts; each value is read when its feature asks for it.
//! - Every refusal names the place: `field`, `since.offset`, `subscriptions[2].channel`.
//! - Reading goes on after a fault, so that `ref` is found wherever it stands and the error can be matched with its frame.
//! - Work is linear in the text and nothing recurses: `data` may nest as deep as it likes until its own scan refuses it.

use std::borrow::Cow;

use realtime_connector_core::id::NameError;
use realtime_connector_core::limits::{META_BYTES_MAX, SAFE_INTEGER_MAX};
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;

use super::scan;

/// Fields of one object. The largest frame of the protocol, reserved fields included, has half as many.
const FIELDS_MAX: usize = 32;
/// Bytes of a client's own words that are repeated in an error.
const ECHO_BYTES_MAX: usize = 64;
/// The name of a field that is repeated in an error as long as it can be a slip of one of ours.
const SLIP_BYTES_MAX: usize = 32;

/// Which fields an object may have beside the ones its feature lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A frame: `op` and `ref` too.
    Frame,
    /// Anything else.
    Plain,
}

/// The fields of an object, unread.
#[derive(Debug)]
pub(super) struct Object<'a> {
    shape: Shape,
    /// What stands before the names of its fields in an error: empty, or the object's own place and a dot.
    prefix: String,
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// The first thing that is wrong with the object as a whole.
    fault: Option<Rejection>,
    /// `ref` stands there more than once, so nobody knows which one is meant.
    ambiguous: bool,
}

impl<'a> Object<'a> {
    /// Takes a text apart. What is wrong with it waits in [`Object::check`].
    pub(super) fn read(text: &'a str, shape: Shape) -> Self {
        Self::read_at(text, shape, String::new())
    }

    fn read_at(text: &'a str, shape: Shape, prefix: String) -> Self {
        let mut object = Self { shape, prefix, fields: Vec::with_capacity(8), fault: None, ambiguous: false };
        let mut json = serde_json::Deserializer::from_str(text);
        let result = json.deserialize_map(Collect(&mut object)).and_then(|()| json.end());
        if let Err(error) = result {
            object.fault = Some(if error.is_data() {
                Rejection::new(RejectionKind::BadRequest, format!("must be a JSON object, is {}", kind(text)))
            } else {
                not_json(&error)
            });
        }
        object
    }

    fn put(&mut self, name: Cow<'a, str>, value: &'a RawValue) {
        let is_reference = self.shape == Shape::Frame && name == "ref";
        if self.fields.iter().any(|field| field.0 == name) {
            self.ambiguous |= is_reference;
            self.fault.get_or_insert_with(|| Rejection::field(echo(&self.prefix, &name), "is there twice"));
        } else if self.fields.len() >= FIELDS_MAX && !is_reference {
            let message = format!("is one field too many: at most {FIELDS_MAX}");
            self.fault.get_or_insert_with(|| Rejection::field(echo(&self.prefix, &name), message));
        } else {
            self.fields.push((name, value));
        }
    }

    /// Whether it is an object at all, and says everything once.
    pub(super) fn check(&self) -> Result<(), Rejection> {
        self.fault.clone().map_or(Ok(()), Err)
    }

    /// The number for the answer; found as long as `ref` can be read, whatever else is wrong.
    pub(super) fn reference(&self) -> Result<Option<u64>, Rejection> {
        match self.get("ref") {
            Some(value) if !self.ambiguous => value.integer(1, SAFE_INTEGER_MAX).map(Some),
            Some(_) | None => Ok(None),
        }
    }

    /// Refuses every field that is not listed: unknown ones, and those of features that are not served yet.
    pub(super) fn only(&self, what: &str, served: &[&str], reserved: &[&str]) -> Result<(), Rejection> {
        let envelope: &[&str] = if self.shape == Shape::Frame { &["op", "ref"] } else { &[] };
        for (name, _) in &self.fields {
            let name: &str = name;
            if served.contains(&name) || envelope.contains(&name) {
                continue;
            }
            let field = echo(&self.prefix, name);
            if reserved.contains(&name) {
                let message = "is reserved and not served yet";
                return Err(Rejection::new(RejectionKind::NotEnabled, message).at(field));
            }
            let hint = nearest(name, served.iter().chain(envelope));
            let message = match hint {
                Some(hint) => format!("is not a field of {what}; did you mean '{hint}'?"),
                None => format!("is not a field of {what}"),
            };
            return Err(Rejection::field(field, message));
        }
        Ok(())
    }

    pub(super) fn get(&self, name: &'static str) -> Option<Value<'a>> {
        let (_, raw) = self.fields.iter().find(|field| field.0 == name)?;
        Some(Value { raw: raw.get(), field: self.place(name) })
    }

    pub(super) fn required(&self, name: &'static str) -> Result<Value<'a>, Rejection> {
        self.get(name).ok_or_else(|| Rejection::field(self.place(name), "is missing"))
    }

    /// Reads a field that may be absent.
    pub(super) fn optional<T>(
        &self,
        name: &'static str,
        read: impl FnOnce(&Value<'a>) -> Result<T, Rejection>,
    ) -> Result<Option<T>, Rejection> {
        self.get(name).map(|value| read(&value)).transpose()
    }

    /// How a field of this object is called in an error.
    pub(super) fn place(&self, name: &'static str) -> Cow<'static, str> {
        if self.prefix.is_empty() { Cow::Borrowed(name) } else { Cow::Owned(format!("{}{name}", self.prefix)) }
    }
}

/// One value: valid JSON text without space around it.
#[derive(Debug)]
pub(super) struct Value<'a> {
    pub(super) raw: &'a str,
    pub(super) field: Cow<'static, str>,
}

impl<'a> Value<'a> {
    /// A refusal of this value.
    pub(super) fn refuse(&self, message: impl Into<Cow<'static, str>>) -> Rejection {
        Rejection::field(self.field.clone(), message)
    }

    fn mistyped(&self, wanted: &str) -> Rejection {
        self.refuse(format!("must be {wanted}, is {}", kind(self.raw)))
    }

    /// A string; lone surrogates are none.
    pub(super) fn text(&self) -> Result<Cow<'a, str>, Rejection> {
        let inner = self.raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let Some(inner) = inner else { return Err(self.mistyped("a string")) };
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Ok(Cow::Borrowed(inner));
        }
        let text: String = serde_json::from_str(self.raw).map_err(|_| self.refuse("holds half of a surrogate pair"))?;
        Ok(Cow::Owned(text))
    }

    /// A string that is not empty.
    pub(super) fn secret(&self) -> Result<String, Rejection> {
        let text = self.text()?;
        if text.is_empty() { Err(self.refuse(NameError::Empty.to_string())) } else { Ok(text.into_owned()) }
    }

    pub(super) fn name<T>(&self, parse: fn(&str) -> Result<T, NameError>) -> Result<T, Rejection> {
        parse(&self.text()?).map_err(|error| self.refuse(error.to_string()))
    }

    /// An integer, spelled with digits only: a fraction, an exponent or a sign would leave room for two readings.
    pub(super) fn integer(&self, min: u64, max: u64) -> Result<u64, Rejection> {
        let is_number = matches!(self.raw.as_bytes().first(), Some(b'-' | b'0'..=b'9'));
        if !is_number {
            return Err(self.mistyped(&format!("an integer from {min} to {max}")));
        }
        // Rust takes no more than digits for an integer without sign.
        let number = self.raw.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.refuse(format!("must be an integer from {min} to {max}")))
    }

    pub(super) fn boolean(&self) -> Result<bool, Rejection> {
        match self.raw {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.mistyped("true or false")),
        }
    }

    /// Whether it is an object, whatever is in it.
    pub(super) fn is_object(&self) -> Result<(), Rejection> {
        if self.raw.starts_with('{') { Ok(()) } else { Err(self.mistyped("an object")) }
    }

    pub(super) fn object(&self) -> Result<Object<'a>, Rejection> {
        self.is_object()?;
        let object = Object::read_at(self.raw, Shape::Plain, format!("{}.", self.field));
        object.check()?;
        Ok(object)
    }

    /// The values of a list; `None` if there are more than `max`.
    pub(super) fn list(&self, max: usize) -> Result<Option<Vec<Value<'a>>>, Rejection> {
        if !self.raw.starts_with('[') {
            return Err(self.mistyped("a list"));
        }
        let texts = list(self.raw, max)?;
        let place = |(index, raw)| Value { raw, field: Cow::Owned(format!("{}[{index}]", self.field)) };
        Ok(texts.map(|texts| texts.into_iter().enumerate().map(place).collect()))
    }

    /// The text of a metadata object, as it was written.
    pub(super) fn meta(&self) -> Result<&'a str, Rejection> {
        self.is_object()?;
        self.bounded(META_BYTES_MAX)?;
        Ok(self.raw)
    }

    /// Refuses a text above so many bytes, and one that nests too deep.
    pub(super) fn bounded(&self, bytes_max: usize) -> Result<(), Rejection> {
        if self.raw.len() > bytes_max {
            let message = format!("must be at most {bytes_max} bytes, is {}", self.raw.len());
            let rejection = Rejection::new(RejectionKind::TooLarge, message).limit(bytes_max as u64);
            return Err(rejection.at(self.field.clone()));
        }
        if scan::is_deep(self.raw) {
            return Err(self.refuse(format!("must nest at most {} levels", scan::DEPTH_MAX)));
        }
        Ok(())
    }
}

/// The texts of a list's elements; `None` if there are more than `max`.
pub(super) fn list(text: &str, max: usize) -> Result<Option<Vec<&str>>, Rejection> {
    let mut elements = Elements { max, over: false, texts: Vec::new() };
    let mut json = serde_json::Deserializer::from_str(text);
    match json.deserialize_seq(&mut elements).and_then(|()| json.end()) {
        Ok(()) => Ok(Some(elements.texts)),
        Err(_) if elements.over => Ok(None),
        Err(error) => Err(not_json(&error)),
    }
}

/// Says where a text stops being JSON. The text itself is not repeated.
pub(super) fn not_json(error: &serde_json::Error) -> Rejection {
    Rejection::new(RejectionKind::BadRequest, format!("is not JSON: {error}"))
}

fn kind(raw: &str) -> &'static str {
    match raw.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "a list",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// A client's own name of a field for an error, cut where it grows long.
fn echo(prefix: &str, name: &str) -> String {
    if name.len() <= ECHO_BYTES_MAX {
        return format!("{prefix}{name}");
    }
    let end = (0..=ECHO_BYTES_MAX).rev().find(|end| name.is_char_boundary(*end)).unwrap_or(0);
    format!("{prefix}{}…", &name[..end])
}

/// The one that was probably meant: equal but for case, or off by at most two letters and a third of its length.
pub(super) fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n &'n str>) -> Option<&'n str> {
    if name.len() > SLIP_BYTES_MAX {
        return None;
    }
    let slips = known.map(|known| (slips(name, known), *known));
    slips.filter(|(slips, known)| *slips <= 2 && 3 * *slips <= known.len()).min().map(|(_, known)| known)
}

/// Letters to add, drop or change, case aside.
fn slips(left: &str, right: &str) -> usize {
    let right = right.as_bytes();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, byte) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in right.iter().enumerate() {
            let changed = diagonal + usize::from(!byte.eq_ignore_ascii_case(other));
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Puts the fields of an object into it as they come.
struct Collect<'o, 'a>(&'o mut Object<'a>);

impl<'a> Visitor<'a> for Collect<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key::<Name<'a>>()? {
            self.0.put(name.0, map.next_value()?);
        }
        Ok(())
    }
}

struct Elements<'a> {
    max: usize,
    over: bool,
    texts: Vec<&'a str>,
}

impl<'a> Visitor<'a> for &mut Elements<'a> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(raw) = list.next_element::<&'a RawValue>()? {
            if self.texts.len() == self.max {
                self.over = true;
                return Err(A::Error::custom("too many"));
            }
            self.texts.push(raw.get());
        }
        Ok(())
    }
}
