//! Bodies of POST requests: frames of SSE clients, broadcasts, and the small requests of the HTTP API.

mod json_support;

use bytes::Bytes;
use json_support::{LIMITS, name, position, publish, short};
use realtime_connector_core::command::{Command, Listen, Publish, Subscribe, Target};
use realtime_connector_core::id::EventType;
use realtime_connector_core::position::Start;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_wire::json::{
    self, Broadcast, decode_body, decode_broadcast, decode_meta_body, decode_subscribe_body, decode_unsubscribe_body,
};

/// `ref` and outcome of each frame, in short.
fn frames(body: &str) -> (bool, Vec<(Option<u64>, String)>) {
    let body = decode_body(body.as_bytes(), &LIMITS).expect("a body");
    let outcome = |result: Result<Command, Rejection>| match result {
        Ok(command) => format!("{command:?}"),
        Err(rejection) => short(&rejection),
    };
    (body.array, body.frames.into_iter().map(|frame| (frame.reference, outcome(frame.result))).collect())
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>, expected: &str) -> Rejection {
    let rejection = decode_body(body.as_ref(), &LIMITS).expect_err("a refusal");
    assert_eq!(short(&rejection), expected);
    rejection
}

#[test]
fn one_frame_or_a_list() {
    let ping = |reference| (reference, "Ping".to_owned());
    assert_eq!(frames(r#"{"op":"ping","ref":1}"#), (false, vec![ping(Some(1))]));
    assert_eq!(frames(" \n[ {\"op\":\"ping\"} ]\n"), (true, vec![ping(None)]));
    let mixed = r#"[{"op":"ping","ref":1},{"op":"nope","ref":2},3,{"op":"ping","ref":3}]"#;
    let expected = vec![
        ping(Some(1)),
        (Some(2), "bad_request op: is not an op of this protocol".to_owned()),
        (None, "bad_request -: must be a JSON object, is a number".to_owned()),
        ping(Some(3)),
    ];
    assert_eq!(frames(mixed), (true, expected));
    // A single frame that is wrong is still a frame: its answer has its number.
    let expected = (Some(4), "bad_request x: is not a field of ping".to_owned());
    assert_eq!(frames(r#"{"op":"ping","x":1,"ref":4}"#), (false, vec![expected]));
}

#[test]
fn a_list_has_1_to_64_frames() {
    let list = |count: usize| format!("[{}]", vec![r#"{"op":"ping"}"#; count].join(","));
    assert_eq!(frames(&list(64)).1.len(), 64);
    let many = refused(list(65), "too_large -: a body must be at most 64 frames");
    assert_eq!(many.limit, Some(64));
    refused(list(100_000), "too_large -: a body must be at most 64 frames");
    refused("[]", "bad_request -: a body must be at least one frame");
}

#[test]
fn a_body_that_is_no_list_of_values_is_refused_as_a_whole() {
    refused(r#"[{"op":"ping"}"#, "bad_request -: is not JSON: EOF while parsing a list at line 1 column 14");
    refused(r#"[{"op":"ping"},]"#, "bad_request -: is not JSON: trailing comma at line 1 column 16");
    refused(r#"[{"op":"ping"}] 1"#, "bad_request -: is not JSON: trailing characters at line 1 column 17");
    refused("[".repeat(100_000), "bad_request -: is not JSON: EOF while parsing a list at line 1 column 100000");
    refused(b"{\"op\":\"\xff\"}", "bad_request -: a body must be UTF-8");
}

#[test]
fn sizes_of_frames_and_bodies() {
    let padded = |bytes: usize| format!(r#"{{"op":"ping"{}}}"#, " ".repeat(bytes - 13));
    assert_eq!(padded(81_920).len(), 81_920);
    assert_eq!(frames(&padded(81_920)).1, [(None, "Ping".to_owned())]);
    let large = "too_large -: a frame must be at most 81920 bytes, is 81921";
    assert_eq!(frames(&padded(81_921)), (false, vec![(None, large.to_owned())]));
    // Its number is found wherever it can be read.
    let numbered = format!(r#"{{"op":"publish","data":"{}","ref":7}}"#, "x".repeat(81_887));
    assert_eq!(frames(&numbered), (false, vec![(Some(7), large.to_owned())]));
    assert_eq!(frames(&format!("[{numbered}]")), (true, vec![(Some(7), large.to_owned())]));
    // In a list it concerns that frame only, and the list may be longer than a frame.
    let list = format!("[{},{},{}]", padded(81_920), padded(81_921), padded(81_920));
    let expected = [(None, "Ping".to_owned()), (None, large.to_owned()), (None, "Ping".to_owned())];
    assert_eq!(frames(&list).1, expected);
    let bytes = 8 * 1024 * 1024;
    assert_eq!(frames(&format!("[{}{{\"op\":\"ping\"}}]", " ".repeat(bytes - 15))).1.len(), 1);
    let huge = refused(" ".repeat(bytes + 1), "too_large -: a body must be at most 8388608 bytes, is 8388609");
    assert_eq!(huge.limit, Some(8_388_608));
}

#[track_caller]
fn broadcast_refused(body: &str, expected: &str) -> Rejection {
    let rejection = decode_broadcast(body.as_bytes(), &LIMITS).expect_err("a refusal");
    assert_eq!(short(&rejection), expected, "{body}");
    rejection
}

#[test]
fn broadcast_of_one_message() {
    let expected = Publish {
        target: Target::Channel(name("orders")),
        event_type: EventType::parse("order.created").expect("a name"),
        data: Bytes::from_static(br#"{"id": 1}"#),
        ..publish()
    };
    let body = br#"{"type":"order.created","data":{"id": 1},"channel":"orders"}"#;
    assert_eq!(decode_broadcast(body, &LIMITS), Ok(Broadcast::One(Box::new(expected))));
    broadcast_refused("{}", "bad_request type: is missing");
    broadcast_refused("[]", "bad_request -: must be a JSON object, is a list");
    broadcast_refused("{", "bad_request -: is not JSON: EOF while parsing an object at line 1 column 1");
    broadcast_refused(r#"{"type":"t","op":"publish"}"#, "bad_request op: is not a field of a broadcast");
    broadcast_refused(r#"{"type":"t","ref":1}"#, "bad_request ref: is not a field of a broadcast");
    broadcast_refused(r#"{"type":"t","type":"t"}"#, "bad_request type: is there twice");
    broadcast_refused(r#"{"type":"t","encoding":"base64"}"#, "not_enabled encoding: is reserved and not served yet");
    broadcast_refused(r#"{"type":"t","mesages":[]}"#, "bad_request mesages: is not a field of a broadcast");
    let spaces = " ".repeat(81_920);
    broadcast_refused(
        &format!(r#"{{"type":"t"{spaces}}}"#),
        "too_large -: a frame must be at most 81920 bytes, is 81932",
    );
    assert!(decode_broadcast(b"{\"type\":\"\xff\"}", &LIMITS).is_err());
}

/// The outcome of each message, in short.
fn messages(list: &str) -> Vec<String> {
    let body = format!(r#"{{"messages":[{list}]}}"#);
    match decode_broadcast(body.as_bytes(), &LIMITS).expect("a broadcast") {
        Broadcast::One(_) => panic!("a list"),
        Broadcast::Many(messages) => messages
            .into_iter()
            .map(|message| match message {
                Ok(publish) => publish.event_type.as_str().to_owned(),
                Err(rejection) => short(&rejection),
            })
            .collect(),
    }
}

#[test]
fn broadcast_of_several_messages() {
    assert_eq!(messages(""), [""; 0]);
    let spaces = " ".repeat(81_921);
    let list = format!(
        r#"{{"type":"a"}},{{"type":""}},7,{{"type":"b","op":"publish"}},{{"type":"c"{spaces}}},{{"type":"d","data":{}1{}}},{{"type":"e"}}"#,
        "[".repeat(129),
        "]".repeat(129)
    );
    let expected = [
        "a",
        "bad_request type: must not be empty",
        "bad_request -: must be a JSON object, is a number",
        "bad_request op: is not a field of a message",
        "too_large -: a frame must be at most 81920 bytes, is 81933",
        "bad_request data: must nest at most 128 levels",
        "e",
    ];
    assert_eq!(messages(&list), expected);
    assert_eq!(messages(&vec![r#"{"type":"t"}"#; 100].join(",")).len(), 100);
    let many = format!(r#"{{"messages":[{}]}}"#, vec![r#"{"type":"t"}"#; 101].join(","));
    let rejection = broadcast_refused(&many, "too_large messages: must be at most 100 messages");
    assert_eq!((rejection.kind, rejection.limit), (RejectionKind::TooLarge, Some(100)));
    broadcast_refused(r#"{"messages":{}}"#, "bad_request messages: must be a list, is an object");
    broadcast_refused(r#"{"messages":[],"type":"t"}"#, "bad_request type: is not a field of a broadcast of 'messages'");
}

#[test]
fn requests_about_a_connection() {
    let since = Start::Since(position("k3f9", 5));
    let subscribe = Subscribe { listen: Listen::Named(name("news")), start: since };
    let body = br#"{"channel":"news","since":{"epoch":"k3f9","offset":5}}"#;
    assert_eq!(decode_subscribe_body(body), Ok(subscribe));
    assert_eq!(decode_unsubscribe_body(br#"{"channel":"news"}"#), Ok(name("news")));
    assert_eq!(decode_meta_body(br#" {"meta": {"plan":"pro"}} "#), Ok(Bytes::from_static(br#"{"plan":"pro"}"#)));
    let table = [
        (decode_subscribe_body(b"{}").err(), "bad_request channel: is missing"),
        (
            decode_subscribe_body(br#"{"channel":"$all"}"#).err(),
            "bad_request channel: must not begin with '$', which is reserved",
        ),
        (
            decode_subscribe_body(br#"{"channel":"a","op":"subscribe"}"#).err(),
            "bad_request op: is not a field of this request",
        ),
        (decode_unsubscribe_body(b"[]").err(), "bad_request -: must be a JSON object, is a list"),
        (decode_unsubscribe_body(b"\xff").err(), "bad_request -: a body must be UTF-8"),
        (
            decode_unsubscribe_body(br#"{"channel":"a","since":1}"#).err(),
            "bad_request since: is not a field of this request",
        ),
        (decode_meta_body(br#"{"meta":[]}"#).err(), "bad_request meta: must be an object, is a list"),
        (decode_meta_body(b"{}").err(), "bad_request meta: is missing"),
    ];
    for (rejection, expected) in table {
        assert_eq!(short(&rejection.expect(expected)), expected);
    }
}

#[test]
fn the_bounds_are_those_of_the_protocol() {
    let bounds = (json::BODY_FRAMES_MAX, json::BROADCAST_MESSAGES_MAX, json::BODY_BYTES_MAX, LIMITS.frame_bytes());
    assert_eq!(bounds, (64, 100, 8 * 1024 * 1024, 81_920));
}
