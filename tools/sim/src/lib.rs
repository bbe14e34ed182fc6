//! The checker of what publishers and subscribers are promised.

pub mod checker;
