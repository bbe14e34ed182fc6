//! Properties over random input: payloads pass unchanged, names inject nothing, rubbish does no harm.

mod json_support;

use std::sync::Arc;

use json_support::{LIMITS, name};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use realtime_connector_core::command::{Command, Publish, Target};
use realtime_connector_core::event::Event;
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::UserId;
use realtime_connector_core::record::Record;
use realtime_connector_wire::fuzzing::{self, PlainSecrets, SseEvent, message, sse_events, unix_lines};
use realtime_connector_wire::json::{Broadcast, decode, decode_body, decode_broadcast, parse_position};
use realtime_connector_wire::websocket::{Decoder, Limits, Message, Role};
use serde_json::Value;

/// A string as JSON, written in one of the ways JSON has.
fn string() -> impl Strategy<Value = String> {
    let escaped = vec(any::<u16>(), 0..6).prop_map(|units| {
        let units: String = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
        format!("\"{units}\"")
    });
    let plain = any::<String>().prop_map(|text| serde_json::to_string(&text).expect("a string is JSON"));
    let special = proptest::sample::select(vec![
        r#""\/\b\f\n\r\t\"\\""#,
        r#""\ud83d\ude42\ud800""#,
        "\"\u{2028}\u{7f}\u{feff}\"",
    ]);
    prop_oneof![plain, escaped, special.prop_map(str::to_owned)]
}

/// JSON text as no serializer would write it: odd numbers, space of every kind, repeated keys.
fn json() -> impl Strategy<Value = String> {
    let number = proptest::sample::select(vec!["0", "-0", "1e400", "-1.5E-7", "18446744073709551616", "0.10"]);
    let word = proptest::sample::select(vec!["null", "true", "false"]);
    let leaf = prop_oneof![number.prop_map(str::to_owned), word.prop_map(str::to_owned), string()];
    let space = || "[ \t\r\n]{0,3}";
    leaf.prop_recursive(4, 40, 5, move |inner| {
        let list = (vec((space(), inner.clone()), 0..5), space()).prop_map(|(items, last)| {
            let items: Vec<String> = items.into_iter().map(|(space, item)| format!("{space}{item}")).collect();
            format!("[{}{last}]", items.join(","))
        });
        let object = (vec((string(), space(), inner), 0..5), space()).prop_map(|(fields, last)| {
            let fields: Vec<String> =
                fields.into_iter().map(|(name, space, value)| format!("{name}{space}:{space}{value}")).collect();
            format!("{{{}{last}}}", fields.join(","))
        });
        prop_oneof![list, object]
    })
}

fn publish(data: &str) -> Result<Publish, TestCaseError> {
    let text = format!(r#"{{"op":"publish","type":"t","data":{data},"meta":{{"m": 1}}}}"#);
    match decode(&text, &LIMITS).result {
        Ok(Command::Publish(publish)) => Ok(*publish),
        other => Err(TestCaseError::fail(format!("{other:?}"))),
    }
}

/// The one text message in the bytes of a WebSocket.
fn text_message(bytes: &[u8]) -> String {
    let limits = Limits { message_bytes_max: 1 << 20, frame_bytes_max: 1 << 20, fragments_max: 1 };
    let mut bytes = bytes.to_vec();
    let mut input = &mut bytes[..];
    let mut decoder = Decoder::new(Role::Client);
    match decoder.decode(&mut input, &limits) {
        Ok(Some(Message::Text(text))) => text.to_owned(),
        other => panic!("{other:?}"),
    }
}

/// What stands between these two parts of a frame.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let start = text.find(before).expect(before) + before.len();
    let end = text.rfind(after).expect(after);
    &text[start..end]
}

