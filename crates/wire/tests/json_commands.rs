//! Good frames, and the commands they become.

mod json_support;

use bytes::Bytes;
use json_support::{CONNECTION, LIMITS, connection, name, position, publish, user};
use realtime_connector_core::command::{Ack, Command, Connect, Listen, Publish, Subscribe, Target};
use realtime_connector_core::id::{DeviceId, EventType, MessageId, MessageKey};
use realtime_connector_core::position::Start;
use realtime_connector_wire::json::{Decoded, decode};

#[track_caller]
fn check(text: &str, reference: Option<u64>, command: Command) {
    assert_eq!(decode(text, &LIMITS), Decoded { reference, result: Ok(command) }, "{text}");
}

#[track_caller]
fn check_publish(fields: &str, expected: Publish) {
    let text = format!(r#"{{"op":"publish",{fields}}}"#);
    check(&text, None, Command::Publish(Box::new(expected)));
}

#[track_caller]
fn check_subscribe(fields: &str, start: Start) {
    let text = format!(r#"{{"op":"subscribe","channel":"orders"{fields}}}"#);
    check(&text, None, Command::Subscribe(Subscribe { listen: Listen::Named(name("orders")), start }));
}

#[track_caller]
fn check_connect(fields: &str, expected: Connect) {
    let text = format!(r#"{{"op":"connect"{fields}}}"#);
    check(&text, None, Command::Connect(Box::new(expected)));
}

#[test]
fn small_frames() {
    check(r#"{"op":"ping"}"#, None, Command::Ping);
    check(r#"{"op":"ping","ref":1}"#, Some(1), Command::Ping);
    check(r#"{"ref":9007199254740991,"op":"close"}"#, Some(9_007_199_254_740_991), Command::Close);
    check(" \t\r\n{ \"op\" : \"ping\" , \"ref\" : 7 } \n", Some(7), Command::Ping);
    let unsubscribe = Command::Unsubscribe { channel: name("orders") };
    check(r#"{"op":"unsubscribe","channel":"orders"}"#, None, unsubscribe);
    let meta = |text| Command::Meta { meta: Bytes::from_static(text) };
    check(r#"{"op":"meta","ref":2,"meta":{}}"#, Some(2), meta(b"{}"));
    check(r#"{"op":"meta","meta": {"a": [1 ,2]} }"#, None, meta(br#"{"a": [1 ,2]}"#));
}

#[test]
fn escapes_in_names_of_fields_and_in_values_are_read() {
    check(r#"{"\u006fp":"p\u0069ng","r\u0065f":3}"#, Some(3), Command::Ping);
    let channel = Command::Unsubscribe { channel: name("a\"b\\c/é🙂") };
    check(r#"{"op":"unsubscribe","channel":"a\"b\\c\/\u00e9\ud83d\ude42"}"#, None, channel);
}

#[test]
fn channel_names_are_never_changed() {
    for channel in [" ", "a b", "..", "a/b%2f", ">", "#", "+", "__x", "private-x", "Orders", "{tag}", "[a-z]", "x$"] {
        let text = format!(r#"{{"op":"unsubscribe","channel":"{channel}"}}"#);
        check(&text, None, Command::Unsubscribe { channel: name(channel) });
    }
    let spelled = |channel: &str| decode(&format!(r#"{{"op":"unsubscribe","channel":"{channel}"}}"#), &LIMITS).result;
    assert_ne!(spelled("caf\u{e9}"), spelled("cafe\u{301}"), "composed and decomposed are two names");
    assert_ne!(spelled("paypal"), spelled("p\u{430}ypal"), "so are letters that look alike");
}

#[test]
fn subscribe() {
    check_subscribe("", Start::Now);
    check_subscribe(r#","since":{"epoch":"k3f9","offset":1042}"#, Start::Since(position("k3f9", 1042)));
    check_subscribe(r#","since":{"offset":0,"epoch":"A"}"#, Start::Since(position("A", 0)));
    let largest = position("k3f9", 9_007_199_254_740_991);
    check_subscribe(r#","since":{"epoch":"k3f9","offset":9007199254740991}"#, Start::Since(largest));
    check_subscribe(r#","rewind":1"#, Start::Rewind(1));
    check_subscribe(r#","rewind":1000"#, Start::Rewind(1_000));
    check_subscribe(r#","rewindMs":1"#, Start::RewindMs(1));
    check_subscribe(r#","rewindMs":31536000000"#, Start::RewindMs(31_536_000_000));
}

#[test]
fn publish_targets() {
    let type_ = r#""type":"t""#;
    check_publish(type_, publish());
    let to = |target| Publish { target, ..publish() };
    check_publish(&format!(r#"{type_},"channel":"orders""#), to(Target::Channel(name("orders"))));
    check_publish(&format!(r#"{type_},"userId":"ada""#), to(Target::User(user("ada"))));
    let both = Target::UserInChannel { user: user("ada"), channel: name("orders") };
    let both = Publish { ephemeral: true, ..to(both) };
    check_publish(&format!(r#"{type_},"userId":"ada","channel":"orders""#), both.clone());
    check_publish(&format!(r#"{type_},"userId":"ada","channel":"orders","ephemeral":true"#), both);
}

#[test]
fn publish_with_everything() {
    let fields = format!(
        r#""channel":"orders","type":"order.created","data":{{"id": 12345}},"id":"o-1","key":"customer-7",
        "ephemeral":false,"exclude":["{CONNECTION}"],"meta":{{"trace":"x"}},"ack":"none","ttlMs":5000"#
    );
    let expected = Publish {
        target: Target::Channel(name("orders")),
        event_type: EventType::parse("order.created").expect("a name"),
        data: Bytes::from_static(br#"{"id": 12345}"#),
        id: Some(MessageId::parse("o-1").expect("a name")),
        key: Some(MessageKey::parse("customer-7").expect("a name")),
        meta: Some(Bytes::from_static(br#"{"trace":"x"}"#)),
        ephemeral: false,
        exclude: vec![connection()],
        ack: Some(Ack::None),
        ttl: Some(std::time::Duration::from_secs(5)),
    };
    check_publish(&fields, expected);
    check_publish(
        r#""type":"t","ack":"node","exclude":[],"ephemeral":true"#,
        Publish { ephemeral: true, ack: Some(Ack::Node), ..publish() },
    );
}

#[test]
fn data_is_kept_as_it_was_written() {
    let texts = [
        "null",
        "0",
        "-0",
        "1e400",
        "-1.50E+7",
        "18446744073709551616",
        "true",
        r#""""#,
        r#""\ud800""#,
        r#""\u0000\u2028\/""#,
        "\"\u{2028}\u{202e}\u{7f}\"",
        "[ ]",
        "{\"a\":1,\"a\":2}",
        "[1,\r\n\t2]",
        r#"{"op":"close","ref":9}"#,
    ];
    for text in texts {
        let data = Bytes::copy_from_slice(text.as_bytes());
        check_publish(&format!(r#""type":"t","data": {text} "#), Publish { data, ..publish() });
    }
}

#[test]
fn data_at_its_bounds() {
    let largest = format!("\"{}\"", "x".repeat(65_534));
    let deepest = "[".repeat(128) + &"]".repeat(128);
    let brackets_in_text = format!("\"{}\"", "[".repeat(1_000));
    for text in [largest, deepest, brackets_in_text] {
        let expected = Publish { data: Bytes::from(text.clone()), ..publish() };
        check_publish(&format!(r#""type":"t","data":{text}"#), expected);
    }
    let meta = format!(r#"{{"m":"{}"}}"#, "x".repeat(2_040));
    assert_eq!(meta.len(), 2_048);
    let expected = Publish { meta: Some(Bytes::from(meta.clone())), ..publish() };
    check_publish(&format!(r#""type":"t","meta":{meta}"#), expected);
}

#[test]
fn connect() {
    check_connect("", Connect::default());
    check_connect(r#","extensions":{"later":{"x":[1]}},"pings":false,"subscriptions":[]"#, Connect::default());
    let expected = Connect {
        token: Some("t.t.t".to_owned()),
        resume: Some("s.9".to_owned()),
        device: Some(DeviceId::parse("phone").expect("a name")),
        meta: Some(Bytes::from_static(br#"{"app":"web 3.1"}"#)),
        subscriptions: vec![
            Subscribe { listen: Listen::Named(name("orders")), start: Start::Since(position("k3f9", 1040)) },
            Subscribe { listen: Listen::Named(name("news")), start: Start::Rewind(5) },
            Subscribe { listen: Listen::Everyone, start: Start::Since(position("k3f9", 7)) },
            Subscribe { listen: Listen::OwnUser, start: Start::Now },
        ],
        pings: true,
        ..Connect::default()
    };
    let fields = r#","token":"t.t.t","resume":"s.9","deviceId":"phone","meta":{"app":"web 3.1"},"pings":true,
        "subscriptions":[{"channel":"orders","since":{"epoch":"k3f9","offset":1040}},{"channel":"news","rewind":5},
        {"channel":"$all","since":{"epoch":"k3f9","offset":7}},{"channel":"$user"}]"#;
    check_connect(fields, expected);
}

#[test]
fn as_many_subscriptions_as_any_configuration_allows() {
    let list = vec![r#"{"channel":"a"}"#; 1_002].join(",");
    let Ok(Command::Connect(connect)) =
        decode(&format!(r#"{{"op":"connect","subscriptions":[{list}]}}"#), &LIMITS).result
    else {
        panic!("a connect frame");
    };
    assert_eq!(connect.subscriptions.len(), 1_002);
}
