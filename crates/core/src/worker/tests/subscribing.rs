//! Subscribing and unsubscribing.

use crate::worker::testing::check;

#[test]
fn a_subscriber_hears_what_comes_after_it_subscribed() {
    check(
        "
        ada opens
        ada > connect #1
        ada < connected #1
        bo opens connect
        bo < connected
        bo > publish #1 news early
        bo < ok #1 at 1 to 0
        ada > subscribe #2 news
        ada < subscribed #2 news 1..1
        bo > publish #2 news hi
        bo < ok #2 at 2 to 1
        ada < news 2 hi
        ada > unsubscribe #3 news
        ada < unsubscribed #3 news
        bo > publish #3 news late
        bo < ok #3 at 3 to 0
        ",
    );
}

#[test]
fn without_a_number_only_errors_are_answered() {
    check(
        "
        ada opens reader connect
        ada < connected
        ada > subscribe news
        ada > unsubscribe other
        ada > ping
        ada > meta {}
        ada < -
        ada > publish news hi
        ada < error Forbidden
        ",
    );
}

#[test]
fn a_command_by_post_is_answered_there() {
    check(
        "
        ada opens sse connect
        ada < connected
        ada > subscribe #1 news
        ada < subscribed #1 news 0..0
        ada > publish news hi & ada > ping
        ada <* pong | ok at 1 to 1 | news 1 hi
        ada > unsubscribe #2 news
        ada < unsubscribed #2 news
        ",
    );
}

#[test]
fn everyone_and_user_are_not_subscribed_to() {
    check(
        "
        ada opens connect
        ada < connected
        ada > subscribe #1 $all
        ada < error #1 BadRequest channel
        ada > subscribe #2 $user@5
        ada < error #2 BadRequest channel
        ",
    );
}

#[test]
fn subscribing_needs_the_grant() {
    check(
        "
        ada opens deaf connect news
        ada < connected [Forbidden news]
        ada > subscribe #1 news
        ada < error #1 Forbidden news
        ",
    );
}

#[test]
fn channels_are_limited_per_connection() {
    check(
        "
        node channels=2
        ada opens connect a b c
        ada < connected [a 0..0] [b 0..0] [LimitExceeded c limit 2]
        ada > subscribe #1 c
        ada < error #1 LimitExceeded c limit 2
        ada > subscribe #2 a
        ada < subscribed #2 a 0..0
        ada > unsubscribe #4 a & ada > subscribe #3 c
        ada < unsubscribed #4 a
        ada < subscribed #3 c 0..0
        ",
    );
}

#[test]
fn a_second_subscribe_says_where_the_first_one_is() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        ada > publish #1 news hi
        ada < news 1 hi
        ada < ok #1 at 1 to 1
        ada > subscribe #2 news@0
        ada < subscribed #2 news 1..1
        ada > publish news ho
        ada < news 2 ho
        ",
    );
}

/// The answer named the head of the home, and a client that believed it would have dropped what was still to come.
#[test]
fn a_second_subscribe_does_not_run_ahead_of_a_slow_reader() {
    check(
        "
        node outbox=2 page=2
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect
        bo < connected
        ada takes 0
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        ada > subscribe #1 news
        ada takes 9
        ada reads
        ada < news 1 a
        ada < news 2 b
        ada < subscribed #1 news 2..4
        ada < news 3 c
        ada < news 4 d
        ",
    );
}

#[test]
fn an_unsubscribe_right_behind_wins() {
    check(
        "
        node steady
        ada opens connect
        ada < connected
        ada > subscribe #1 news & ada > unsubscribe #2 news
        ada < unsubscribed #2 news
        ada < error #1 Conflict news
        ada > publish #3 news hi
        ada < ok #3 at 1 to 0
        ",
    );
}

#[test]
fn the_last_of_several_changes_counts() {
    check(
        "
        node steady
        ada opens connect
        ada < connected
        ada > subscribe #1 news & ada > unsubscribe #2 news & ada > subscribe #3 news@0
        ada < unsubscribed #2 news
        ada < error #1 Conflict news
        ada < subscribed #3 news 0..0 recovered
        ada > publish #4 news hi
        ada < news 1 hi
        ada < ok #4 at 1 to 1
        ",
    );
}

/// The count of listeners is not told while an attach is under way, and nobody told it afterwards.
#[test]
fn who_leaves_while_another_comes_is_not_counted() {
    check(
        "
        node steady
        ada opens connect news
        bo opens connect
        ada < connected [news 0..0]
        bo < connected
        bo > subscribe #1 news & ada > unsubscribe #1 news
        ada < unsubscribed #1 news
        bo < subscribed #1 news 0..0
        bo > publish #2 news hi
        bo < news 1 hi
        bo < ok #2 at 1 to 1
        ",
    );
}

/// A POST that subscribes had no answer when its stream ended before the home's.
#[test]
fn a_call_is_answered_even_if_its_connection_is_gone() {
    check(
        "
        node steady
        ada opens sse connect
        ada < connected
        ada > subscribe #1 news & ada drops
        ada < error #1 Conflict news
        bo opens connect
        bo < connected
        bo drops & api > subscribe bo news
        api < not found
        ",
    );
}

/// The answer to the second one came after `unsubscribed`, and the client believed that it listened.
#[test]
fn a_repeat_that_was_overtaken_by_unsubscribe_is_refused() {
    check(
        "
        node steady
        ada opens connect news
        ada < connected [news 0..0]
        ada > subscribe #1 news & ada > unsubscribe #2 news
        ada < unsubscribed #2 news
        ada < error #1 Conflict news
        ada > publish #3 news hi
        ada < ok #3 at 1 to 0
        ",
    );
}
