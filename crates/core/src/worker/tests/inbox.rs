//! Scripts about inboxes: who is away gets it later, who has acked does not get it again.

use crate::worker::testing::check;

#[test]
fn what_came_while_nobody_was_there_comes_in_order() {
    check(
        "
        api > publish user:ada a
        api < at 1 to 0 queued
        api > publish user:ada b
        api < at 2 to 0 queued
        ada opens connect
        ada < connected
        ada < $user:ada 1 a
        ada < $user:ada 2 b
        api > publish user:ada c
        api < at 3 to 1 queued
        ada < $user:ada 3 c
        pass 3s
        phone opens as=ada connect
        phone < connected
        phone < -
        api > publish user:ada d ephemeral
        api < at ~ to 2
        ada < $user:ada ~ d
        phone < $user:ada ~ d
        ",
    );
}

#[test]
fn without_a_proof_it_comes_again() {
    check(
        "
        api > publish user:ada a
        api < at 1 to 0 queued
        ada opens connect
        ada < connected
        ada < $user:ada 1 a
        ada drops
        ada opens connect
        ada < connected
        ada < $user:ada 1 a
        pass 3s
        ada drops
        ada opens connect
        ada < connected
        ada < -
        ",
    );
}

/// A Pong says that all before its Ping has arrived, and nothing about what was written after it.
#[test]
fn a_pong_proves_what_was_written_before_its_ping() {
    check(
        "
        ada opens connect
        ada < connected
        ada stops
        api > publish user:ada a
        api < at 1 to 1 queued
        pass 2s
        api > publish user:ada b
        api < at 2 to 1 queued
        ada reads
        ada < $user:ada 1 a
        ada < $user:ada 2 b
        ada drops
        ada opens connect
        ada < connected
        ada < $user:ada 2 b
        ",
    );
}

#[test]
fn a_position_is_an_ack() {
    check(
        "
        api > publish user:ada a & api > publish user:ada b & api > publish user:ada c
        api <* at 1 to 0 queued | at 2 to 0 queued | at 3 to 0 queued
        ada opens connect $user@2
        ada < connected [$user:ada 2..3 recovered]
        ada < $user:ada 3 c
        ada drops
        ada opens connect
        ada < connected
        ada < $user:ada 3 c
        bo opens as=ada connect $user@1
        bo < connected [$user:ada 2..3 recovered]
        bo < $user:ada gap 2-2 acked
        bo < $user:ada 3 c
        eve opens as=ada connect $user@x:1
        eve < connected [$user:ada 2..3 unrecovered]
        eve < $user:ada gap epoch, on from 2
        eve < $user:ada 3 c
        ",
    );
}

/// A stream that stays open proves nothing: the nearest proxy may have it. A POST that comes some time later does, and so does a
/// cursor.
#[test]
fn a_post_proves_what_was_written_some_time_before() {
    check(
        "
        ada opens sse connect
        ada < connected
        api > publish user:ada a
        api < at 1 to 1 queued
        ada < $user:ada 1 a
        ada > ping
        ada < pong
        api > inbox ada list
        api < [1 a] of 1
        pass 3s
        api > publish user:ada b
        api < at 2 to 1 queued
        ada < $user:ada 2 b
        ada > ping
        ada < pong
        api > inbox ada list
        api < [2 b] of 1
        ada resumes
        ada < connected [$all 0..0 recovered] [$user:ada 2..2 recovered]
        api > inbox ada list
        api < [] of 0
        ",
    );
}

#[test]
fn by_command_it_stays_until_it_is_acked() {
    check(
        "
        api > publish user:ada a & api > publish user:ada b & api > publish user:ada c
        api <* at 1 to 0 queued | at 2 to 0 queued | at 3 to 0 queued
        ada opens connect manual
        ada < connected
        ada < $user:ada 1 a
        ada < $user:ada 2 b
        ada < $user:ada 3 c
        pass 60s
        ada > ack #1 2
        ada < ok #1
        ada > ack #2 e:2
        ada < ok #2
        ada > ack #3 x:3
        ada < error #3 Conflict epoch
        ada drops
        ada opens connect manual $user@3
        ada < connected [$user:ada 0..3 recovered]
        ada < $user:ada 1 a
        ada < $user:ada gap 2-2 acked
        ada < $user:ada 3 c
        ada > ack #4 ..9
        ada < ok #4
        ada drops
        ada opens connect manual $user@3
        ada < connected [$user:ada 3..3 recovered]
        ada < -
        ",
    );
}

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
fn the_application_may_ack_list_and_clear() {
    check(
        "
        api > publish user:ada a & api > publish user:ada b & api > publish user:ada c & api > publish user:ada d
        api <* at 1 to 0 queued | at 2 to 0 queued | at 3 to 0 queued | at 4 to 0 queued
        api > ack ada 2
        api < done
        api > inbox ada list 2
        api < [1 a, 3 c] of 3 …
        ada opens connect manual
        ada < connected
        ada < $user:ada 1 a
        ada < $user:ada gap 2-2 acked
        ada < $user:ada 3 c
        ada < $user:ada 4 d
        ada > inbox #1 list 2
        ada < ok #1 [1 a, 3 c] of 3 …
        ada > inbox #2 list
        ada < ok #2 [1 a, 3 c, 4 d] of 3
        api > inbox ada clear
        api < done
        ada < inbox 0 cancelled [1, 3, 4]
        ada > inbox #3 list
        ada < ok #3 [] of 0
        api > publish user:ada e
        api < at 5 to 1 queued
        ada < $user:ada 5 e
        ada > inbox #4 clear
        ada < ok #4
        api > inbox ada list
        api < [] of 0
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

#[test]
fn without_inboxes_nothing_waits() {
    check(
        "
        node noinbox
        api > publish user:ada a
        api < at 1 to 0
        ada opens connect manual
        ada < connected
        ada < -
        ada > ack #1 1
        ada < error #1 NotEnabled
        api > inbox ada list
        api < NotEnabled
        ",
    );
}

#[test]
fn an_inbox_needs_a_user() {
    check(
        "
        ada opens anonymous connect
        ada < connected
        ada > ack #1 1
        ada < error #1 Unauthenticated
        ada > inbox #2 list
        ada < error #2 Unauthenticated
        ",
    );
}
