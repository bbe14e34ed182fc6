//! What a hostile peer can make the decoder do: little. Lengths are refused when they are claimed, memory follows the
//! bytes that came, and the end is final.

mod websocket_support;

use realtime_connector_wire::websocket::{Decoder, Limits, Message, Role, Violation};
use websocket_support::{BINARY, CONTINUATION, Frame, Owned, PING, TEXT, decode_all};

const LIMITS: Limits = Limits { message_bytes_max: 1_000, frame_bytes_max: 600, fragments_max: 4 };

/// A box, a header, and the payload of a control frame.
const OVERHEAD_BYTES_MAX: usize = 256;

/// Decodes what a client sends, whole and byte by byte; the memory stays bounded, and nothing counts after the end.
#[track_caller]
fn check(limits: &Limits, bytes: &[u8], expected: &[Owned], end: Result<(), Violation>) {
    for chop in [1, 7, usize::MAX] {
        let mut decoder = Decoder::new(Role::Server);
        let (messages, outcome) = decode_all(&mut decoder, bytes, chop, limits);
        assert_eq!((&messages[..], outcome), (expected, end), "in pieces of {chop}");
        if end.is_err() {
            assert_eq!(decoder.held_bytes(), 0);
            let later = decode_all(&mut decoder, &Frame::new(TEXT, "later").masked(), chop, limits);
            assert_eq!(later, (vec![], Ok(())), "nothing counts after a violation");
        }
    }
}

fn masked(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::masked).collect()
}

/// A header that claims `len` bytes, in the longest form.
fn claim(opcode: u8, len: u64) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode, 0xff];
    bytes.extend_from_slice(&len.to_be_bytes());
    bytes.extend_from_slice(&[1, 2, 3, 4]);
    bytes
}

#[test]
fn the_limits_are_exact() {
    let text = |len: usize| "x".repeat(len);
    let said = |len| [Owned::Text(text(len))];
    check(&LIMITS, &Frame::new(TEXT, text(600)).masked(), &said(600), Ok(()));
    check(&LIMITS, &Frame::new(TEXT, text(601)).masked(), &[], Err(Violation::FrameTooBig));

    let in_two =
        |first: usize, second: usize| masked(&[Frame::part(TEXT, text(first)), Frame::new(CONTINUATION, text(second))]);
    check(&LIMITS, &in_two(600, 400), &said(1_000), Ok(()));
    check(&LIMITS, &in_two(600, 401), &[], Err(Violation::MessageTooBig));

    let in_pieces = |count: usize| {
        let mut frames = vec![Frame::part(CONTINUATION, "y"); count];
        frames[0].opcode = BINARY;
        frames[count - 1].fin = true;
        masked(&frames)
    };
    check(&LIMITS, &in_pieces(4), &[Owned::Binary(b"yyyy".to_vec())], Ok(()));
    check(&LIMITS, &in_pieces(5), &[], Err(Violation::TooManyFragments));

    // The count begins anew with each message.
    let twice = [in_pieces(4), in_pieces(4)].concat();
    check(&LIMITS, &twice, &[Owned::Binary(b"yyyy".to_vec()), Owned::Binary(b"yyyy".to_vec())], Ok(()));
}

#[test]
fn a_control_frame_has_its_own_limit() {
    let limits = Limits { message_bytes_max: 0, frame_bytes_max: 0, fragments_max: 0 };
    let ping = Frame::new(PING, [7; 125]);
    check(&limits, &ping.masked(), &[Owned::Ping(vec![7; 125])], Ok(()));
    check(&limits, &Frame::new(TEXT, "").masked(), &[], Err(Violation::TooManyFragments));
}

