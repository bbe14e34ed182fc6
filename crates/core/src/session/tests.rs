//! Scripts about continuing a session.

use crate::worker::testing::check;

#[test]
fn a_lost_session_is_continued_with_its_channels_and_its_name() {
    check(
        "
        bo opens connect
        bo < connected
        ada opens connect news
        ada < connected [news 0..0]
        ada > subscribe #1 chat
        ada < subscribed #1 chat 0..0
        ada > publish #2 news a id=1
        ada <* ok #2 at 1 to 1 | news 1 a
        ada drops
        bo > publish news b & bo > publish chat c
        bo < -
        eve opens as=ada continues=ada connect news@1
        eve < connected resumed [news 1..2 recovered] [chat 1..1]
        eve < news 2 b
        eve > publish #1 news a id=1
        eve < ok #1 at 1 to 1 duplicate
        ",
    );
}

#[test]
fn whoever_comes_back_ends_its_ghost() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        eve opens as=ada continues=ada connect news
        ada < goaway TakenOver
        eve < connected resumed [news 0..0]
        copy opens as=ada continues=ada connect news
        copy < connected [news 0..0]
        eve > publish #1 news a
        eve <* ok #1 at 1 to 2 | news 1 a
        copy < news 1 a
        ",
    );
}

#[test]
fn a_session_waits_for_two_minutes_and_only_for_its_user() {
    check(
        "
        ada opens connect
        ada < connected
        ada drops
        bo opens continues=ada connect
        bo < connected
        pass 119s
        eve opens as=ada continues=ada connect
        eve < connected resumed
        eve drops
        pass 121s
        kim opens as=ada continues=eve connect
        kim < connected
        ",
    );
}

#[test]
fn what_was_ended_on_purpose_is_over() {
    check(
        "
        ada opens connect
        ada < connected
        ada > close #1
        ada < ok #1
        ada < goaway Normal
        eve opens as=ada continues=ada connect
        eve < connected
        api > disconnect eve
        api < found
        eve < goaway Stopped
        kim opens as=ada continues=eve connect
        kim < connected
        ",
    );
}

#[test]
fn what_excluded_a_connection_excludes_its_session() {
    check(
        "
        bo opens connect
        bo < connected
        ada opens connect news
        ada < connected [news 0..0]
        ada drops
        bo > publish #1 news a exclude=ada & bo > publish news b
        bo < ok #1 at 1 to 0
        eve opens as=ada continues=ada connect news@0
        eve < connected resumed [news 0..2 recovered]
        eve < news gap 1-1 excluded
        eve < news 2 b
        bo > publish news c exclude=ada
        eve < news gap 3-3 excluded
        ",
    );
}

#[test]
fn the_application_is_told() {
    check(
        "
        node steady workers=1
        ada opens connect
        ada < connected
        app < 1 connected ada WebSocket
        ada drops
        app < 2 disconnected ada Lost
        eve opens as=ada continues=ada connect
        eve < connected resumed
        app < 1 connected ada WebSocket
        app < 2 resumed ada
        ",
    );
}
