//! The `ack` command.

mod json_support;

use std::sync::Arc;
use std::time::Duration;

use json_support::{LIMITS, short};
use realtime_connector_core::acks::{AckOf, AckOutcome, Acknowledge, Which};
use realtime_connector_core::command::Command;
use realtime_connector_core::id::{ChannelName, ConsumerName};
use realtime_connector_core::position::Epoch;
use realtime_connector_wire::json::decode;

fn consumer() -> AckOf {
    let consumer = ConsumerName::parse("billing").expect("a name");
    AckOf::Consumer { consumer, group: None, channel: ChannelName::parse("orders").expect("a name") }
}

#[track_caller]
fn check(fields: &str, expected: Acknowledge) {
    let text = format!(r#"{{"op":"ack",{fields}}}"#);
    assert_eq!(decode(&text, &LIMITS).result, Ok(Command::Ack(Box::new(expected))), "{text}");
}

#[track_caller]
fn refused(fields: &str, expected: &str) {
    let text = format!(r#"{{"op":"ack"{fields}}}"#);
    assert_eq!(short(&decode(&text, &LIMITS).result.expect_err(&text)), expected, "{text}");
}

#[test]
fn an_ack_says_whose_which_and_what_became_of_them() {
    let done = |of, which| Acknowledge { of, epoch: None, which, outcome: AckOutcome::Done };
    check(r#""consumer":"$inbox","offsets":[3,1]"#, done(AckOf::Inbox, Which::Offsets(vec![3, 1])));
    check(
        r#""consumer":"$inbox","upTo":7,"epoch":"k3f9","outcome":"done""#,
        Acknowledge { epoch: Epoch::parse("k3f9"), ..done(AckOf::Inbox, Which::UpTo(7)) },
    );
    let of = |outcome| Acknowledge { outcome, ..done(consumer(), Which::UpTo(7)) };
    let fields = r#""consumer":"billing","channel":"orders","upTo":7"#;
    check(fields, of(AckOutcome::Done));
    check(&format!(r#"{fields},"outcome":"retry""#), of(AckOutcome::Retry { delay: None }));
    let delay = Some(Duration::from_millis(1_500));
    check(&format!(r#"{fields},"outcome":"retry","delayMs":1500"#), of(AckOutcome::Retry { delay }));
    let reason = Some(Arc::from("no such € account"));
    check(&format!(r#"{fields},"outcome":"dead","reason":"no such € account""#), of(AckOutcome::Dead { reason }));
    check(&format!(r#"{fields},"outcome":"progress""#), of(AckOutcome::Progress));
}

#[test]
fn what_is_wrong_with_an_ack_is_named() {
    refused("", "bad_request consumer: is missing");
    refused(r#","consumer":"$other","upTo":1"#, "bad_request consumer: must not begin with '$', which is reserved");
    refused(r#","consumer":"billing","upTo":1"#, "bad_request channel: is missing");
    let alone = "bad_request channel: means nothing with '$inbox', which has a channel of its own";
    refused(r#","consumer":"$inbox","channel":"orders","upTo":1"#, alone);
    let inbox = r#","consumer":"$inbox""#;
    refused(inbox, "bad_request offsets: is missing, and so is 'upTo'");
    refused(&format!(r#"{inbox},"offsets":[1],"upTo":1"#), "bad_request upTo: must not stand beside 'offsets'");
    refused(&format!(r#"{inbox},"offsets":[]"#), "bad_request offsets: must be at least one offset");
    let range = "must be an integer from 1 to 9007199254740991";
    refused(&format!(r#"{inbox},"offsets":[1,0]"#), &format!("bad_request offsets[1]: {range}"));
    refused(&format!(r#"{inbox},"upTo":0"#), &format!("bad_request upTo: {range}"));
    let many = vec!["1"; 1_001].join(",");
    refused(&format!(r#"{inbox},"offsets":[{many}]"#), "too_large offsets: must be at most 1000 offsets");
    let epoch = "bad_request epoch: must be 1 to 64 ASCII letters and digits";
    refused(&format!(r#"{inbox},"upTo":1,"epoch":"-""#), epoch);
    refused(&format!(r#"{inbox},"upTo":1,"outcome":"retry""#), "bad_request outcome: must be 'done' for '$inbox'");
    let named = r#","consumer":"billing","channel":"orders","upTo":1"#;
    let words = "bad_request outcome: must be 'done', 'retry', 'dead' or 'progress'";
    refused(&format!(r#"{named},"outcome":"maybe""#), words);
    refused(&format!(r#"{named},"delayMs":1"#), "bad_request delayMs: means nothing without 'retry'");
    refused(&format!(r#"{named},"reason":"x""#), "bad_request reason: means nothing without 'dead'");
    let long = format!(r#"{named},"outcome":"dead","reason":"{}""#, "x".repeat(255));
    refused(&long, "too_large reason: must be at most 256 bytes, is 257");
    let late = format!(r#"{named},"outcome":"retry","delayMs":86400001"#);
    refused(&late, "bad_request delayMs: must be an integer from 0 to 86400000");
    refused(&format!(r#"{named},"why":1"#), "bad_request why: is not a field of ack");
}
