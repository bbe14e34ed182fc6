//! Bad frames: code, field and message of the refusal, and the `ref` that is saved for it.

mod json_support;

use json_support::{LIMITS, short};
use realtime_connector_core::rejection::RejectionKind;
use realtime_connector_wire::json::decode;

#[track_caller]
fn check(text: &str, expected: &str) {
    match decode(text, &LIMITS).result {
        Ok(command) => panic!("{text} became {command:?}"),
        Err(rejection) => assert_eq!(short(&rejection), expected, "{text}"),
    }
}

/// Checks a `publish` with these fields.
#[track_caller]
fn publish(fields: &str, expected: &str) {
    check(&format!(r#"{{"op":"publish","type":"t",{fields}}}"#), expected);
}

#[track_caller]
fn subscribe(fields: &str, expected: &str) {
    check(&format!(r#"{{"op":"subscribe",{fields}}}"#), expected);
}

#[track_caller]
fn connect(fields: &str, expected: &str) {
    check(&format!(r#"{{"op":"connect",{fields}}}"#), expected);
}

#[test]
fn what_is_no_frame() {
    check("", "bad_request -: is not JSON: EOF while parsing a value at line 1 column 0");
    check("hello", "bad_request -: is not JSON: expected value at line 1 column 1");
    check("null", "bad_request -: must be a JSON object, is null");
    check(" 17", "bad_request -: must be a JSON object, is a number");
    check("\"op\"", "bad_request -: must be a JSON object, is a string");
    check("true", "bad_request -: must be a JSON object, is a boolean");
    check("[{}]", "bad_request -: must be a JSON object, is a list");
    check("{\"op\":\"ping\"", "bad_request -: is not JSON: EOF while parsing an object at line 1 column 12");
    check("{\"op\":\"ping\",}", "bad_request -: is not JSON: trailing comma at line 1 column 14");
    check("{\"op\":\"ping\"} {}", "bad_request -: is not JSON: trailing characters at line 1 column 15");
    check("{'op':'ping'}", "bad_request -: is not JSON: key must be a string at line 1 column 2");
    check("{\"op\":NaN}", "bad_request -: is not JSON: expected value at line 1 column 7");
    check("{\"op\":01}", "bad_request -: is not JSON: invalid number at line 1 column 8");
    check("\u{feff}{}", "bad_request -: is not JSON: expected value at line 1 column 1");
    check(
        "{\"op\":\"a\nb\"}",
        concat!(
            "bad_request -: is not JSON: ",
            "control character (\\u0000-\\u001F) found while parsing a string at line 1 column 8"
        ),
    );
    check("{\"\\ud800\":1}", "bad_request -: is not JSON: unexpected end of hex escape at line 1 column 9");
}

#[test]
fn ops() {
    check("{}", "bad_request op: is missing");
    check(r#"{"op":1}"#, "bad_request op: must be a string, is a number");
    check(r#"{"op":null}"#, "bad_request op: must be a string, is null");
    check(r#"{"op":""}"#, "bad_request op: is not an op of this protocol");
    check(r#"{"op":"delete"}"#, "bad_request op: is not an op of this protocol");
    check(r#"{"op":"Publish"}"#, "bad_request op: is not an op of this protocol; did you mean 'publish'?");
    check(r#"{"op":"subscrbe"}"#, "bad_request op: is not an op of this protocol; did you mean 'subscribe'?");
    check(r#"{"op":"message"}"#, "bad_request op: is not an op of this protocol");
    for op in ["auth", "presence", "typing", "receipts", "watch", "status"] {
        let expected = format!("not_enabled op: '{op}' is reserved and not served yet");
        check(&format!(r#"{{"op":"{op}","whatever":1}}"#), &expected);
    }
}

#[test]
fn refs() {
    let range = "must be an integer from 1 to 9007199254740991";
    for number in ["0", "-1", "-0", "1.0", "1.5", "1e3", "1e400", "9007199254740992", "18446744073709551617"] {
        check(&format!(r#"{{"op":"ping","ref":{number}}}"#), &format!("bad_request ref: {range}"));
    }
    for (value, kind) in [("\"1\"", "a string"), ("null", "null"), ("[1]", "a list"), ("true", "a boolean")] {
        check(&format!(r#"{{"op":"ping","ref":{value}}}"#), &format!("bad_request ref: {range}, is {kind}"));
    }
}

#[test]
fn the_ref_is_saved_for_the_error() {
    let table = [
        (r#"{"op":"nope","ref":5}"#, Some(5)),
        (r#"{"op":"publish","ref":5,"typ":1}"#, Some(5)),
        (r#"{"op":"ping","op":"ping","ref":5}"#, Some(5)),
        (r#"{"ref":5,"op":"publish","type":"t","data":nul}"#, Some(5)),
        (r#"{"ref":5,"op":"ping""#, Some(5)),
        (r#"{"op":"ping","x":1,"ref":5,"y":2} trailing"#, Some(5)),
        (r#"{"op":"nope","ref":5.0}"#, None),
        (r#"{"op":"ping","ref":5,"ref":6}"#, None),
        (r#"{"op":"ping","ref":5,"ref":5}"#, None),
        (r#"{"op":"ping" "ref":5}"#, None),
        (r#"{"op":"nope","data":{"ref":5}}"#, None),
        (r#"[{"ref":5}]"#, None),
    ];
    for (text, expected) in table {
        let decoded = decode(text, &LIMITS);
        assert!(decoded.result.is_err(), "{text}");
        assert_eq!(decoded.reference, expected, "{text}");
    }
    let many: String = (0..50).map(|index| format!("\"x{index}\":0,")).collect();
    assert_eq!(decode(&format!("{{{many}\"ref\":5}}"), &LIMITS).reference, Some(5));
}

#[test]
fn unknown_and_repeated_fields() {
    check(r#"{"op":"ping","x":1}"#, "bad_request x: is not a field of ping");
    check(r#"{"op":"ping","REF":1}"#, "bad_request REF: is not a field of ping; did you mean 'ref'?");
    check(r#"{"op":"close","":1}"#, "bad_request : is not a field of close");
    check(r#"{"op":"ping","op":"ping"}"#, "bad_request op: is there twice");
    check(r#"{"op":"ping","ref":1,"ref":1}"#, "bad_request ref: is there twice");
    check(r#"{"op":"ping","\u006fp":"ping"}"#, "bad_request op: is there twice");
    check(r#"{"op":"publish","chanel":"a"}"#, "bad_request chanel: is not a field of publish; did you mean 'channel'?");
    check(r#"{"op":"publish","event":"a"}"#, "bad_request event: is not a field of publish");
    check(r#"{"op":"publish","user":"ada"}"#, "bad_request user: is not a field of publish; did you mean 'userId'?");
    check(
        r#"{"op":"publish","user_id":"a"}"#,
        "bad_request user_id: is not a field of publish; did you mean 'userId'?",
    );
    publish(r#""time":1"#, "bad_request time: is not a field of publish");
    publish(r#""offset":1"#, "bad_request offset: is not a field of publish");
    publish(r#""type":"t""#, "bad_request type: is there twice");
    let long = "n".repeat(70);
    let cut = format!("bad_request {}…: is not a field of ping", "n".repeat(64));
    check(&format!(r#"{{"op":"ping","{long}":1}}"#), &cut);
    let wide = format!("{}é", "n".repeat(63));
    let cut = format!("bad_request {}…: is not a field of ping", "n".repeat(63));
    check(&format!(r#"{{"op":"ping","{wide}":1}}"#), &cut);
    let many: String = (0..31).map(|index| format!(",\"x{index}\":0")).collect();
    check(&format!(r#"{{"op":"ping"{many}}}"#), "bad_request x0: is not a field of ping");
    check(&format!(r#"{{"op":"ping"{many},"y":0}}"#), "bad_request y: is one field too many: at most 32");
}

#[test]
fn reserved_fields() {
    let reserved = |field: &str| format!("not_enabled {field}: is reserved and not served yet");
    publish(r#""mentions":[]"#, &reserved("mentions"));
    publish(r#""encoding":"base64""#, &reserved("encoding"));
    publish(r#""ack":"disk""#, "bad_request ack: must be 'none', 'node' or 'stored'");
    publish(r#""ttlMs":0"#, "bad_request ttlMs: must be an integer from 1 to 31536000000");
    subscribe(r#""channel":"a","with":["presence"]"#, &reserved("with"));
    connect(r#""inbox":"yes""#, "bad_request inbox: must be 'auto' or 'manual'");
    connect(r#""subscriptions":[{"channel":"a","with":[]}]"#, &reserved("subscriptions[0].with"));
    // What is wrong for good is said first.
    publish(r#""mentions":[],"x":1"#, &reserved("mentions"));
    publish(r#""x":1,"mentions":[]"#, "bad_request x: is not a field of publish");
}

#[test]
fn names() {
    let table = [
        (String::new(), "must not be empty"),
        ("x".repeat(256), "must be at most 255 bytes, is 256"),
        (r"a\r\nid: x".to_owned(), "must not contain control characters"),
        (r"a\u0000b".to_owned(), "must not contain control characters"),
        ("a\u{7f}".to_owned(), "must not contain control characters"),
        ("a\u{85}".to_owned(), "must not contain control characters"),
        ("$all".to_owned(), "must not begin with '$', which is reserved"),
        ("$user".to_owned(), "must not begin with '$', which is reserved"),
        ("*".to_owned(), "must not contain '*', which is reserved for patterns"),
        ("a:*".to_owned(), "must not contain '*', which is reserved for patterns"),
        (r"\ud800".to_owned(), "holds half of a surrogate pair"),
        (r"\ude42\ud83d".to_owned(), "holds half of a surrogate pair"),
    ];
    for (name, message) in table {
        let expected = format!("bad_request channel: {message}");
        subscribe(&format!(r#""channel":"{name}""#), &expected);
        publish(&format!(r#""channel":"{name}""#), &expected);
        check(&format!(r#"{{"op":"unsubscribe","channel":"{name}"}}"#), &expected);
    }
    let long = "x".repeat(129);
    publish(&format!(r#""userId":"{long}""#), "bad_request userId: must be at most 128 bytes, is 129");
    publish(&format!(r#""id":"{long}""#), "bad_request id: must be at most 128 bytes, is 129");
    publish(&format!(r#""key":"{long}""#), "bad_request key: must be at most 128 bytes, is 129");
    publish(r#""userId":"$x""#, "bad_request userId: must not begin with '$', which is reserved");
    publish(r#""id":"""#, "bad_request id: must not be empty");
    publish(r#""key":"\u0001""#, "bad_request key: must not contain control characters");
    connect(&format!(r#""deviceId":"{}""#, "x".repeat(65)), "bad_request deviceId: must be at most 64 bytes, is 65");
    for (type_, message) in [
        (long.as_str(), "must be at most 128 bytes, is 129"),
        ("", "must not be empty"),
        (r"a\nid: x", "must not contain control characters"),
        (r"x\r", "must not contain control characters"),
        (r"\u0000", "must not contain control characters"),
        ("$type:open", "must not begin with '$', which is reserved"),
    ] {
        check(&format!(r#"{{"op":"publish","type":"{type_}"}}"#), &format!("bad_request type: {message}"));
    }
}

#[test]
fn missing_and_mistyped_fields() {
    check(r#"{"op":"publish"}"#, "bad_request type: is missing");
    check(r#"{"op":"subscribe"}"#, "bad_request channel: is missing");
    check(r#"{"op":"unsubscribe"}"#, "bad_request channel: is missing");
    check(r#"{"op":"meta"}"#, "bad_request meta: is missing");
    subscribe(r#""channel":7"#, "bad_request channel: must be a string, is a number");
    subscribe(r#""channel":null"#, "bad_request channel: must be a string, is null");
    subscribe(r#""channel":["a"]"#, "bad_request channel: must be a string, is a list");
    publish(r#""id":{}"#, "bad_request id: must be a string, is an object");
    publish(r#""id":null"#, "bad_request id: must be a string, is null");
    publish(r#""ephemeral":1"#, "bad_request ephemeral: must be true or false, is a number");
    publish(r#""ephemeral":"true""#, "bad_request ephemeral: must be true or false, is a string");
    publish(r#""ack":true"#, "bad_request ack: must be a string, is a boolean");
    publish(r#""ack":"all""#, "bad_request ack: must be 'none', 'node' or 'stored'");
    publish(r#""exclude":"a""#, "bad_request exclude: must be a list, is a string");
    connect(r#""pings":"yes""#, "bad_request pings: must be true or false, is a string");
    connect(r#""token":"""#, "bad_request token: must not be empty");
    connect(r#""token":null"#, "bad_request token: must be a string, is null");
    connect(r#""resume":"""#, "bad_request resume: must not be empty");
    connect(r#""extensions":[]"#, "bad_request extensions: must be an object, is a list");
    connect(r#""subscriptions":{}"#, "bad_request subscriptions: must be a list, is an object");
    connect(r#""subscriptions":["a"]"#, "bad_request subscriptions[0]: must be an object, is a string");
}

#[test]
fn metadata() {
    for (op, before) in [("publish", r#""type":"t","#), ("meta", ""), ("connect", "")] {
        let table = [
            ("[]".to_owned(), "bad_request meta: must be an object, is a list"),
            ("\"x\"".to_owned(), "bad_request meta: must be an object, is a string"),
            ("null".to_owned(), "bad_request meta: must be an object, is null"),
            (format!(r#"{{"m":"{}"}}"#, "x".repeat(2_041)), "too_large meta: must be at most 2048 bytes, is 2049"),
            (
                format!("{{\"a\":{}1{}}}", "[".repeat(128), "]".repeat(128)),
                "bad_request meta: must nest at most 128 levels",
            ),
        ];
        for (meta, expected) in table {
            check(&format!(r#"{{"op":"{op}",{before}"meta":{meta}}}"#), expected);
        }
    }
}

#[test]
fn positions_and_rewind() {
    let since = |since: &str, expected: &str| subscribe(&format!(r#""channel":"a","since":{since}"#), expected);
    since("1", "bad_request since: must be an object, is a number");
    since("\"k3f9-1\"", "bad_request since: must be an object, is a string");
    since("{}", "bad_request since.epoch: is missing");
    since(r#"{"epoch":"e"}"#, "bad_request since.offset: is missing");
    since(r#"{"epoch":"e","offset":1,"x":1}"#, "bad_request since.x: is not a field of a position");
    since(r#"{"epoch":"e","epoch":"e"}"#, "bad_request since.epoch: is there twice");
    since(r#"{"epoch":1,"offset":1}"#, "bad_request since.epoch: must be a string, is a number");
    for epoch in ["", "a-b", "a b", "é", &"e".repeat(65)] {
        let expected = "bad_request since.epoch: must be 1 to 64 ASCII letters and digits";
        since(&format!(r#"{{"epoch":"{epoch}","offset":1}}"#), expected);
    }
    for offset in ["-1", "-0", "1.5", "1e400", "1e3", "9007199254740992", "9223372036854775808", "18446744073709551616"]
    {
        let expected = "bad_request since.offset: must be an integer from 0 to 9007199254740991";
        since(&format!(r#"{{"epoch":"e","offset":{offset}}}"#), expected);
    }
    for rewind in ["0", "1001", "-1", "1.0", "1e2"] {
        let expected = "bad_request rewind: must be an integer from 1 to 1000";
        subscribe(&format!(r#""channel":"a","rewind":{rewind}"#), expected);
    }
    for ms in ["0", "31536000001", "-1", "1.5"] {
        let expected = "bad_request rewindMs: must be an integer from 1 to 31536000000";
        subscribe(&format!(r#""channel":"a","rewindMs":{ms}"#), expected);
    }
    let since = r#""channel":"a","since":{"epoch":"e","offset":1}"#;
    subscribe(&format!(r#"{since},"rewindMs":1"#), "bad_request rewindMs: must not stand beside 'since'");
    subscribe(r#""channel":"a","rewind":1,"rewindMs":1"#, "bad_request rewindMs: must not stand beside 'rewind'");
    let both = r#""channel":"a","since":{"epoch":"e","offset":1},"rewind":1"#;
    subscribe(both, "bad_request rewind: must not stand beside 'since'");
    connect(
        &format!(r#""subscriptions":[{{{both}}}]"#),
        "bad_request subscriptions[0].rewind: must not stand beside 'since'",
    );
}

#[test]
fn subscriptions_of_connect() {
    let list = |list: &str, expected: &str| connect(&format!(r#""subscriptions":[{list}]"#), expected);
    list(r#"{"channel":"a"},{}"#, "bad_request subscriptions[1].channel: is missing");
    list(r#"{"channel":"$x"}"#, "bad_request subscriptions[0].channel: must not begin with '$', which is reserved");
    list(
        r#"{"channel":"a","since":{"epoch":"e","offset":-1}}"#,
        "bad_request subscriptions[0].since.offset: must be an integer from 0 to 9007199254740991",
    );
    list(
        r#"{"channel":"a","chanel":"b"}"#,
        "bad_request subscriptions[0].chanel: is not a field of a subscription; did you mean 'channel'?",
    );
    list(r#"{"channel":"$all"},{"channel":"$all"}"#, "bad_request subscriptions[1].channel: is listed more than once");
    list(r#"{"channel":"a","op":"subscribe"}"#, "bad_request subscriptions[0].op: is not a field of a subscription");
    list(
        &vec![r#"{"channel":"a"}"#; 1_003].join(","),
        "limit_exceeded subscriptions: must be at most 1002 subscriptions",
    );
}

#[test]
fn publish_to_a_user_in_a_channel_is_ephemeral() {
    let message = "must be true, or absent, where 'channel' and 'userId' are both given";
    publish(r#""channel":"a","userId":"b","ephemeral":false"#, &format!("bad_request ephemeral: {message}"));
}

#[test]
fn excluded_connections() {
    let exclude = |list: &str, expected: &str| publish(&format!(r#""exclude":[{list}]"#), expected);
    exclude("1", "bad_request exclude[0]: must be a string, is a number");
    for id in ["", "c1-4f", "3q2-7wMBAgMEAAAABx", "3q2-7wMBAgMEAAAABw=", "3q2+7wMBAgMEAAAABw", "3q2-7wMBAgMEAAAAB"] {
        let expected = "bad_request exclude[1]: is not a connection id of this server";
        exclude(&format!(r#""{}","{id}""#, json_support::CONNECTION), expected);
    }
    let ids = vec![format!("\"{}\"", json_support::CONNECTION); 17].join(",");
    exclude(&ids, "bad_request exclude: must be at most 16 connection ids");
}

#[test]
fn sizes_say_their_limit() {
    let limit = |text: &str| {
        let rejection = decode(text, &LIMITS).result.expect_err("a refusal");
        (rejection.kind, rejection.limit, rejection.field)
    };
    let publish = |field: &str| format!(r#"{{"op":"publish","type":"t",{field}}}"#);
    let data = publish(&format!(r#""data":"{}""#, "x".repeat(65_535)));
    assert_eq!(limit(&data), (RejectionKind::TooLarge, Some(65_536), Some("data".into())));
    let meta = publish(&format!(r#""meta":{{"m":"{}"}}"#, "x".repeat(2_048)));
    assert_eq!(limit(&meta), (RejectionKind::TooLarge, Some(2_048), Some("meta".into())));
    let ids = publish(&format!(r#""exclude":[{}]"#, vec!["\"\""; 17].join(",")));
    assert_eq!(limit(&ids), (RejectionKind::BadRequest, Some(16), Some("exclude".into())));
}

// Work that grows with the square of these inputs would not end; recursion would end the process.

#[test]
fn depth_costs_no_stack() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let limits = realtime_connector_wire::json::DecodeLimits { message_bytes: 1 << 20 };
        for field in ["data", "meta", "since", "x", "extensions"] {
            let frame = format!(r#"{{"op":"publish","type":"t","{field}":{deep}}}"#);
            let rejection = decode(&frame, &limits).result.expect_err("a refusal");
            assert_eq!(rejection.field.as_deref(), Some(field));
        }
        assert!(decode(&deep, &limits).result.is_err());
        assert!(decode(&open.repeat(100_000), &limits).result.is_err());
    }
    let frame = format!(r#"{{"op":"publish","type":"t","data":{}{}}}"#, "[".repeat(129), "]".repeat(129));
    check(&frame, "bad_request data: must nest at most 128 levels");
}

#[test]
fn megabytes_of_nothing_cost_their_length() {
    let space = " \n".repeat(1 << 20);
    assert!(decode(&format!("{space}{{{space}\"op\"{space}:{space}\"ping\"{space}}}{space}"), &LIMITS).result.is_ok());
    let last = decode(&format!("{{{space}\"op\":\"ping\"{space}\"ref\":1}}"), &LIMITS).result.expect_err("a refusal");
    assert_eq!(last.field, None);
    let keys: String = (0..100_000).map(|index| format!("\"k{index}\":[],")).collect();
    check(&format!("{{{keys}\"op\":\"ping\"}}"), "bad_request k32: is one field too many: at most 32");
    let same = "\"k\":0,".repeat(100_000);
    check(&format!("{{{same}\"op\":\"ping\"}}"), "bad_request k: is there twice");
}
