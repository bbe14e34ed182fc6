//! The two things that end every wait: the user's Ctrl-C and the time limit of the whole run.
//!
//! Every loop of the tool asks [`Guard::check`], so that a failure unwinds through the owners of child processes and
//! none of them is left behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGINT, SIGTERM};

use crate::failure::{Failure, Result, Trying};

/// Cheap to clone; one per run.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    interrupted: Arc<AtomicBool>,
    deadline: Instant,
    limit_s: u64,
}

impl Guard {
    /// Installs the signal handlers and starts the clock.
    ///
    /// # Errors
    /// The system refuses a signal handler.
    pub(crate) fn install(limit_s: u64) -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted)).trying("installing a signal handler")?;
        }
        Ok(Self { interrupted, deadline: Instant::now() + Duration::from_secs(limit_s), limit_s })
    }

    /// # Errors
    /// The user interrupted the run, or its time is over.
    pub(crate) fn check(&self) -> Result<()> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Err(Failure::Interrupted);
        }
        if Instant::now() >= self.deadline {
            return Err(Failure::TimeLimit(self.limit_s));
        }
        Ok(())
    }

    /// Sleeps in small steps so that an interrupt is noticed.
    ///
    /// # Errors
    /// As [`Guard::check`].
    pub(crate) fn sleep(&self, time: Duration) -> Result<()> {
        let until = Instant::now() + time;
        loop {
            self.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::sleep(left.min(Duration::from_millis(50)));
        }
    }
}
