//! Signs of life.

use std::time::Duration;

use crate::frame::Dialect;
use crate::worker::testing::{Node, Plan, check};

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

/// Only a worker that had gone to sleep noticed that it was frozen: one that was busy closed everybody whose answer lay unread.
#[test]
fn a_worker_that_was_frozen_at_work_does_not_blame_its_peers() {
    let mut node = Node::new(Plan::steady(1));
    let ada = node.join("ada");
    let eve = node.open("eve", 0, Dialect::WebSocketJson, None, None);
    node.clients[ada].answers = false;
    while !node.clients[ada].journal.iter().any(|line| line == "heartbeat") {
        node.pass(Duration::from_millis(250));
    }
    let late = node.open("late", 0, Dialect::WebSocketJson, None, None);
    node.settle();
    node.freeze_busy(Duration::from_secs(15));
    let told = |node: &Node, client: usize| node.clients[client].journal.iter().any(|line| line.starts_with("goaway"));
    assert!(!told(&node, ada) && !told(&node, late), "closed for what lies unread");
    assert!(told(&node, eve), "who was late before");
    node.pass(Duration::from_secs(11));
    assert!(told(&node, ada) && told(&node, late), "they had time to read and to speak");
}

/// After a Ping the timer stood at the deadline of its Pong, 10 s away, and the Pong moved it no nearer.
#[test]
fn a_short_interval_is_kept() {
    let mut plan = Plan::steady(1);
    plan.options.websocket_heartbeat = Duration::from_secs(2);
    let mut node = Node::new(plan);
    let ada = node.join("ada");
    node.pass(Duration::from_secs(60));
    let beats = node.clients[ada].journal.iter().filter(|line| *line == "heartbeat").count();
    assert!((25..=30).contains(&beats), "{beats} Pings in a minute");
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
