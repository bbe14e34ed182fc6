//! What the store promises, kept by real processes: killed, frozen, without space, on a broken disk, with a clock that jumps.
//!
//! - Publishers and subscribers use WebSocket, Server-Sent Events and the HTTP API, as applications do, and write journals. One checker
//!   reads them all.
//! - `DURABLE_SEED` repeats the decisions of a test; how they interleave is up to the machine.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "seeds and figures of a run are for whoever runs it")]

mod clock;
mod commands;
mod consumers;
mod crowd;
mod disk;
mod inbox;
mod kill;
mod line;
mod node;
mod people;
mod recovery;
mod retry;
#[path = "../support/mod.rs"]
#[expect(dead_code, reason = "this test uses a part of it")]
mod support;
mod syncs;
mod tracer;
