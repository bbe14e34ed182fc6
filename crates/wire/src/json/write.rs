//! Writes JSON: one object at a time, its fields in the order of the calls.

use std::borrow::Cow;

/// An object that is being written. [`Writer::end`] closes it.
pub(super) struct Writer<'a> {
    out: &'a mut Vec<u8>,
    is_empty: bool,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    /// A frame of the server.
    pub(super) fn frame(out: &'a mut Vec<u8>, op: &str, reference: Option<u64>) -> Self {
        let mut writer = Self::new(out);
        writer.text("op", op);
        writer.integer_if("ref", reference);
        writer
    }

    /// Writes the name of a field; its value is appended to what is returned.
    pub(super) fn field(&mut self, name: &'static str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        // Names are ours and need no escapes.
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text(&mut self, name: &'static str, value: &str) {
        string(self.field(name), value);
    }

    pub(super) fn text_if(&mut self, name: &'static str, value: Option<&str>) {
        if let Some(value) = value {
            self.text(name, value);
        }
    }

    pub(super) fn integer(&mut self, name: &'static str, value: u64) {
        serde_json::to_writer(self.field(name), &value).expect("a Vec takes every write");
    }

    pub(super) fn integer_if(&mut self, name: &'static str, value: Option<u64>) {
        if let Some(value) = value {
            self.integer(name, value);
        }
    }

    pub(super) fn boolean(&mut self, name: &'static str, value: bool) {
        self.raw(name, if value { b"true" } else { b"false" });
    }

    /// A value that is JSON already.
    pub(super) fn raw(&mut self, name: &'static str, json: &[u8]) {
        self.field(name).extend_from_slice(json);
    }

    pub(super) fn raw_if(&mut self, name: &'static str, json: Option<&[u8]>) {
        if let Some(json) = json {
            self.raw(name, json);
        }
    }

    /// A field that is an object.
    pub(super) fn object(&mut self, name: &'static str) -> Writer<'_> {
        Writer::new(self.field(name))
    }

    pub(super) fn end(self) {
        self.out.push(b'}');
    }
}

/// A string with the escapes it needs.
pub(super) fn string(out: &mut Vec<u8>, value: &str) {
    serde_json::to_writer(out, value).expect("a Vec takes every write");
}

/// A list; `write` appends each element.
pub(super) fn list<T>(out: &mut Vec<u8>, items: impl IntoIterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

/// Joins words for people: `'a', 'b' or 'c'`.
pub(super) fn alternatives(words: &[&str]) -> Cow<'static, str> {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => Cow::Owned(format!("{} or {last}", rest.join(", "))),
        _ => Cow::Owned(quoted.concat()),
    }
}
