//! The scripts of a log.

use super::player::Player;
use super::{Backend, Capabilities};

/// A story, and its script.
type Story = (&'static str, &'static str);

/// Every log.
const EVERY: &[Story] = &[
    (
        "offsets rise by one and a successor starts above everything",
        "append a m 1 => 1
         append a m => 2
         forget a
         append a m => 3
         append a m => 4",
    ),
    (
        "a channel that never was begins at one, whatever others have had",
        "append a m 1 => 1
         append a m => 2
         append b m 1 => 1
         append a m => 3
         append b m => 2",
    ),
    (
        "a page beyond the head is empty",
        "append a m => 1
         read a 2 => to 1 TRIMMED..1
         locate a id other => none",
    ),
];

/// Logs whose records can be read.
const KEEPING: &[Story] = &[
    (
        "a read gives what was appended, page by page",
        "open a => 0..0
         read a 1 => to 0 0..0
         append a m1 => 1
         append a m2 => 2
         append a m3 => 3
         append b x1 => 1
         read a 1 => 1:m1 2:m2 3:m3 to 3 0..3
         read a 2 => 2:m2 3:m3 to 3 0..3
         read a 1 max 2 => 1:m1 2:m2 to 2 0..3
         read a 3 max 2 => 3:m3 to 3 0..3
         read a 4 => to 3 0..3
         read a 99 => to 98 0..3
         read b 1 => 1:x1 to 1 0..1
         open a => 0..3",
    ),
    (
        "a record takes the place of older ones with its key",
        "append a m1 1 key k replaces => 1
         append a m2 1 key l replaces => 2
         append a m3 1 key k replaces => 3
         append a m4 1 key l => 4
         append a m5 1 => 5
         read a 1 => 2:m2 3:m3 4:m4 5:m5 to 5 0..5",
    ),
    (
        "a page of bytes holds at least one record",
        "append a m1 0123456789 => 1
         append a m2 0123456789 => 2
         append a m3 0123456789 => 3
         read a 1 bytes 1 => 1:m1 to 1 0..3
         read a 1 bytes 410 => 1:m1 2:m2 to 2 0..3",
    ),
    (
        "everyone, a user and a channel with the user's name are three",
        "append $all m1 => 1
         append @ada m2 => 1
         append ada m3 => 1
         read $all 1 => 1:m1 to 1 0..1
         read @ada 1 => 1:m2 to 1 0..1
         read ada 1 => 1:m3 to 1 0..1",
    ),
    (
        "the same publisher, channel, id and content is a duplicate for five minutes",
        "append a m1 x by ada => 1
         append a m1 x by ada => duplicate 1
         append a m1 y by ada => conflict
         append a m1 x by bob => 2
         append b m1 x by ada => 1
         append a m1 x => 3
         tick 299000
         append a m1 x by ada => duplicate 1
         tick 2000
         append a m1 x by ada => 4
         append a m1 x by ada => duplicate 4",
    ),
    (
        "setting the wall clock makes nothing older or younger",
        "keep a age 600000 => 0..0
         append a m1 x by ada => 1
         append a m2 x ttl 400000 => 2
         jump 315360000000
         append a m1 x by ada => duplicate 1
         round
         read a 1 => 1:m1 2:m2 to 2 0..2
         jump -630720000000
         append a m1 x by ada => duplicate 1
         tick 301000
         append a m1 x by ada => 3",
    ),
    (
        "an expired record is skipped, and its offset is covered",
        "append a m1 => 1
         append a m2 x ttl 500 => 2
         append a m3 x ttl 500 => 3
         append a m4 => 4
         append a m5 x ttl 500 => 5
         read a 1 => 1:m1 2:m2 3:m3 4:m4 5:m5 to 5 0..5
         tick 500
         read a 1 => 1:m1 4:m4 to 5 0..5
         read a 2 max 1 => 4:m4 to 5 0..5
         read a 5 => to 5 0..5
         round
         read a 1 => 1:m1 4:m4 to 5 0..5
         locate a id m2 => none
         append a m6 => 6
         read a 5 => 6:m6 to 6 0..6",
    ),
    (
        "what is purged cannot be read, and offsets go on",
        "append a m1 => 1
         append a m2 => 2
         append a m3 => 3
         purge a 2 => 2
         read a 1 => 3:m3 to 3 2..3
         purge a 1 => 1
         purge a 99 => 3
         read a 1 => to 3 3..3
         append a m4 => 4
         read a 1 => 4:m4 to 4 3..4
         open a => 3..4",
    ),
    (
        "retention counts records",
        "keep a records 3 => 0..0
         append a m1 => 1
         append a m2 => 2
         append a m3 => 3
         append a m4 => 4
         read a 1 => 2:m2 3:m3 4:m4 to 4 1..4
         keep a records 1 => 1..4
         append a m5 => 5
         read a 1 => 5:m5 to 5 4..5
         purge a 2 => 2
         keep a records 0 => 4..5
         append a m6 => 6
         read a 1 => to 6 6..6",
    ),
    (
        "retention counts bytes",
        "keep a bytes 450 => 0..0
         append a m1 0123456789 => 1
         append a m2 0123456789 => 2
         append a m3 0123456789 => 3
         read a 1 => 2:m2 3:m3 to 3 1..3",
    ),
    (
        "retention looks at ages, also of channels that nobody has open",
        "keep a age 5000 => 0..0
         append a m1 => 1
         tick 3000
         append a m2 => 2
         append b x1 => 1
         round
         read a 1 => 1:m1 2:m2 to 2 0..2
         tick 2000
         round
         read a 1 => 2:m2 to 2 1..2
         forget a
         tick 5000
         round
         open a => 2..2
         append a m3 => 3",
    ),
    (
        "a record is found by its id and by its time",
        "append a m1 => 1
         tick 1000
         append a m2 => 2
         tick 1000
         append a m3 => 3
         append a m1 => 4
         locate a id m2 => 2
         locate a id m1 => 4
         locate a id m9 => none
         locate b id m2 => none
         locate a time 0 => 1
         locate a time 1 => 2
         locate a time 1000 => 2
         locate a time 1001 => 3
         locate a time 2000 => 3
         locate a time 2001 => none
         purge a 2 => 2
         locate a id m2 => none
         locate a time 0 => 3",
    ),
];

