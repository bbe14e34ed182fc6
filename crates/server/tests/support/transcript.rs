//! Transcripts: reads the lines of `protocol/transcripts/**.jsonl` and compares frames with them.
//!
//! - Pure: no socket and no file; whoever plays a transcript sends and receives.
//! - The language is described in `protocol/transcripts/README.md`.
//! - A transcript that uses a word it does not know, or a client it did not open, is refused when it is read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

/// How long a line may wait: transcripts are played many times.
const PASS_MS_MAX: u64 = 1_000;

/// One behaviour: what is shown, and the lines to play in order.
#[derive(Debug, PartialEq)]
pub(crate) struct Transcript {
    /// One sentence.
    pub(crate) about: String,
    /// Rules of PROTOCOL.md; never empty.
    pub(crate) rules: Vec<String>,
    /// `websocket` or `sse` when the behaviour exists on one of them only.
    pub(crate) only: Option<String>,
    /// The server has a store.
    pub(crate) store: bool,
    pub(crate) lines: Vec<Line>,
}

/// A step and where it stands.
#[derive(Debug, PartialEq)]
pub(crate) struct Line {
    /// From 1.
    pub(crate) number: usize,
    pub(crate) step: Step,
}

/// What one line asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Step {
    /// A new client; with `refused` its opening fails, and the error matches.
    Open { client: String, how: Opening, refused: Option<Value> },
    /// The client sends, `times` times.
    From { client: String, text: Outgoing, times: usize },
    /// The next frame of its lane matches, `times` times.
    To { client: String, frame: Value, times: usize },
    /// A request of the HTTP API, `times` times.
    Http { method: String, path: String, body: Option<Value>, status: u16, answer: Value, times: usize },
    /// Nothing has arrived that no line expected.
    Silent { client: String },
    /// The client goes away without a word of the protocol.
    Close { client: String },
    /// So many milliseconds pass.
    Pass { ms: u64 },
    /// The server has ended it: `goaway` with this code, and on WebSocket the number.
    Closed { client: String, code: u16 },
}

/// How a client connects.
#[derive(Debug, PartialEq)]
pub(crate) enum Opening {
    /// By itself, with these query values.
    Query(Vec<(String, String)>),
    /// With a `connect` frame of these fields.
    Connect(Map<String, Value>),
}

/// What a client sends.
#[derive(Debug, PartialEq)]
pub(crate) enum Outgoing {
    /// A frame, in which captures are filled in.
    Frame(Value),
    /// A text as it stands, for what is no good JSON.
    Raw(String),
}

/// Where a frame of the server is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Answers to frames; on SSE they come in the POST.
    Answers,
    /// Everything else; on SSE it comes in the stream.
    Stream,
}

impl Lane {
    /// The lane of a frame, expected or received: the same on both providers, so that one file fits both.
    pub(crate) fn of(frame: &Value) -> Self {
        let op = frame.get("op").and_then(Value::as_str);
        match op {
            Some("connected") => Self::Stream,
            Some("error") => Self::Answers,
            _ if frame.get("ref").is_some_and(|value| value != "<absent>") => Self::Answers,
            _ => Self::Stream,
        }
    }
}

impl Transcript {
    /// Reads a whole file.
    ///
    /// # Errors
    /// Names the line and what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let (_, head) = lines.next().ok_or("line 1: the file is empty")?;
        let mut transcript = parse_head(head).map_err(|error| format!("line 1: {error}"))?;
        let mut clients = Clients::default();
        for (number, line) in lines {
            let step = parse_step(line).and_then(|step| clients.check(step));
            let step = step.map_err(|error| format!("line {number}: {error}"))?;
            transcript.lines.push(Line { number, step });
        }
        if transcript.lines.is_empty() {
            return Err("line 1: nothing happens after it".to_owned());
        }
        Ok(transcript)
    }
}

/// The fields of a line; each is taken once, and none may be left.
struct Fields(Map<String, Value>);

impl Fields {
    fn parse(line: &str) -> Result<Self, String> {
        serde_json::from_str(line).map(Self).map_err(|error| format!("no JSON object: {error}"))
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }

    fn string(&mut self, name: &str) -> Result<String, String> {
        match self.take(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(format!("{name} must be a string")),
        }
    }

    fn object(&mut self, name: &str) -> Result<Value, String> {
        self.take(name).filter(Value::is_object).ok_or_else(|| format!("{name} must be an object"))
    }

    fn number(&mut self, name: &str, default: u64) -> Result<u64, String> {
        match self.take(name) {
            None => Ok(default),
            Some(value) => value.as_u64().filter(|n| *n > 0).ok_or_else(|| format!("{name} must be a number above 0")),
        }
    }

    fn times(&mut self) -> Result<usize, String> {
        usize::try_from(self.number("times", 1)?).map_err(|error| error.to_string())
    }

    fn code(&mut self, name: &str, default: u64) -> Result<u16, String> {
        u16::try_from(self.number(name, default)?).map_err(|_| format!("{name} is no status or close code"))
    }

