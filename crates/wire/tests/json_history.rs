//! Questions about the past, as frames and as parameters of a URL, and their answers.

mod json_support;

use std::sync::Arc;

use bytes::Bytes;
use json_support::{LIMITS, name, position};
use realtime_connector_core::command::{Command, History, Listen};
use realtime_connector_core::event::{Event, Outcome};
use realtime_connector_core::history::{At, Direction, HistoryPage, Query, Rest, Span};
use realtime_connector_core::id::{AppId, ChannelKey, EventType, MessageId};
use realtime_connector_core::position::{Epoch, Gap, GapReason};
use realtime_connector_core::record::Record;
use realtime_connector_core::time::UnixMs;
use realtime_connector_wire::fuzzing::{PlainSecrets, message};
use realtime_connector_wire::json::{decode, query_of, write_event, write_history};

const BACK: Direction = Direction::Backward;
const ON: Direction = Direction::Forward;

#[track_caller]
fn check(fields: &str, span: Span, limit: u32) {
    let text = format!(r#"{{"op":"history","channel":"orders"{fields}}}"#);
    let history = History { listen: Listen::Named(name("orders")), query: Query { span, limit } };
    assert_eq!(decode(&text, &LIMITS).result, Ok(Command::History(Box::new(history))), "{text}");
}

#[track_caller]
fn check_url(pairs: &[(&'static str, &str)], expected: Result<Span, &str>) {
    let get = |name: &'static str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1);
    let got = query_of(get, 7).map(|query| {
        assert_eq!(query.limit, 7);
        query.span
    });
    assert_eq!(got.as_ref().map_err(|it| it.field.as_deref().unwrap_or("-")), expected.as_ref().map_err(|it| *it));
}

#[track_caller]
fn refused(fields: &str, expected: &str) {
    let text = format!(r#"{{"op":"history"{fields}}}"#);
    let rejection = decode(&text, &LIMITS).result.expect_err(&text);
    assert_eq!(rejection.to_string(), expected, "{text}");
}

fn rest(direction: Direction) -> Rest {
    Rest { epoch: Epoch::parse("k3f9").expect("an epoch"), after: 10, until: 1042, direction }
}

#[test]
fn a_question_is_about_one_stretch() {
    let at = || At::Position(position("k3f9", 1042));
    let id = || At::Id(MessageId::parse("o-1").expect("an id"));
    check("", Span::All(BACK), 100);
    check(r#","limit":1000,"direction":"forward""#, Span::All(ON), 1_000);
    check(r#","since":{"epoch":"k3f9","offset":1042}"#, Span::Since(at(), ON), 100);
    check(r#","since":{"id":"o-1"},"direction":"backward","limit":1"#, Span::Since(id(), BACK), 1);
    check(r#","until":{"epoch":"k3f9","offset":1042}"#, Span::Until(at(), BACK), 100);
    check(r#","until":{"time":1700000000000}"#, Span::Until(At::Time(UnixMs(1_700_000_000_000)), BACK), 100);
    check(r#","around":{"id":"o-1"}"#, Span::Around(id()), 100);
    check(r#","cursor":"f.k3f9.10.1042""#, Span::Rest(rest(ON)), 100);
    let everyone = decode(r#"{"op":"history","channel":"$all"}"#, &LIMITS).result;
    let query = Query { span: Span::All(BACK), limit: 100 };
    assert_eq!(everyone, Ok(Command::History(Box::new(History { listen: Listen::Everyone, query }))));
}

#[test]
fn what_means_nothing_is_refused_by_its_field() {
    refused("", "channel: is missing");
    let channel = r#","channel":"c""#;
    refused(&format!(r#"{channel},"limit":0"#), "limit: must be an integer from 1 to 1000");
    refused(&format!(r#"{channel},"limit":1001"#), "limit: must be an integer from 1 to 1000");
    refused(&format!(r#"{channel},"direction":"up""#), "direction: must be 'forward' or 'backward'");
    refused(&format!(r#"{channel},"cursor":"x""#), "cursor: is no cursor of an earlier answer");
    refused(&format!(r#"{channel},"cursor":"f.k3f9.3.2""#), "cursor: is no cursor of an earlier answer");
    refused(
        &format!(r#"{channel},"since":{{"id":"a"}},"until":{{"id":"b"}}"#),
        "until: must stand alone: one of 'since', 'until', 'around' and 'cursor'",
    );
    refused(
        &format!(r#"{channel},"around":{{"id":"a"}},"direction":"forward""#),
        "direction: means nothing with 'around', which is oldest first",
    );
    refused(&format!(r#"{channel},"cursor":"b.e.1.2","direction":"forward""#), "direction: is part of the cursor");
    refused(
        &format!(r#"{channel},"since":{{"id":"a","time":1}}"#),
        "since.time: is not a field of a place in the past",
    );
    refused(&format!(r#"{channel},"since":{{}}"#), "since.epoch: is missing");
    refused(
        &format!(r#"{channel},"since":{{"time":-1}}"#),
        "since.time: must be an integer from 0 to 9007199254740991",
    );
}

#[test]
fn in_a_url_places_have_one_spelling() {
    check_url(&[], Ok(Span::All(BACK)));
    check_url(&[("direction", "forward")], Ok(Span::All(ON)));
    check_url(&[("since", "k3f9-1042")], Ok(Span::Since(At::Position(position("k3f9", 1042)), ON)));
    check_url(&[("until", "id:a:b")], Ok(Span::Until(At::Id(MessageId::parse("a:b").expect("an id")), BACK)));
    check_url(&[("around", "time:5")], Ok(Span::Around(At::Time(UnixMs(5)))));
    check_url(&[("cursor", "b.k3f9.10.1042")], Ok(Span::Rest(rest(BACK))));
    for bad in ["", "1042", "k3f9-", "id:", "time:", "time:05", "time:-1", "time:1e3", "at:5"] {
        check_url(&[("since", bad)], Err("since"));
    }
    for bad in ["", "f", "f.k3f9.1", "f.k3f9.1.2.3", "x.k3f9.1.2", "f..1.2", "f.k3f9.01.2", "f.k3f9.2.1"] {
        check_url(&[("cursor", bad)], Err("cursor"));
    }
    check_url(&[("since", "k3f9-1"), ("around", "k3f9-2")], Err("around"));
    check_url(&[("around", "k3f9-1"), ("direction", "forward")], Err("direction"));
}

#[test]
fn an_answer_holds_messages_as_they_were_delivered() {
    let data = Bytes::from_static(b"1");
    let event_type = EventType::parse("t").expect("a type");
    let record = Record { offset: Some(1042), ..message(name("orders"), event_type, data) };
    let page = HistoryPage {
        records: vec![Arc::new(record)],
        position: position("k3f9", 1042),
        next: Some(rest(BACK)),
        gap: Some(Gap { range: Some((3, 9)), reason: GapReason::Window }),
        pending: None,
    };
    let mut out = Vec::new();
    let channel = ChannelKey::named(AppId::default(), name("orders"));
    write_history(&mut out, &page, &channel);
    let body = String::from_utf8(std::mem::take(&mut out)).expect("text");
    let message =
        r#"{"op":"message","channel":"orders","offset":1042,"id":"m1","time":1795478400000,"type":"t","data":1}"#;
    let rest = r#""position":{"epoch":"k3f9","offset":1042},"next":"b.k3f9.10.1042","gap":{"#;
    let gap = r#""from":3,"to":9,"reason":"window","lost":true}"#;
    assert_eq!(body, format!(r#"{{"messages":[{message}],{rest}"channel":"orders",{gap}}}"#));
    let event = Event::Ok { reference: Some(4), outcome: Outcome::History(Box::new(page)) };
    write_event(&mut out, &event, &PlainSecrets);
    let frame = String::from_utf8(out).expect("text");
    assert_eq!(frame, format!(r#"{{"op":"ok","ref":4,"messages":[{message}],{rest}{gap}}}"#));
}
