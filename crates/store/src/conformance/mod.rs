//! What every back end must do, as scripts.
//!
//! A back end comes as a [`Backend`]; [`log()`] and [`state()`] play the scripts that fit its [`Capabilities`]. A line is a command and,
//! after `=>`, the answer expected:
//!
//! | command | answer |
//! |---|---|
//! | `open a` | `trimmed..head` |
//! | `keep a records 3` `keep a bytes 900` `keep a age 500` | the same, with this retention |
//! | `append a m1 x by ada ttl 500` | the offset, `duplicate OFFSET` or `conflict`; `by` makes it idempotent |
//! | `read a 2 max 3 bytes 500` | `OFFSET:ID …` then `to THROUGH` and `trimmed..head` |
//! | `locate a id m1` `locate a time 1000` | the offset or `none` |
//! | `purge a 3` | the offset up to which that is done |
//! | `forget a` `tick MS` `jump MS` `round` `reopen` | none: time passes, the wall clock alone is set, housekeeping has run, a restart |
//! | `put T K V` `max T K V` `delete T K` | `ok`; several joined by `+` are one call |
//! | `scan T PREFIX after K max N` | `K=V …` and `more` if there is more |

mod log;
mod player;
mod state;

use realtime_connector_core::time::Now;

use crate::{Log, State, Wake};

pub use log::log;
pub use state::state;

/// A back end under test, with a clock that the suite moves.
pub trait Backend {
    /// Its log.
    type Log: Log;
    /// Its state.
    type State: State;

    /// A handle. `wake` is rung when it has an answer, or never if answers are there when a call returns.
    fn log(&mut self, wake: Wake) -> Self::Log;

    /// A handle.
    fn state(&mut self, wake: Wake) -> Self::State;

    /// Sets the clock.
    fn set_clock(&mut self, now: Now);

    /// Closes and opens it again; handles given out before are dead. Called only if it lasts.
    fn reopen(&mut self);

    /// What it can do.
    fn capabilities(&self) -> Capabilities;
}

/// What not every back end can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Records can be read again, and ids of publishers are remembered.
    pub keeps: bool,
    /// Everything outlives a restart.
    pub lasts: bool,
}
