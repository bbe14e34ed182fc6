//! Scripts about inboxes in a store: homes are forgotten, and the store is away.

use std::time::Duration;

use crate::options::Retention;
use crate::rejection::Lost;
use crate::worker::testing::{Node, Plan, check};

#[test]
fn stored_messages_wait_for_as_long_as_the_store_has_them() {
    check(
        "
        node stored
        api > publish user:ada a & api > publish user:ada b & api > publish user:ada c
        api <* at 1 to 0 queued | at 2 to 0 queued | at 3 to 0 queued
        api > ack ada 2
        api < done
        // Its home is forgotten, and reads everything again.
        pass 15m
        ada opens connect manual
        ada < connected
        ada < $user:ada 1 a
        ada < $user:ada gap 2-2 acked
        ada < $user:ada 3 c
        ada > ack #1 ..3
        ada < ok #1
        ada drops
        pass 15m
        ada opens connect
        ada < connected
        ada < -
        ",
    );
}

#[test]
fn nothing_is_acked_before_the_store_has_it() {
    check(
        "
        node stored
        ada opens connect manual
        ada < connected
        api > publish user:ada a
        api < at 1 to 1 queued
        ada < $user:ada 1 a
        log away
        ada > ack #1 1
        ada < error #1 Overloaded
        log back
        ada > ack #2 1
        pass 1s
        ada < ok #2
        ada drops
        pass 15m
        ada opens connect
        ada < connected
        ada < -
        ",
    );
}

#[test]
fn while_the_store_is_away_nobody_is_told_that_nothing_waits() {
    check(
        "
        node stored
        api > publish user:ada a
        api < at 1 to 0 queued
        pass 15m
        log away
        ada opens connect
        ada < -
        api > inbox ada list
        pass 2s
        api < Unavailable
        log back
        pass 2s
        ada < connected
        ada < $user:ada 1 a
        ",
    );
}

#[test]
fn each_device_is_known_again_after_a_restart() {
    check(
        "
        node stored each
        phone opens as=ada connect device=phone manual
        laptop opens as=ada connect device=laptop manual
        phone < connected
        laptop < connected
        api > publish user:ada a & api > publish user:ada b
        api <* at 1 to 2 queued | at 2 to 2 queued
        phone < $user:ada 1 a
        phone < $user:ada 2 b
        laptop < $user:ada 1 a
        laptop < $user:ada 2 b
        phone > ack #1 1
        phone < ok #1
        laptop > ack #1 2
        laptop < ok #1
        phone drops
        laptop drops
        pass 15m
        phone opens as=ada connect device=phone manual
        phone < connected
        phone < $user:ada 2 b
        laptop opens as=ada connect device=laptop manual
        laptop < connected
        laptop < $user:ada 1 a
        laptop < $user:ada gap 2-2 acked
        ",
    );
}

/// Somebody who has left one message of hundreds unacked is not read all that came since, whenever they come or look.
#[test]
fn what_was_acked_is_not_read_again() {
    const MESSAGES: u64 = 640;
    let mut plan = Plan::steady(1);
    plan.options.retention = Some(Retention::default());
    plan.options.history.records = 1;
    let mut node = Node::new(plan);
    let ada = node.join_with("ada", "manual");
    node.settle();
    for _ in 0..MESSAGES {
        node.publish_by_call("user:ada x");
        node.settle();
    }
    node.answers.clear();
    let acked: Vec<String> = (2..MESSAGES).map(|offset| offset.to_string()).collect();
    node.say(ada, "ack", &acked.join(","));
    node.settle();
    node.lose(ada, Lost::Dropped);
    // Its home is forgotten, and with it the blocks that were read.
    node.pass(Duration::from_secs(15 * 60));
    let asked = node.workers[0].figures().log_reads;
    let again = node.join_with("ada", "manual");
    node.settle();
    node.say(again, "inbox", "list");
    node.settle();
    assert_eq!(node.clients[again].messages_written, 2);
    let asked = node.workers[0].figures().log_reads - asked;
    assert!(asked <= 2, "{asked} blocks for two messages");
}
