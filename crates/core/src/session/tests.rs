//! Scripts about continuing a session.

use crate::id::{AppId, ChannelName, ConnectionKey};
use crate::limits;
use crate::session::{Formers, Legacy, Waiting};
use crate::time::Time;
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

/// The session was gone with the connection that had taken it over, although nothing of it had reached the client.
#[test]
fn a_token_is_good_until_its_session_has_been_continued_in_earnest() {
    check(
        "
        bo opens connect
        bo < connected
        ada opens connect news
        ada < connected [news 0..0]
        ada drops
        eve opens as=ada continues=ada connect & eve takes 0
        eve drops
        pass 100s
        kim opens as=ada continues=ada connect & kim takes 0
        kim drops
        joe opens as=ada continues=ada connect
        joe < connected resumed [news 0..0]
        copy opens as=ada continues=ada connect
        copy < connected
        bo > publish news a
        joe < news 1 a
        ",
    );
}

#[test]
fn a_session_that_was_not_continued_in_earnest_waits_no_longer_than_others() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        ada drops
        pass 100s
        eve opens as=ada continues=ada connect & eve takes 0
        eve drops
        pass 21s
        kim opens as=ada continues=ada connect
        kim < connected
        ",
    );
}

/// The same for a session whose connection was still there: it was ended, and its channels went with the new one.
#[test]
fn a_ghost_that_was_ended_is_continued_by_whoever_comes_next() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        eve opens as=ada continues=ada connect & eve takes 0
        ada < goaway TakenOver
        eve drops
        kim opens as=ada continues=ada connect
        kim < connected resumed [news 0..0]
        ",
    );
}

#[test]
fn of_two_that_continue_a_session_only_the_later_one_lives() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        ada drops
        eve opens as=ada continues=ada connect & eve takes 0
        kim opens as=ada continues=ada connect
        kim < connected resumed [news 0..0]
        eve takes 9
        eve reads
        eve < connected resumed [news 0..0]
        eve < goaway TakenOver
        copy opens as=ada continues=ada connect
        copy < connected
        kim > ping #1
        kim < pong #1
        ",
    );
}

/// Only their number was bounded: with as many and as long channels as there may be they took gigabytes.
#[test]
fn sessions_that_wait_are_bounded_in_bytes_and_the_oldest_give_way() {
    let key = |slot| ConnectionKey { slot, generation: 1 };
    let name = |index| ChannelName::parse(&format!("{index:0>255}")).expect("a name");
    let legacy = Legacy {
        app: AppId::default(),
        user: None,
        channels: (0..1_000).map(name).collect(),
        meta: None,
        formers: Formers::new(),
    };
    let mut waiting = Waiting::default();
    for slot in 0..1_000 {
        waiting.put(Time::default(), key(slot), legacy.clone(), None);
    }
    let most = limits::RESUMABLE_BYTES as usize / (1_000 * limits::CHANNEL_BYTES_MAX);
    assert!(waiting.len() <= most, "{} sessions of a quarter MiB each", waiting.len());
    assert!(waiting.get_mut(Time::default(), key(0)).is_none());
    assert!(waiting.get_mut(Time::default(), key(999)).is_some());
    let now = Time::from_ms(200_000);
    waiting.forget(now);
    assert_eq!(waiting.len(), 0);
    waiting.put(now, key(7), legacy, None);
    assert!(waiting.get_mut(now, key(7)).is_some(), "what was dropped is free again");
}
