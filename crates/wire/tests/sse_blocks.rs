//! Events as blocks of an event stream.

mod json_support;

use std::sync::Arc;

use bytes::Bytes;
use json_support::{channel, name, position};
use realtime_connector_core::event::{Event, Outcome};
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::EventType;
use realtime_connector_core::position::{Gap, GapReason};
use realtime_connector_core::rejection::Close;
use realtime_connector_core::time::UnixMs;
use realtime_connector_wire::encode;
use realtime_connector_wire::fuzzing::{PlainSecrets, SseEvent, message, sse_events};
use realtime_connector_wire::sse::write_data_lines;

fn event(event_type: &str, data: &str) -> Event {
    let event_type = EventType::parse(event_type).expect("a name");
    Event::Message(Arc::new(message(name("c"), event_type, Bytes::copy_from_slice(data.as_bytes()))))
}

#[track_caller]
fn check(event: &Event, data: &str, frames: &str) {
    for (dialect, expected) in [(Dialect::SseData, data), (Dialect::SseFrames, frames)] {
        let block = encode(event, dialect, &PlainSecrets);
        assert_eq!(std::str::from_utf8(&block).expect("UTF-8"), expected, "{dialect:?}");
    }
}

#[test]
fn messages() {
    let frame = |rest: &str| {
        format!("data: {{\"op\":\"message\",\"channel\":\"c\",\"id\":\"m1\",\"time\":1795478400000,{rest}\n\n")
    };
    check(
        &event("order.created", r#"{"id":1}"#),
        "event: order.created\ndata: {\"id\":1}\n\n",
        &frame(r#""type":"order.created","data":{"id":1}}"#),
    );
    check(&event("message", "1"), "data: 1\n\n", &frame(r#""type":"message","data":1}"#));
    check(&event("open", "1"), "event: $type:open\ndata: 1\n\n", &frame(r#""type":"open","data":1}"#));
    check(&event("error", "1"), "event: $type:error\ndata: 1\n\n", &frame(r#""type":"error","data":1}"#));
    check(&event("Open", "1"), "event: Open\ndata: 1\n\n", &frame(r#""type":"Open","data":1}"#));
    check(&event(" x: y", "\" z\""), "event:  x: y\ndata: \" z\"\n\n", &frame(r#""type":" x: y","data":" z"}"#));
}

#[test]
fn a_payload_of_several_lines() {
    check(
        &event("t", "[1,\r\n2,\r3,\n4]"),
        "event: t\ndata: [1,\ndata: 2,\ndata: 3,\ndata: 4]\n\n",
        "data: {\"op\":\"message\",\"channel\":\"c\",\"id\":\"m1\",\"time\":1795478400000,\"type\":\"t\",\"data\":[1,\ndata: 2,\ndata: 3,\ndata: 4]}\n\n",
    );
}

#[test]
fn every_other_frame_is_named_by_its_op_or_not_at_all() {
    let check = |event: &Event, op: &str, frame: &str| {
        check(event, &format!("event: ${op}\ndata: {frame}\n\n"), &format!("data: {frame}\n\n"));
    };
    check(&Event::Ping, "ping", r#"{"op":"ping"}"#);
    check(&Event::Pong { reference: None, time: UnixMs(5) }, "pong", r#"{"op":"pong","time":5}"#);
    check(&Event::Ok { reference: Some(1), outcome: Outcome::Done }, "ok", r#"{"op":"ok","ref":1}"#);
    let gap = Gap { range: Some((1, 2)), reason: GapReason::Window };
    check(
        &Event::Gap { channel: channel("c"), gap, position: position("e", 2) },
        "gap",
        r#"{"op":"gap","channel":"c","from":1,"to":2,"reason":"window","lost":true,"position":{"epoch":"e","offset":2}}"#,
    );
    let reason: Arc<str> = "a\r\n\ndata: b".into();
    check(
        &Event::Goaway { close: Close::Drain, reason: Some(reason) },
        "goaway",
        r#"{"op":"goaway","code":4200,"reason":"a\r\n\ndata: b","resume":true}"#,
    );
    check(
        &Event::Unsubscribed { reference: None, channel: channel("c") },
        "unsubscribed",
        r#"{"op":"unsubscribed","channel":"c"}"#,
    );
}

#[test]
fn a_heartbeat_is_a_comment() {
    check(&Event::Heartbeat, ":\n\n", ":\n\n");
    assert_eq!(sse_events(b":\n\n"), []);
}

#[test]
fn a_text_becomes_one_data_line_per_line() {
    let table = [
        ("", "data: \n"),
        ("a", "data: a\n"),
        (" a", "data:  a\n"),
        (": a", "data: : a\n"),
        ("a\nb", "data: a\ndata: b\n"),
        ("a\rb", "data: a\ndata: b\n"),
        ("a\r\nb", "data: a\ndata: b\n"),
        ("a\n\rb", "data: a\ndata: \ndata: b\n"),
        ("a\n", "data: a\ndata: \n"),
        ("a\r", "data: a\ndata: \n"),
        ("\r\n", "data: \ndata: \n"),
        ("a\n\nevent: admin\nid: 1", "data: a\ndata: \ndata: event: admin\ndata: id: 1\n"),
        ("a\u{2028}b\u{b}\u{85}c", "data: a\u{2028}b\u{b}\u{85}c\n"),
    ];
    for (text, expected) in table {
        let mut out = Vec::new();
        write_data_lines(&mut out, text.as_bytes());
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected, "{text:?}");
    }
}

/// What clients of event streams trip over, by hardening list: each arrives as one event with the same text.
#[test]
fn a_client_sees_the_text_of_the_publisher() {
    let large = "x".repeat(1 << 20);
    let table = [
        "",
        " leading space",
        "  two",
        ": colon",
        ":",
        "\u{feff}bom",
        "a\u{2028}b\u{2029}c",
        "\0",
        "a\nb",
        "\n",
        "a\n",
        "\n\nevent: admin\ndata: {}\n\n",
        "id: x\nretry: 1",
        "data: data: data",
        "\u{2028}",
        "\u{1f642}",
        &large,
    ];
    for text in table {
        let seen = sse_events(&encode(&event("t", text), Dialect::SseData, &PlainSecrets));
        assert_eq!(seen, [SseEvent { name: "t".to_owned(), data: text.to_owned(), id: None }]);
    }
    for (text, arrives) in [("a\rb", "a\nb"), ("a\r\nb", "a\nb"), ("a\r", "a\n"), ("\r\r\n", "\n\n")] {
        let seen = sse_events(&encode(&event("t", text), Dialect::SseData, &PlainSecrets));
        assert_eq!(seen[0].data, arrives);
    }
}

/// What delivery does: the last block of a write gives up its blank line for the connection's own id.
#[test]
fn a_block_takes_an_id_before_its_blank_line() {
    for dialect in [Dialect::SseData, Dialect::SseFrames] {
        let mut stream = encode(&event("t", "1"), dialect, &PlainSecrets).to_vec();
        let last = encode(&event("t", "[2,\n3]"), dialect, &PlainSecrets);
        assert!(last.ends_with(b"\n\n"));
        stream.extend_from_slice(&last[..last.len() - 1]);
        stream.extend_from_slice(b"id: AgF0\n\n");
        let ids: Vec<_> = sse_events(&stream).into_iter().map(|event| event.id).collect();
        assert_eq!(ids, [None, Some("AgF0".to_owned())]);
    }
}
