//! The cursor of an SSE stream in the open: session and positions, packed so that it stays small when it is sealed.
//!
//! The server seals it, so what is decoded here is what was encoded here, by this release or another one. Still: any bytes
//! decode without panic, and each cursor has one form.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | version, 1 |
//! | 13 | session |
//! | 1 | count of epochs; 255 = the positions did not fit ([`CURSOR_POSITIONS_MAX`]), and none is in here |
//! | | for each epoch: |
//! | 1 + n | length of the epoch, at most [`CURSOR_EPOCH_BYTES_MAX`], and the epoch |
//! | 1 | count of positions, at least 1 |
//! | 8 + 1…8 each | fingerprint of the channel (big endian), offset (7 bits a byte, low ones first, the top bit says that more come) |

use realtime_connector_core::cursor::{CursorPositions, EpochPositions};
use realtime_connector_core::id::{CONNECTION_ID_BYTES, ConnectionId};
use realtime_connector_core::limits::{CURSOR_EPOCHS, SAFE_INTEGER_MAX};
use realtime_connector_core::position::{Epoch, Position};

/// Positions in one cursor: as many as fit when epochs and offsets are as long as they can be, and the whole is sealed, spelled in
/// base64 and at most 1 KiB (larger headers are cut by some proxies).
pub const CURSOR_POSITIONS_MAX: usize = 38;
/// Bytes of an epoch in a cursor; those of our logs are no longer.
pub const CURSOR_EPOCH_BYTES_MAX: usize = 16;

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
    /// Positions by epoch; `None` where there were too many: the client had positions, and nobody knows them any more.
    pub positions: Option<Vec<EpochPositions>>,
}

/// Appends the packed form of a cursor.
pub fn encode(out: &mut Vec<u8>, positions: &CursorPositions, session: ConnectionId) {
    out.push(VERSION);
    out.extend_from_slice(&session.to_bytes());
    let (mut epochs, mut count, mut fits) = (0, 0, true);
    for group in positions.iter() {
        epochs += 1;
        count += group.offsets.len();
        fits &= group.epoch.as_str().len() <= CURSOR_EPOCH_BYTES_MAX;
    }
    if !fits || count > CURSOR_POSITIONS_MAX {
        out.push(OMITTED);
        return;
    }
    out.push(epochs);
    for group in positions.iter() {
        out.push(group.epoch.as_str().len() as u8);
        out.extend_from_slice(group.epoch.as_str().as_bytes());
        out.push(group.offsets.len() as u8);
        for (fingerprint, offset) in &group.offsets {
            out.extend_from_slice(&fingerprint.to_be_bytes());
            write_offset(out, *offset);
        }
    }
}

impl Cursor {
    /// Reads a cursor. `None` for anything [`encode`] does not make.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (&version, rest) = bytes.split_first()?;
        let (session, rest) = rest.split_first_chunk::<CONNECTION_ID_BYTES>()?;
        let (&epochs, mut rest) = rest.split_first()?;
        let session = ConnectionId::from_bytes(*session);
        if version != VERSION {
            return None;
        }
        if epochs == OMITTED {
            return rest.is_empty().then_some(Self { session, positions: None });
        }
        if usize::from(epochs) > CURSOR_EPOCHS {
            return None;
        }
        let mut groups: Vec<EpochPositions> = Vec::with_capacity(usize::from(epochs));
        let mut count = 0;
        for _ in 0..epochs {
            let (group, tail) = read_group(rest)?;
            count += group.offsets.len();
            if groups.iter().any(|other| other.epoch == group.epoch) {
                return None;
            }
            groups.push(group);
            rest = tail;
        }
        let whole = rest.is_empty() && count <= CURSOR_POSITIONS_MAX;
        whole.then_some(Self { session, positions: Some(groups) })
    }

    /// The position in a channel, by its fingerprint.
    #[must_use]
    pub fn position(&self, fingerprint: u64) -> Option<Position> {
        self.positions.iter().flatten().find_map(|group| group.position(fingerprint))
    }
}

fn read_group(bytes: &[u8]) -> Option<(EpochPositions, &[u8])> {
    let (&epoch_len, rest) = bytes.split_first()?;
    let (epoch, rest) = rest.split_at_checked(usize::from(epoch_len))?;
    let (&count, mut rest) = rest.split_first()?;
    let epoch = Epoch::parse(std::str::from_utf8(epoch).ok()?)?;
    if count == 0 || usize::from(epoch_len) > CURSOR_EPOCH_BYTES_MAX {
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
