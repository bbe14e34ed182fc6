//! Scripts about inboxes.

mod acks;
mod bounds;
mod devices;
mod losses;
mod stored;
