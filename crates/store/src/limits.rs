//! Every bound of the store, in one place, with its unit and its reason.

use std::time::Duration;

pub use realtime_connector_core::limits::{CHANGES_MAX, SCAN_ROWS_MAX, STATE_KEY_BYTES_MAX, STATE_VALUE_BYTES_MAX};

/// Requests that wait for the writer, over all workers: a few of the largest groups.
pub const WRITES: usize = 16_384;
/// Bytes of requests that wait for the writer: what a slow disk writes in about a second.
pub const WRITE_BYTES: usize = 32 * 1024 * 1024;
/// Requests that wait for the readers, over all workers: each is a page or less.
pub const READS: usize = 4_096;
/// Bytes that reads which wait may bring, over all workers. A worker that does not poll does not ask, so this bounds answers too.
pub const READ_QUEUE_BYTES: usize = 64 * 1024 * 1024;
/// Answers of one handle that have been asked for and not polled: as much as may wait, so that one worker can use all of it.
pub const OUTSTANDING: usize = WRITES;
/// Requests in one group. More does not make a sync cheaper, and the last of them waits for all.
pub const GROUP_REQUESTS: usize = 1_024;
/// Bytes in one group: about a thousand pages of the write-ahead log.
pub const GROUP_BYTES: usize = 4 * 1024 * 1024;
/// Threads that read. Two, so that one long page does not hold up everybody.
pub const READERS: usize = 2;

/// Records one read may ask for: one history page.
pub const READ_RECORDS_MAX: usize = 1_000;
/// Bytes one read may ask for, but for the first record.
pub const READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Offsets one read looks at, so that a stretch of expired records costs no more than a page.
pub const READ_STEPS: usize = 4_096;
/// Bytes of values of one page of a scan, but for the first row.
pub const SCAN_BYTES_MAX: usize = 256 * 1024;
/// Bytes of `data` and `meta` of one record, each: above every bound of a message, below what a row takes.
pub const RECORD_PART_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Pages of the write-ahead log from which on it is moved into the file: 4 MiB, the bound of what a restart has to read.
pub const CHECKPOINT_PAGES: i64 = 1_000;
/// Pages from which on readers are waited for, because they kept the log from starting over: 64 MiB.
pub const CHECKPOINT_PAGES_HARD: i64 = 16_000;
/// How long they are waited for, once per round of housekeeping: longer than a page takes to read.
pub const CHECKPOINT_PATIENCE: Duration = Duration::from_millis(20);
/// How long a write waits for the lock of an operator's own program.
pub const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// Records removed from one channel at once: a few milliseconds.
pub const SWEEP_RECORDS: usize = 256;
/// Records removed per group beyond twice those that came: the store shrinks faster than it grows and no group waits long.
pub const SWEEP_PER_GROUP: usize = 256;
/// Rows of each kind removed by one round of housekeeping. A round that reaches it is followed by another after the next group, so
/// that rows go faster than the largest groups bring them.
pub const SWEEP_PER_ROUND: usize = 2 * GROUP_REQUESTS;
/// Channels visited by one round of housekeeping.
pub const SWEEP_CHANNELS: usize = 256;
/// Share of a bound by which a channel may exceed it before it is trimmed, as a divisor: trimming one by one costs a page each.
pub const SWEEP_SLACK: u64 = 16;
/// Between two rounds of housekeeping, and between two syncs of the side file.
pub const HOUSEKEEPING: Duration = Duration::from_secs(1);
/// Between two looks at the clock of a writer that has nothing to do.
pub const IDLE: Duration = Duration::from_secs(10);
/// How long a channel without records is remembered by name. Its successor starts above it.
pub const CHANNEL_AGE: Duration = Duration::from_secs(24 * 3_600);
/// Findings that a check lists; the rest is counted.
pub const FINDINGS: usize = 1_000;
