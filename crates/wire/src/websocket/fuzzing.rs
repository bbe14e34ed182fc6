//! The body of the fuzz target `websocket_decoder`, here so that a plain test can replay its corpus.
//!
//! The first three bytes of the data choose role, limits and cuts, the rest is what a peer sends. Whatever that is:
//!
//! - nothing panics;
//! - messages and violation do not depend on how the bytes are cut;
//! - the decoder never holds more than a message at its limit, and nothing when it is idle or has ended;
//! - what it says fits the limits, and comes back the same when it is encoded and decoded again.

use super::{CONTROL_BYTES_MAX, CloseBody, Decoder, Limits, Message, Opcode, Role, Violation, encode, encode_masked};

/// What a decoder needs beside the message: its box and the payload of a control frame.
const OVERHEAD_BYTES_MAX: usize = 256 + CONTROL_BYTES_MAX;

/// Runs one input.
///
/// # Panics
/// When a rule of the decoder is broken.
pub fn websocket_decoder(data: &[u8]) {
    let Some((&[config, cuts, seed], stream)) = data.split_first_chunk() else { return };
    let role = if config & 1 == 0 { Role::Server } else { Role::Client };
    let limits = Limits {
        message_bytes_max: [0, 125, 1_000, 100_000][usize::from(config >> 1 & 3)],
        frame_bytes_max: [10, 126, 1_000, 70_000][usize::from(config >> 3 & 3)],
        fragments_max: [1, 2, 10, 1_000][usize::from(config >> 5 & 3)],
    };
    let whole = decode(role, &limits, stream, std::iter::repeat(usize::MAX));
    let bytewise = decode(role, &limits, stream, std::iter::repeat(1));
    assert_eq!(whole, bytewise, "the cuts matter");
    // A small generator is enough: the cuts only have to differ from each other and from input to input.
    let mut state = u32::from(seed) + 1;
    let random = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) as usize % (usize::from(cuts) + 1) + 1
    });
    assert_eq!(whole, decode(role, &limits, stream, random), "the cuts matter");
    round_trip(role, &whole.0);
}

/// A message that outlives the read buffer, as opcode and payload.
type Owned = (Opcode, Vec<u8>);

fn decode(
    role: Role,
    limits: &Limits,
    mut stream: &[u8],
    cuts: impl Iterator<Item = usize>,
) -> (Vec<Owned>, Option<Violation>) {
    let mut decoder = Decoder::new(role);
    let mut messages = Vec::new();
    let mut violation = None;
    for cut in cuts {
        let (piece, rest) = stream.split_at(cut.min(stream.len()));
        stream = rest;
        let mut scratch = piece.to_vec();
        let mut input = &mut scratch[..];
        loop {
            let outcome = decoder.decode(&mut input, limits);
            match outcome.map(|message| message.map(|message| owned(message, limits))) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(first) => assert_eq!(violation.replace(first), None, "only one violation"),
            }
            assert!(decoder.held_bytes() <= limits.message_bytes_max + OVERHEAD_BYTES_MAX);
        }
        assert!(input.is_empty(), "the input is used up");
        assert!(decoder.held_bytes() <= limits.message_bytes_max + OVERHEAD_BYTES_MAX);
        assert_eq!(decoder.is_idle(), decoder.held_bytes() == 0, "held exactly while something is incomplete");
        assert!(violation.is_none() || decoder.has_ended());
        assert!(decoder.is_idle() || !decoder.has_ended());
        if stream.is_empty() {
            break;
        }
    }
    (messages, violation)
}

fn owned(message: Message<'_>, limits: &Limits) -> Owned {
    let (opcode, payload, bytes_max) = match message {
        Message::Text(text) => (Opcode::Text, text.as_bytes().to_vec(), limits.message_bytes_max),
        Message::Binary(bytes) => (Opcode::Binary, bytes.to_vec(), limits.message_bytes_max),
        Message::Ping(bytes) => (Opcode::Ping, bytes.to_vec(), CONTROL_BYTES_MAX),
        Message::Pong(bytes) => (Opcode::Pong, bytes.to_vec(), CONTROL_BYTES_MAX),
        Message::Close { code, reason } => (Opcode::Close, CloseBody::new(code, reason).to_vec(), CONTROL_BYTES_MAX),
    };
    assert!(payload.len() <= bytes_max, "{opcode:?} above its limit");
    (opcode, payload)
}

/// Encodes messages for the same role and expects them back.
fn round_trip(role: Role, messages: &[Owned]) {
    let mut stream = Vec::new();
    for (index, (opcode, payload)) in messages.iter().enumerate() {
        match role {
            Role::Server => encode_masked(&mut stream, *opcode, (index as u32).to_le_bytes(), payload),
            Role::Client => encode(&mut stream, *opcode, payload),
        }
    }
    let limits = Limits { message_bytes_max: 1 << 20, frame_bytes_max: 1 << 20, fragments_max: 1 };
    let (again, violation) = decode(role, &limits, &stream, std::iter::repeat(usize::MAX));
    assert_eq!(violation, None);
    assert_eq!(again, messages);
}
