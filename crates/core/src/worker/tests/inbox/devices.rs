//! Scripts about inboxes of several devices.

use crate::worker::testing::check;

#[test]
fn the_first_ack_cancels_it_on_the_other_devices() {
    check(
        "
        phone opens as=ada connect manual
        laptop opens as=ada connect manual
        tab opens as=ada connect
        phone < connected
        laptop < connected
        tab < connected
        api > publish user:ada a & api > publish user:ada b
        api <* at 1 to 3 queued | at 2 to 3 queued
        phone < $user:ada 1 a
        phone < $user:ada 2 b
        laptop < $user:ada 1 a
        laptop < $user:ada 2 b
        tab < $user:ada 1 a
        tab < $user:ada 2 b
        phone > ack #1 1
        phone < ok #1
        laptop < inbox 1 cancelled [1]
        tab < inbox 1 cancelled [1]
        pass 3s
        phone < inbox 0 cancelled [2]
        laptop < inbox 0 cancelled [2]
        tab < -
        laptop > ack #2 2
        laptop < ok #2
        ",
    );
}

#[test]
fn with_each_a_message_stays_until_every_device_has_acked_it() {
    check(
        "
        node each
        phone opens as=ada connect device=phone manual
        laptop opens as=ada connect device=laptop manual
        phone < connected
        laptop < connected
        laptop drops
        api > publish user:ada a & api > publish user:ada b
        api <* at 1 to 1 queued | at 2 to 1 queued
        phone < $user:ada 1 a
        phone < $user:ada 2 b
        phone > ack #1 ..2
        phone < ok #1
        phone drops
        phone opens as=ada connect device=phone manual
        phone < connected
        phone < -
        tab opens as=ada connect manual
        tab < connected
        tab < $user:ada 1 a
        tab < $user:ada 2 b
        tab > ack #1 1
        tab < ok #1
        laptop opens as=ada connect device=laptop manual
        laptop < connected
        laptop < $user:ada 1 a
        laptop < $user:ada 2 b
        laptop > ack #1 2
        laptop < ok #1
        phone < inbox 1 cancelled [2]
        tab < inbox 1 cancelled [2]
        api > inbox ada list
        api < [1 a] of 1
        laptop > inbox #2 list
        laptop < ok #2 [1 a] of 1
        phone > inbox #2 list
        phone < ok #2 [] of 0
        ",
    );
}

#[test]
fn with_each_a_device_that_does_not_come_any_more_is_forgotten() {
    check(
        "
        node each waits_age=999999
        phone opens as=ada connect device=phone
        phone < connected
        phone drops
        laptop opens as=ada connect device=laptop manual
        laptop < connected
        api > publish user:ada a
        api < at 1 to 1 queued
        laptop < $user:ada 1 a
        laptop > ack #1 1
        laptop < ok #1
        laptop drops
        pass 11520m
        laptop opens as=ada connect device=laptop manual
        laptop < connected
        api > inbox ada list
        api < [] of 0
        ",
    );
}

/// A proof is none of messages that its connection was excluded from: they are for the other devices.
#[test]
fn a_device_does_not_ack_what_it_was_excluded_from() {
    check(
        "
        phone opens as=ada connect
        phone < connected
        phone > publish user:ada a exclude=phone
        phone < $user:ada gap 1-1 excluded
        phone > publish user:ada b
        phone < $user:ada 2 b
        pass 3s
        laptop opens as=ada connect
        laptop < connected
        laptop < $user:ada 1 a
        laptop < $user:ada gap 2-2 acked
        ",
    );
}

#[test]
fn a_slow_reader_gets_what_still_waits() {
    check(
        "
        node outbox=2 page=2
        phone opens as=ada connect manual
        phone < connected
        laptop opens as=ada connect manual
        laptop < connected
        laptop takes 0
        laptop stops
        api > publish user:ada a
        api < at 1 to 2 queued
        phone < $user:ada 1 a
        api > publish user:ada b
        api < at 2 to 2 queued
        phone < $user:ada 2 b
        api > publish user:ada c
        api < at 3 to 2 queued
        phone < $user:ada 3 c
        api > publish user:ada d
        api < at 4 to 2 queued
        phone < $user:ada 4 d
        phone > ack #1 3
        phone < ok #1
        laptop takes 9
        laptop reads
        laptop < $user:ada 1 a
        laptop < $user:ada 2 b
        laptop < $user:ada gap 3-3 acked
        laptop < $user:ada 4 d
        ",
    );
}

#[test]
fn a_session_that_goes_on_elsewhere_begins_with_what_is_not_acked() {
    check(
        "
        ada opens connect manual device=phone
        ada < connected
        api > publish user:ada a & api > publish user:ada b
        api <* at 1 to 1 queued | at 2 to 1 queued
        ada < $user:ada 1 a
        ada < $user:ada 2 b
        ada > ack #1 1
        ada < ok #1
        ada drops
        ada opens continues=ada connect manual device=phone $user@2
        ada < connected resumed [$user:ada 1..2 recovered]
        ada < $user:ada 2 b
        ",
    );
}
