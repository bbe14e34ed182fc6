//! Scripts about what the store's retention takes while a channel is in use.

use crate::worker::testing::check;

/// The home took the beginning that it was told when the channel was opened for the present one.
#[test]
fn a_position_below_what_is_kept_is_not_recovered() {
    check(
        "
        node kept=news ring=2
        bo opens connect
        bo < connected
        bo > publish #1 news a
        bo < ok #1 at 1 to 0
        bo > publish news b & bo > publish news c & bo > publish news d & bo > publish news e
        pass 5s
        log trims news 2
        ada opens connect news@1
        ada < connected [news 2..5 unrecovered]
        ada < news gap 2-2 window
        ada < news 3 c
        ada < news 4 d
        ada < news 5 e
        eve opens connect
        eve < connected
        eve > subscribe #1 news<5
        eve < subscribed #1 news 2..5
        eve < news 3 c
        eve < news 4 d
        eve < news 5 e
        ",
    );
}

#[test]
fn what_was_read_before_says_nothing_about_now() {
    check(
        "
        node kept=news ring=2
        bo opens connect
        bo < connected
        bo > publish #1 news a
        bo < ok #1 at 1 to 0
        bo > publish news b & bo > publish news c & bo > publish news d & bo > publish news e
        ada opens connect news@1
        ada < connected [news 1..5 recovered]
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        ada < news 5 e
        log trims news 3
        pass 5s
        eve opens connect news@1
        eve < connected [news 3..5 unrecovered]
        eve < news gap 2-3 window
        eve < news 4 d
        eve < news 5 e
        ",
    );
}

#[test]
fn a_commit_brings_what_retention_has_taken() {
    check(
        "
        node kept=news
        bo opens connect
        bo < connected
        bo > publish #1 news a
        bo < ok #1 at 1 to 0
        bo > publish news b & bo > publish news c
        log trims news 2
        bo > publish #2 news d
        bo < ok #2 at 4 to 0
        ada opens connect news@1
        ada < connected [news 2..4 unrecovered]
        ada < news gap 2-2 window
        ada < news 3 c
        ada < news 4 d
        ",
    );
}

#[test]
fn while_the_log_cannot_say_what_is_kept_nothing_is_promised() {
    check(
        "
        node kept=news ring=2
        bo opens connect
        bo < connected
        bo > publish #1 news a
        bo < ok #1 at 1 to 0
        bo > publish news b & bo > publish news c & bo > publish news d & bo > publish news e
        pass 5s
        log away
        ada opens connect news@1
        ada < -
        eve opens connect news@3
        eve < connected [news 3..5 recovered]
        eve < news 4 d
        eve < news 5 e
        eve > subscribe #1 other
        eve < subscribed #1 other 0..0
        bo > subscribe #2 news@1
        bo < error #2 Overloaded news
        log trims news 1
        log back
        pass 1s
        ada < connected [news 1..5 recovered]
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        ada < news 5 e
        ",
    );
}
