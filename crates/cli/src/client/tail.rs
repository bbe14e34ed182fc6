//! `tail`: messages as they arrive, from the event stream with whole frames.
//!
//! - The first connection must succeed; from then on a lost one is made again, with the position of the old one.
//! - The server has the last word: a refusal, or the end of the session, ends the command.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io::Write;
use std::time::Duration;

use http_body_util::BodyExt;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{sleep, timeout};

use super::sse::{Event, Parser};
use super::{Client, query};
use crate::args::TailArgs;
use crate::failure::Failure;
use crate::output::{Palette, printable, time_of_day};

/// Silence after which a connection is dead, until the server says how often it sends something.
const SILENCE: Duration = Duration::from_secs(60);
/// How much later than promised a sign of life may come.
const SILENCE_GRACE: Duration = Duration::from_secs(10);
/// First and longest wait before a new attempt; doubled in between, and always a random part of it.
const WAIT: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(20));

/// The fields that are shown, of any frame. Unknown frames and fields are the future's business.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Frame<'a> {
    op: String,
    channel: Option<String>,
    offset: Option<u64>,
    time: Option<u64>,
    user_id: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    code: Option<Code>,
    message: Option<String>,
    reason: Option<String>,
    from: Option<u64>,
    to: Option<u64>,
    #[serde(default)]
    lost: bool,
    heartbeat_ms: Option<u64>,
    #[serde(default)]
    subscriptions: Vec<Subscription>,
}

/// A code is a word in `error` and a number in `goaway`.
struct Code(String);

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        Ok(Self(value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
    }
}

#[derive(Deserialize)]
struct Subscription {
    channel: Option<String>,
    error: Option<Refusal>,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
    message: String,
}

/// Why a stream ended.
enum End {
    /// As many messages as were asked for.
    Enough,
    /// The server said that this session is over.
    Stopped,
    /// Anything else; worth a new attempt.
    Lost(String),
}

struct Tail<'a, W: Write> {
    args: &'a TailArgs,
    palette: Palette,
    out: &'a mut W,
    left: Option<u64>,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    silence: Duration,
    /// This connection got its `connected` frame.
    connected: bool,
    /// Any connection did.
    ever_connected: bool,
}

/// Shows messages until there are enough, or the server ends it.
pub(crate) async fn run(args: &TailArgs, out: &mut impl Write) -> Result<(), Failure> {
    let client = Client::new(&args.server)?;
    let palette = Palette::for_stdout(args.color);
    let mut tail = Tail {
        args,
        palette,
        out,
        left: args.count,
        last_event_id: None,
        retry: None,
        silence: SILENCE,
        connected: false,
        ever_connected: false,
    };
    let mut attempts = 0;
    loop {
        tail.connected = false;
        let reason = match tail.follow(&client).await {
            Ok(End::Enough) => return Ok(()),
            Ok(End::Stopped) => return Err(Failure::failed("stopped", "the server ended this session for good")),
            Ok(End::Lost(reason)) => reason,
            // What the network or an overloaded server says after a first success is temporary.
            Err(failure) if tail.ever_connected && is_temporary(&failure) => failure.message,
            Err(failure) => return Err(failure),
        };
        attempts = if tail.connected { 0 } else { attempts + 1 };
        let wait = tail.retry.unwrap_or_default() + jittered(attempts);
        tail.note(&format!("{reason}; connecting again in {:.1} s", wait.as_secs_f64()));
        sleep(wait).await;
    }
}

fn is_temporary(failure: &Failure) -> bool {
    let code = failure.code.as_str();
    ["unreachable", "connection_lost", "overloaded", "unavailable", "rate_limited", "timeout", "unexpected_answer"]
        .contains(&code)
}

/// A random part of a wait that doubles with each attempt, so that many clients do not come back at once.
fn jittered(attempts: u32) -> Duration {
    let longest = WAIT.0.saturating_mul(1 << attempts.min(10)).min(WAIT.1);
    // Each `RandomState` is seeded anew: random enough to spread clients.
    let random = RandomState::new().hash_one(attempts) % 1_000;
    longest.mul_f64(random as f64 / 1_000.0)
}

