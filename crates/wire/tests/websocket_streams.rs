//! Properties over random streams: cuts do not matter, encoding and decoding are inverse, rubbish does no harm.

mod websocket_support;

use proptest::collection::vec;
use proptest::prelude::*;
use realtime_connector_wire::websocket::{
    CloseBody, Decoder, Limits, Opcode, Role, encode, encode_close, encode_masked, encode_text, fuzzing,
};
use websocket_support::{BINARY, CLOSE, CONTINUATION, Frame, Owned, PING, PONG, TEXT, WIDE, decode_all};

/// A data message with the sizes of its fragments, and the control frames between them.
#[derive(Clone, Debug)]
struct Sent {
    message: Owned,
    /// Lengths of the fragments; what is left over makes the last one.
    cuts: Vec<usize>,
    /// A control frame after each fragment but the last, where there is one.
    between: Vec<Option<Owned>>,
}

fn control() -> impl Strategy<Value = Owned> {
    let payload = || vec(any::<u8>(), 0..=125);
    prop_oneof![payload().prop_map(Owned::Ping), payload().prop_map(Owned::Pong)]
}

fn data() -> impl Strategy<Value = Owned> {
    // Sizes around each form of the length, and texts of characters of every width.
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..300),
        (prop_oneof![Just(65_535_usize), Just(65_536)], any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ];
    let text = prop_oneof![any::<String>(), vec(any::<char>(), 0..100).prop_map(String::from_iter)];
    prop_oneof![text.prop_map(Owned::Text), bytes.prop_map(Owned::Binary)]
}

fn sent() -> impl Strategy<Value = Sent> {
    let between = vec(proptest::option::of(control()), 6);
    (data(), vec(0..60_usize, 0..6), between).prop_map(|(message, cuts, between)| Sent { message, cuts, between })
}

fn payload(message: &Owned) -> (u8, Vec<u8>) {
    match message {
        Owned::Text(text) => (TEXT, text.clone().into_bytes()),
        Owned::Binary(bytes) => (BINARY, bytes.clone()),
        Owned::Ping(bytes) => (PING, bytes.clone()),
        Owned::Pong(bytes) => (PONG, bytes.clone()),
        Owned::Close(code, reason) => (CLOSE, CloseBody::new(*code, reason).to_vec()),
    }
}