#[test]
fn a_claimed_length_is_refused_at_once_and_never_allocated() {
    check(&LIMITS, &claim(BINARY, 1 << 62), &[], Err(Violation::FrameTooBig));
    check(&LIMITS, &claim(BINARY, i64::MAX as u64), &[], Err(Violation::FrameTooBig));
    check(&LIMITS, &claim(BINARY, 1 << 63), &[], Err(Violation::LengthTopBit));
    check(&LIMITS, &claim(BINARY, u64::MAX), &[], Err(Violation::LengthTopBit));
    check(&LIMITS, &claim(BINARY, 600), &[], Err(Violation::LengthNotMinimal));

    // Within the limits a claim alone costs nothing either, and memory at most doubles what came.
    let limits = Limits { message_bytes_max: usize::MAX, frame_bytes_max: usize::MAX, fragments_max: 1 };
    for opcode in [TEXT, BINARY] {
        let mut decoder = Decoder::new(Role::Server);
        assert_eq!(decode_all(&mut decoder, &claim(opcode, 1 << 62), 1, &limits), (vec![], Ok(())));
        assert!(decoder.held_bytes() <= OVERHEAD_BYTES_MAX, "{} bytes for a claim", decoder.held_bytes());
        for received in 1..=10_000 {
            let mut byte = [1]; // 1 under any byte of the mask stays below 8, text as well
            assert_eq!(decoder.decode(&mut &mut byte[..], &limits), Ok(None));
            assert!(decoder.held_bytes() <= OVERHEAD_BYTES_MAX + 2 * received);
        }
    }
}

#[test]
fn a_message_at_its_limit_holds_no_more_than_that() {
    let limits = Limits { message_bytes_max: 100_000, frame_bytes_max: 100_000, fragments_max: 10 };
    for opcode in [TEXT, BINARY] {
        for frames in [
            vec![Frame::new(opcode, vec![b'x'; 100_000])],
            vec![Frame::part(opcode, vec![b'x'; 70_000]), Frame::new(CONTINUATION, vec![b'x'; 30_000])],
        ] {
            let mut decoder = Decoder::new(Role::Server);
            let mut bytes = masked(&frames);
            let mut seen = 0;
            for piece in bytes.chunks_mut(1_500) {
                let mut input = piece;
                while let Some(message) = decoder.decode(&mut input, &limits).expect("a good message") {
                    assert!(matches!(message, Message::Text(_) | Message::Binary(_)));
                    seen += 1;
                }
                assert!(decoder.held_bytes() <= 100_000 + OVERHEAD_BYTES_MAX);
            }
            assert_eq!((seen, decoder.held_bytes()), (1, 0));
        }
    }
}

#[test]
fn two_hundred_thousand_empty_fragments_end_early_and_hold_nothing() {
    let limits = Limits { fragments_max: 1_000, ..LIMITS };
    for payload in [&b""[..], b"z"] {
        let mut decoder = Decoder::new(Role::Server);
        let first = Frame::part(TEXT, payload).masked();
        assert_eq!(decode_all(&mut decoder, &first, usize::MAX, &limits), (vec![], Ok(())));
        let next = Frame::part(CONTINUATION, payload).masked();
        let mut violation = None;
        for _ in 0..200_000 {
            let mut bytes = next.clone();
            let mut input = &mut bytes[..];
            match decoder.decode(&mut input, &limits) {
                Ok(message) => assert_eq!(message, None),
                Err(first) => assert_eq!(violation.replace(first), None),
            }
            assert!(decoder.held_bytes() <= OVERHEAD_BYTES_MAX + 2 * 1_000);
        }
        assert_eq!(violation, Some(Violation::TooManyFragments));
        assert_eq!(violation.map(Violation::code), Some(1008));
    }
}

#[test]
fn an_idle_decoder_holds_nothing() {
    // Messages that came in pieces, control frames between fragments: after the last byte, all is free again.
    let bytes = masked(&[
        Frame::new(TEXT, "whole"),
        Frame::part(TEXT, "pa"),
        Frame::new(PING, "p"),
        Frame::new(CONTINUATION, "rt"),
        Frame::new(BINARY, [9; 200]),
        Frame::new(PING, ""),
    ]);
    for chop in [1, 2, 3, 5, 64, usize::MAX] {
        let mut decoder = Decoder::new(Role::Server);
        assert!(decoder.is_idle());
        let (messages, outcome) = decode_all(&mut decoder, &bytes, chop, &LIMITS);
        assert_eq!((messages.len(), outcome), (5, Ok(())), "chop {chop}");
        assert!(decoder.is_idle());
        assert_eq!(decoder.held_bytes(), 0);
    }
}

