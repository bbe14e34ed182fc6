//! The rules of Realtime Connector: sessions, channels, publish, history.
//!
//! This crate knows no clock, socket, thread, lock or JSON. Time, randomness and ids are arguments; effects are values. A
//! [`worker::Worker`] is one worker of a node: inputs go into [`worker::Worker::handle`], effects come out of
//! [`worker::Worker::poll_output`], and the same inputs always give the same effects. That is what lets tests and simulations
//! replay anything that can happen.
//!
//! | module | what it holds |
//! |---|---|
//! | [`worker`] | the machine of one worker: routing, audiences, channels at home, the registry |
//! | [`session`] | one connection: connect, subscriptions, outbox, heartbeat |
//! | [`publish`] | admission, idempotency, and `commit`, the only function that delivers |
//! | [`history`] | the ring of recent records, questions about the past |
//! | [`acks`] | what was acked: a cursor with holes |
//! | [`consumers`] | durable consumers: who gets which message, and again if it was not done |
//! | [`permissions`] | who may do what |
//! | [`command`], [`event`], [`record`], [`frame`] | the words that go in and out |
//! | [`limits`], [`options`] | every bound, with its unit and reason |

pub mod acks;
pub mod command;
pub mod consumers;
pub mod cursor;
pub mod event;
pub mod frame;
pub mod history;
pub mod id;
pub mod inbox;
pub mod limits;
pub mod options;
pub mod pattern;
pub mod permissions;
pub mod position;
pub mod publish;
pub mod record;
pub mod rejection;
pub mod session;
mod slab;
pub mod state;
pub mod time;
mod timer;
pub mod worker;
