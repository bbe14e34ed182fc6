//! Durable consumers, from the first message to the dead letter.

mod orders;
mod services;
mod simulation;

use crate::worker::testing::check;

#[test]
fn a_consumer_gets_each_message_until_it_acks_it() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        bo opens connect
        bo < connected
        bo > publish jobs before
        ada > consume #1 jobs worker
        ada < ok #1 from 1
        bo > publish jobs one
        ada < worker gets jobs 2 one
        bo > publish jobs two & bo > publish jobs three
        ada < worker gets jobs 3 two
        ada < worker gets jobs 4 three
        ada > ack #2 jobs worker 2,4
        ada < ok #2
        pass 20s
        ada < -
        pass 12s
        ada < worker gets jobs 3 two again 2
        ada > ack #3 jobs worker 3
        ada < ok #3
        pass 10m
        ada < -
        api > consumers jobs
        api < consumers worker at 4 pending 0 out 0 dead 0 by 1
        ada > consume #4 jobs worker stop
        ada < ok #4
        bo > publish jobs four
        ada < -
        api > consumers jobs
        api < consumers worker at 4 pending 1 out 0 dead 0 by 0
        ",
    );
}

#[test]
fn in_memory_a_consumer_works_the_same() {
    check(
        "
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker from=all & ada > publish jobs one
        ada < ok #1 from 0
        ada < worker gets jobs 1 one
        ada > ack #2 jobs worker 1 retry=3s
        ada < ok #2
        pass 4s
        ada < worker gets jobs 1 one again 2
        ada > ack #3 jobs worker 1
        ada < ok #3
        ",
    );
}

#[test]
fn poison_ends_in_dead_letters_after_five_deliveries() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker wait=10s
        ada < ok #1 from 0
        ada > publish jobs bad
        ada < worker gets jobs 1 bad
        pass 12s
        ada < worker gets jobs 1 bad again 2
        pass 17s
        ada < worker gets jobs 1 bad again 3
        ada > ack #2 jobs worker 1 retry
        ada < ok #2
        pass 37s
        ada < worker gets jobs 1 bad again 4
        ada > ack #3 jobs worker 1 retry=2m
        ada < ok #3
        pass 119s
        ada < -
        pass 2s
        ada < worker gets jobs 1 bad again 5
        app < 1 connected ada WebSocket
        app < -
        pass 11s
        app < worker gave up jobs 1 after 5: was not acked in time
        api > letters jobs worker
        api < letters 1 after 5: was not acked in time
        api > consumers jobs
        api < consumers worker at 1 pending 0 out 0 dead 1 by 1
        pass 10m
        api > requeue jobs worker 2
        api < NotFound offsets
        api > requeue jobs worker
        api < requeued 1
        ada < worker gets jobs 1 bad
        ada > ack #4 jobs worker 1 dead=hopeless
        ada < ok #4
        app < worker gave up jobs 1 after 1: hopeless
        api > letters jobs worker
        api < letters 1 after 1: hopeless
        api > requeue jobs worker 1
        api < requeued 1
        ada < worker gets jobs 1 bad
        ada > ack #5 jobs worker 1
        ada < ok #5
        api > consumers jobs
        api < consumers worker at 1 pending 0 out 0 dead 0 by 1
        ",
    );
}

#[test]
fn members_of_a_group_compete_and_a_lost_ones_messages_go_to_the_others_after_the_wait() {
    check(
        "
        node kept=jobs
        ada opens connect
        bo opens connect
        ada < connected
        bo < connected
        ada > consume #1 jobs one group=team wait=10s
        ada < ok #1 from 0
        bo > consume #1 jobs two group=team wait=10s
        bo < ok #1 from 0
        api > publish jobs a
        api < at 1 to 0
        ada < one gets jobs 1 a
        api > publish jobs b
        api < at 2 to 0
        bo < two gets jobs 2 b
        bo > ack #2 jobs two 1
        bo < error #2 Conflict offsets jobs
        bo > ack #3 jobs two 2
        bo < ok #3
        ada drops
        pass 9s
        bo < -
        pass 3s
        bo < two gets jobs 1 a again 2
        bo > ack #4 jobs two upto=7
        bo < ok #4
        api > consumers jobs
        api < consumers team at 2 pending 0 out 0 dead 0 by 1
        ",
    );
}