    fn end<T>(self, value: T) -> Result<T, String> {
        match self.0.keys().next() {
            None => Ok(value),
            Some(name) => Err(format!("unknown field {name:?}")),
        }
    }
}

fn parse_head(line: &str) -> Result<Transcript, String> {
    let mut fields = Fields::parse(line)?;
    let about = fields.string("about")?;
    let rules = match fields.take("rules") {
        Some(Value::Array(rules)) if !rules.is_empty() => rules,
        _ => return Err("rules must be a list with at least one rule".to_owned()),
    };
    let rules = rules.iter().map(|rule| rule.as_str().map(str::to_owned).ok_or("a rule must be a string"));
    let rules = rules.collect::<Result<Vec<_>, _>>()?;
    let only = fields.take("only").map(|only| only.as_str().unwrap_or_default().to_owned());
    if only.as_deref().is_some_and(|only| !matches!(only, "websocket" | "sse")) {
        return Err("only must be websocket or sse".to_owned());
    }
    let store = match fields.take("store") {
        None => false,
        Some(Value::Bool(true)) => true,
        Some(_) => return Err("store must be true, or not there".to_owned()),
    };
    fields.end(Transcript { about, rules, only, store, lines: Vec::new() })
}

fn parse_step(line: &str) -> Result<Step, String> {
    let mut fields = Fields::parse(line)?;
    let kinds = ["open", "from", "to", "http", "silent", "pass", "close", "closed"];
    let kind = kinds.into_iter().find(|kind| fields.0.contains_key(*kind)).ok_or("no kind of line is known")?;
    if kind == "pass" {
        let ms = fields.number(kind, 0)?;
        if ms > PASS_MS_MAX {
            return Err(format!("pass must be at most {PASS_MS_MAX} milliseconds"));
        }
        return fields.end(Step::Pass { ms });
    }
    let name = fields.string(kind)?;
    let step = match kind {
        "open" => parse_open(&mut fields, name)?,
        "from" => parse_from(&mut fields, name)?,
        "to" => Step::To { client: name, frame: fields.object("frame")?, times: fields.times()? },
        "http" => parse_http(&mut fields, &name)?,
        "silent" => Step::Silent { client: name },
        "close" => Step::Close { client: name },
        _ => Step::Closed { client: name, code: fields.code("code", 0)? },
    };
    fields.end(step)
}

fn parse_open(fields: &mut Fields, client: String) -> Result<Step, String> {
    let how = match (fields.take("query"), fields.take("connect")) {
        (Some(Value::Object(query)), None) => Opening::Query(parse_query(query)?),
        (None, Some(Value::Object(connect))) => Opening::Connect(connect),
        _ => return Err("open needs query or connect, an object".to_owned()),
    };
    Ok(Step::Open { client, how, refused: fields.take("refused") })
}

fn parse_query(query: Map<String, Value>) -> Result<Vec<(String, String)>, String> {
    let mut pairs = Vec::new();
    for (name, value) in query {
        let values = if let Value::Array(values) = value { values } else { vec![value] };
        for value in values {
            let text = value.as_str().ok_or_else(|| format!("query {name}: values are strings"))?;
            pairs.push((name.clone(), text.to_owned()));
        }
    }
    Ok(pairs)
}

fn parse_from(fields: &mut Fields, client: String) -> Result<Step, String> {
    let text = match (fields.take("frame"), fields.take("raw")) {
        (Some(frame), None) => Outgoing::Frame(frame),
        (None, Some(Value::String(text))) => Outgoing::Raw(text),
        _ => return Err("from needs frame, or raw with a string".to_owned()),
    };
    let times = fields.times()?;
    if times > 1 && matches!(&text, Outgoing::Frame(frame) if frame.get("ref").is_some()) {
        return Err("a frame with times must not have a ref".to_owned());
    }
    Ok(Step::From { client, text, times })
}

fn parse_http(fields: &mut Fields, request: &str) -> Result<Step, String> {
    let (method, path) = request.split_once(' ').ok_or("http must be \"METHOD /path\"")?;
    if !method.bytes().all(|byte| byte.is_ascii_uppercase()) || !path.starts_with('/') {
        return Err("http must be \"METHOD /path\"".to_owned());
    }
    let answer = fields.take("answer").unwrap_or_else(|| Value::String("<any>".to_owned()));
    let status = fields.code("status", 200)?;
    let (method, path) = (method.to_owned(), path.to_owned());
    Ok(Step::Http { method, path, body: fields.take("body"), status, answer, times: fields.times()? })
}

/// Which clients are there while the lines are read.
#[derive(Default)]
struct Clients {
    open: BTreeSet<String>,
}

impl Clients {
    fn check(&mut self, step: Step) -> Result<Step, String> {
        match &step {
            Step::Open { client, refused, .. } => {
                if refused.is_none() && !self.open.insert(client.clone()) {
                    return Err(format!("{client} is open already"));
                }
            }
            Step::From { client, .. } | Step::To { client, .. } | Step::Silent { client } => {
                if !self.open.contains(client) {
                    return Err(format!("{client} is not open"));
                }
            }
            Step::Close { client } | Step::Closed { client, .. } => {
                if !self.open.remove(client) {
                    return Err(format!("{client} is not open"));
                }
            }
            Step::Http { .. } | Step::Pass { .. } => {}
        }
        Ok(step)
    }
}

