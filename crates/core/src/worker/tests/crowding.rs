//! More channels than a worker opens.

use crate::worker::testing::check;

#[test]
fn a_full_worker_opens_no_new_channel_until_an_old_one_is_forgotten() {
    check(
        "
        node workers=1 homes=3 ring=0
        ada opens connect news
        ada < connected [news 0..0]
        ada > publish #1 chat hi
        ada < ok #1 at 1 to 0
        ada > publish #2 other hi
        ada < error #2 Overloaded other
        ada > publish #3 user:bo hi
        ada < error #3 Overloaded $user:bo
        api > publish other hi
        api < Overloaded other
        ada > subscribe #4 other
        ada < error #4 Overloaded other
        bo opens connect other news
        bo < connected [Overloaded other] [news 0..0]
        api > subscribe ada other
        api < error Overloaded other
        ada > publish #5 news hi
        ada < news 1 hi
        ada < ok #5 at 1 to 2
        bo < news 1 hi
        pass 3m
        ada > subscribe #6 other
        ada < subscribed #6 other 1..1
        ",
    );
}

#[test]
fn who_gives_up_what_is_refused_is_told_once() {
    check(
        "
        node steady workers=1 homes=1
        ada opens connect
        ada < connected
        ada > subscribe #1 news & ada > subscribe #2 news & ada > unsubscribe #3 news & ada > subscribe #4 news
        ada <* error #1 Overloaded news | error #2 Overloaded news | unsubscribed #3 news | error #4 Overloaded news
        ",
    );
}

/// It was kept and opened twice a second for ever, though nobody waited for it.
#[test]
fn a_channel_whose_log_cannot_be_opened_takes_no_place() {
    check(
        "
        node workers=1 homes=2 kept=kept
        ada opens connect
        ada < connected
        log away
        ada > publish #1 kept hi
        ada < error #1 Unavailable
        ada > publish #2 news hi
        ada < ok #2 at 1 to 0
        log back
        ada > publish #3 kept hi
        ada < error #3 Overloaded kept
        ",
    );
}