impl<W: Write> Tail<'_, W> {
    /// One connection, from its beginning to its end.
    async fn follow(&mut self, client: &Client) -> Result<End, Failure> {
        let mut pairs = vec![("format", "frames")];
        pairs.extend(self.args.channels.iter().map(|channel| ("channel", channel.as_str())));
        pairs.extend(self.args.user.as_deref().map(|user| ("userId", user)));
        let path = format!("{}{}", self.args.path, query(&pairs));
        let Some(mut body) = client.open(&path, self.last_event_id.as_deref()).await? else {
            return Ok(End::Stopped);
        };
        let mut parser = Parser::default();
        loop {
            let frame = match timeout(self.silence, body.frame()).await {
                Err(_) => return Ok(End::Lost("the server is silent".to_owned())),
                Ok(None) => return Ok(End::Lost("the server closed the connection".to_owned())),
                Ok(Some(Err(error))) => return Ok(End::Lost(format!("the connection broke: {error}"))),
                Ok(Some(Ok(frame))) => frame,
            };
            let Ok(bytes) = frame.into_data() else { continue };
            let Ok(events) = parser.handle_bytes(&bytes) else {
                return Ok(End::Lost("the server sent an event of more than 8 MiB".to_owned()));
            };
            for event in events {
                if let Some(end) = self.handle_event(event, client)? {
                    return Ok(end);
                }
            }
            self.out.flush()?;
        }
    }

    fn handle_event(&mut self, event: Event, client: &Client) -> Result<Option<End>, Failure> {
        self.retry = event.retry_ms.map(Duration::from_millis).or(self.retry);
        self.last_event_id = event.last_event_id.or(self.last_event_id.take());
        let Ok(frame) = serde_json::from_str::<Frame<'_>>(&event.data) else {
            self.note("the server sent something that is not a frame");
            return Ok(None);
        };
        let shown = frame.op != "ping";
        if self.args.json && shown {
            writeln!(self.out, "{}", event.data.replace('\n', ""))?;
        }
        match frame.op.as_str() {
            "connected" => self.handle_connected(&frame, client)?,
            "message" => {
                if !self.args.json {
                    let line = self.message_line(&frame);
                    writeln!(self.out, "{line}")?;
                }
                self.left = self.left.map(|left| left.saturating_sub(1));
                if self.left == Some(0) {
                    self.out.flush()?;
                    return Ok(Some(End::Enough));
                }
            }
            "gap" => self.note(&gap_text(&frame)),
            "error" => self.note(&refusal_text(None, &frame)),
            "unsubscribed" => self.note(&refusal_text(Some("no longer subscribed"), &frame)),
            "goaway" => self.note(&format!("the server says goodbye ({})", code_of(&frame))),
            _ => {}
        }
        Ok(None)
    }

    fn handle_connected(&mut self, frame: &Frame<'_>, client: &Client) -> Result<(), Failure> {
        (self.connected, self.ever_connected) = (true, true);
        if let Some(ms) = frame.heartbeat_ms {
            self.silence = Duration::from_millis(ms) + SILENCE_GRACE;
        }
        let mut refused = 0;
        for (channel, refusal) in
            frame.subscriptions.iter().filter_map(|s| Some((s.channel.as_ref()?, s.error.as_ref()?)))
        {
            refused += 1;
            self.note(&format!("cannot subscribe to {channel}: {}: {}", refusal.code, refusal.message));
        }
        if refused > 0 && refused == self.args.channels.len() {
            return Err(Failure::failed("forbidden", "none of the channels can be subscribed"));
        }
        let who = frame.user_id.as_ref().map_or_else(|| "as nobody".to_owned(), |user| format!("as {user}"));
        let channels = if self.args.channels.is_empty() {
            "messages to everyone".to_owned()
        } else {
            self.args.channels.join(" ")
        };
        self.note(&format!("connected to {} {who}: {channels}", client.name()));
        Ok(())
    }

    /// `12:03:04.123  orders  #1042  order.created  ada  {"id":1}`
    fn message_line(&self, frame: &Frame<'_>) -> String {
        let palette = self.palette;
        let channel = printable(frame.channel.as_deref().unwrap_or("-"));
        let mut parts = vec![palette.dim(&time_of_day(frame.time.unwrap_or(0))), palette.named(&channel)];
        parts.extend(frame.offset.map(|offset| palette.dim(&format!("#{offset}"))));
        parts.push(palette.bold(&printable(frame.kind.as_deref().unwrap_or("-"))));
        parts.extend(frame.user_id.as_deref().map(printable));
        parts.push(printable(frame.data.map_or("", RawValue::get)));
        parts.join("  ")
    }

    /// Tells the person; programs read standard output.
    fn note(&self, text: &str) {
        if !self.args.json {
            let text = self.palette.warning(&format!("-- {}", printable(text)));
            // Nobody is left to be told that standard error is gone.
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }
}

fn code_of<'a>(frame: &'a Frame<'_>) -> &'a str {
    frame.code.as_ref().map_or("-", |code| &code.0)
}

fn gap_text(frame: &Frame<'_>) -> String {
    let channel = frame.channel.as_deref().unwrap_or("-");
    let what = if frame.lost { "messages are lost" } else { "messages are skipped" };
    let range = match (frame.from, frame.to) {
        (Some(from), Some(to)) => format!(" (#{from} to #{to})"),
        _ => String::new(),
    };
    format!("{channel}: {what}{range}: {}", frame.reason.as_deref().unwrap_or("no reason given"))
}

fn refusal_text(what: Option<&str>, frame: &Frame<'_>) -> String {
    let channel = frame.channel.as_deref().map(|channel| format!("{channel}: ")).unwrap_or_default();
    let message = frame.message.as_deref().map(|message| format!(": {message}")).unwrap_or_default();
    format!("{channel}{} {}{message}", what.unwrap_or("error"), code_of(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_bound_and_are_random_below_it() {
        for attempts in 0..40 {
            let longest = WAIT.0.saturating_mul(1 << attempts.min(10)).min(WAIT.1);
            let waits: Vec<_> = (0..50).map(|_| jittered(attempts)).collect();
            assert!(waits.iter().all(|wait| *wait <= longest), "{attempts}");
            assert!(waits.iter().any(|wait| *wait != waits[0]), "{attempts}");
        }
    }

    #[test]
    fn a_frame_may_have_fields_and_ops_that_are_unknown() {
        let text = r#"{"op":"message","channel":"a","type":"t","data":{"n":12345678901234567890},"extra":[1]}"#;
        let frame: Frame<'_> = serde_json::from_str(text).expect("a frame");
        assert_eq!(frame.data.map(RawValue::get), Some(r#"{"n":12345678901234567890}"#));
        let goaway: Frame<'_> = serde_json::from_str(r#"{"op":"goaway","code":4200}"#).expect("a frame");
        assert_eq!(code_of(&goaway), "4200");
    }
}
