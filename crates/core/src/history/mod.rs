//! History: the recent records of a channel, kept at its home for recovery.
//!
//! - A ring holds records with consecutive offsets up to the head. It is bounded by count, bytes and age, whichever comes first,
//!   and by a budget over all channels of a worker (the longest idle give way first).
//! - A reader names the offset it wants next. It gets a page from there, preceded by a gap if the ring begins later.
//! - A position of another epoch, or beyond the head, is not comparable: `epoch` gap, then what is retained.

mod ring;

#[cfg(test)]
mod tests;

pub(crate) use ring::{Page, Ring};
