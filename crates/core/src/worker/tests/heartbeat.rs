//! Signs of life.

use crate::worker::testing::check;

#[test]
fn a_websocket_that_does_not_answer_a_ping_is_closed() {
    check(
        "
        ada opens connect
        bo opens connect
        ada < connected
        bo < connected
        bo mutes
        pass 29s
        pass 12s
        bo < goaway Silent
        pass 5m
        ada < -
        ",
    );
}

/// The end of an authorisation was told to the client, and then nobody looked at it.
#[test]
fn an_authorisation_that_is_over_ends_the_connection_after_the_skew_of_clocks() {
    check(
        "
        ada opens until=20m connect
        bo opens sse until=0s connect
        eve opens connect
        ada < connected
        bo < connected
        eve < connected
        pass 29s
        bo < -
        pass 2s
        bo < goaway TokenExpired
        pass 19m
        ada < -
        pass 58s
        ada < -
        pass 2s
        ada < goaway TokenExpired
        pass 40m
        eve < -
        ",
    );
}

#[test]
fn an_event_stream_gets_comments_and_no_questions() {
    check(
        "
        node comment=15
        ada opens sse connect
        ada shows
        ada < connected
        pass 15s
        ada < heartbeat
        pass 15s
        ada < heartbeat
        pass 15s
        ada < heartbeat
        ",
    );
}

#[test]
fn a_page_that_cannot_see_comments_gets_ping_frames() {
    check(
        "
        node workers=1
        ada opens frames connect
        bo opens connect pings
        ada shows
        bo shows
        ada < connected
        bo < connected
        pass 15s
        ada < ping
        pass 15s
        ada < ping
        bo < heartbeat
        bo < ping
        ",
    );
}

/// A Ping was thought to be out while frames waited, and the peer closed for not answering what it never got.
#[test]
fn who_is_not_asked_is_not_blamed() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect
        bo < connected
        ada takes 0
        pass 14s
        bo > publish news a
        pass 16s
        ada takes 9
        ada reads
        ada < news 1 a
        pass 5m
        ada < -
        ",
    );
}

#[test]
fn who_takes_nothing_for_an_interval_is_too_slow() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        ada takes 0
        ada > publish news a
        pass 65s
        api > connection ada
        api < nobody
        app < 1 connected ada WebSocket
        app < occupied news
        app < 2 added ada news
        app < 3 removed ada news
        app < 4 disconnected ada Slow
        app < vacated news
        ",
    );
}

#[test]
fn a_frozen_worker_does_not_blame_its_peers() {
    check(
        "
        ada opens connect
        bo opens connect
        eve opens
        ada < connected
        bo < connected
        bo mutes
        pass 5s
        freeze 120s
        eve < -
        ada < -
        bo < -
        eve > connect
        eve < connected
        pass 60s
        bo < goaway Silent
        ",
    );
}

#[test]
fn any_byte_is_a_sign_of_life() {
    check(
        "
        ada opens connect
        ada < connected
        ada mutes
        pass 15s
        ada > ping #1
        ada < pong #1
        pass 9s
        ada > ping #2
        ada < pong #2
        pass 9s
        ada > ping #3
        ada < pong #3
        pass 9s
        ada > ping #4
        ada < pong #4
        ",
    );
}

#[test]
fn who_reads_slowly_is_not_too_slow() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect
        bo < connected
        ada takes 0
        ada stops
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        ada takes 1
        pass 28s
        ada reads 1
        pass 28s
        ada reads 1
        pass 28s
        ada reads 1
        pass 28s
        ada reads 1
        pass 28s
        ada takes 9
        ada reads
        ada < news 1 a
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        pass 5m
        ",
    );
}

/// One Ping waits at most: the outbox of a peer that talks but does not read would fill with them.
#[test]
fn pings_do_not_pile_up() {
    check(
        "
        ada opens connect
        ada shows
        ada < connected
        ada takes 0
        ada > publish $all a
        pass 35s
        ada > meta {}
        pass 35s
        ada > meta {}
        pass 35s
        ada > meta {}
        ada takes 9
        ada reads
        ada < $all 1 a
        ada < heartbeat
        ",
    );
}
