//! Scripts about history.

mod asking;
mod blocks;
mod persisted;
mod purging;
mod recovery;
mod retention;
