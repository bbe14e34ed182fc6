//! A node in memory, for tests: workers and their queues, a log, a clock, and clients that read at their own pace.
//!
//! - [`Node`] drives its workers by the contract at the top of [`crate::worker`], in a steady order or in any order a seed says.
//! - While it runs it checks what must always hold: the bounds of queues, and for each client that every offset is covered once
//!   ([`streams`]). At rest, [`Node::check_rest`] checks that nothing is left over.
//! - [`script::check`] runs readable scripts; [`crate::worker::tests`] holds those that are about the worker itself.

mod client;
mod engine;
mod handed;
mod kinds;
mod log;
mod node;
mod orders;
mod render;
mod rest;
mod restart;
mod rng;
mod script;
mod state;
mod store;
mod streams;
mod words;

pub(crate) use client::Stage;
pub(crate) use kinds::identify;
pub(crate) use node::{Node, Plan};
pub(crate) use rng::Rng;
pub(crate) use script::check;