proptest! {
    #[test]
    fn a_payload_comes_out_as_it_went_in(data in json()) {
        let taken = publish(&data)?;
        prop_assert_eq!(&taken.data[..], data.as_bytes());
        let record = Record { meta: taken.meta, ..message(name("c"), taken.event_type, taken.data) };
        let event = Event::Message(Arc::new(record));
        let bytes = |dialect| realtime_connector_wire::encode(&event, dialect, &PlainSecrets);
        let (before, after) = ("\"type\":\"t\",\"data\":", ",\"meta\":{\"m\": 1}}");
        let frame = text_message(&bytes(Dialect::WebSocketJson));
        prop_assert_eq!(between(&frame, before, after), &data);
        let framed = sse_events(&bytes(Dialect::SseFrames));
        prop_assert_eq!(framed.len(), 1);
        prop_assert_eq!(between(&framed[0].data, before, after), unix_lines(&data));
        let plain = sse_events(&bytes(Dialect::SseData));
        prop_assert_eq!(plain, [SseEvent { name: "t".to_owned(), data: unix_lines(&data), id: None }]);
    }

    /// Line breaks of JSON are space, so a payload means the same on every path.
    #[test]
    fn a_payload_means_the_same_on_every_path(data in json()) {
        let Ok(value) = serde_json::from_str::<Value>(&data) else { return Ok(()) };
        let record = message(name("c"), publish(&data)?.event_type, data.clone().into());
        let event = Event::Message(Arc::new(record));
        let seen = sse_events(&realtime_connector_wire::encode(&event, Dialect::SseData, &PlainSecrets));
        prop_assert_eq!(serde_json::from_str::<Value>(&seen[0].data).ok(), Some(value));
    }

    /// Whatever a client spells as type, channel or user: it is refused, or arrives as that string and nothing else.
    #[test]
    fn names_inject_nothing(type_ in string(), channel in string(), sender in "\\PC{1,20}") {
        let text = format!(r#"{{"op":"publish","type":{type_},"channel":{channel}}}"#);
        let Ok(Command::Publish(publish)) = decode(&text, &LIMITS).result else { return Ok(()) };
        let Target::Channel(channel) = publish.target else { panic!("a channel") };
        let user = UserId::parse(&sender).ok();
        let record = Record { user, ..message(channel.clone(), publish.event_type.clone(), publish.data) };
        let event = Event::Message(Arc::new(record));
        let bytes = |dialect| realtime_connector_wire::encode(&event, dialect, &PlainSecrets);
        let type_ = publish.event_type.as_str();
        let plain = sse_events(&bytes(Dialect::SseData));
        prop_assert_eq!(plain, [SseEvent { name: type_.to_owned(), data: "null".to_owned(), id: None }]);
        let framed = sse_events(&bytes(Dialect::SseFrames));
        prop_assert_eq!(framed.len(), 1);
        for frame in [text_message(&bytes(Dialect::WebSocketJson)), framed[0].data.clone()] {
            let frame: Value = serde_json::from_str(&frame).expect("a frame is JSON");
            prop_assert_eq!(&frame["type"], type_);
            prop_assert_eq!(&frame["channel"], channel.as_str());
        }
    }

    #[test]
    fn any_text_does_no_harm(text in any::<String>(), bytes in vec(any::<u8>(), 0..300)) {
        for data in [text.as_bytes(), &bytes] {
            every_target(data);
        }
    }

    /// Frames of the right kind with some bytes changed come closer to the decoders than noise does.
    #[test]
    fn damaged_frames_do_no_harm(index in 0..FRAMES.len(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = FRAMES[index].as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            match byte {
                0..=63 => drop(bytes.remove(at)),
                64..=127 => bytes.insert(at, b"{}[]\",:\\"[usize::from(byte % 8)]),
                128..=255 => bytes[at] = byte & 0x7f,
            }
        }
        every_target(&bytes);
    }
}

const FRAMES: [&str; 8] = [
    r#"{"op":"ping","ref":12}"#,
    r#"{"op":"subscribe","ref":2,"channel":"orders","since":{"epoch":"k3f9","offset":1042}}"#,
    r#"{"op":"connect","subscriptions":[{"channel":"$all"},{"channel":"news","rewind":5}],"meta":{"a":1},"pings":true}"#,
    r#"{"op":"publish","ref":5,"channel":"orders","type":"t","data":{"id":[1,"\ud83d\ude42"]},"id":"o-1","ack":"none"}"#,
    r#"[{"op":"ping"},{"op":"meta","meta":{}},{"op":"close","ref":3}]"#,
    r#"{"type":"a","data":1,"userId":"ada","exclude":["3q2-7wMBAgMEAAAABw"]}"#,
    r#"{"messages":[{"type":"a","data":1,"channel":"orders"},{"type":"","channel":"orders"}]}"#,
    "k3f9-1042",
];

fn every_target(data: &[u8]) {
    fuzzing::json_decoder(data);
    fuzzing::json_body(data);
    fuzzing::json_broadcast(data);
    fuzzing::sse_cursor(data);
    fuzzing::sse_block(data);
    fuzzing::url_names(data);
}

#[test]
fn the_frames_that_are_damaged_are_good_ones() {
    let [frames @ .., list, one, several, position] = FRAMES;
    for text in frames {
        assert!(decode(text, &LIMITS).result.is_ok(), "{text}");
    }
    let list = decode_body(list.as_bytes(), &LIMITS).expect("a body");
    assert!(list.frames.iter().all(|frame| frame.result.is_ok()));
    assert!(matches!(decode_broadcast(one.as_bytes(), &LIMITS), Ok(Broadcast::One(_))));
    assert!(matches!(decode_broadcast(several.as_bytes(), &LIMITS), Ok(Broadcast::Many(_))));
    assert!(parse_position(position).is_some());
}
