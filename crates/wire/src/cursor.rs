//! The cursor of an SSE stream in the open: session and positions, packed so that it stays small when it is sealed.
//!
//! The server seals it, so what is decoded here is what was encoded here, by this release or another one. Still: any bytes
//! decode without panic, and each cursor has one form.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 13 | session |
//! | 1 + n | length of the epoch, and the epoch; length 0 = no epoch, and then no positions |
//! | 1 | count of positions; 255 = there were more than [`CURSOR_POSITIONS_MAX`], and none is in here |
//! | 8 + 1…8 each | fingerprint of the channel (big endian), offset (7 bits a byte, low ones first, the top bit says that more come) |

use realtime_connector_core::event::CursorPositions;
use realtime_connector_core::id::{CONNECTION_ID_BYTES, ConnectionId};
use realtime_connector_core::limits::SAFE_INTEGER_MAX;
use realtime_connector_core::position::Epoch;

/// Positions in one cursor: as many as fit when the epoch and the offsets are as long as they can be, and the whole is sealed,
/// spelled in base64 and at most 1 KiB (larger headers are cut by some proxies).
pub const CURSOR_POSITIONS_MAX: usize = 40;

const VERSION: u8 = 1;
/// In place of a count: the positions did not fit.
const OMITTED: u8 = 255;
const FINGERPRINT_BYTES: usize = 8;
const OFFSET_BYTES_MAX: usize = 8;

/// What a cursor says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The session.
    pub session: ConnectionId,
    /// The epoch of the offsets.
    pub epoch: Option<Epoch>,
    /// Fingerprint and offset per channel, in order of subscription.
    pub offsets: Vec<(u64, u64)>,
    /// Whether `offsets` holds all positions. Otherwise there were too many and it is empty: the client had positions, and
    /// nobody knows them any more.
    pub complete: bool,
}

/// Appends the packed form of a cursor. Offsets without an epoch mean nothing and are left out.
pub fn encode(out: &mut Vec<u8>, positions: &CursorPositions, session: ConnectionId) {
    let epoch = positions.epoch.as_ref().map_or("", Epoch::as_str);
    let offsets = if epoch.is_empty() { &[][..] } else { &positions.offsets };
    out.push(VERSION);
    out.extend_from_slice(&session.to_bytes());
    out.push(u8::try_from(epoch.len()).expect("an epoch has at most 64 bytes"));
    out.extend_from_slice(epoch.as_bytes());
    if offsets.len() > CURSOR_POSITIONS_MAX {
        out.push(OMITTED);
        return;
    }
    out.push(offsets.len() as u8);
    for (fingerprint, offset) in offsets {
        out.extend_from_slice(&fingerprint.to_be_bytes());
        write_offset(out, *offset);
    }
}

impl Cursor {
    /// Reads a cursor. `None` for anything [`encode`] does not make.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (session, rest) = rest.split_first_chunk::<CONNECTION_ID_BYTES>()?;
        let (&epoch_len, rest) = rest.split_first()?;
        let (epoch, rest) = rest.split_at_checked(usize::from(epoch_len))?;
        let (&count, mut rest) = rest.split_first()?;
        let epoch = if epoch.is_empty() { None } else { Some(Epoch::parse(std::str::from_utf8(epoch).ok()?)?) };
        let complete = count != OMITTED;
        let count = if complete { usize::from(count) } else { 0 };
        if version != VERSION || count > CURSOR_POSITIONS_MAX || (epoch.is_none() && (count > 0 || !complete)) {
            return None;
        }
        let mut offsets = Vec::with_capacity(count);
        for _ in 0..count {
            let (fingerprint, tail) = rest.split_first_chunk::<FINGERPRINT_BYTES>()?;
            let (offset, tail) = read_offset(tail)?;
            offsets.push((u64::from_be_bytes(*fingerprint), offset));
            rest = tail;
        }
        let cursor = Self { session: ConnectionId::from_bytes(*session), epoch, offsets, complete };
        rest.is_empty().then_some(cursor)
    }
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
