//! Server-Sent Events: events as blocks of lines.
//!
//! - A block is `event:` and `data:` lines and a blank line, the same bytes for every receiver. Its last field is a `data:` line,
//!   so a connection can put its own `id:` line before the blank one.
//! - A text becomes one `data:` line for each of its lines; CR, LF and CRLF all end a line and arrive as LF. In JSON they can
//!   only stand between tokens, so what is lost is how a publisher broke its lines.
//! - Nothing in a name can begin a field: names hold no control characters.
//! - In the data dialect a message is `event: <type>` with its payload alone; the type `message` has no `event:` line, and the
//!   types `open` and `error` are spelled `$type:open` and `$type:error`, because a page's own handlers listen to these names.
//!   Every other frame is `event: $<op>` and the frame. In the frames dialect every frame is whole and has no `event:` line.

use bytes::Bytes;
use realtime_connector_core::event::Event;
use realtime_connector_core::record::Record;

use crate::json::{self, Secrets};

/// A sign of life: a comment, which no client sees as an event.
pub const HEARTBEAT: &[u8] = b":\n\n";

const DATA: &[u8] = b"data: ";
/// `event: `, `data: ` and line ends.
const BLOCK_BYTES: usize = 32;

/// The block of an event in the data dialect.
pub(crate) fn encode_data(event: &Event, secrets: &dyn Secrets) -> Bytes {
    block(event, |out, op| match event {
        Event::Message(record) => write_message(out, record),
        Event::Connected(_)
        | Event::Ok { .. }
        | Event::Error { .. }
        | Event::Subscribed { .. }
        | Event::Unsubscribed { .. }
        | Event::Gap { .. }
        | Event::Delivery(_)
        | Event::Consumer(_)
        | Event::Ping
        | Event::Heartbeat
        | Event::Probe(_)
        | Event::Inbox { .. }
        | Event::Pong { .. }
        | Event::Goaway { .. } => {
            write_name(out, &["$", op]);
            write_frame(out, event, secrets);
        }
    })
}

/// The block of an event in the frames dialect.
pub(crate) fn encode_frames(event: &Event, secrets: &dyn Secrets) -> Bytes {
    block(event, |out, _| write_frame(out, event, secrets))
}

fn block(event: &Event, write: impl FnOnce(&mut Vec<u8>, &str)) -> Bytes {
    let Some(op) = json::op(event) else { return Bytes::from_static(HEARTBEAT) };
    let mut out = Vec::with_capacity(BLOCK_BYTES + json::event_bytes(event));
    write(&mut out, op);
    out.push(b'\n');
    Bytes::from(out)
}

fn write_message(out: &mut Vec<u8>, record: &Record) {
    match record.event_type.as_str() {
        "message" => {}
        name @ ("open" | "error") => write_name(out, &["$type:", name]),
        name => write_name(out, &[name]),
    }
    write_data_lines(out, &record.data);
}

fn write_name(out: &mut Vec<u8>, parts: &[&str]) {
    out.extend_from_slice(b"event: ");
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.push(b'\n');
}

/// Writes the frame where its line will stand. Only payloads can hold line breaks, and most have none.
fn write_frame(out: &mut Vec<u8>, event: &Event, secrets: &dyn Secrets) {
    let start = out.len();
    out.extend_from_slice(DATA);
    json::write_event(out, event, secrets);
    let frame_at = start + DATA.len();
    if memchr::memchr2(b'\r', b'\n', &out[frame_at..]).is_none() {
        out.push(b'\n');
        return;
    }
    let frame = out.split_off(frame_at);
    out.truncate(start);
    write_data_lines(out, &frame);
}

/// Writes a text as `data:` lines, one for each of its lines. An empty text is one empty line.
pub fn write_data_lines(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        out.extend_from_slice(DATA);
        let Some(end) = memchr::memchr2(b'\r', b'\n', rest) else {
            out.extend_from_slice(rest);
            out.push(b'\n');
            return;
        };
        out.extend_from_slice(&rest[..end]);
        out.push(b'\n');
        let is_pair = rest[end..].starts_with(b"\r\n");
        rest = &rest[end + 1 + usize::from(is_pair)..];
    }
}