#[test]
fn who_leaves_gives_back_at_once_and_it_does_not_count() {
    check(
        "
        node kept=jobs
        ada opens connect
        bo opens connect
        ada < connected
        bo < connected
        ada > consume #1 jobs one group=team
        ada < ok #1 from 0
        api > publish jobs a
        api < at 1 to 0
        ada < one gets jobs 1 a
        bo > consume #1 jobs two group=team
        bo < ok #1 from 0
        ada > close #2
        ada < ok #2
        ada < goaway Normal
        bo < two gets jobs 1 a
        bo > consume #2 jobs two stop
        bo < ok #2
        bo > ack #3 jobs two 1
        bo < error #3 NotFound consumer
        api > consumers jobs
        api < consumers team at 0 pending 1 out 0 dead 0 by 0
        ",
    );
}

#[test]
fn a_newer_one_of_the_same_name_takes_over_with_what_is_out() {
    check(
        "
        node kept=jobs
        ada opens connect
        bo opens connect
        ada < connected
        bo < connected
        ada > consume #1 jobs worker
        ada < ok #1 from 0
        api > publish jobs a
        api < at 1 to 0
        ada < worker gets jobs 1 a
        bo > consume #1 jobs worker
        ada < worker of jobs ended Conflict
        bo < ok #1 from 0
        bo < worker gets jobs 1 a again 2
        ada > ack #2 jobs worker 1
        ada < error #2 NotFound consumer
        bo > ack #2 jobs worker 1
        bo < ok #2
        ",
    );
}

#[test]
fn one_who_comes_back_gets_at_once_what_it_held() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker
        ada < ok #1 from 0
        api > publish jobs a
        api < at 1 to 0
        ada < worker gets jobs 1 a
        ada drops
        ada opens connect
        ada < connected
        ada > ack #1 jobs worker 1
        ada < error #1 NotFound consumer
        ada > consume #2 jobs worker
        ada < ok #2 from 0
        ada < worker gets jobs 1 a again 2
        ada > ack #3 jobs worker 1
        ada < ok #3
        ",
    );
}

#[test]
fn messages_with_a_key_come_in_order_and_others_go_by() {
    check(
        "
        node kept=jobs
        ada opens connect
        bo opens connect
        ada < connected
        bo < connected
        ada > consume #1 jobs one group=team wait=5s
        ada < ok #1 from 0
        bo > consume #1 jobs two group=team wait=5s
        bo < ok #1 from 0
        api > publish jobs k1 key=k
        api < at 1 to 0
        ada < one gets jobs 1 k1
        api > publish jobs k2 key=k
        api < at 2 to 0
        api > publish jobs free
        api < at 3 to 0
        bo < two gets jobs 3 free
        api > publish jobs l1 key=l
        api < at 4 to 0
        ada < one gets jobs 4 l1
        ada > ack #2 jobs one 4
        ada < ok #2
        ada > ack #3 jobs one 1 retry=3s
        ada < ok #3
        pass 2s
        bo > ack #2 jobs two 3
        bo < ok #2
        bo < -
        pass 2s
        bo < two gets jobs 1 k1 again 2
        ada < -
        bo > ack #3 jobs two 1
        bo < ok #3
        ada < one gets jobs 2 k2
        ada > ack #4 jobs one 2
        ada < ok #4
        ",
    );
}

#[test]
fn a_restart_forgets_no_ack_and_no_attempt() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker wait=10s
        ada < ok #1 from 0
        api > publish jobs a
        api > publish jobs b
        api > publish jobs c
        api > publish jobs d
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api < at 4 to 0
        ada < worker gets jobs 1 a
        ada < worker gets jobs 2 b
        ada < worker gets jobs 3 c
        ada < worker gets jobs 4 d
        ada > ack #2 jobs worker 2
        ada < ok #2
        ada > ack #3 jobs worker 3 dead=broken
        ada < ok #3
        ada > ack #4 jobs worker 4 retry=1m
        ada < ok #4
        restart
        api > letters jobs worker
        api < letters 3 after 1: broken
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker wait=10s
        ada < ok #1 from 0
        ada < worker gets jobs 1 a again 2
        pass 12s
        pass 10s
        ada < worker gets jobs 1 a again 3
        ada > ack #2 jobs worker 1
        ada < ok #2
        pass 40s
        ada < worker gets jobs 4 d again 2
        restart
        api > acks jobs worker 4
        api < done
        api > acks jobs worker 4
        api < done
        api > acks jobs worker 5
        api < NotFound offsets
        api > requeue jobs worker
        api < requeued 1
        restart
        api > consumers jobs
        api < consumers worker at 4 pending 1 out 0 dead 0 by 0
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker
        ada < ok #1 from 4
        ada < worker gets jobs 3 c
        ada > ack #2 jobs worker 3
        ada < ok #2
        restart
        api > consumers jobs
        api < consumers worker at 4 pending 0 out 0 dead 0 by 0
        ",
    );
}

