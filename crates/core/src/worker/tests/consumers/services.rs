//! Acks that are refused, losses, limits, services without a connection, and where consumers begin and end.

use crate::worker::testing::check;

#[test]
fn acks_of_what_is_nobodys_are_refused() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        ada > ack #1 jobs worker 1
        ada < error #1 NotFound consumer
        ada > consume #2 jobs worker wait=5s
        ada < ok #2 from 0
        ada > ack #3 jobs worker 1
        ada < error #3 NotFound offsets jobs
        api > publish jobs a
        api < at 1 to 0
        ada < worker gets jobs 1 a
        ada > ack #4 jobs worker 1 epoch=x
        ada < error #4 Conflict epoch jobs
        ada > ack #5 jobs worker 1 epoch=e progress
        ada < ok #5
        pass 4s
        ada > ack #6 jobs worker 1 progress
        ada < ok #6
        pass 4s
        ada < -
        pass 2s
        ada > ack #7 jobs worker 1 progress
        ada < error #7 Conflict offsets jobs
        ada > ack #8 jobs worker 1
        ada < ok #8
        ada > ack #9 jobs worker 1
        ada < ok #9
        ada > ack #10 jobs worker 1 retry
        ada < error #10 Conflict offsets jobs
        ada > consume #11 jobs worker group=team
        ada < error #11 Conflict group
        pass 5m
        ada < -
        api > take jobs other group=worker
        api < Conflict group
        api > acks jobs nobody 1
        api < NotFound consumer
        api > letters jobs nobody
        api < NotFound consumer
        ",
    );
}

#[test]
fn who_may_not_consume_is_refused_and_a_connection_takes_part_in_sixteen() {
    let mut script = "
        node workers=2
        eve opens reader connect
        eve < connected
        eve > consume #1 jobs worker
        eve < error #1 Forbidden jobs
        ada opens connect
        ada < connected
        "
    .to_owned();
    for number in 1..=16 {
        script.push_str(&format!("ada > consume #{number} jobs w{number}\nada < ok #{number} from 0\n"));
    }
    script.push_str("ada > consume #17 jobs w17\nada < error #17 LimitExceeded limit 16\n");
    script.push_str("ada > consume #18 jobs w3 stop\nada < ok #18\n");
    script.push_str("ada > consume #19 jobs w17\nada < ok #19 from 0\n");
    check(&script);
}

#[test]
fn a_service_without_a_connection_takes_and_acks() {
    check(
        "
        node kept=jobs
        api > take jobs worker from=all wait=5s
        api < took [] from 0
        api > publish jobs a & api > publish jobs b & api > publish jobs c
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api > take jobs worker limit=2 wait=5s
        api < took [jobs 1 a, jobs 2 b] from 0
        api > acks jobs worker 1
        api < done
        api > take jobs worker wait=5s
        api < took [jobs 3 c] from 1
        api > acks jobs worker 3 dead=no
        api < done
        api > take jobs worker wait=5s poll=20s
        pass 5s
        pass 2s
        api < took [jobs 2 b again 2] from 1
        api > acks jobs worker upto=2
        api < done
        api > publish jobs old
        api < at 4 to 0
        api > take jobs worker limit=1
        api < took [jobs 4 old] from 3
        pass 20m
        api > take jobs worker
        api < took [jobs 4 old again 2] from 3
        api > acks jobs worker 4
        api < done
        api > publish jobs older
        api < at 5 to 0
        pass 20m
        api > take jobs worker
        api < took [jobs 5 older] from 4
        api > acks jobs worker 5
        api < done
        api > take jobs worker poll=20s
        api > take jobs worker poll=20s
        api < took [] from 5
        pass 19s
        api > publish jobs d
        api <* at 6 to 0 | took [jobs 6 d] from 5
        api > acks jobs worker 6 & api > take jobs worker poll=20s
        api < done
        pass 21s
        api < took [] from 6
        ada opens connect
        ada < connected
        api > take jobs worker poll=20s
        ada > consume #1 jobs worker
        api < took [] from 6
        ada < ok #1 from 6
        api > take jobs worker
        api < took [] from 6
        ada < worker of jobs ended Conflict
        ",
    );
}

