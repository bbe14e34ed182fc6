//! Durable consumers: `consume`, the bodies of services, and what members get.

mod json_support;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use json_support::{LIMITS, channel, name, position, short};
use realtime_connector_core::command::{Command, Consume};
use realtime_connector_core::consumers::{
    ConsumerInfo, DeadLetter, Delivery, From, Joined, Membership, News, Notice, Taken, Terms,
};
use realtime_connector_core::event::{Event, Outcome};
use realtime_connector_core::id::{ConsumerName, EventType};
use realtime_connector_core::limits::PENDING_MAX;
use realtime_connector_core::position::{Gap, GapReason};
use realtime_connector_core::record::Record;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::time::UnixMs;
use realtime_connector_wire::fuzzing::{PlainSecrets, message};
use realtime_connector_wire::json::{self, decode, write_event};

fn consumer(name: &str) -> ConsumerName {
    ConsumerName::parse(name).expect("a name")
}

fn member(group: Option<&str>) -> Membership {
    Membership { consumer: consumer("worker"), group: group.map(consumer) }
}

#[track_caller]
fn check(fields: &str, member: Membership, terms: Option<Terms>) {
    let text = format!(r#"{{"op":"consume","channel":"orders","consumer":"worker"{fields}}}"#);
    let expected = Command::Consume(Box::new(Consume { channel: name("orders"), member, terms }));
    assert_eq!(decode(&text, &LIMITS).result, Ok(expected), "{text}");
}

#[track_caller]
fn refused(fields: &str, expected: &str) {
    let text = format!(r#"{{"op":"consume"{fields}}}"#);
    assert_eq!(short(&decode(&text, &LIMITS).result.expect_err(&text)), expected, "{text}");
}

#[test]
fn a_consume_says_of_what_as_whom_and_how() {
    let terms = Terms::default;
    check("", member(None), Some(terms()));
    check(r#","group":"team","from":"new""#, member(Some("team")), Some(terms()));
    check(r#","from":"all","stop":false"#, member(None), Some(Terms { from: From::All, ..terms() }));
    let from = From::Position(position("k3f9", 0));
    check(r#","from":{"epoch":"k3f9","offset":0}"#, member(None), Some(Terms { from, ..terms() }));
    let ack_wait = Duration::from_millis(1_500);
    check(r#","ackWaitMs":1500,"maxPending":1"#, member(None), Some(Terms { ack_wait, pending_max: 1, ..terms() }));
    check(r#","group":"team","stop":true"#, member(Some("team")), None);
}

#[test]
fn what_is_wrong_with_a_consume_is_named() {
    refused("", "bad_request channel: is missing");
    refused(
        r#","channel":"a*","consumer":"c""#,
        "bad_request channel: must not contain '*', which is reserved for patterns",
    );
    refused(r#","channel":"a""#, "bad_request consumer: is missing");
    refused(r#","channel":"a","consumer":"$c""#, "bad_request consumer: must not begin with '$', which is reserved");
    let fields = r#","channel":"a","consumer":"c""#;
    refused(&format!(r#"{fields},"group":"""#), "bad_request group: must not be empty");
    let from = "bad_request from: must be 'new', 'all' or a position";
    refused(&format!(r#"{fields},"from":"old""#), from);
    refused(&format!(r#"{fields},"from":7"#), from);
    refused(&format!(r#"{fields},"from":{{"epoch":"e"}}"#), "bad_request from.offset: is missing");
    let wait = "bad_request ackWaitMs: must be an integer from 1000 to 43200000";
    refused(&format!(r#"{fields},"ackWaitMs":999"#), wait);
    refused(&format!(r#"{fields},"maxPending":1001"#), "bad_request maxPending: must be an integer from 1 to 1000");
    refused(&format!(r#"{fields},"stop":true,"maxPending":1"#), "bad_request maxPending: means nothing with 'stop'");
    refused(&format!(r#"{fields},"limit":1"#), "bad_request limit: is not a field of consume");
}

#[test]
fn a_service_says_how_many_it_wants_and_how_long_it_waits() {
    let body = br#"{"channel":"orders","consumer":"worker","group":"team","from":"all","ackWaitMs":5000,"limit":3,"waitMs":20000}"#;
    let terms = Terms { from: From::All, ack_wait: Duration::from_secs(5), pending_max: PENDING_MAX };
    let expected = json::Take {
        channel: name("orders"),
        member: member(Some("team")),
        terms,
        limit: 3,
        wait: Duration::from_secs(20),
    };
    assert_eq!(json::decode_take_body(body), Ok(expected));
    let least = json::decode_take_body(br#"{"channel":"orders","consumer":"worker"}"#).expect("a body");
    assert_eq!((least.limit, least.wait), (10, Duration::ZERO));
    let wrong = |body: &str| short(&json::decode_take_body(body.as_bytes()).expect_err(body));
    let named = r#"{"channel":"orders","consumer":"worker","#;
    assert_eq!(wrong(&format!(r#"{named}"waitMs":30001}}"#)), "bad_request waitMs: must be an integer from 0 to 30000");
    assert_eq!(wrong(&format!(r#"{named}"limit":0}}"#)), "bad_request limit: must be an integer from 1 to 1000");
    assert_eq!(wrong(&format!(r#"{named}"stop":true}}"#)), "bad_request stop: is not a field of a consume");
    let requeue = json::decode_requeue_body(br#"{"channel":"orders","consumer":"team","offsets":[1,7]}"#);
    assert_eq!(requeue.expect("a body").offsets, Some(vec![1, 7]));
    let wrong = |body: &str| short(&json::decode_requeue_body(body.as_bytes()).expect_err(body));
    assert_eq!(wrong(&format!(r#"{named}"offsets":[]}}"#)), "bad_request offsets: must be at least one offset");
}

fn record() -> Arc<Record> {
    let event_type = EventType::parse("t").expect("a name");
    Arc::new(Record { offset: Some(7), ..message(name("orders"), event_type, Bytes::from_static(b"1")) })
}

const MESSAGE: &str =
    r#"{"op":"message","channel":"orders","offset":7,"id":"m1","time":1795478400000,"type":"t","data":1}"#;

#[test]
fn what_members_get() {
    let written = |event: &Event| {
        let mut out = Vec::new();
        write_event(&mut out, event, &PlainSecrets);
        String::from_utf8(out).expect("UTF-8")
    };
    let delivery = Delivery { consumer: consumer("worker"), attempt: 2, record: record() };
    let expected = format!(r#"{{"op":"delivery","consumer":"worker","attempt":2,"message":{MESSAGE}}}"#);
    assert_eq!(written(&Event::Delivery(Box::new(delivery))), expected);
    let gap = Gap { range: Some((3, 9)), reason: GapReason::Window };
    let outcome = Outcome::Consuming(Joined { position: position("k3f9", 9), gap: Some(gap.clone()) });
    let expected = concat!(
        r#"{"op":"ok","ref":5,"position":{"epoch":"k3f9","offset":9},"#,
        r#""gap":{"from":3,"to":9,"reason":"window","lost":true}}"#
    );
    assert_eq!(written(&Event::Ok { reference: Some(5), outcome }), expected);
    let notice =
        |news| Event::Consumer(Box::new(Notice { channel: channel("orders"), member: member(Some("team")), news }));
    let head = r#"{"op":"consumer","channel":"orders","consumer":"worker","group":"team","#;
    let ended = News::Ended(Rejection::new(RejectionKind::Conflict, "somebody else"));
    let expected = format!(r#"{head}"ended":{{"code":"conflict","message":"somebody else"}}}}"#);
    assert_eq!(written(&notice(ended)), expected);
    let expected = format!(
        r#"{head}"gap":{{"from":3,"to":9,"reason":"window","lost":true}},"position":{{"epoch":"k3f9","offset":9}}}}"#
    );
    assert_eq!(written(&notice(News::Gap(gap, position("k3f9", 9)))), expected);
}

#[test]
fn what_services_get() {
    let written = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).expect("UTF-8")
    };
    let deliveries = vec![Delivery { consumer: consumer("worker"), attempt: 1, record: record() }];
    let taken = Taken { deliveries, position: position("k3f9", 6), gap: None };
    let expected =
        format!(r#"{{"deliveries":[{{"attempt":1,"message":{MESSAGE}}}],"position":{{"epoch":"k3f9","offset":6}}}}"#);
    assert_eq!(written(&|out| json::write_taken(out, &taken)), expected);
    let item = ConsumerInfo {
        name: consumer("team"),
        is_group: true,
        position: position("k3f9", 6),
        members: 2,
        pending: 5,
        outstanding: 3,
        dead: 1,
        dead_dropped: 4,
        lost: 7,
    };
    let expected = concat!(
        r#"{"items":[{"consumer":"team","group":true,"position":{"epoch":"k3f9","offset":6},"members":2,"pending":5,"#,
        r#""outstanding":3,"dead":1,"deadDropped":4,"lost":7}],"next":null}"#
    );
    assert_eq!(written(&|out| json::write_consumers(out, std::slice::from_ref(&item))), expected);
    let letter = DeadLetter { position: position("k3f9", 6), attempts: 5, reason: "why".into(), time: UnixMs(9) };
    let expected =
        r#"{"items":[{"position":{"epoch":"k3f9","offset":6},"attempts":5,"reason":"why","time":9}],"next":"6"}"#;
    assert_eq!(written(&|out| json::write_dead_letters(out, std::slice::from_ref(&letter), Some("6"))), expected);
    assert_eq!(written(&|out| json::write_requeued(out, 3)), r#"{"requeued":3}"#);
}
