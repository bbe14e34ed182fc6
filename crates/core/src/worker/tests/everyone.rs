//! `$all` and `$user`: heard without subscribing.

use crate::command::Connect;
use crate::frame::Dialect;
use crate::id::{AppId, ChannelKey};
use crate::options::Options;
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
        bo < ok #2 at 1 to 2
        ada < $user:ada 1 you
        phone < $user:ada 1 you
        bo > publish #3 user:eve nobody
        bo < ok #3 at 1 to 0
        ",
    );
}

#[test]
fn a_user_at_home_and_one_away_hear_the_same() {
    check(
        "
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

/// A node had just started: the first connection of a worker was told `connected` before the home of `$all` had heard of that
/// worker, and the next message to everyone went by it without a gap.
#[test]
fn nobody_is_connected_before_the_worker_itself_hears_everyone() {
    let plan = Plan { workers: 2, seed: 0, steady: true, late_log: false, options: Options::default() };
    let mut node = Node::new(plan);
    let home = node.home_of(&ChannelKey::everyone(AppId::default()));
    let away = 1 - home;
    let client =
        |node: &mut Node, dialect| node.open("ada", away, dialect, Some(Identity::default()), Some(Connect::default()));
    let clients = [client(&mut node, Dialect::WebSocketJson), client(&mut node, Dialect::SseData)];
    node.turn(away);
    for client in clients {
        node.read(client, usize::MAX);
        assert!(node.clients[client].journal.is_empty(), "the home has not answered yet");
    }
    node.settle();
    for client in clients {
        assert_eq!(node.clients[client].journal.pop_front().as_deref(), Some("connected"));
    }
}