#[test]
fn a_caller_that_stops_early_can_free_the_message() {
    let mut decoder = Decoder::new(Role::Server);
    let mut bytes = masked(&[Frame::part(TEXT, "pa"), Frame::new(CONTINUATION, "rt"), Frame::new(TEXT, "next")]);
    let mut input = &mut bytes[..];
    assert_eq!(decoder.decode(&mut input, &LIMITS), Ok(Some(Message::Text("part"))));
    assert!(decoder.held_bytes() > 0);
    decoder.release();
    assert_eq!(decoder.held_bytes(), 0);
    assert_eq!(decoder.decode(&mut input, &LIMITS), Ok(Some(Message::Text("next"))));
}

#[test]
fn a_whole_message_is_lent_from_the_read_buffer() {
    let mut decoder = Decoder::new(Role::Server);
    let mut bytes = masked(&[Frame::new(TEXT, "lent"), Frame::new(PING, "too")]);
    let range = bytes.as_ptr_range();
    let mut input = &mut bytes[..];
    for _ in 0..2 {
        let message = decoder.decode(&mut input, &LIMITS).expect("a good message");
        let (Some(Message::Text(_)) | Some(Message::Ping(_))) = message else { panic!("{message:?}") };
        let payload = match message {
            Some(Message::Text(text)) => text.as_bytes(),
            Some(Message::Ping(payload)) => payload,
            Some(Message::Binary(_) | Message::Pong(_) | Message::Close { .. }) | None => unreachable!("checked above"),
        };
        assert!(range.contains(&payload.as_ptr()));
        assert_eq!(decoder.held_bytes(), 0);
    }
}

#[test]
fn after_a_close_nothing_counts() {
    let frames = [Frame::part(TEXT, "open"), Frame::close(4_000, "bye"), Frame::new(0x0f, "rubbish").rsv(7)];
    check(&LIMITS, &masked(&frames), &[Owned::Close(Some(4_000), "bye".into())], Ok(()));
    for chop in [1, usize::MAX] {
        let mut decoder = Decoder::new(Role::Server);
        decode_all(&mut decoder, &masked(&frames), chop, &LIMITS).1.expect("a good close");
        assert!(decoder.has_ended());
        assert_eq!(decoder.held_bytes(), 0, "not even the message that the close cut off");
    }
}

#[test]
fn each_role_refuses_the_masking_of_its_own_side() {
    let frame = Frame::new(TEXT, "hello");
    let said = vec![Owned::Text("hello".into())];
    for chop in [1, usize::MAX] {
        let decode = |role, bytes: &[u8]| decode_all(&mut Decoder::new(role), bytes, chop, &LIMITS);
        assert_eq!(decode(Role::Server, &frame.masked()), (said.clone(), Ok(())));
        assert_eq!(decode(Role::Client, &frame.unmasked()), (said.clone(), Ok(())));
        assert_eq!(decode(Role::Server, &frame.unmasked()), (vec![], Err(Violation::NotMasked)));
        assert_eq!(decode(Role::Client, &frame.masked()), (vec![], Err(Violation::Masked)));
    }
}

#[test]
fn every_violation_has_a_code_and_a_plain_reason() {
    let table = [
        (Violation::ReservedBit, 1002),
        (Violation::ReservedOpcode, 1002),
        (Violation::NotMasked, 1002),
        (Violation::Masked, 1002),
        (Violation::FragmentedControl, 1002),
        (Violation::LongControl, 1002),
        (Violation::LengthNotMinimal, 1002),
        (Violation::LengthTopBit, 1002),
        (Violation::ContinuationWithoutStart, 1002),
        (Violation::MessageInterrupted, 1002),
        (Violation::CloseBodyTooShort, 1002),
        (Violation::CloseCode, 1002),
        (Violation::BinaryNotAccepted, 1003),
        (Violation::InvalidUtf8, 1007),
        (Violation::TooManyFragments, 1008),
        (Violation::FrameTooBig, 1009),
        (Violation::MessageTooBig, 1009),
    ];
    for (violation, code) in table {
        assert_eq!(violation.code(), code, "{violation:?}");
        let reason = violation.to_string();
        assert!(reason.len() <= 123 && !reason.ends_with('.') && reason == reason.to_lowercase(), "{reason}");
    }
}
