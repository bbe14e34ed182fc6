//! The client's half of WebSocket framing (RFC 6455), as little as a load generator needs and nothing buffered.

use crate::failure::{Failure, Result};

/// Any key does: the handshake is between two of our own processes.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// What a correct server answers to [`KEY`] (the RFC's own example).
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Longest frame taken: nothing in a run comes near it.
const FRAME_BYTES_MAX: u64 = 4 << 20;
/// Masking guards proxies, and there is none; a constant mask costs the server the same work.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Frame types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opcode {
    /// Part of the message before.
    Continuation,
    /// UTF-8 message.
    Text,
    /// Binary message.
    Binary,
    /// End of the connection.
    Close,
    /// Wants a pong.
    Ping,
    /// Answer to a ping.
    Pong,
}

/// One frame, its payload still where it was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    /// Last of its message.
    pub(crate) fin: bool,
    /// Type.
    pub(crate) opcode: Opcode,
    /// Unmasked, as a server sends it.
    pub(crate) payload: &'a [u8],
}

/// Takes one frame off the front: its length on the wire and the frame, or `None` if it is not complete.
///
/// # Errors
/// Reserved bits or opcodes, masked frames, control frames that are fragmented or long.
pub(crate) fn next(input: &[u8]) -> Result<Option<(usize, Frame<'_>)>> {
    let [first, second, ..] = *input else { return Ok(None) };
    if first & 0x70 != 0 {
        return Err(Failure::Protocol(format!("websocket: reserved bits set in {first:#04x}")));
    }
    if second & 0x80 != 0 {
        return Err(Failure::Protocol("websocket: the server masks its frames".to_owned()));
    }
    let opcode = opcode(first & 0x0f)?;
    let fin = first & 0x80 != 0;
    let is_control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
    if is_control && (!fin || second > 125) {
        return Err(Failure::Protocol("websocket: long or fragmented control frame".to_owned()));
    }
    let (header, length) = match second {
        126 => match input.get(2..4) {
            Some(bytes) => (4, u64::from(u16::from_be_bytes([bytes[0], bytes[1]]))),
            None => return Ok(None),
        },
        127 => match input.get(2..10).and_then(|bytes| <[u8; 8]>::try_from(bytes).ok()) {
            Some(bytes) => (10, u64::from_be_bytes(bytes)),
            None => return Ok(None),
        },
        short => (2, u64::from(short)),
    };
    if length > FRAME_BYTES_MAX {
        return Err(Failure::Protocol(format!("websocket: frame of {length} bytes")));
    }
    let end = header + length as usize;
    Ok(input.get(header..end).map(|payload| (end, Frame { fin, opcode, payload })))
}

fn opcode(bits: u8) -> Result<Opcode> {
    match bits {
        0 => Ok(Opcode::Continuation),
        1 => Ok(Opcode::Text),
        2 => Ok(Opcode::Binary),
        8 => Ok(Opcode::Close),
        9 => Ok(Opcode::Ping),
        10 => Ok(Opcode::Pong),
        _ => Err(Failure::Protocol(format!("websocket: reserved opcode {bits}"))),
    }
}

/// Header of an unmasked, unfragmented text frame, as a server writes it (the floor does).
///
/// # Panics
/// Above 65,535 bytes: the floor's payloads have 150.
pub(crate) fn server_header(payload_bytes: usize) -> Vec<u8> {
    match u16::try_from(payload_bytes).expect("floor payloads are short") {
        short @ 0..=125 => vec![0x81, short as u8],
        long => [vec![0x81, 126], long.to_be_bytes().to_vec()].concat(),
    }
}

/// Appends a masked text frame.
pub(crate) fn write_text(out: &mut Vec<u8>, payload: &[u8]) {
    write_masked(out, 0x81, payload);
}

/// Appends the pong that answers a ping.
pub(crate) fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write_masked(out, 0x8a, payload);
}

/// Appends a close frame with code 1000.
pub(crate) fn write_close(out: &mut Vec<u8>) {
    write_masked(out, 0x88, &1000u16.to_be_bytes());
}

fn write_masked(out: &mut Vec<u8>, first: u8, payload: &[u8]) {
    out.push(first);
    match payload.len() {
        short @ 0..=125 => out.push(0x80 | short as u8),
        middle @ 126..=0xffff => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&MASK);
    out.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_all_three_lengths_are_read_and_never_early() {
        for length in [0usize, 1, 125, 126, 150, 65_535, 65_536] {
            let payload = vec![b'p'; length];
            let mut wire = vec![0x81];
            match length {
                0..=125 => wire.push(length as u8),
                126..=65_535 => wire.extend([&[126][..], &(length as u16).to_be_bytes()].concat()),
                _ => wire.extend([&[127][..], &(length as u64).to_be_bytes()].concat()),
            }
            wire.extend(&payload);
            for cut in [0, 1, 2, 3, 4, 9, 10, wire.len() - 1] {
                if cut < wire.len() {
                    assert_eq!(next(&wire[..cut]).unwrap(), None, "{length} cut at {cut}");
                }
            }
            let whole = wire.len();
            wire.extend(b"next");
            let expected = Frame { fin: true, opcode: Opcode::Text, payload: &payload };
            assert_eq!(next(&wire).unwrap(), Some((whole, expected)), "{length}");
        }
    }

    #[test]
    fn what_a_server_must_not_send_is_an_error() {
        for bad in
            [&[0xc1, 0][..], &[0x81, 0x80], &[0x83, 0], &[0x09, 0], &[0x89, 126], &[0x81, 127, 1, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert!(next(bad).is_err(), "{bad:02x?}");
        }
    }

    #[test]
    fn the_floor_frame_has_154_bytes() {
        assert_eq!(server_header(crate::payload::PAYLOAD_BYTES).len() + crate::payload::PAYLOAD_BYTES, 154);
        assert_eq!(server_header(5), [0x81, 5]);
    }

    #[test]
    fn client_frames_are_masked_and_carry_their_length() {
        for length in [5usize, 200, 70_000] {
            let payload: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let mut wire = Vec::new();
            write_text(&mut wire, &payload);
            let header = wire.len() - length;
            assert_eq!(wire[1] & 0x80, 0x80, "mask bit");
            let mask = &wire[header - 4..header];
            let back: Vec<u8> =
                wire[header..].iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
            assert_eq!(back, payload, "{length}");
            // Without its mask it is a frame that `next` reads.
            let mut plain = wire[..header - 4].to_vec();
            plain[1] &= 0x7f;
            plain.extend(&payload);
            assert_eq!(next(&plain).unwrap().unwrap().1.payload, payload, "{length}");
        }
    }
}
