//! Scripts about history.

mod asking;
mod persisted;
mod recovery;
