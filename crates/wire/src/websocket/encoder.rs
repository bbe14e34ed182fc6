//! Messages to bytes: complete frames, each with the final bit, unmasked unless said otherwise.
//!
//! [`frame_in_place`] makes a frame of its own to be shared by many connections; [`encode_with`] and its relatives append
//! to a buffer of one connection.

use std::ops::Deref;

use bytes::Bytes;

use super::{CONTROL_BYTES_MAX, HEADER_BYTES_MAX, Opcode, apply_mask};

/// The longest header of an unmasked frame, in bytes.
const UNMASKED_HEADER_BYTES_MAX: usize = HEADER_BYTES_MAX - 4;

/// The header of a frame, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct FrameHeader {
    bytes: [u8; HEADER_BYTES_MAX],
    len: u8,
}

impl Deref for FrameHeader {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

/// The header of a final, unmasked frame with `payload_len` bytes of payload: 2, 4 or 10 bytes.
///
/// # Panics
/// When a control frame is to have more than 125 bytes.
pub fn frame_header(opcode: Opcode, payload_len: usize) -> FrameHeader {
    assert!(!opcode.is_control() || payload_len <= CONTROL_BYTES_MAX, "control frame of {payload_len} bytes");
    let mut bytes = [0; HEADER_BYTES_MAX];
    bytes[0] = 0x80 | opcode as u8;
    let len = if payload_len <= 125 {
        bytes[1] = payload_len as u8;
        2
    } else if let Ok(short) = u16::try_from(payload_len) {
        bytes[1] = 126;
        bytes[2..4].copy_from_slice(&short.to_be_bytes());
        4
    } else {
        bytes[1] = 127;
        bytes[2..10].copy_from_slice(&(payload_len as u64).to_be_bytes());
        10
    };
    FrameHeader { bytes, len }
}

/// The header of a final frame whose payload is masked with `mask`: 6, 8 or 14 bytes. For clients.
///
/// # Panics
/// As [`frame_header`].
pub fn masked_frame_header(opcode: Opcode, payload_len: usize, mask: [u8; 4]) -> FrameHeader {
    let mut header = frame_header(opcode, payload_len);
    header.bytes[1] |= 0x80;
    let mask_at = usize::from(header.len);
    header.bytes[mask_at..mask_at + 4].copy_from_slice(&mask);
    header.len += 4;
    header
}

/// Appends a frame to `out`.
///
/// # Panics
/// As [`frame_header`].
pub fn encode(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let header = frame_header(opcode, payload.len());
    out.reserve(header.len() + payload.len());
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
}

/// Appends a text frame to `out`.
pub fn encode_text(out: &mut Vec<u8>, text: &str) {
    encode(out, Opcode::Text, text.as_bytes());
}

/// Appends a masked frame to `out`. For clients; `mask` must be new and unpredictable for each frame where an attacker may
/// choose the payload (RFC 6455, 10.3).
///
/// # Panics
/// As [`frame_header`].
pub fn encode_masked(out: &mut Vec<u8>, opcode: Opcode, mask: [u8; 4], payload: &[u8]) {
    let header = masked_frame_header(opcode, payload.len(), mask);
    out.reserve(header.len() + payload.len());
    out.extend_from_slice(&header);
    let payload_at = out.len();
    out.extend_from_slice(payload);
    apply_mask(mask, &mut out[payload_at..]);
}

/// Appends a frame whose payload `write` appends.
///
/// # Panics
/// When `write` takes away what was in `out` before, and as [`frame_header`].
pub fn encode_with(out: &mut Vec<u8>, opcode: Opcode, write: impl FnOnce(&mut Vec<u8>)) {
    // Room for the header of 126 to 65,535 bytes, which most messages need; for others the payload moves a little.
    const GUESS: usize = 4;
    let start = out.len();
    let payload_at = start + GUESS;
    out.resize(payload_at, 0);
    write(out);
    let payload_len = out.len().checked_sub(payload_at).expect("the writer only appends");
    let header = frame_header(opcode, payload_len);
    if header.len() != GUESS {
        out.resize(out.len().max(start + header.len() + payload_len), 0);
        out.copy_within(payload_at..payload_at + payload_len, start + header.len());
        out.truncate(start + header.len() + payload_len);
    }
    out[start..start + header.len()].copy_from_slice(&header);
}

/// A frame of its own, to be shared: `write` appends the payload, the header is put right before it. One allocation when
/// `payload_bytes` is enough.
///
/// # Panics
/// As [`encode_with`].
pub fn frame_in_place(opcode: Opcode, payload_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut buffer = Vec::with_capacity(UNMASKED_HEADER_BYTES_MAX + payload_bytes);
    buffer.resize(UNMASKED_HEADER_BYTES_MAX, 0);
    write(&mut buffer);
    let payload_len = buffer.len().checked_sub(UNMASKED_HEADER_BYTES_MAX).expect("the writer only appends");
    let header = frame_header(opcode, payload_len);
    let start = UNMASKED_HEADER_BYTES_MAX - header.len();
    buffer[start..UNMASKED_HEADER_BYTES_MAX].copy_from_slice(&header);
    Bytes::from(buffer).slice(start..)
}

/// Appends a close frame; see [`CloseBody::new`].
///
/// # Panics
/// As [`CloseBody::new`].
pub fn encode_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    encode(out, Opcode::Close, &CloseBody::new(code, reason));
}

