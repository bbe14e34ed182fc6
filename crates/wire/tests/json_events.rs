//! Events and the frames they become, and how codes, positions and ids are spelled.

mod json_support;

use std::sync::Arc;

use bytes::Bytes;
use json_support::{CONNECTION, channel, connection, name, position, user};
use realtime_connector_core::event::{Connected, Event, Outcome, Published, Subscribed};
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::{AppId, ChannelKey, ConnectionId, EventType, MessageId, MessageKey};
use realtime_connector_core::permissions::Grants;
use realtime_connector_core::position::{Gap, GapReason, Position};
use realtime_connector_core::record::Record;
use realtime_connector_core::rejection::{Close, Rejection, RejectionKind};
use realtime_connector_core::time::UnixMs;
use realtime_connector_wire::codes::CloseCode;
use realtime_connector_wire::fuzzing::{PlainSecrets, message};
use realtime_connector_wire::json::{
    self, close_code, code, connection_id_to_string, parse_connection_id, parse_position, position_to_string,
    problem_json, write_event,
};
use realtime_connector_wire::websocket::{Decoder, Limits, Message, Role};

#[track_caller]
fn check(event: &Event, expected: &str) {
    let mut out = b"before ".to_vec();
    write_event(&mut out, event, &PlainSecrets);
    assert_eq!(String::from_utf8(out).expect("UTF-8"), format!("before {expected}"));
}

fn record() -> Record {
    message(name("orders"), EventType::parse("order.created").expect("a name"), Bytes::from_static(b"{\"id\": 1}"))
}

fn subscribed(recovered: Option<bool>, grants: Grants) -> Subscribed {
    Subscribed { channel: channel("orders"), position: position("k3f9", 1_040), head: 1_042, recovered, grants }
}

