//! `$all` and `$user`: heard without subscribing.

use crate::command::Connect;
use crate::frame::Dialect;
use crate::id::{AppId, ChannelKey, UserId};
use crate::permissions::Identity;
use crate::worker::testing::{Node, Plan, check};

#[test]
fn everyone_hears_all_and_a_user_on_every_device() {
    check(
        "
        ada opens connect
        phone opens as=ada connect
        bo opens connect
        eve opens anonymous connect
        ada < connected
        phone < connected
        bo < connected
        eve < connected
        bo > publish #1 $all hi
        ada < $all 1 hi
        phone < $all 1 hi
        bo < $all 1 hi
        bo < ok #1 at 1 to 4
        eve < $all 1 hi
        bo > publish #2 user:ada you
        bo < ok #2 at 1 to 2 queued
        ada < $user:ada 1 you
        phone < $user:ada 1 you
        bo > publish #3 user:eve nobody
        bo < ok #3 at 1 to 0 queued
        ",
    );
}

#[test]
fn a_user_at_home_and_one_away_hear_the_same() {
    check(
        "
        node noinbox
        ada opens home connect
        phone opens away as=ada connect
        pad opens home as=ada connect $user@0
        bo opens connect
        ada < connected
        phone < connected
        pad < connected [$user:ada 0..0 recovered]
        bo < connected
        bo > publish #1 user:ada one
        bo < ok #1 at 1 to 3
        ada < $user:ada 1 one
        phone < $user:ada 1 one
        pad < $user:ada 1 one
        laptop opens home as=ada connect
        laptop < connected
        bo > publish #2 user:ada two
        bo < ok #2 at 2 to 4
        ada < $user:ada 2 two
        phone < $user:ada 2 two
        pad < $user:ada 2 two
        laptop < $user:ada 2 two
        ada drops & pad drops
        bo > publish #3 user:ada three
        bo < ok #3 at 3 to 2
        phone < $user:ada 3 three
        laptop < $user:ada 3 three
        ",
    );
}

#[test]
fn all_and_user_are_recovered_like_channels() {
    check(
        "
        bo opens connect
        bo < connected
        bo > publish $all a & bo > publish $all b
        bo < $all 1 a
        bo < $all 2 b
        bo > publish user:ada x & bo > publish user:ada y
        ada opens home connect $all@1 $user@1
        ada < connected [$all 1..2 recovered] [$user:ada 1..2 recovered]
        ada <* $all 2 b | $user:ada 2 y
        ",
    );
}

/// `begin_everyone` counted a session that asked with a position twice until the next change.
#[test]
fn sessions_with_and_without_a_position_are_counted_alike() {
    check(
        "
        node steady
        ada opens connect $all@0 & bo opens connect
        ada < connected [$all 0..0 recovered]
        bo < connected
        bo > publish #1 $all hi
        ada < $all 1 hi
        bo < $all 1 hi
        bo < ok #1 at 1 to 2
        ",
    );
}

/// A message to a user without a connection opened a home that was never freed: its only listener came and went meanwhile.
#[test]
fn the_home_of_a_user_who_was_there_for_a_moment_is_freed() {
    check(
        "
        bo opens connect
        bo < connected
        ada opens home connect
        ada < connected
        ada drops & bo > publish user:ada hi ephemeral
        ",
    );
}

#[test]
fn this_user_in_that_channel() {
    check(
        "
        ada opens connect news
        phone opens as=ada connect
        bo opens connect news
        ada < connected [news 0..0]
        phone < connected
        bo < connected [news 0..0]
        bo > publish #1 user:ada/news hi
        bo < ok #1 at ~ to 2
        ada < news ~ hi
        phone < -
        ",
    );
}

/// Somebody who came without a position, while the first request for the same user's channel was under way, moved the worker's
/// idea of what had come through the queue, and the first one missed a message when the queue was full.
#[test]
fn a_second_device_does_not_run_ahead_of_the_first() {
    let mut plan = Plan::steady(1);
    plan.options.bounds.deliveries = 1;
    plan.options.inbox = None;
    let mut node = Node::new(plan);
    node.publish_by_call("user:ada before ephemeral");
    node.settle();
    let first = node.join_with("ada", "$user@0");
    // Its request, and the home's answer to it, which stays in the queue.
    assert!(node.step(0) && node.step(0));
    let ada = ChannelKey::user(AppId::default(), UserId::parse("ada").unwrap());
    node.publish_by_call("user:ada fills ephemeral");
    node.publish_by_call("user:ada hi");
    assert!(node.step(0) && node.step(0));
    assert_eq!(node.log.head(&ada), 1);
    let second = node.join_with("ada", "");
    node.settle();
    node.check_rest();
    let heard = |client: usize| node.clients[client].journal.iter().any(|line| line == "$user:ada 1 hi");
    assert!(heard(first) && !heard(second));
}

/// A session that came before its worker's own first request had been answered was told that it is connected, and what was
/// published to everyone before that request arrived passed it by.
#[test]
fn nobody_is_connected_before_its_worker_hears_everyone() {
    let mut node = Node::new(Plan::steady(2));
    let home = node.home_of(&ChannelKey::everyone(AppId::default()));
    let client =
        node.open("ada", 1 - home, Dialect::WebSocketJson, Some(Identity::default()), Some(Connect::default()));
    node.turn(1 - home);
    node.read(client, 9);
    node.publish_by_call("$all hi");
    assert!(node.step(home));
    node.settle();
    node.check_rest();
}
