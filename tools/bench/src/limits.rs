//! Descriptor limits: raises our own, and says clearly when a number of connections does not fit.

use crate::failure::{Failure, Result, Trying};

/// Descriptors that a process needs besides the connections: standard streams, listener, epoll, logs, worker wakers,
/// databases. Measured servers use fewer than 40.
pub(crate) const DESCRIPTORS_KEPT: u64 = 64;

/// Raises the soft limit to the hard one; children inherit it. Returns the limit.
///
/// # Errors
/// The system refuses.
pub(crate) fn raise() -> Result<u64> {
    let hard = rlimit::getrlimit(rlimit::Resource::NOFILE).trying("reading the descriptor limit")?.1;
    // Not u64::MAX: where the hard limit is "unlimited", this is still more than any run opens.
    rlimit::increase_nofile_limit(hard.min(4_000_000)).trying("raising the descriptor limit")
}

/// Checks that one process can hold `connections` sockets.
///
/// # Errors
/// `DoesNotFit`, with the largest number that would.
pub(crate) fn fit(connections: usize, limit: u64) -> Result<()> {
    let room = limit.saturating_sub(DESCRIPTORS_KEPT);
    if connections as u64 <= room {
        return Ok(());
    }
    Err(Failure::DoesNotFit(format!(
        "{connections} connections do not fit: a process may open {limit} descriptors here (hard limit) and \
         {DESCRIPTORS_KEPT} are kept for other things; use at most {room}, or raise the limit (ulimit -Hn)"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_largest_number_that_fits() {
        assert!(fit(936, 1000).is_ok());
        let text = fit(937, 1000).unwrap_err().to_string();
        assert!(text.contains("937 connections") && text.contains("at most 936"), "{text}");
    }
}
