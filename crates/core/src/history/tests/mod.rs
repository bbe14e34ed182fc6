//! Scripts about history.

mod asking;
mod persisted;
mod purging;
mod recovery;
mod retention;
