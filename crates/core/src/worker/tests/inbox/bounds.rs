//! Scripts about the bounds of inboxes, and what is told of them.

use crate::worker::testing::check;

#[test]
fn who_acks_nothing_gets_so_many_and_then_no_more() {
    let publish = |from: usize, to: usize| {
        let lines = (from..=to).map(|it| format!("api > publish user:ada m\napi < at {it} to 1 queued\n"));
        lines.collect::<String>()
    };
    let reads = |from: usize, to: usize| (from..=to).map(|it| format!("ada < $user:ada {it} m\n")).collect::<String>();
    check(
        &format!(
            "
        node steady
        ada opens connect manual news
        ada < connected [news 0..0]
        {}{}
        ada < -
        api > publish news still
        api < at 1 to 1
        ada < news 1 still
        ada > ack #1 3,5
        ada < ok #1
        {}
        ada < -
        api > inbox ada ack
        ",
            publish(1, 70),
            reads(1, 64),
            reads(65, 66),
        )
        .replace("        api > inbox ada ack\n", &format!("ada > ack #2 ..66\nada < ok #2\n{}", reads(67, 70))),
    );
}

#[test]
fn too_much_drops_the_oldest_and_says_so() {
    check(
        "
        node waits=2
        api > publish user:ada a
        api < at 1 to 0 queued
        api > publish user:ada b
        api < at 2 to 0 queued
        api > publish user:ada c
        api < at 3 to 0 queued
        app < overflow ada 1, 2 left
        api > publish user:ada d
        api < at 4 to 0 queued
        pass 6s
        app < overflow ada 1, 2 left
        app < queued ada 3-4 of 2, 0 here
        ada opens connect $user@1
        app < 1 connected ada WebSocket
        ada < connected [$user:ada 2..4 unrecovered]
        ada < $user:ada gap 2-2 window
        ada < inbox 2 dropped 2
        ada < $user:ada 3 c
        ada < $user:ada 4 d
        ada drops
        app < 2 disconnected ada Lost
        ada opens connect
        app < 1 connected ada WebSocket
        ada < connected
        ada < $user:ada 3 c
        ada < $user:ada 4 d
        ",
    );
}

#[test]
fn the_application_is_told_once_what_waits() {
    check(
        "
        api > publish user:ada a
        api < at 1 to 0 queued
        pass 3s
        api > publish user:ada b
        api < at 2 to 0 queued
        app < -
        pass 3s
        app < queued ada 1-1 of 2, 0 here
        pass 60s
        app < queued ada 2-2 of 2, 0 here
        pass 60s
        app < -
        ada opens connect
        app < 1 connected ada WebSocket
        ada < connected
        ada < $user:ada 1 a
        ada < $user:ada 2 b
        api > publish user:ada c
        api < at 3 to 1 queued
        ada < $user:ada 3 c
        pass 60s
        app < -
        ",
    );
}

#[test]
fn time_to_live_ends_in_the_inbox_too() {
    check(
        "
        api > publish user:ada a ttl=5
        api < at 1 to 0 queued
        api > publish user:ada b
        api < at 2 to 0 queued
        pass 6s
        api > inbox ada list
        api < [2 b] of 1
        ada opens connect $user@0
        ada < connected [$user:ada 1..2 recovered]
        ada < $user:ada gap 1-1 acked
        ada < $user:ada 2 b
        pass 3s
        ada drops
        api > publish user:ada c
        api < at 3 to 0 queued
        pass 10081m
        api > inbox ada list
        api < [] of 0
        ",
    );
}

/// What memory has to give up for other channels cannot wait any more, and is told like everything that is dropped.
#[test]
fn what_the_budget_of_history_takes_is_dropped_and_told() {
    check(
        "
        node workers=1 budget=700 steady
        api > publish user:ada a
        api < at 1 to 0 queued
        pass 1s
        api > publish news b
        api < at 1 to 0
        api > publish news c
        api < at 2 to 0
        api > publish news d
        api < at 3 to 0
        app < overflow ada 1, 0 left
        ada opens connect
        app < 1 connected ada WebSocket
        ada < connected
        ada < inbox 0 dropped 1
        ",
    );
}

#[test]
fn what_the_application_purges_waits_no_more() {
    check(
        "
        node stored
        api > publish user:ada a & api > publish user:ada b
        api <* at 1 to 0 queued | at 2 to 0 queued
        api > purge $user:ada@1
        api < purged up to 1
        api > inbox ada list
        api < [2 b] of 1
        ",
    );
}
