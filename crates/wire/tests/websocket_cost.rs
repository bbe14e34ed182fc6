//! What decoding and encoding cost, printed for comparison on one machine; nothing here judges a time.
//!
//! `cargo test --release -p realtime-connector-wire --test websocket_cost -- --ignored --nocapture`

use std::hint::black_box;
use std::time::{Duration, Instant};

use realtime_connector_wire::websocket::{Decoder, Limits, Message, Opcode, Role, encode_masked, frame_in_place};

const ROUNDS: usize = 5_000;
const MESSAGES: usize = 100;
const LIMITS: Limits = Limits { message_bytes_max: 65_536, frame_bytes_max: 81_920, fragments_max: 1_024 };

/// Decodes 100 messages per round, in reads of `chop` bytes, and returns the nanoseconds per message.
fn decode_cost(payload_len: usize, chop: usize) -> f64 {
    let mut stream = Vec::new();
    for index in 0..MESSAGES as u32 {
        let payload: Vec<u8> = (0..payload_len).map(|i| b' ' + (i % 90) as u8).collect();
        encode_masked(&mut stream, Opcode::Text, (index + 0x1234_5678).to_le_bytes(), &payload);
    }
    let mut scratch = vec![0; stream.len()];
    let mut decoder = Decoder::new(Role::Server);
    best_round(|| {
        // The socket would put the bytes there; that copy is not counted.
        scratch.copy_from_slice(&stream);
        let start = Instant::now();
        let mut seen = 0;
        for piece in scratch.chunks_mut(chop) {
            let mut input = piece;
            while let Some(message) = decoder.decode(&mut input, &LIMITS).expect("a good message") {
                let Message::Text(text) = black_box(message) else { panic!("not a text") };
                seen += usize::from(text.len() == payload_len);
            }
        }
        assert_eq!(seen, MESSAGES);
        start.elapsed()
    })
}

/// The time per message of the quickest round: other processes only ever add to it.
fn best_round(round: impl FnMut() -> Duration) -> f64 {
    let best = std::iter::repeat_with(round).take(ROUNDS).min().expect("some rounds");
    best.as_nanos() as f64 / MESSAGES as f64
}

#[test]
#[ignore = "prints times; run it by hand"]
fn cost_per_message() {
    for payload_len in [0, 16, 150, 1_000, 10_000, 60_000] {
        println!("decode {payload_len:>6} B masked, whole:       {:>8.1} ns", decode_cost(payload_len, usize::MAX));
    }
    println!("decode    150 B masked, reads of 64 B: {:>8.1} ns", decode_cost(150, 64));
    println!("decode    150 B masked, reads of 4 KiB:{:>8.1} ns", decode_cost(150, 4_096));
    let payload = [b'x'; 150];
    let framed = best_round(|| {
        let start = Instant::now();
        for _ in 0..MESSAGES {
            let frame = frame_in_place(Opcode::Text, payload.len(), |out| out.extend_from_slice(black_box(&payload)));
            assert_eq!(black_box(frame).len(), 154);
        }
        start.elapsed()
    });
    println!("frame in place, 150 B:                 {framed:>8.1} ns");
}
