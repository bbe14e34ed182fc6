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
