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
