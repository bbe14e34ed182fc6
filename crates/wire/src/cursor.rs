//! The cursor of an SSE stream in the open: session and positions, packed so that it stays small when it is sealed.
//!
//! The server seals it, so what is decoded here is what was encoded here, by this release or another one. Still: any bytes
//! decode without panic, and each cursor has one form.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 13 | session |
//! | 1 | count of epochs; the top bit says that some positions had no room ([`CURSOR_BYTES_MAX`]) |
//! | | for each epoch: |
//! | 1 + n | length of the epoch, and the epoch |
//! | 1 | count of positions, at least 1 |
//! | 8 + 1…8 each | fingerprint of the channel (big endian), offset (7 bits a byte, low ones first, the top bit says that more come) |

use realtime_connector_core::cursor::{CursorPositions, EpochPositions};
use realtime_connector_core::id::{CONNECTION_ID_BYTES, ConnectionId};
use realtime_connector_core::limits::{CURSOR_EPOCHS, SAFE_INTEGER_MAX};
use realtime_connector_core::position::{Epoch, Position};

/// Bytes of a cursor in the open: sealed (32 more) and spelled in base64 they are 1 KiB; larger headers are cut by some proxies. That is
/// 60 positions and more with offsets of up to three digits, and 40 with the largest ones there are.
pub const CURSOR_BYTES_MAX: usize = 736;

const VERSION: u8 = 1;
/// In the count of epochs: some positions had no room.
const LEFT_OUT: u8 = 0x80;
const FINGERPRINT_BYTES: usize = 8;
const POSITION_BYTES_MIN: usize = FINGERPRINT_BYTES + 1;
const OFFSET_BYTES_MAX: usize = 8;

// Each epoch has room for one position, and the count of a group is one byte.
const _: () =
    assert!(CURSOR_EPOCHS * (2 + Epoch::BYTES_MAX + FINGERPRINT_BYTES + OFFSET_BYTES_MAX) + 32 < CURSOR_BYTES_MAX);
const _: () = assert!(CURSOR_BYTES_MAX / POSITION_BYTES_MIN <= u8::MAX as usize);

/// What a cursor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The session.
    pub session: ConnectionId,
    /// Positions by epoch.
    pub positions: Vec<EpochPositions>,
    /// There were more than it has room for: the client had positions in other channels, and nobody knows them any more.
    pub left_out: bool,
}

/// Appends the packed form of a cursor, with as many of the positions as have room: the first one of each epoch, then the others of
/// the first epoch, and so on.
pub fn encode(out: &mut Vec<u8>, positions: &CursorPositions, session: ConnectionId) {
    let mut end = out.len() + CURSOR_BYTES_MAX - positions.iter().map(first_bytes).sum::<usize>();
    out.push(VERSION);
    out.extend_from_slice(&session.to_bytes());
    let epochs = out.len();
    out.push(0);
    for group in positions.iter() {
        end += first_bytes(group);
        out[epochs] += 1;
        if write_group(out, group, end) < group.offsets.len() {
            out[epochs] |= LEFT_OUT;
        }
    }
}

/// Bytes of a group that has its first position only.
fn first_bytes(group: &EpochPositions) -> usize {
    let bits = group.offsets.first().map_or(0, |(_, offset)| u64::BITS - offset.leading_zeros());
    2 + group.epoch.as_str().len() + FINGERPRINT_BYTES + (bits.max(1) as usize).div_ceil(7)
}

/// Appends what of a group has room before `end`. Returns how many positions that were.
fn write_group(out: &mut Vec<u8>, group: &EpochPositions, end: usize) -> usize {
    out.push(group.epoch.as_str().len() as u8);
    out.extend_from_slice(group.epoch.as_str().as_bytes());
    let count = out.len();
    out.push(0);
    for (fingerprint, offset) in &group.offsets {
        let last = out.len();
        out.extend_from_slice(&fingerprint.to_be_bytes());
        write_offset(out, *offset);
        if out.len() > end {
            out.truncate(last);
            break;
        }
        out[count] += 1;
    }
    usize::from(out[count])
}

impl Cursor {
    /// Reads a cursor. `None` for anything [`encode`] does not make.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (session, rest) = rest.split_first_chunk::<CONNECTION_ID_BYTES>()?;
        let (&epochs, mut rest) = rest.split_first()?;
        let session = ConnectionId::from_bytes(*session);
        let (left_out, epochs) = (epochs & LEFT_OUT != 0, usize::from(epochs & !LEFT_OUT));
        if version != VERSION || epochs > CURSOR_EPOCHS || bytes.len() > CURSOR_BYTES_MAX {
            return None;
        }
        let mut positions: Vec<EpochPositions> = Vec::with_capacity(epochs);
        for _ in 0..epochs {
            let (group, tail) = read_group(rest)?;
            if positions.iter().any(|other| other.epoch == group.epoch) {
                return None;
            }
            positions.push(group);
            rest = tail;
        }
        rest.is_empty().then_some(Self { session, positions, left_out })
    }

    /// The position in a channel, by its fingerprint.
    #[must_use]
    pub fn position(&self, fingerprint: u64) -> Option<Position> {
        self.positions.iter().find_map(|group| group.position(fingerprint))
    }
}

fn read_group(bytes: &[u8]) -> Option<(EpochPositions, &[u8])> {
    let (&epoch_len, rest) = bytes.split_first()?;
    let (epoch, rest) = rest.split_at_checked(usize::from(epoch_len))?;
    let (&count, mut rest) = rest.split_first()?;
    let epoch = Epoch::parse(std::str::from_utf8(epoch).ok()?)?;
    if count == 0 {
        return None;
    }
    let mut offsets = Vec::with_capacity(usize::from(count));
    for _ in 0..count {
        let (fingerprint, tail) = rest.split_first_chunk::<FINGERPRINT_BYTES>()?;
        let (offset, tail) = read_offset(tail)?;
        offsets.push((u64::from_be_bytes(*fingerprint), offset));
        rest = tail;
    }
    Some((EpochPositions { epoch, offsets }, rest))
}

fn write_offset(out: &mut Vec<u8>, mut offset: u64) {
    debug_assert!(offset <= SAFE_INTEGER_MAX, "offsets stay below 2^53");
    while offset > 0x7f {
        out.push(offset as u8 | 0x80);
        offset >>= 7;
    }
    out.push(offset as u8);
}

/// Reads an offset in its shortest form.
fn read_offset(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut offset = 0_u64;
    for (index, &byte) in bytes.iter().enumerate().take(OFFSET_BYTES_MAX) {
        offset |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let shortest = index == 0 || byte != 0;
            return (shortest && offset <= SAFE_INTEGER_MAX).then_some((offset, &bytes[index + 1..]));
        }
    }
    None
}
