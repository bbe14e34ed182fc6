//! The measured payload: a JSON string of exactly 150 bytes that carries its round and its place in the round.
//!
//! It is found inside whatever envelope a server puts around it, because its first bytes occur nowhere else.

use memchr::memmem;

/// With the 4 bytes of a WebSocket header this makes the 154-byte frame that all figures refer to.
pub(crate) const PAYLOAD_BYTES: usize = 150;

/// No server writes this by itself: a channel name is followed by a quote, not by a colon.
const MARK: &[u8] = b"\"bench:";
const ROUND_DIGITS: usize = 10;
const SEQ_DIGITS: usize = 6;

/// Which message of which round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label {
    /// Counts from 1 for each contestant.
    pub(crate) round: u32,
    /// 0-based place in the round.
    pub(crate) seq: u32,
}

/// Writes the payload of one message.
pub(crate) fn write(label: Label) -> String {
    let mut text = format!("\"bench:{:010}:{:06}:", label.round, label.seq);
    while text.len() < PAYLOAD_BYTES - 1 {
        text.push('x');
    }
    text.push('"');
    text
}

/// Finds the payload in a frame. `hint` is where the last one stood: the envelopes of one connection hardly differ.
pub(crate) fn find(frame: &[u8], hint: &mut usize) -> Option<Label> {
    let start = match frame.get(*hint..) {
        Some(rest) if rest.starts_with(MARK) => *hint,
        Some(_) | None => memmem::find(frame, MARK)?,
    };
    let payload = frame.get(start..start + PAYLOAD_BYTES)?;
    let (round_at, seq_at) = (MARK.len(), MARK.len() + ROUND_DIGITS + 1);
    if payload[PAYLOAD_BYTES - 1] != b'"' {
        return None;
    }
    *hint = start;
    Some(Label {
        round: digits(&payload[round_at..round_at + ROUND_DIGITS])?,
        seq: digits(&payload[seq_at..seq_at + SEQ_DIGITS])?,
    })
}

fn digits(text: &[u8]) -> Option<u32> {
    text.iter().try_fold(0u32, |value, byte| match byte {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u32::from(byte - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_found_in_any_envelope_and_has_its_length() {
        let label = Label { round: 4_000_000_000, seq: 63 };
        let payload = write(label);
        assert_eq!(payload.len(), PAYLOAD_BYTES);
        let mut hint = 0;
        for envelope in [
            payload.clone(),
            format!("{{\"op\":\"message\",\"channel\":\"bench\",\"offset\":7,\"data\":{payload}}}"),
            format!("42[\"x\",{payload}]"),
        ] {
            assert_eq!(find(envelope.as_bytes(), &mut hint), Some(label), "{envelope}");
            assert_eq!(find(envelope.as_bytes(), &mut hint), Some(label), "again, by the hint");
        }
    }

    #[test]
    fn a_cut_or_foreign_payload_is_not_one() {
        let payload = write(Label { round: 1, seq: 2 });
        for foreign in [&payload[..PAYLOAD_BYTES - 1], "\"bench\"", "", &payload.replace("0000000001", "00000000z1")] {
            assert_eq!(find(foreign.as_bytes(), &mut 0), None, "{foreign}");
        }
    }
}
