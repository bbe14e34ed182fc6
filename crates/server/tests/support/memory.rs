//! Memory of this process, in which server and clients of a test live together.
//!
//! Tests of one file run at the same time in one process, so bounds are generous: they catch what grows with the input, not what
//! somebody else of the same file needs.

use std::fs;

/// Resident memory at some moment, in KiB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    resident_kib: u64,
}

impl Memory {
    pub(crate) fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").expect("this is Linux");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel tells");
        let kib = line.trim().trim_end_matches(" kB").parse().expect("a number of KiB");
        Self { resident_kib: kib }
    }

    /// Resident MiB since then.
    pub(crate) fn grown_mib(self) -> u64 {
        Self::now().resident_kib.saturating_sub(self.resident_kib) / 1024
    }

    #[track_caller]
    pub(crate) fn assert_grown_less_than(self, mib: u64, while_what: &str) {
        let grown = self.grown_mib();
        assert!(grown < mib, "memory grew by {grown} MiB, more than {mib}, while {while_what}");
    }
}
