//! Scripts about where a subscription starts, what is kept, and when it is let go.

use crate::worker::testing::check;

#[test]
fn a_position_brings_what_was_missed() {
    check(
        "
        node page=2
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        ada opens connect news@1
        ada < connected [news 1..4 recovered]
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        bo > publish news e
        ada < news 5 e
        eve opens connect news@5
        eve < connected [news 5..5 recovered]
        ",
    );
}

#[test]
fn a_rewind_brings_the_latest() {
    check(
        "
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b & bo > publish news c
        ada opens connect news<2
        ada < connected [news 1..3]
        ada < news 2 b
        ada < news 3 c
        eve opens connect news<99
        eve < connected [news 0..3]
        eve < news 1 a
        eve < news 2 b
        eve < news 3 c
        ",
    );
}

#[test]
fn before_the_window_a_gap_says_what_is_lost() {
    check(
        "
        node ring=2
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        ada opens connect news@1
        ada < connected [news 2..4 unrecovered]
        ada < news gap 2-2 window
        ada < news 3 c
        ada < news 4 d
        eve opens connect
        eve < connected
        eve > subscribe #1 news@0
        eve < subscribed #1 news 2..4 unrecovered
        eve < news gap 1-2 window
        eve < news 3 c
        eve < news 4 d
        ",
    );
}

#[test]
fn another_epoch_and_the_future_are_not_comparable() {
    check(
        "
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b
        ada opens connect news@x:1
        ada < connected [news 0..2 unrecovered]
        ada < news gap epoch, on from 0
        ada < news 1 a
        ada < news 2 b
        eve opens connect news@3
        eve < connected [news 0..2 unrecovered]
        eve < news gap epoch, on from 0
        eve < news 1 a
        eve < news 2 b
        ",
    );
}

#[test]
fn what_begins_with_nothing_and_has_lost_something_says_so() {
    check(
        "
        node ring=2
        bo opens connect
        bo < connected
        ada opens connect news^
        ada < connected [news 0..0 recovered]
        bo > publish news a & bo > publish news b
        eve opens connect news^
        eve < connected [news 0..2 recovered]
        eve < news 1 a
        eve < news 2 b
        ada < news 1 a
        ada < news 2 b
        bo > publish news c
        ada < news 3 c
        eve < news 3 c
        dan opens connect news^
        dan < connected [news 1..3 unrecovered]
        dan < news gap 1-1 window
        dan < news 2 b
        dan < news 3 c
        ",
    );
}

#[test]
fn history_is_bounded_by_bytes() {
    check(
        "
        node ring_bytes=1000
        bo opens connect
        bo < connected
        bo > publish news x bytes=300 & bo > publish news y & bo > publish news x bytes=300
        api > channel news
        api < news at 3 to 0 keeps 2
        bo > publish news x bytes=900
        api > channel news
        api < no channel
        ",
    );
}

/// Attaching looked at records that were too old, because nobody had trimmed them yet.
#[test]
fn history_is_bounded_by_age() {
    check(
        "
        node ring_age=60
        bo opens connect
        bo < connected
        bo > publish news a
        pass 30s
        bo > publish news b
        pass 31s
        ada opens connect news@0
        ada < connected [news 1..2 unrecovered]
        ada < news gap 1-1 window
        ada < news 2 b
        pass 30s
        eve opens connect news@2
        eve < connected [news 2..2 recovered]
        dan opens connect news@1
        dan < connected [news 2..2 unrecovered]
        dan < news gap 2-2 window
        ",
    );
}

#[test]
fn without_history_the_live_still_hear() {
    check(
        "
        node told=told:*
        ada opens connect told:x
        ada < connected [told:x 0..0]
        bo opens connect
        bo < connected
        bo > publish #1 told:x hi
        bo < ok #1 at 1 to 1
        ada < told:x 1 hi
        eve opens connect told:x@0
        eve < connected [told:x 1..1 unrecovered]
        eve < told:x gap 1-1 window
        ",
    );
}

