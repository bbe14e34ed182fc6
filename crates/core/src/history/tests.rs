//! Scripts about history: where a subscription starts, what is kept, and when it is let go.

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
        api < news at 4 to 0 keeps 0
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
        api < b at 1 to 0 keeps 0
        api > channel c
        api < c at 1 to 0 keeps 1
        ada opens connect b@0
        ada < connected [b 1..1 unrecovered]
        ada < b gap 1-1 window
        ",
    );
}

#[test]
fn a_channel_without_listeners_is_remembered_for_the_resume_window() {
    check(
        "
        node ring_age=10
        ada opens connect news
        ada < connected [news 0..0]
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
        eve < connected [news 1..1 recovered]
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
