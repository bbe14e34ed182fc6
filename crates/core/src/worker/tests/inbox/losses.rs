//! Scripts about messages that nobody has acked: each comes, or is told to be lost.

use crate::worker::testing::check;

/// A session that comes back has everything up to its position, but for what excluded one of its former connections.
#[test]
fn a_position_of_a_session_is_no_ack_of_what_it_was_excluded_from() {
    check(
        "
        phone opens as=ada connect
        phone < connected
        phone > publish user:ada a exclude=phone
        phone < $user:ada gap 1-1 excluded
        phone > publish user:ada b
        phone < $user:ada 2 b
        phone drops
        phone opens as=ada continues=phone connect $user@2
        phone < connected resumed [$user:ada 2..2 recovered]
        laptop opens as=ada connect manual
        laptop < connected
        laptop < $user:ada 1 a
        laptop < $user:ada gap 2-2 acked
        ",
    );
}

#[test]
fn an_ack_up_to_a_message_is_none_of_what_the_connection_was_excluded_from() {
    check(
        "
        phone opens as=ada connect manual
        phone < connected
        phone > publish user:ada a exclude=phone
        phone < $user:ada gap 1-1 excluded
        phone > publish user:ada b
        phone < $user:ada 2 b
        phone > ack #1 ..2
        phone < ok #1
        laptop opens as=ada connect manual
        laptop < connected
        laptop < $user:ada 1 a
        laptop < $user:ada gap 2-2 acked
        ",
    );
}

#[test]
fn a_slow_reader_is_told_what_was_dropped_meanwhile() {
    check(
        "
        node outbox=2 page=2 waits=2
        ada opens connect
        ada < connected
        ada takes 0
        ada stops
        api > publish user:ada a
        api < at 1 to 1 queued
        api > publish user:ada b
        api < at 2 to 1 queued
        api > publish user:ada c
        api < at 3 to 1 queued
        api > publish user:ada d
        api < at 4 to 1 queued
        api > publish user:ada e
        api < at 5 to 1 queued
        ada takes 9
        ada reads
        ada < $user:ada 1 a
        ada < $user:ada 2 b
        ada < $user:ada gap 3-3 slow
        ada < $user:ada 4 d
        ada < $user:ada 5 e
        ",
    );
}

/// … also when nothing waits any more.
#[test]
fn a_position_before_what_was_dropped_is_told_of_the_loss() {
    check(
        "
        node waits=2
        laptop opens as=ada connect manual
        laptop < connected
        api > publish user:ada a
        api < at 1 to 1 queued
        api > publish user:ada b
        api < at 2 to 1 queued
        api > publish user:ada c
        api < at 3 to 1 queued
        laptop < $user:ada 1 a
        laptop < $user:ada 2 b
        laptop < $user:ada 3 c
        laptop < inbox 2 dropped 1
        laptop > ack #1 ..3
        laptop < ok #1
        phone opens as=ada connect $user@0
        phone < connected [$user:ada 3..3 unrecovered]
        phone < $user:ada gap 1-3 window
        ",
    );
}

/// A write that was begun is not one that has left.
#[test]
fn a_post_proves_nothing_of_what_is_not_written() {
    check(
        "
        ada opens sse connect
        ada < connected
        ada takes 0
        ada stops
        api > publish user:ada a
        api < at 1 to 1 queued
        pass 3s
        ada > ping
        ada < pong
        api > inbox ada list
        api < [1 a] of 1
        ada takes 9
        ada reads
        ada < $user:ada 1 a
        ",
    );
}

#[test]
fn what_retention_took_while_nobody_looked_is_told() {
    check(
        "
        node stored
        api > publish user:ada a & api > publish user:ada b & api > publish user:ada c
        api <* at 1 to 0 queued | at 2 to 0 queued | at 3 to 0 queued
        pass 15m
        log trims $user:ada 2
        ada opens connect $user@0
        ada < connected [$user:ada 2..3 unrecovered]
        ada < $user:ada gap 1-2 window
        ada < $user:ada 3 c
        ",
    );
}

#[test]
fn what_cannot_be_read_is_told() {
    check(
        "
        node stored
        api > publish user:ada a & api > publish user:ada b
        api <* at 1 to 0 queued | at 2 to 0 queued
        pass 15m
        log loses $user:ada 1
        ada opens connect $user@0
        ada < connected [$user:ada 1..2 unrecovered]
        ada < $user:ada gap 1-1 window
        ada < $user:ada 2 b
        ",
    );
}

/// A device that is connected is not forgotten, however quiet its user is.
#[test]
fn a_device_that_is_here_is_not_forgotten() {
    check(
        "
        node each stored
        phone opens as=ada connect device=phone manual
        phone < connected
        pass 11520m
        laptop opens as=ada connect device=laptop manual
        laptop < connected
        phone drops
        api > publish user:ada a
        api < at 1 to 1 queued
        laptop < $user:ada 1 a
        laptop > ack #1 1
        laptop < ok #1
        phone opens as=ada connect device=phone manual
        phone < connected
        phone < $user:ada 1 a
        ",
    );
}

/// … and who acks day by day is remembered to have been there, also by those who read it from the store.
#[test]
fn a_device_that_acks_every_day_is_known_after_a_restart() {
    let days = (1..=10).map(|it| {
        format!(
            "pass 23h
             api > publish user:ada m
             api < at {it} to 1 queued
             phone < $user:ada {it} m
             phone > ack #1 {it}
             phone < ok #1
            "
        )
    });
    check(&format!(
        "
        node each stored steady
        phone opens as=ada connect device=phone manual
        phone < connected
        {}
        phone drops
        restart
        laptop opens as=ada connect device=laptop manual
        laptop < connected
        api > publish user:ada a
        api < at 11 to 1 queued
        laptop < $user:ada 11 a
        laptop > ack #1 11
        laptop < ok #1
        phone opens as=ada connect device=phone manual
        phone < connected
        phone < $user:ada 11 a
        ",
        days.collect::<String>()
    ));
}