#[test]
fn a_home_that_was_forgotten_knows_its_consumers_again() {
    check(
        "
        node kept=jobs ring=2
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker
        ada < ok #1 from 0
        api > publish jobs a & api > publish jobs b & api > publish jobs c & api > publish jobs d
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api < at 4 to 0
        ada <* worker gets jobs 1 a | worker gets jobs 2 b | worker gets jobs 3 c | worker gets jobs 4 d
        ada > ack #2 jobs worker 2,4
        ada < ok #2
        ada > consume #3 jobs worker stop
        ada < ok #3
        pass 20m
        ada > consume #4 jobs worker
        ada < ok #4 from 0
        ada < worker gets jobs 1 a
        ada < worker gets jobs 3 c
        ada > ack #5 jobs worker upto=4
        ada < ok #5
        api > consumers jobs
        api < consumers worker at 4 pending 0 out 0 dead 0 by 1
        ",
    );
}

#[test]
fn while_the_state_is_away_nothing_is_said_to_be_acked() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        api > publish jobs a
        api < at 1 to 0
        ada > consume #1 jobs worker from=all
        ada < ok #1 from 0
        ada < worker gets jobs 1 a
        log away
        ada > ack #2 jobs worker 1
        ada < error #2 Overloaded jobs
        ada > ack #3 jobs worker 1
        ada < -
        log back
        pass 2s
        ada < ok #3
        restart
        api > consumers jobs
        api < consumers worker at 1 pending 0 out 0 dead 0 by 0
        log away
        ada opens connect
        ada < connected
        ada > consume #1 jobs other
        ada < error #1 Overloaded jobs
        log back
        pass 1s
        ada > consume #2 jobs other
        ada < ok #2 from 1
        ",
    );
}

#[test]
fn a_reader_that_is_slow_holds_no_more_than_its_outbox_takes() {
    check(
        "
        node kept=jobs outbox=2 batch=1 steady
        ada opens connect
        bo opens connect
        ada < connected
        bo < connected
        ada > consume #1 jobs one group=team wait=10s
        ada < ok #1 from 0
        ada takes 1
        ada stops
        api > publish jobs a & api > publish jobs b & api > publish jobs c & api > publish jobs d & api > publish jobs e
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api < at 4 to 0
        api < at 5 to 0
        bo > consume #1 jobs two group=team wait=10s
        bo < ok #1 from 0
        bo <* two gets jobs 3 c | two gets jobs 4 d | two gets jobs 5 e
        bo > ack #2 jobs two upto=5
        bo < ok #2
        ada reads
        ada <* one gets jobs 1 a | one gets jobs 2 b
        ada > ack #2 jobs one 1,2
        ada < ok #2
        api > publish jobs f
        api < at 6 to 0
        ada < one gets jobs 6 f
        ada > ack #3 jobs one 6
        ada < ok #3
        ",
    );
}

#[test]
fn a_member_holds_no_more_than_it_wants_and_queues_that_are_full_lose_nothing() {
    check(
        "
        node deliveries=1
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker pending=2
        ada < ok #1 from 0
        api > publish jobs a & api > publish jobs b & api > publish jobs c & api > publish jobs d
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api < at 4 to 0
        ada < worker gets jobs 1 a
        ada < worker gets jobs 2 b
        ada < -
        ada > ack #2 jobs worker 1
        ada <* ok #2 | worker gets jobs 3 c
        ada > ack #3 jobs worker upto=3
        ada <* ok #3 | worker gets jobs 4 d
        ada > ack #4 jobs worker 4
        ada < ok #4
        ",
    );
}
