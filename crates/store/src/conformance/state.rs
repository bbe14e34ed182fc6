//! The scripts of a state.

use super::Backend;
use super::player::Player;

const EVERY: &[(&str, &str)] = &[
    (
        "values are put, replaced and deleted",
        "put cursors a 1 => ok
         put cursors b 2 => ok
         put cursors a 3 => ok
         scan cursors => a=3 b=2
         delete cursors a => ok
         delete cursors a => ok
         scan cursors => b=2
         scan markers =>",
    ),
    (
        "merging keeps the greater value, in any order and any number of times",
        "max markers u 05 => ok
         max markers u 03 => ok
         max markers u 05 => ok
         scan markers => u=05
         max markers u 09 => ok
         scan markers => u=09
         put markers u 01 => ok
         max markers u 02 => ok
         scan markers => u=02",
    ),
    (
        "the changes of one call happen together, in their order",
        "put cursors a 1 + put markers a 2 + delete cursors a + put cursors b 3 => ok
         scan cursors => b=3
         scan markers => a=2",
    ),
    (
        "a scan has a prefix, a limit and a place to go on",
        "put cursors a:1 1 + put cursors a:2 2 + put cursors a:3 3 + put cursors b:1 4 + put cursors a 0 => ok
         scan cursors a: => a:1=1 a:2=2 a:3=3
         scan cursors a: max 2 => a:1=1 a:2=2 more
         scan cursors a: after a:2 max 2 => a:3=3
         scan cursors a: after a:9 =>
         scan cursors b after a =>b:1=4
         scan cursors => a=0 a:1=1 a:2=2 a:3=3 b:1=4
         scan cursors max 5 => a=0 a:1=1 a:2=2 a:3=3 b:1=4
         scan cursors c =>",
    ),
    (
        "log and state do not disturb each other",
        "append a m => 1
         put cursors a 1 => ok
         append a m => 2
         scan cursors => a=1",
    ),
];

const LASTING: &[(&str, &str)] = &[(
    "a restart changes nothing",
    "put cursors a 1 + max markers u 05 => ok
     reopen
     max markers u 03 => ok
     scan cursors => a=1
     scan markers => u=05",
)];

/// Plays every script that fits, each with a back end of its own.
///
/// # Panics
/// Where the back end does something else.
pub fn state<B: Backend>(new: impl Fn() -> B) {
    let lasts = new().capabilities().lasts;
    for (story, script) in EVERY.iter().chain(LASTING.iter().filter(|_| lasts)) {
        Player::new(new()).play(story, script);
    }
}