#[test]
fn over_the_budget_the_longest_idle_give_way() {
    check(
        "
        node workers=1 budget=1000
        bo opens connect
        bo < connected
        bo > publish a x bytes=100
        pass 1s
        bo > publish b x bytes=100
        pass 1s
        bo > publish a x bytes=100
        pass 1s
        bo > publish c x bytes=100
        api > channel a
        api < a at 2 to 0 keeps 2
        api > channel b
        api < no channel
        api > channel c
        api < c at 1 to 0 keeps 1
        ada opens connect b@0
        ada < connected [b 1..1 unrecovered]
        ada < b gap 1-1 window
        ",
    );
}

/// Bytes that were trimmed while serving a page, or when the last listener left, stayed in the books, and in time all history
/// was thrown away for a budget that nobody used.
#[test]
fn the_books_of_history_balance() {
    check(
        "
        node ring_age=60 page=1
        bo opens connect
        bo < connected
        bo > publish news a
        pass 30s
        bo > publish news b & bo > publish news c
        ada opens connect news@1
        ada < connected [news 1..3 recovered]
        ada < news 2 b
        ada < news 3 c
        pass 29s
        ada takes 0
        pass 2s
        ada drops
        pass 40s
        bo > publish news d
        ",
    );
}

/// The two minutes began with the last message, so that whoever left a quiet channel for a second found a successor of it, and
/// was told of a loss that was none.
#[test]
fn a_channel_without_listeners_is_remembered_for_the_resume_window() {
    check(
        "
        node ring_age=10 workers=1
        ada opens connect news
        ada < connected [news 0..0]
        ada > publish chat a & ada > publish chat b & ada > publish chat c
        ada > publish #1 news hi
        ada < news 1 hi
        ada < ok #1 at 1 to 1
        pass 20m
        ada drops
        pass 119s
        bo opens connect news@1
        bo < connected [news 1..1 recovered]
        bo drops
        pass 6m
        eve opens connect news@1
        eve < connected [news 3..3 unrecovered]
        eve < news gap 2-3 window
        ",
    );
}

#[test]
fn a_successor_continues_above_everything_before() {
    check(
        "
        node workers=1
        ada opens connect
        ada < connected
        ada > publish a x & ada > publish b y & ada > publish b z
        pass 20m
        api > channel a
        api < no channel
        ada > publish #1 a w
        ada < ok #1 at 3 to 0
        ada > publish #2 c w
        ada < ok #2 at 3 to 0
        bo opens connect a@1
        bo < connected [a 2..3 unrecovered]
        bo < a gap 2-2 window
        bo < a 3 w
        ",
    );
}

/// Once a channel without listeners was idle for two minutes it was looked at four times a second until its history had aged.
#[test]
fn an_idle_channel_costs_nothing() {
    check(
        "
        node ring_age=1000
        ada opens connect
        ada < connected
        ada > publish news hi & ada > publish chat hi id=1
        ada drops
        pass 10m
        wakes 20
        pass 15m
        wakes 20
        api > channel news
        api < no channel
        ",
    );
}

#[test]
fn a_subscription_may_begin_some_time_ago() {
    check(
        "
        bo opens connect
        bo < connected
        bo > publish news a
        pass 10s
        bo > publish news b
        pass 10s
        bo > publish news c
        ada opens connect news<15s chat<1s
        ada < connected [news 1..3] [chat 0..0]
        ada < news 2 b
        ada < news 3 c
        ada > unsubscribe #1 news
        ada < unsubscribed #1 news
        ada > subscribe #2 news<20s
        ada < subscribed #2 news 0..3
        ada < news 1 a
        ada < news 2 b
        ada < news 3 c
        pass 10s
        eve opens connect news<5s
        eve < connected [news 3..3]
        kim opens connect news<5000m
        kim < connected [news 0..3]
        kim < news 1 a
        kim < news 2 b
        kim < news 3 c
        ",
    );
}

#[test]
fn what_has_left_memory_makes_no_gap_for_who_asks_for_a_time() {
    check(
        "
        node ring=2
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b & bo > publish news c
        ada opens connect news<9s
        ada < connected [news 1..3]
        ada < news 2 b
        ada < news 3 c
        ",
    );
}