/// Logs that outlive a restart.
const LASTING: &[Story] = &[
    (
        "a restart changes nothing",
        "keep a records 100 => 0..0
         append a m1 x by ada => 1
         append a m2 => 2
         append a m3 => 3
         purge a 1 => 1
         reopen
         open a => 1..3
         read a 1 => 2:m2 3:m3 to 3 1..3
         append a m1 x by ada => duplicate 1
         append a m4 => 4
         reopen
         read a 3 => 3:m3 4:m4 to 4 1..4
         tick 301000
         append a m1 x by ada => 5",
    ),
    (
        "the pause of a restart counts, and a clock that went backwards does not",
        "append a m1 x by ada => 1
         jump -1000000
         reopen
         append a m1 x by ada => duplicate 1
         append b x1 => 1
         jump 400000
         reopen
         append a m1 x by ada => 2",
    ),
    (
        "the successor of a removed channel starts above it",
        "keep a age 1000 => 0..0
         append a m1 => 1
         append a m2 => 2
         forget a
         tick 2000
         round
         tick 90000000
         round
         reopen
         open a => 2..2
         append a m3 => 3
         append b x1 => 3",
    ),
];

/// Plays every script that fits, each with a back end of its own.
///
/// # Panics
/// Where the back end does something else.
pub fn log<B: Backend>(new: impl Fn() -> B) {
    let play = |stories: &[Story]| {
        for (story, script) in stories {
            let backend = new();
            let trimmed = if backend.capabilities().keeps { "0" } else { "1" };
            Player::new(backend).play(story, &script.replace("TRIMMED", trimmed));
        }
    };
    let Capabilities { keeps, lasts } = new().capabilities();
    play(EVERY);
    if keeps {
        play(KEEPING);
    }
    if lasts {
        play(LASTING);
    }
}
