//! The inbox: its op, its event, its pages, its bodies, and the Ping that asks for proof.

mod json_support;

use std::sync::Arc;

use json_support::{LIMITS, position, short, user};
use realtime_connector_core::acks::Which;
use realtime_connector_core::command::Command;
use realtime_connector_core::event::{Event, Outcome};
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::history::{Direction, HistoryPage, Rest};
use realtime_connector_core::id::ConnectionId;
use realtime_connector_core::inbox::{InboxCommand, Mode};
use realtime_connector_core::position::Epoch;
use realtime_connector_wire::json::{
    AckBody, InboxAck, Secrets, decode, decode_ack_body, parse_inbox_cursor, write_event, write_inbox,
};
use realtime_connector_wire::websocket::{Decoder, Limits, Message, Role};
use realtime_connector_wire::{encode, probed};

struct NoSecrets;

impl Secrets for NoSecrets {
    fn session_token(&self, _: ConnectionId) -> String {
        String::new()
    }
}

fn rest() -> Rest {
    let epoch = Epoch::parse("k3f9").expect("an epoch");
    Rest { epoch, after: 10, until: 42, direction: Direction::Forward }
}

#[track_caller]
fn command(fields: &str, expected: InboxCommand) {
    let text = format!(r#"{{"op":"inbox",{fields}}}"#);
    assert_eq!(decode(&text, &LIMITS).result, Ok(Command::Inbox(expected)), "{text}");
}

#[track_caller]
fn refused(fields: &str, expected: &str) {
    let text = format!(r#"{{"op":"inbox"{fields}}}"#);
    assert_eq!(short(&decode(&text, &LIMITS).result.expect_err(&text)), expected, "{text}");
}

#[test]
fn the_op_lists_and_clears() {
    command(r#""action":"list""#, InboxCommand::List { limit: 100, rest: None });
    let listed = InboxCommand::List { limit: 2, rest: Some(rest()) };
    command(r#""action":"list","limit":2,"cursor":"f.k3f9.10.42""#, listed);
    command(r#""action":"clear""#, InboxCommand::Clear);
    refused("", "bad_request action: is missing");
    refused(r#","action":"drop""#, "bad_request action: must be 'list' or 'clear'");
    refused(r#","action":"clear","limit":1"#, "bad_request limit: means nothing with 'clear'");
    refused(r#","action":"list","limit":0"#, "bad_request limit: must be an integer from 1 to 1000");
    refused(r#","action":"list","cursor":"x""#, "bad_request cursor: is no cursor of an earlier answer");
    assert_eq!(parse_inbox_cursor("f.k3f9.10.42"), Ok(rest()));
}

#[test]
fn connect_says_how_messages_are_acked() {
    for (fields, mode) in [("", Mode::Auto), (r#","inbox":"auto""#, Mode::Auto), (r#","inbox":"manual""#, Mode::Manual)]
    {
        let text = format!(r#"{{"op":"connect"{fields}}}"#);
        let Ok(Command::Connect(connect)) = decode(&text, &LIMITS).result else { panic!("{text}") };
        assert_eq!(connect.inbox, mode, "{text}");
    }
}

#[test]
fn the_event_says_only_what_there_is_to_say() {
    for (cancelled, dropped, expected) in [
        (vec![], 0, r#"{"op":"inbox","pending":3}"#),
        (vec![4, 6], 0, r#"{"op":"inbox","pending":3,"cancelled":[4,6]}"#),
        (vec![], 2, r#"{"op":"inbox","pending":3,"dropped":2}"#),
    ] {
        let mut out = Vec::new();
        write_event(&mut out, &Event::Inbox { pending: 3, cancelled: Arc::from(cancelled), dropped }, &NoSecrets);
        assert_eq!(String::from_utf8(out).expect("text"), expected);
    }
}

#[test]
fn a_page_says_how_many_wait_in_all() {
    let page = HistoryPage {
        records: Vec::new(),
        position: position("k3f9", 10),
        next: Some(rest()),
        gap: None,
        pending: Some(32),
    };
    let body = r#""messages":[],"pending":32,"epoch":"k3f9","next":"f.k3f9.10.42"}"#;
    let mut out = Vec::new();
    write_inbox(&mut out, &page);
    assert_eq!(String::from_utf8(std::mem::take(&mut out)).expect("text"), format!("{{{body}"));
    write_event(&mut out, &Event::Ok { reference: Some(4), outcome: Outcome::Inbox(Box::new(page)) }, &NoSecrets);
    assert_eq!(String::from_utf8(out).expect("text"), format!(r#"{{"op":"ok","ref":4,{body}"#));
}

#[test]
fn a_service_acks_for_a_user() {
    let ack = |epoch, which| Ok(AckBody::Inbox(InboxAck { user: user("ada"), epoch, which }));
    let epoch = Epoch::parse("k3f9");
    let body = |fields: &str| decode_ack_body(format!(r#"{{"consumer":"$inbox"{fields}}}"#).as_bytes());
    assert_eq!(body(r#","userId":"ada","offsets":[3,1]"#), ack(None, Which::Offsets(vec![3, 1])));
    assert_eq!(body(r#","userId":"ada","upTo":7,"epoch":"k3f9""#), ack(epoch, Which::UpTo(7)));
    let refused = |fields| short(&body(fields).expect_err(fields));
    assert_eq!(refused(""), "bad_request userId: is missing");
    assert_eq!(refused(r#","userId":"ada""#), "bad_request offsets: is missing, and so is 'upTo'");
    assert!(refused(r#","userId":"ada","upTo":1,"channel":"x""#).starts_with("bad_request channel:"));
    let other = decode_ack_body(br#"{"consumer":"billing","userId":"ada","upTo":1}"#);
    assert_eq!(short(&other.expect_err("no inbox")), "bad_request userId: is not a field of ack");
}

#[test]
fn the_pong_to_a_ping_that_asks_for_proof_brings_its_offset_back() {
    let limits = Limits { message_bytes_max: 1 << 20, frame_bytes_max: 1 << 20, fragments_max: 1 };
    let offset = 9_007_199_254_740_991;
    let mut bytes = encode(&Event::Probe(offset), Dialect::WebSocketJson, &NoSecrets).to_vec();
    let mut decoder = Decoder::new(Role::Client);
    let Ok(Some(Message::Ping(payload))) = decoder.decode(&mut &mut bytes[..], &limits) else { panic!("it is a Ping") };
    assert_eq!(probed(payload), Some(offset));
    assert_eq!((probed(b""), probed(b"1234567"), probed(b"123456789")), (None, None, None));
}
