//! What decoding a publish and encoding a message cost, printed for comparison on one machine; nothing here judges a time.
//!
//! `cargo test --release -p realtime-connector-wire --test json_cost -- --ignored --nocapture`

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use realtime_connector_core::event::Event;
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::id::{ChannelName, EventType};
use realtime_connector_wire::encode;
use realtime_connector_wire::fuzzing::{PlainSecrets, message};
use realtime_connector_wire::json::{DecodeLimits, decode};

const ROUNDS: usize = 2_000;
const CALLS: usize = 100;
const LIMITS: DecodeLimits = DecodeLimits { message_bytes: 65_536 };

/// The time per call of the quickest round: other processes only ever add to it.
fn best(call: impl Fn()) -> f64 {
    let round = || {
        let start = Instant::now();
        (0..CALLS).for_each(|_| call());
        start.elapsed()
    };
    let best: Duration = std::iter::repeat_with(round).take(ROUNDS).min().expect("some rounds");
    best.as_nanos() as f64 / CALLS as f64
}

#[test]
#[ignore = "prints times; run it by hand"]
fn cost_per_frame() {
    for len in [0, 100, 1_000, 10_000] {
        let data = format!("{{\"text\":\"{}\",\"list\":[1,2,3]}}", "x".repeat(len));
        let frame = format!(r#"{{"op":"publish","ref":12,"channel":"chat:7","type":"chat.message","data":{data}}}"#);
        assert!(decode(&frame, &LIMITS).result.is_ok());
        let decoded = best(|| drop(black_box(decode(black_box(&frame), &LIMITS))));
        println!("decode publish of {:>6} B: {decoded:>8.1} ns", frame.len());
        let name = ChannelName::parse("chat:7").expect("a name");
        let event_type = EventType::parse("chat.message").expect("a name");
        let event = Event::Message(Arc::new(message(name, event_type, Bytes::from(data))));
        for dialect in [Dialect::WebSocketJson, Dialect::SseData, Dialect::SseFrames] {
            let encoded = best(|| drop(black_box(encode(black_box(&event), dialect, &PlainSecrets))));
            println!("encode message, {dialect:?}: {encoded:>8.1} ns");
        }
    }
    let subscribe = r#"{"op":"subscribe","ref":2,"channel":"orders","since":{"epoch":"k3f9","offset":1042}}"#;
    assert!(decode(subscribe, &LIMITS).result.is_ok());
    println!("decode subscribe: {:>8.1} ns", best(|| drop(black_box(decode(black_box(subscribe), &LIMITS)))));
}
