//! Sums over rows: a CRC32 that finds damage, and a hash that compares contents.
//!
//! Both stand in files, so what goes into them and in which order never changes within a format.

use realtime_connector_core::record::Record;

/// CRC32 (IEEE) over the columns of a row. Parts of variable length carry their length, so that no two rows have the same bytes.
#[derive(Default)]
pub(super) struct Digest(crc32fast::Hasher);

impl Digest {
    pub(super) fn number(mut self, number: i64) -> Self {
        self.0.update(&number.to_be_bytes());
        self
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let mut digest = self.number(i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        digest.0.update(bytes);
        digest
    }

    pub(super) fn optional(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.bytes(bytes),
            None => self.number(-1),
        }
    }

    pub(super) fn finish(self) -> i64 {
        i64::from(self.0.finalize())
    }
}

/// 64-bit FNV-1a over what must be equal for two publishes to be the same: type, data, key and meta. A publisher that finds a
/// collision deceives only itself.
pub(super) fn content(record: &Record) -> i64 {
    let key = record.key.as_ref().map(|key| key.as_str().as_bytes());
    let parts = [Some(record.event_type.as_str().as_bytes()), Some(&record.data[..]), key, record.meta.as_deref()];
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut mix = |bytes: &[u8]| {
        for byte in bytes {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    };
    for part in parts {
        mix(&part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        mix(part.unwrap_or_default());
    }
    hash.cast_signed()
}
