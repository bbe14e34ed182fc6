//! History: the records of a channel as its readers get them, kept at its home and, on a persisted channel, in the log.
//!
//! - A ring holds records with consecutive offsets up to the head. It is bounded by count, bytes and age, whichever comes first,
//!   and by a budget over all channels of a worker (the longest idle give way first).
//! - What falls out of the ring of a memory channel is gone; on a persisted channel it lies in the log down to the *floor*, and is
//!   read in blocks that are shared by all who want them.
//! - A reader names the offset it wants next. It gets a page from there, preceded by a gap if history begins later. Offsets that a
//!   page passes over were skipped on purpose: their time to live has passed, or a newer message with the same key took their place.
//! - A position of another epoch, or beyond the head, is not comparable: `epoch` gap, then what is retained.

mod blocks;
mod page;
mod query;
mod ring;

#[cfg(test)]
mod tests;

pub use blocks::Block;
pub(crate) use blocks::{Blocks, Wanted};
pub(crate) use page::{Found, Page, PageBounds};
pub use query::{At, Direction, HistoryPage, Query, Rest, Span};
pub(crate) use query::{Extent, Window as Stretch};
pub(crate) use ring::{Ring, Window};