/// The frames of a stream, and the messages they mean in the order in which they end.
fn frames_of(stream: &[Sent]) -> (Vec<Frame>, Vec<Owned>) {
    let (mut frames, mut messages) = (Vec::new(), Vec::new());
    for sent in stream {
        let (mut opcode, payload_bytes) = payload(&sent.message);
        let mut rest = &payload_bytes[..];
        for (cut, between) in sent.cuts.iter().zip(&sent.between) {
            let (fragment, next) = rest.split_at((*cut).min(rest.len()));
            frames.push(Frame::part(opcode, fragment));
            (opcode, rest) = (CONTINUATION, next);
            if let Some(control) = between {
                let (opcode, bytes) = payload(control);
                frames.push(Frame::new(opcode, bytes));
                messages.push(control.clone());
            }
        }
        frames.push(Frame::new(opcode, rest));
        messages.push(sent.message.clone());
    }
    (frames, messages)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_any_valid_stream_gives_the_same_messages(
        stream in vec(sent(), 0..6),
        cuts in vec(1..2_000_usize, 1..20),
        role in prop_oneof![Just(Role::Server), Just(Role::Client)],
    ) {
        let (frames, expected) = frames_of(&stream);
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|frame| match role { Role::Server => frame.masked(), Role::Client => frame.unmasked() })
            .collect();
        for chop in [usize::MAX, 1, cuts[0]] {
            let mut decoder = Decoder::new(role);
            prop_assert_eq!(decode_all(&mut decoder, &bytes, chop, &WIDE), (expected.clone(), Ok(())));
            prop_assert!(decoder.is_idle() && decoder.held_bytes() == 0);
        }
        let mut decoder = Decoder::new(role);
        let (mut rest, mut messages) = (&bytes[..], Vec::new());
        for cut in cuts.iter().cycle() {
            let (piece, next) = rest.split_at((*cut).min(rest.len()));
            let (said, outcome) = decode_all(&mut decoder, piece, usize::MAX, &WIDE);
            prop_assert_eq!(outcome, Ok(()));
            messages.extend(said);
            rest = next;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(messages, expected);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        messages in vec(prop_oneof![data(), control()], 0..8),
        code in prop_oneof![Just(None), (3_000..5_000_u16).prop_map(Some)],
        reason in "\\PC{0,40}",
        mask in any::<[u8; 4]>(),
        chop in 1..300_usize,
    ) {
        let (mut to_client, mut to_server) = (Vec::new(), Vec::new());
        for message in &messages {
            let (bits, payload) = payload(message);
            let opcode = [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong]
                .into_iter()
                .find(|opcode| *opcode as u8 == bits)
                .expect("one of these");
            match message {
                Owned::Text(text) => encode_text(&mut to_client, text),
                Owned::Binary(_) | Owned::Ping(_) | Owned::Pong(_) | Owned::Close(..) => {
                    encode(&mut to_client, opcode, &payload);
                }
            }
            encode_masked(&mut to_server, opcode, mask, &payload);
        }
        let reason = if code.is_some() { reason } else { String::new() };
        encode_close(&mut to_client, code, &reason);
        encode_masked(&mut to_server, Opcode::Close, mask, &CloseBody::new(code, &reason));

        for (role, bytes) in [(Role::Client, &to_client), (Role::Server, &to_server)] {
            let mut decoder = Decoder::new(role);
            let (mut said, outcome) = decode_all(&mut decoder, bytes, chop, &WIDE);
            prop_assert_eq!(outcome, Ok(()));
            let Some(Owned::Close(said_code, said_reason)) = said.pop() else { panic!("the last is the close") };
            prop_assert_eq!(said_code, code);
            prop_assert!(reason.starts_with(&said_reason) && reason.len() - said_reason.len() < reason.len().max(1));
            prop_assert_eq!(&said, &messages);
            prop_assert!(decoder.has_ended());
        }
        // The server's frames are also what a reader by hand makes of them.
        let by_hand: Vec<_> = Frame::read_all(&to_client).into_iter().map(|frame| (frame.opcode, frame.payload)).collect();
        prop_assert_eq!(&by_hand[..messages.len()], &messages.iter().map(payload).collect::<Vec<_>>()[..]);
    }

    #[test]
    fn rubbish_does_no_harm(data in vec(any::<u8>(), 0..600)) {
        fuzzing::websocket_decoder(&data);
    }

    #[test]
    fn a_valid_stream_with_one_byte_changed_does_no_harm(
        stream in vec(sent(), 1..4),
        config in any::<[u8; 3]>(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut data = config.to_vec();
        let frames = frames_of(&stream).0;
        data.extend(frames.iter().flat_map(|frame| if config[0] & 1 == 0 { frame.masked() } else { frame.unmasked() }));
        let at = at.index(data.len());
        data[at] = byte;
        fuzzing::websocket_decoder(&data);
    }

    #[test]
    fn text_is_refused_exactly_where_the_standard_library_refuses_it(
        bytes in vec(prop_oneof![any::<u8>(), 0x80..0xc0_u8, 0xc0..0xf8_u8, Just(b'a')], 0..80),
        chop in 1..20_usize,
    ) {
        let limits = Limits { message_bytes_max: 80, frame_bytes_max: 80, fragments_max: 1 };
        let (said, outcome) = decode_all(&mut Decoder::new(Role::Server), &Frame::new(TEXT, &bytes).masked(), chop, &limits);
        match std::str::from_utf8(&bytes) {
            Ok(text) => prop_assert_eq!((said, outcome), (vec![Owned::Text(text.to_owned())], Ok(()))),
            Err(_) => prop_assert!(said.is_empty() && outcome.is_err()),
        }
    }
}
