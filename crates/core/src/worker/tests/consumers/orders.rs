//! Orders that overtake each other, and acks of what nobody was handed.

use crate::worker::testing::check;

#[test]
fn what_was_held_back_for_its_key_is_not_acked_after_a_restart() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker
        ada < ok #1 from 0
        api > publish jobs k1 key=k
        api > publish jobs k2 key=k
        api > publish jobs free
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        ada < worker gets jobs 1 k1
        ada < worker gets jobs 3 free
        restart
        api > acks jobs worker 2
        api < NotFound offsets
        api > acks jobs worker upto=3
        api < done
        api > consumers jobs
        api < consumers worker at 1 pending 1 out 0 dead 0 by 0
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker
        ada < ok #1 from 1
        ada < worker gets jobs 2 k2
        ada > ack #2 jobs worker 2
        ada < ok #2
        ",
    );
}

#[test]
fn who_stops_and_begins_at_once_consumes() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker
        ada < ok #1 from 0
        ada > consume #2 jobs worker stop & ada > consume #3 jobs worker
        ada < ok #2
        ada < ok #3 from 0
        api > publish jobs a
        api < at 1 to 0
        ada < worker gets jobs 1 a
        ada > ack #4 jobs worker 1
        ada < ok #4
        ada > consume #5 jobs worker & ada > consume #6 jobs worker stop
        ada < ok #5 from 1
        ada < ok #6
        api > publish jobs b
        api < at 2 to 0
        ada < -
        ",
    );
}

#[test]
fn acks_do_not_wait_for_a_state_that_is_away() {
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
        pass 2s
        ada < error #3 Overloaded jobs
        log back
        pass 2s
        ada > ack #4 jobs worker 1
        ada < ok #4
        ",
    );
}

#[test]
fn who_comes_back_before_it_is_told_that_it_was_replaced_consumes() {
    check(
        "
        node workers=1 deliveries=1 kept=jobs steady
        bo opens connect
        ada opens connect
        ada < connected
        bo < connected
        ada > subscribe #1 news
        ada < subscribed #1 news 0..0
        ada > consume #2 jobs worker
        ada < ok #2 from 0
        // The message takes the room, so that the news of who was replaced waits.
        api > publish news hi & bo > consume #1 jobs worker & ada > consume #3 jobs worker
        api < at 1 to 1
        ada <* news 1 hi | ok #3 from 0
        bo <* ok #1 from 0 | worker of jobs ended Conflict
        api > publish jobs a
        api < at 1 to 0
        ada < worker gets jobs 1 a
        ada > ack #4 jobs worker 1
        ada < ok #4
        ",
    );
}
