//! The header of a frame: parsed from a prefix, refused at the first byte that makes it wrong.

use super::{CONTROL_BYTES_MAX, Opcode, Role, Violation};

/// What the header of a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Whether the message ends with this frame.
    pub(super) fin: bool,
    pub(super) opcode: Opcode,
    /// Length of the payload in bytes, below 2^63; not yet held against a limit.
    pub(super) payload_len: u64,
    /// The mask key; zeros in an unmasked frame, where applying them changes nothing.
    pub(super) mask: [u8; 4],
    /// Length of the header itself in bytes.
    pub(super) header_len: usize,
}

impl Header {
    /// Reads a header from the start of `bytes`; `None` when more bytes are needed.
    ///
    /// Each check needs only the bytes up to the one it judges and the checks run in the order of the bytes, so a header
    /// that comes byte by byte is refused for the same reason as one that comes whole.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub(super) fn parse(bytes: &[u8], role: Role, message_is_open: bool) -> Result<Option<Self>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, opcode) = parse_first(first, message_is_open)?;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        let masked = second & 0x80 != 0;
        match role {
            Role::Server if !masked => return Err(Violation::NotMasked),
            Role::Client if masked => return Err(Violation::Masked),
            Role::Server | Role::Client => {}
        }
        let short_len = second & 0x7f;
        if opcode.is_control() && usize::from(short_len) > CONTROL_BYTES_MAX {
            return Err(Violation::LongControl);
        }
        let Some((payload_len, mask_at)) = parse_length(short_len, bytes)? else { return Ok(None) };
        if !masked {
            return Ok(Some(Self { fin, opcode, payload_len, mask: [0; 4], header_len: mask_at }));
        }
        let Some(&mask) = bytes[mask_at..].first_chunk() else { return Ok(None) };
        Ok(Some(Self { fin, opcode, payload_len, mask, header_len: mask_at + 4 }))
    }
}

/// The final bit and the opcode.
fn parse_first(first: u8, message_is_open: bool) -> Result<(bool, Opcode), Violation> {
    if first & 0x70 != 0 {
        return Err(Violation::ReservedBit);
    }
    let fin = first & 0x80 != 0;
    let opcode = Opcode::from_bits(first & 0x0f).ok_or(Violation::ReservedOpcode)?;
    match opcode {
        Opcode::Continuation if !message_is_open => Err(Violation::ContinuationWithoutStart),
        Opcode::Text | Opcode::Binary if message_is_open => Err(Violation::MessageInterrupted),
        Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => Err(Violation::FragmentedControl),
        Opcode::Continuation | Opcode::Text | Opcode::Binary | Opcode::Close | Opcode::Ping | Opcode::Pong => {
            Ok((fin, opcode))
        }
    }
}

/// The length of the payload and where it ends in the header; `None` when more bytes are needed.
fn parse_length(short_len: u8, bytes: &[u8]) -> Result<Option<(u64, usize)>, Violation> {
    match short_len {
        126 => {
            let Some(&long) = bytes[2..].first_chunk() else { return Ok(None) };
            let len = u64::from(u16::from_be_bytes(long));
            if len < 126 { Err(Violation::LengthNotMinimal) } else { Ok(Some((len, 4))) }
        }
        127 => {
            if bytes.get(2).is_some_and(|top| top & 0x80 != 0) {
                return Err(Violation::LengthTopBit);
            }
            let Some(&long) = bytes[2..].first_chunk() else { return Ok(None) };
            let len = u64::from_be_bytes(long);
            if len <= u64::from(u16::MAX) { Err(Violation::LengthNotMinimal) } else { Ok(Some((len, 10))) }
        }
        short => Ok(Some((u64::from(short), 2))),
    }
}

#[cfg(test)]
mod tests {
    use super::{Header, Opcode, Role, Violation};

    #[track_caller]
    fn check(bytes: &[u8], role: Role, message_is_open: bool, expected: Result<(Opcode, u64, usize), Violation>) {
        let whole = Header::parse(bytes, role, message_is_open);
        let seen = whole.map(|header| header.map(|header| (header.opcode, header.payload_len, header.header_len)));
        assert_eq!(seen, expected.map(Some));
        // No shorter prefix says anything else: it needs more bytes, or it is refused for the same reason.
        let mut first = None;
        for len in 0..bytes.len() {
            let prefix = Header::parse(&bytes[..len], role, message_is_open);
            if prefix != Ok(None) {
                first = Some(prefix);
                break;
            }
        }
        assert!(first.is_none() || first == Some(whole), "prefix says {first:?}, the whole {whole:?}");
    }

    #[test]
    fn lengths_and_masks() {
        let text = Opcode::Text;
        check(&[0x81, 0x05], Role::Client, false, Ok((text, 5, 2)));
        check(&[0x81, 0x85, 1, 2, 3, 4], Role::Server, false, Ok((text, 5, 6)));
        check(&[0x81, 126, 0, 126], Role::Client, false, Ok((text, 126, 4)));
        check(&[0x81, 254, 255, 255, 1, 2, 3, 4], Role::Server, false, Ok((text, 65_535, 8)));
        check(&[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0], Role::Client, false, Ok((text, 65_536, 10)));
        check(&[0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255], Role::Client, false, {
            Ok((Opcode::Binary, u64::MAX >> 1, 10))
        });
        check(&[0x00, 0], Role::Client, true, Ok((Opcode::Continuation, 0, 2)));
        check(&[0x89, 125], Role::Client, true, Ok((Opcode::Ping, 125, 2)));
    }

    #[test]
    fn refusals() {
        let refused = |bytes: &[u8], role, open, violation| check(bytes, role, open, Err(violation));
        for rsv in 1..8 {
            refused(&[0x81 | rsv << 4, 0], Role::Client, false, Violation::ReservedBit);
        }
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            refused(&[0x80 | opcode, 0], Role::Client, false, Violation::ReservedOpcode);
        }
        refused(&[0x81, 0x05], Role::Server, false, Violation::NotMasked);
        refused(&[0x81, 0x85, 1, 2, 3, 4], Role::Client, false, Violation::Masked);
        for control in [8, 9, 10] {
            refused(&[control, 0], Role::Client, false, Violation::FragmentedControl);
            refused(&[0x80 | control, 126, 0, 126], Role::Client, false, Violation::LongControl);
            refused(&[0x80 | control, 127], Role::Client, false, Violation::LongControl);
        }
        refused(&[0x81, 126, 0, 125], Role::Client, false, Violation::LengthNotMinimal);
        refused(&[0x81, 127, 0, 0, 0, 0, 0, 0, 255, 255], Role::Client, false, Violation::LengthNotMinimal);
        refused(&[0x81, 127, 0x80, 0, 0, 0, 0, 0, 0, 0], Role::Client, false, Violation::LengthTopBit);
        refused(&[0x80, 0], Role::Client, false, Violation::ContinuationWithoutStart);
        refused(&[0x81, 0], Role::Client, true, Violation::MessageInterrupted);
        refused(&[0x02, 0], Role::Client, true, Violation::MessageInterrupted);
    }
}