/// Values remembered under names such as `$ada.connectionId`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Captures(BTreeMap<String, Value>);

impl Captures {
    /// Compares what was received with what a line expects, and remembers what it captures.
    ///
    /// # Errors
    /// Names the place that differs; then nothing is remembered.
    pub(crate) fn matches(&mut self, expected: &Value, actual: &Value) -> Result<(), String> {
        let mut captures = self.clone();
        captures.compare(expected, Some(actual), "frame")?;
        *self = captures;
        Ok(())
    }

    /// The value with captures filled in.
    ///
    /// # Errors
    /// Names a capture that has no value yet.
    pub(crate) fn fill(&self, value: &Value) -> Result<Value, String> {
        if let Value::String(text) = value
            && is_capture(text)
        {
            return self.0.get(text).cloned().ok_or_else(|| format!("{text} has no value yet"));
        }
        if let Value::Array(items) = value {
            return items.iter().map(|item| self.fill(item)).collect();
        }
        if let Value::Object(fields) = value {
            let filled = fields.iter().map(|(name, value)| Ok((name.clone(), self.fill(value)?)));
            return filled.collect::<Result<Map<_, _>, String>>().map(Value::Object);
        }
        Ok(value.clone())
    }

    /// A path or query value in which captures are filled in as text.
    ///
    /// # Errors
    /// Names a capture that has no value yet.
    pub(crate) fn fill_text(&self, text: &str) -> Result<String, String> {
        let mut filled = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            let word = |c: char| c == '.' || c.is_ascii_alphanumeric();
            let end = rest[at + 1..].find(|c| !word(c)).map_or(rest.len(), |offset| at + 1 + offset);
            filled.push_str(&rest[..at]);
            let name = &rest[at..end];
            match self.0.get(name) {
                Some(Value::String(value)) => filled.push_str(value),
                Some(value) => filled.push_str(&value.to_string()),
                None if is_capture(name) => return Err(format!("{name} has no value yet")),
                None => filled.push_str(name),
            }
            rest = &rest[end..];
        }
        filled.push_str(rest);
        Ok(filled)
    }

    fn compare(&mut self, expected: &Value, actual: Option<&Value>, place: &str) -> Result<(), String> {
        if expected == "<absent>" {
            return match actual {
                None => Ok(()),
                Some(value) => Err(format!("{place} must not be there and is {value}")),
            };
        }
        let Some(actual) = actual else { return Err(format!("{place} is missing, expected {expected}")) };
        if let Value::String(text) = expected {
            if text.starts_with('<') && text.ends_with('>') {
                return type_of(text, actual, place);
            }
            if is_capture(text) {
                return self.capture(text, actual, place);
            }
        }
        if let Value::Object(fields) = expected {
            if !actual.is_object() {
                return Err(format!("{place} is {actual}, expected an object"));
            }
            let mut fields = fields.iter();
            return fields
                .try_for_each(|(name, value)| self.compare(value, actual.get(name), &format!("{place}.{name}")));
        }
        if let Value::Array(items) = expected {
            return self.compare_lists(items, actual, place);
        }
        if expected == actual { Ok(()) } else { Err(format!("{place} is {actual}, expected {expected}")) }
    }

    fn compare_lists(&mut self, items: &[Value], actual: &Value, place: &str) -> Result<(), String> {
        let found = actual.as_array().ok_or_else(|| format!("{place} is {actual}, expected a list"))?;
        if found.len() != items.len() {
            return Err(format!("{place} has {} items, expected {}", found.len(), items.len()));
        }
        let mut pairs = items.iter().zip(found).enumerate();
        pairs.try_for_each(|(n, (item, value))| self.compare(item, Some(value), &format!("{place}[{n}]")))
    }

    fn capture(&mut self, name: &str, actual: &Value, place: &str) -> Result<(), String> {
        match self.0.get(name) {
            None => {
                self.0.insert(name.to_owned(), actual.clone());
                Ok(())
            }
            Some(first) if first == actual => Ok(()),
            Some(first) => Err(format!("{place} is {actual}, expected {name} = {first}")),
        }
    }
}

fn type_of(matcher: &str, actual: &Value, place: &str) -> Result<(), String> {
    let fits = match matcher {
        "<any>" => true,
        "<int>" => actual.is_u64(),
        "<string>" => actual.is_string(),
        _ => return Err(format!("{place}: {matcher} is no matcher")),
    };
    if fits { Ok(()) } else { Err(format!("{place} is {actual}, expected {matcher}")) }
}

/// `$word.word`; `$all` and `$user` are spellings of the protocol.
fn is_capture(text: &str) -> bool {
    let word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts: Vec<&str> = text.strip_prefix('$').unwrap_or_default().split('.').collect();
    parts.len() >= 2 && parts.into_iter().all(word)
}