/// The payload of a close frame, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct CloseBody {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: u8,
}

impl CloseBody {
    /// Code and reason; the reason is cut to 123 bytes, at the end of a character. Without a code there is no body.
    ///
    /// # Panics
    /// In a debug build, when `code` must not be sent.
    pub fn new(code: Option<u16>, reason: &str) -> Self {
        let mut bytes = [0; CONTROL_BYTES_MAX];
        let Some(code) = code else { return Self { bytes, len: 0 } };
        debug_assert!(super::close_code::may_be_sent(code), "close code {code} must not be sent");
        let mut reason_len = reason.len().min(CONTROL_BYTES_MAX - 2);
        while !reason.is_char_boundary(reason_len) {
            reason_len -= 1;
        }
        bytes[..2].copy_from_slice(&code.to_be_bytes());
        bytes[2..2 + reason_len].copy_from_slice(&reason.as_bytes()[..reason_len]);
        Self { bytes, len: 2 + reason_len as u8 }
    }
}

impl Deref for CloseBody {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[cfg(test)]
mod tests {
    use super::{CloseBody, Opcode, encode, encode_close, encode_masked, encode_text, encode_with, frame_in_place};

    #[test]
    fn the_examples_of_the_rfc() {
        let mut out = Vec::new();
        encode_text(&mut out, "Hello");
        assert_eq!(out, b"\x81\x05Hello");
        out.clear();
        encode_masked(&mut out, Opcode::Text, [0x37, 0xfa, 0x21, 0x3d], b"Hello");
        assert_eq!(out, b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
        out.clear();
        encode(&mut out, Opcode::Ping, b"Hello");
        assert_eq!(out, b"\x89\x05Hello");
        out.clear();
        encode(&mut out, Opcode::Binary, &vec![7; 256]);
        assert_eq!(out[..4], *b"\x82\x7e\x01\x00");
        out.clear();
        encode(&mut out, Opcode::Binary, &vec![7; 65_536]);
        assert_eq!(out[..10], *b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00");
    }

    #[test]
    fn in_place_and_appended_frames_are_the_same_bytes() {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let payload: Vec<u8> = (0..len).map(|i| i as u8).collect();
            let mut expected = Vec::new();
            encode(&mut expected, Opcode::Binary, &payload);
            let shared = frame_in_place(Opcode::Binary, len, |out| out.extend_from_slice(&payload));
            assert_eq!(shared, expected, "{len} bytes, shared");
            let mut out = b"before".to_vec();
            encode_with(&mut out, Opcode::Binary, |out| out.extend_from_slice(&payload));
            assert_eq!(out[..6], *b"before");
            assert_eq!(out[6..], expected, "{len} bytes, appended");
        }
    }

    #[test]
    fn a_close_reason_is_cut_between_characters() {
        let mut out = Vec::new();
        encode_close(&mut out, Some(1001), "bye");
        assert_eq!(out, b"\x88\x05\x03\xe9bye");
        assert_eq!(&*CloseBody::new(None, "never seen"), b"");
        let body = CloseBody::new(Some(1000), &"x".repeat(200));
        assert_eq!(body.len(), 125);
        let body = CloseBody::new(Some(1000), &"€".repeat(50)); // 3 bytes each, 123 = 41 × 3
        assert_eq!(body.len(), 125);
        let body = CloseBody::new(Some(1000), &format!("a{}", "€".repeat(50)));
        assert_eq!(body.len(), 2 + 121);
        assert!(std::str::from_utf8(&body[2..]).is_ok());
    }

    #[test]
    #[should_panic(expected = "control frame of 126 bytes")]
    fn a_long_control_frame_is_our_bug() {
        encode(&mut Vec::new(), Opcode::Pong, &[0; 126]);
    }
}
