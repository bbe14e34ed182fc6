//! What happened, as a digest of every byte and, where somebody wants to read it, as lines.

use std::collections::VecDeque;
use std::fmt;

/// Lines that are kept for the report of a failure.
const LINES_MAX: usize = 400;

/// How much of a run is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Only the digest.
    Digest,
    /// The last lines, for a report.
    Tail,
    /// Every line, at once, on standard error.
    All,
}

/// The record of one run.
#[derive(Debug)]
pub(crate) struct Trace {
    detail: Detail,
    digest: u64,
    bytes: u64,
    lines: VecDeque<String>,
}

impl Trace {
    pub(crate) fn new(detail: Detail) -> Self {
        Self { detail, digest: 0xcbf2_9ce4_8422_2325, bytes: 0, lines: VecDeque::new() }
    }

    /// Adds bytes that somebody sent or got.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// Adds a number that says what happened.
    pub(crate) fn number(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    /// Writes a line, if anybody wants one.
    pub(crate) fn line(&mut self, at_us: u64, text: impl FnOnce() -> String) {
        if self.detail == Detail::Digest {
            return;
        }
        let line = format!("{:>10.3} ms  {}", at_us as f64 / 1_000.0, text());
        if self.detail == Detail::All {
            tell(&line);
        }
        if self.lines.len() == LINES_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    /// A hash over everything that happened.
    pub(crate) const fn digest(&self) -> u64 {
        self.digest
    }

    /// How many bytes went into it.
    pub(crate) const fn length(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn into_tail(self) -> Vec<String> {
        self.lines.into()
    }
}

impl Default for Trace {
    fn default() -> Self {
        Self::new(Detail::Digest)
    }
}

#[expect(clippy::print_stderr, reason = "whoever asks for every line reads it there")]
fn tell(line: &impl fmt::Display) {
    eprintln!("{line}");
}
