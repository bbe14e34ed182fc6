//! Scripts about channels whose log cannot say where they stand.

use crate::worker::testing::check;

/// Each one kept a credit until the store came back, and without credits a worker reads no socket.
#[test]
fn channels_that_cannot_be_opened_do_not_slow_others() {
    check(
        "
        node channels=4 credits=8 kept=kept:*
        ada opens connect
        ada < connected
        bo opens sse connect kept:1
        eve opens sse connect kept:2
        bo < connected [kept:1 0..0]
        eve < connected [kept:2 0..0]
        log away
        ada > subscribe #1 kept:3
        ada < error #1 Unavailable kept:3
        kim opens sse connect kept:8
        lea opens sse connect kept:4 kept:5
        max opens sse connect kept:6 kept:7
        kim < -
        ada > publish #2 news hi
        ada < ok #2 at 1 to 0
        ada > subscribe #3 news@0
        ada < subscribed #3 news 0..1 recovered
        ada < news 1 hi
        pass 4s
        ada > ping #4
        ada < pong #4
        lea drops
        log back
        pass 1s
        kim < connected [kept:8 0..0]
        max < connected [kept:6 0..0] [kept:7 0..0]
        ",
    );
}

#[test]
fn who_can_subscribe_again_is_told_when_to() {
    check(
        "
        node kept=kept
        log away
        ada opens connect news kept
        ada < connected [news 0..0] [Unavailable kept]
        ada > subscribe #1 kept & ada > subscribe #2 kept
        ada <* error #1 Unavailable kept | error #2 Unavailable kept
        api > subscribe ada kept
        api < error Unavailable kept
        log back
        ada > subscribe #3 kept@0
        ada < subscribed #3 kept 0..0 recovered
        ada > publish #4 kept hi
        ada <* kept 1 hi | ok #4 at 1 to 1
        ",
    );
}

#[test]
fn an_event_stream_waits_and_misses_nothing() {
    check(
        "
        node kept=kept
        ada opens sse connect kept news
        ada < connected [kept 0..0] [news 0..0]
        bo opens connect
        bo < connected
        bo > publish #1 kept a
        bo < ok #1 at 1 to 1
        ada < kept 1 a
        ada drops
        bo > publish #2 kept b
        bo < ok #2 at 2 to 0
        pass 1200s
        log away
        eve opens sse connect kept@1 news
        pass 3s
        eve < -
        bo > publish news c
        eve < -
        log back
        pass 1s
        eve < connected [kept 1..2 recovered] [news 0..0]
        eve <* kept 2 b | news 1 c
        ",
    );
}

#[test]
fn a_stream_whose_channel_stays_away_is_told_to_come_back() {
    check(
        "
        node kept=kept
        log away
        ada opens sse connect kept
        pass 9s
        ada < -
        pass 2s
        ada < goaway Overloaded
        log back
        pass 2s
        ",
    );
}

#[test]
fn a_channel_that_is_given_up_meanwhile_is_waited_for_no_longer() {
    check(
        "
        node kept=kept
        log away
        ada opens sse connect kept news
        ada > unsubscribe #1 kept
        ada < unsubscribed #1 kept
        pass 1s
        ada < connected [Conflict kept] [news 0..0]
        log back
        ",
    );
}