#[test]
fn a_consumer_begins_where_it_is_told_and_is_forgotten_when_it_is_told() {
    check(
        "
        node kept=jobs ring=1
        ada opens connect
        ada < connected
        api > publish jobs a & api > publish jobs b & api > publish jobs c & api > publish jobs d
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api < at 4 to 0
        ada > consume #1 jobs old from=2
        ada < ok #1 from 2
        ada < old gets jobs 3 c
        ada < old gets jobs 4 d
        ada > consume #2 jobs future from=9
        ada < ok #2 from 0 lost an epoch
        ada <* future gets jobs 1 a | future gets jobs 2 b | future gets jobs 3 c | future gets jobs 4 d
        ada > ack #3 jobs old 4
        ada < ok #3
        api > delete jobs old
        api < done
        ada < old of jobs ended NotFound consumer
        api > delete jobs old
        api < NotFound consumer
        ada > consume #4 jobs old from=all pending=1
        ada < ok #4 from 0
        ada < old gets jobs 1 a
        restart
        api > consumers jobs
        api < consumers future at 0 pending 4 out 0 dead 0 by 0, old at 0 pending 4 out 0 dead 0 by 0
        ",
    );
}

#[test]
fn messages_that_are_not_worth_it_any_more_are_done() {
    check(
        "
        node kept=jobs
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker wait=5s pending=1
        ada < ok #1 from 0
        api > publish jobs a ttl=8 & api > publish jobs b ttl=2 & api > publish jobs c
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        ada < worker gets jobs 1 a
        ada > ack #2 jobs worker 1 retry=9s
        ada <* ok #2 | worker gets jobs 2 b
        ada > ack #3 jobs worker 2 retry=5s
        ada <* ok #3 | worker gets jobs 3 c
        ada > ack #4 jobs worker 3
        ada < ok #4
        pass 30s
        ada < -
        api > consumers jobs
        api < consumers worker at 3 pending 0 out 0 dead 0 by 1
        ",
    );
}

#[test]
fn what_the_log_has_lost_is_told() {
    check(
        "
        node ring=2
        ada opens connect
        ada < connected
        ada > consume #1 jobs worker pending=1
        ada < ok #1 from 0
        api > publish jobs a
        api < at 1 to 0
        ada < worker gets jobs 1 a
        ada > consume #2 jobs worker stop
        ada < ok #2
        api > publish jobs b & api > publish jobs c & api > publish jobs d
        api < at 2 to 0
        api < at 3 to 0
        api < at 4 to 0
        ada > consume #3 jobs worker pending=1
        ada < ok #3 from 0 lost 2-2
        ada < worker gets jobs 1 a
        api > publish jobs e & api > publish jobs f
        api < at 5 to 0
        api < at 6 to 0
        ada > ack #4 jobs worker 1
        ada <* ok #4 | worker of jobs lost 3-4 | worker gets jobs 5 e
        api > consumers jobs
        api < consumers worker at 4 pending 2 out 1 dead 0 by 1 lost 3
        api > purge jobs
        api < purged up to 6
        ada > ack #5 jobs worker 5
        ada < ok #5
        api > consumers jobs
        api < consumers worker at 6 pending 0 out 0 dead 0 by 1 lost 3
        ",
    );
}

/// Every message that somebody could have got was counted, also those that nobody got: after five restarts they were dead letters.
#[test]
fn only_as_many_deliveries_are_counted_ahead_as_somebody_takes() {
    check(
        "
        node kept=jobs
        api > publish jobs a & api > publish jobs b & api > publish jobs c
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api > take jobs worker from=all limit=9
        api < took [jobs 1 a, jobs 2 b, jobs 3 c] from 0
        restart
        api > take jobs worker limit=1
        api < took [jobs 1 a again 2] from 0
        restart
        api > take jobs worker limit=9
        api < took [jobs 1 a again 3, jobs 2 b again 2, jobs 3 c again 2] from 0
        ",
    );
}

/// The same for what there is room for by number, but not in bytes.
#[test]
fn what_is_too_large_to_be_taken_now_is_not_counted_ahead() {
    let [a, b, c] = ["a", "b", "c"].map(|text| text.repeat(500_000));
    check(&format!(
        "
        node kept=jobs
        api > publish jobs {a} & api > publish jobs {b} & api > publish jobs {c}
        api < at 1 to 0
        api < at 2 to 0
        api < at 3 to 0
        api > take jobs worker from=all limit=9
        api < took [jobs 1 {a}, jobs 2 {b}] from 0
        api > take jobs worker limit=9
        api < took [jobs 3 {c}] from 0
        restart
        api > take jobs worker limit=9
        api < took [jobs 1 {a} again 2, jobs 2 {b} again 2] from 0
        restart
        api > take jobs worker limit=9
        api < took [jobs 1 {a} again 3, jobs 2 {b} again 3] from 0
        api > take jobs worker limit=9
        api < took [jobs 3 {c} again 2] from 0
        "
    ));
}