#[test]
fn messages() {
    let plain =
        r#"{"op":"message","channel":"orders","id":"m1","time":1795478400000,"type":"order.created","data":{"id": 1}}"#;
    check(&Event::Message(Arc::new(record())), plain);
    let full = Record {
        offset: Some(9_007_199_254_740_991),
        user: Some(user("ada")),
        key: Some(MessageKey::parse("customer \"7\"").expect("a name")),
        meta: Some(Bytes::from_static(br#"{ "trace":"x" }"#)),
        exclude: Box::new([connection()]),
        ..record()
    };
    let expected = concat!(
        r#"{"op":"message","channel":"orders","offset":9007199254740991,"id":"m1","time":1795478400000,"userId":"ada","#,
        r#""type":"order.created","data":{"id": 1},"key":"customer \"7\"","meta":{ "trace":"x" }}"#
    );
    check(&Event::Message(Arc::new(full)), expected);
}

#[test]
fn channels_without_a_name_have_a_spelling() {
    let to = |channel| {
        Event::Message(Arc::new(Record { channel, offset: Some(1), data: Bytes::from_static(b"1"), ..record() }))
    };
    let expected = |channel: &str| {
        format!(
            r#"{{"op":"message","channel":"{channel}","offset":1,"id":"m1","time":1795478400000,"type":"order.created","data":1}}"#
        )
    };
    check(&to(ChannelKey::everyone(AppId(7))), &expected("$all"));
    check(&to(ChannelKey::user(AppId(7), user("ada"))), &expected("$user"));
    // Equal bytes for every user: nobody can tell from a frame whose it is.
    check(&to(ChannelKey::user(AppId(7), user("bob"))), &expected("$user"));
    check(&to(channel("caf\u{e9}\u{2028}\"\\/")), &expected("caf\u{e9}\u{2028}\\\"\\\\/"));
}

#[test]
fn connected() {
    let bare = Connected {
        reference: None,
        connection: connection(),
        user: None,
        resumed: false,
        expires_at: None,
        heartbeat_ms: 15_000,
        message_bytes: 65_536,
        channels: 256,
        stores: false,
        inbox: false,
        time: UnixMs(1_795_478_400_000),
        subscriptions: Vec::new(),
    };
    let head = |features: &str| {
        format!(r#""protocol":1,"features":{features},"connectionId":"{CONNECTION}","sessionToken":"s.{CONNECTION}","#)
    };
    let limits = r#""limits":{"messageBytes":65536,"channels":256},"time":1795478400000,"#;
    let body = format!(r#""resumed":false,"heartbeatMs":15000,{limits}"subscriptions":[]}}"#);
    let expected = format!(r#"{{"op":"connected",{}{body}"#, head(r#"["history","ttl","rewind_ms","consume"]"#));
    check(&Event::Connected(Box::new(bare.clone())), &expected);
    let refused = Rejection::new(RejectionKind::LimitExceeded, "a connection may subscribe to 1 channels");
    let full = Connected {
        reference: Some(1),
        user: Some(user("ada")),
        expires_at: Some(UnixMs(1_795_478_500_000)),
        stores: true,
        inbox: true,
        subscriptions: vec![
            Ok(subscribed(Some(true), Grants::ALL)),
            Ok(subscribed(None, Grants::LISTEN)),
            Err(refused.on(channel("news")).limit(1)),
        ],
        ..bare
    };
    let expected = format!(
        concat!(
            r#"{{"op":"connected","ref":1,{}"userId":"ada","resumed":false,"expiresAt":1795478500000,"heartbeatMs":15000,{}"#,
            r#""subscriptions":["#,
            r#"{{"channel":"orders","position":{{"epoch":"k3f9","offset":1040}},"head":1042,"recovered":true,"can":["subscribe","publish"]}},"#,
            r#"{{"channel":"orders","position":{{"epoch":"k3f9","offset":1040}},"head":1042,"can":["subscribe"]}},"#,
            r#"{{"channel":"news","error":{{"code":"limit_exceeded","message":"a connection may subscribe to 1 channels","retryable":false,"limit":1}}}}]}}"#
        ),
        head(r#"["history","ttl","rewind_ms","consume","stored","inbox"]"#),
        limits
    );
    check(&Event::Connected(Box::new(full)), &expected);
}

#[test]
fn answers() {
    check(&Event::Ok { reference: Some(8), outcome: Outcome::Done }, r#"{"op":"ok","ref":8}"#);
    check(&Event::Ok { reference: None, outcome: Outcome::Done }, r#"{"op":"ok"}"#);
    let published = |position, duplicate| {
        let id = MessageId::parse("o-1").expect("a name");
        let published = Published { id, position, duplicate, connections: 3, queued: false };
        Event::Ok { reference: Some(5), outcome: Outcome::Published(published) }
    };
    let at = || Some(position("k3f9", 1_043));
    let expected = r#"{"op":"ok","ref":5,"id":"o-1","position":{"epoch":"k3f9","offset":1043},"connections":3}"#;
    check(&published(at(), false), expected);
    let expected = r#"{"op":"ok","ref":5,"id":"o-1","position":{"epoch":"k3f9","offset":1043},"duplicate":true}"#;
    check(&published(at(), true), expected);
    check(&published(None, false), r#"{"op":"ok","ref":5,"id":"o-1","connections":3}"#);
    let event = |reference, recovered, grants| Event::Subscribed {
        reference,
        subscribed: Box::new(subscribed(recovered, grants)),
    };
    let expected = r#"{"op":"subscribed","ref":2,"channel":"orders","position":{"epoch":"k3f9","offset":1040},"head":1042,"recovered":false,"can":["subscribe","publish"]}"#;
    check(&event(Some(2), Some(false), Grants::ALL), expected);
    let expected =
        r#"{"op":"subscribed","channel":"orders","position":{"epoch":"k3f9","offset":1040},"head":1042,"can":[]}"#;
    check(&event(None, None, Grants::default()), expected);
    let unsubscribed = |reference| Event::Unsubscribed { reference, channel: channel("news") };
    check(&unsubscribed(Some(4)), r#"{"op":"unsubscribed","ref":4,"channel":"news"}"#);
    check(&unsubscribed(None), r#"{"op":"unsubscribed","channel":"news"}"#);
    check(&Event::Pong { reference: Some(9), time: UnixMs(7) }, r#"{"op":"pong","ref":9,"time":7}"#);
    check(&Event::Ping, r#"{"op":"ping"}"#);
    check(&Event::Heartbeat, "");
}

#[test]
fn errors() {
    let error = |reference, rejection| Event::Error { reference, rejection: Box::new(rejection) };
    let expected = r#"{"op":"error","ref":7,"code":"bad_request","message":"must not be empty","retryable":false,"field":"channel"}"#;
    check(&error(Some(7), Rejection::field("channel", "must not be empty")), expected);
    let full = Rejection::new(RejectionKind::RateLimited, "is \u{2028} odd").at("x\r\n\u{1}\"");
    let full = full.on(channel("a")).limit(3).retry_after_ms(250);
    let expected = concat!(
        r#"{"op":"error","code":"rate_limited","message":"is "#,
        "\u{2028}",
        r#" odd","retryable":true,"retryAfterMs":250,"field":"x\r\n\u0001\"","channel":"a","limit":3}"#
    );
    check(&error(None, full), expected);
}

#[test]
fn gaps() {
    let gap = |range, reason, position| Event::Gap { channel: channel("orders"), gap: Gap { range, reason }, position };
    let range = Some((1_044, 1_050));
    let at = || position("k3f9", 1_050);
    for (reason, word, lost) in [
        (GapReason::Window, "window", true),
        (GapReason::Slow, "slow", true),
        (GapReason::Excluded, "excluded", false),
        (GapReason::Expired, "expired", false),
    ] {
        let expected = format!(
            r#"{{"op":"gap","channel":"orders","from":1044,"to":1050,"reason":"{word}","lost":{lost},"position":{{"epoch":"k3f9","offset":1050}}}}"#
        );
        check(&gap(range, reason, at()), &expected);
    }
    let expected =
        r#"{"op":"gap","channel":"orders","reason":"epoch","lost":true,"position":{"epoch":"m07q","offset":0}}"#;
    check(&gap(None, GapReason::Epoch, position("m07q", 0)), expected);
}

#[test]
fn ends() {
    let table = [
        (Close::Normal, CloseCode::Normal, "normal", false),
        (Close::Stopped, CloseCode::Stopped, "stopped", false),
        (Close::Unauthenticated, CloseCode::Unauthenticated, "unauthenticated", false),
        (Close::ConnectDeadline, CloseCode::Unauthenticated, "unauthenticated", false),
        (Close::Blocked, CloseCode::Blocked, "blocked", false),
        (Close::ConnectionLimit, CloseCode::ConnectionLimit, "connection_limit", false),
        (Close::Protocol, CloseCode::Protocol, "protocol", false),
        (Close::Overloaded, CloseCode::Overloaded, "overloaded", true),
        (Close::Slow, CloseCode::Slow, "slow", true),
        (Close::Drain, CloseCode::Drain, "drain", true),
        (Close::Silent, CloseCode::Silent, "silent", true),
        (Close::TokenExpired, CloseCode::TokenExpired, "token_expired", true),
    ];
    for (close, expected, reason, resume) in table {
        assert_eq!(close_code(close), expected);
        let number = expected.number();
        let goaway = |reason| format!(r#"{{"op":"goaway","code":{number},"reason":"{reason}","resume":{resume}}}"#);
        check(&Event::Goaway { close, reason: None }, &goaway(reason));
        check(&Event::Goaway { close, reason: Some("see you".into()) }, &goaway("see you"));
    }
}

#[test]
fn every_kind_of_refusal_has_the_code_of_its_name() {
    let table = [
        (RejectionKind::BadRequest, "bad_request", 400),
        (RejectionKind::Unauthenticated, "unauthenticated", 401),
        (RejectionKind::Forbidden, "forbidden", 403),
        (RejectionKind::NotEnabled, "not_enabled", 403),
        (RejectionKind::LimitExceeded, "limit_exceeded", 403),
        (RejectionKind::NotFound, "not_found", 404),
        (RejectionKind::Conflict, "conflict", 409),
        (RejectionKind::TooLarge, "too_large", 413),
        (RejectionKind::RateLimited, "rate_limited", 429),
        (RejectionKind::Internal, "internal", 500),
        (RejectionKind::Overloaded, "overloaded", 503),
        (RejectionKind::Unavailable, "unavailable", 503),
        (RejectionKind::Timeout, "timeout", 504),
    ];
    for (kind, word, status) in table {
        assert_eq!(code(kind).as_str(), word);
        assert_eq!(problem_json(&Rejection::new(kind, "x")).0, status);
    }
}

#[test]
fn objects_of_the_http_api() {
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    let rejection = Rejection::field("type", "must not be empty");
    let (status, body) = problem_json(&rejection);
    let expected =
        r#"{"code":"bad_request","message":"must not be empty","status":400,"retryable":false,"field":"type"}"#;
    assert_eq!((status, text(body)), (400, expected.to_owned()));
    let full = Rejection::new(RejectionKind::Overloaded, "come back").on(channel("a")).limit(9).retry_after_ms(1_000);
    let expected = r#"{"code":"overloaded","message":"come back","status":503,"retryable":true,"retryAfterMs":1000,"channel":"a","limit":9}"#;
    assert_eq!(text(problem_json(&full).1), expected);
    let not_allowed = json::problem_json_as(405, &Rejection::new(RejectionKind::BadRequest, "use POST"));
    assert_eq!(text(not_allowed), r#"{"code":"bad_request","message":"use POST","status":405,"retryable":false}"#);
    let mut out = Vec::new();
    json::write_rejection(&mut out, &rejection);
    out.push(b' ');
    let id = MessageId::parse("m1").expect("a name");
    json::write_published(&mut out, &Published { id, position: None, duplicate: false, connections: 0, queued: true });
    out.push(b' ');
    json::write_subscribed_body(&mut out, &subscribed(None, Grants::LISTEN));
    let expected = concat!(
        r#"{"code":"bad_request","message":"must not be empty","retryable":false,"field":"type"} "#,
        r#"{"id":"m1","connections":0,"queued":true} "#,
        r#"{"channel":"orders","position":{"epoch":"k3f9","offset":1040},"head":1042,"can":["subscribe"]}"#
    );
    assert_eq!(text(out), expected);
}

#[test]
fn on_websocket_each_frame_is_one_text_message() {
    let limits = Limits { message_bytes_max: 1 << 20, frame_bytes_max: 1 << 20, fragments_max: 1 };
    // Lengths around each form of a frame's header, and escapes that make the frame longer than was guessed.
    for len in [0, 1, 20, 60, 400, 65_300, 65_400, 70_000] {
        let data = Bytes::from(format!("\"{}\"", "x".repeat(len)));
        let channel = channel(&"\"".repeat(255));
        let event = Event::Message(Arc::new(Record { channel, data, ..record() }));
        let mut expected = Vec::new();
        write_event(&mut expected, &event, &PlainSecrets);
        let mut bytes = realtime_connector_wire::encode(&event, Dialect::WebSocketJson, &PlainSecrets).to_vec();
        let mut decoder = Decoder::new(Role::Client);
        let mut input = &mut bytes[..];
        let decoded = decoder.decode(&mut input, &limits).expect("a good frame");
        assert_eq!(decoded, Some(Message::Text(std::str::from_utf8(&expected).expect("UTF-8"))));
        assert!(input.is_empty());
    }
    let ping = realtime_connector_wire::encode(&Event::Heartbeat, Dialect::WebSocketJson, &PlainSecrets);
    assert_eq!(Decoder::new(Role::Client).decode(&mut &mut ping.to_vec()[..], &limits), Ok(Some(Message::Ping(b""))));
}

#[test]
fn positions_in_urls() {
    let good = [("k3f9-1042", "k3f9", 1_042), ("A-0", "A", 0), ("0-9007199254740991", "0", 9_007_199_254_740_991)];
    for (text, epoch, offset) in good {
        assert_eq!(parse_position(text), Some(position(epoch, offset)), "{text}");
        assert_eq!(position_to_string(&position(epoch, offset)), text);
    }
    let long = format!("{}-1", "e".repeat(65));
    let bad = [
        "",
        "-",
        "k3f9",
        "k3f9-",
        "-1",
        "k3f9--1",
        "k3f9-01",
        "k3f9-00",
        "k3f9-+1",
        "k3f9- 1",
        "k3f9-1 ",
        "k3f9-1.0",
        "k3f9-1e3",
        "k3f9-9007199254740992",
        "k3f9-18446744073709551616",
        "k3-f9-1",
        "k3_f9-1",
        "é-1",
        "k3f9-١",
        &long,
        "k3f9-1042\r\nid: x",
        "k3f9\u{2010}1042",
    ];
    for text in bad {
        assert_eq!(parse_position(text), None::<Position>, "{text}");
    }
}

#[test]
fn connection_ids_have_one_spelling() {
    assert_eq!(connection_id_to_string(connection()), CONNECTION);
    assert_eq!(parse_connection_id(CONNECTION), Some(connection()));
    let zeros = "A".repeat(18);
    assert_eq!(parse_connection_id(&zeros).map(connection_id_to_string), Some(zeros));
    let bad = [
        "",
        "AAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAAA",
        "AAAAAAAAAAAAAAAAAB",
        "AAAAAAAAAAAAAAAAA=",
        "AAAAAAAAAAAAAAAA A",
        "AAAAAAAAAAAAAAAA+A",
        "AAAAAAAAAAAAAAAA/A",
        "AAAAAAAAAAAAAAAA\u{e9}",
        "../../../../etc/pw",
    ];
    for text in bad {
        assert_eq!(parse_connection_id(text), None::<ConnectionId>, "{text}");
    }
}
