//! Tests of the store from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an answer that is not the expected one fails the test, whichever it is"
)]

mod conformance;
mod damage;
mod disk;
mod faulty;
mod groups;
mod kill;
mod opening;
mod support;
