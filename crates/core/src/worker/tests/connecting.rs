//! Connecting and ending: tokens, deadlines, strikes, the last word.

use std::time::Duration;

use crate::command::Connect;
use crate::frame::Dialect;
use crate::id::{AppId, ChannelKey, ChannelName, UserId};
use crate::permissions::{Grants, Identity};
use crate::rejection::Lost;
use crate::worker::Input;
use crate::worker::testing::{Node, Plan, check};

#[test]
fn connected_is_the_first_frame_and_names_every_subscription() {
    check(
        "
        ada opens
        ada > connect #1 news $all@0 $user@0 chat<5 news
        ada < connected #1 [news 0..0] [$all 0..0 recovered] [$user:ada 0..0 recovered] [chat 0..0] [Conflict channel news]
        ",
    );
}

#[test]
fn everyone_and_user_are_listed_once() {
    check(
        "
        ada opens
        ada > connect #1 $all@0 $all@0 $user@0 $user@0
        ada < connected #1 [$all 0..0 recovered] [Conflict channel] [$user:ada 0..0 recovered] [Conflict channel]
        ",
    );
}

#[test]
fn a_url_connects_by_itself_and_once() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        ada > connect #1
        ada < error #1 Conflict
        ",
    );
}

#[test]
fn a_token_is_asked_about_and_may_be_tried_again() {
    check(
        "
        ada opens unknown
        ada > connect #1
        ada < error #1 Unauthenticated token
        ada > connect #2 token=-
        ada < error #2 Unauthenticated
        ada > connect #3 token=ada $all@0
        ada < connected #3 [$all 0..0 recovered]
        ",
    );
}

#[test]
fn user_needs_a_user() {
    check(
        "
        ada opens anonymous connect $user@0
        ada < connected [Unauthenticated]
        ",
    );
}

#[test]
fn while_a_token_is_asked_about_nothing_else_is_done() {
    check(
        "
        node steady
        ada opens unknown
        ada > connect #1 token=ada & ada > connect #2 & ada > ping #3
        ada <* connected #1 | error #2 Conflict | pong #3
        ",
    );
}

#[test]
fn the_first_frame_must_be_connect() {
    check(
        "
        ada opens
        ada > subscribe #1 news
        ada < error #1 BadRequest op
        ada > connect #2
        ada < connected #2
        ",
    );
}

#[test]
fn commands_may_follow_connect_at_once() {
    check(
        "
        ada opens
        ada > connect #1 news & ada > subscribe #2 chat & ada > publish #3 chat hi & ada > ping #4
        ada < connected #1 [news 0..0]
        ada <* pong #4 | subscribed #2 chat 0..0 | chat 1 hi | ok #3 at 1 to 1
        ",
    );
}

#[test]
fn without_connect_the_deadline_ends_it() {
    check(
        "
        ada opens
        bo opens unknown
        pass 9s
        bo > connect #1 token=-
        bo < error #1 Unauthenticated
        ada < -
        pass 1500ms
        ada < goaway ConnectDeadline
        bo < goaway ConnectDeadline
        app < -
        ",
    );
}

/// The first connection in two minutes was armed relative to a wheel that had stood still, fired at once, and was never armed again.
#[test]
fn a_connection_to_a_worker_that_idled_has_its_deadlines() {
    check(
        "
        pass 60m
        ada opens
        pass 11s
        ada < goaway ConnectDeadline
        pass 60m
        bo opens connect
        bo mutes
        bo < connected
        pass 45s
        bo < goaway Silent
        ",
    );
}

/// An answer of the authenticator to a connection that was already closing made it wait for `connect` again.
#[test]
fn an_identity_that_comes_too_late_changes_nothing() {
    check(
        "
        node steady
        ada opens unknown
        ada takes 0
        api > disconnect ada & ada > connect #1 token=ada
        api < found
        pass 6s
        api > connection ada
        api < nobody
        app < -
        ",
    );
}

#[test]
fn ten_malformed_frames_in_ten_seconds_end_it() {
    check(
        "
        ada opens connect
        ada < connected
        ada > nonsense #1 & ada > nonsense #2 & ada > nonsense #3 & ada > nonsense #4 & ada > nonsense
        ada < error #1 BadRequest op
        ada < error #2 BadRequest op
        ada < error #3 BadRequest op
        ada < error #4 BadRequest op
        ada < error BadRequest op
        pass 11s
        ada > nonsense & ada > nonsense & ada > nonsense & ada > nonsense & ada > nonsense
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada > nonsense & ada > nonsense & ada > nonsense & ada > nonsense
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada > nonsense
        ada < error BadRequest op
        ada < goaway Protocol
        ",
    );
}

/// Counting went on while the connection was closing, and an eight-bit counter overflowed.
#[test]
fn a_closing_connection_is_told_nothing_more() {
    let flood = "ada > nonsense & ".repeat(300);
    check(&format!(
        "
        ada opens connect
        ada < connected
        ada takes 0
        {flood}ada > ping
        ada takes 99
        ada reads
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < error BadRequest op
        ada < goaway Protocol
        "
    ));
}

/// Answers of homes that came after the last word followed it into the stream.
#[test]
fn goaway_is_the_last_frame() {
    check(
        "
        node steady
        ada opens connect news
        ada < connected [news 0..0]
        ada > subscribe #1 chat & ada > publish #2 news hi & ada > subscribe #3 news & ada > close #4
        ada < ok #4
        ada < goaway Normal
        ",
    );
}

#[test]
fn close_before_connected_says_goodbye_only() {
    check(
        "
        node steady
        api > publish chat a
        api < at 1 to 0
        ada opens
        ada > connect #1 news & ada > close #2
        ada < ok #2
        ada < goaway Normal
        app < 1 connected ada WebSocket
        app < 2 disconnected ada Normal
        app <* occupied news | vacated news
        ",
    );
}

#[test]
fn a_client_that_does_not_read_the_last_word_is_cut_off() {
    check(
        "
        ada opens connect
        ada < connected
        ada takes 0
        api > disconnect ada bye
        api < found
        pass 4s
        api > connection ada
        api < nobody
        pass 2s
        api > connection ada
        api < nobody
        ",
    );
}

/// While the authenticator was thinking every further frame was refused, and ten of them ended the connection.
#[test]
fn what_follows_a_token_waits_for_the_authenticator() {
    check(
        "
        node steady
        ada opens unknown
        ada > connect #1 token=ada news & ada > subscribe #2 chat & ada > publish #3 chat hi & ada > ping #4
        ada < connected #1 [news 0..0]
        ada <* pong #4 | subscribed #2 chat 0..0 | chat 1 hi | ok #3 at 1 to 1
        bo opens unknown
        bo > connect #1 token=- & bo > ping #2 & bo > connect #3 token=bo & bo > ping #4
        bo <* error #1 Unauthenticated | error #2 BadRequest op | connected #3 | pong #4
        ",
    );
}

#[test]
fn a_drain_tells_everybody() {
    check(
        "
        ada opens connect
        bo opens sse connect
        eve opens
        ada < connected
        bo < connected
        drain
        ada < goaway Drain
        bo < goaway Drain
        eve < goaway Drain
        ",
    );
}

/// A publish under way at its home was stored and never answered, because the publisher was told to go first.
#[test]
fn a_drain_waits_for_answers() {
    let (mut node, ada) = publishing_to_the_other_worker();
    node.handle(0, Input::Drain);
    node.handle(1, Input::Drain);
    node.say(ada, "ping", "");
    node.settle();
    assert_eq!(node.clients[ada].journal, ["connected", "ok #1 at 1 to 0", "goaway Drain"]);
}

#[test]
fn a_drain_does_not_wait_for_ever() {
    let (mut node, ada) = publishing_to_the_other_worker();
    node.handle(0, Input::Drain);
    for (seconds, gone) in [(4, false), (2, true)] {
        node.set_time(node.now.time.after(Duration::from_secs(seconds)));
        node.workers[0].handle_timeout(node.now);
        node.turn(0);
        node.read(ada, 9);
        assert_eq!(node.clients[ada].journal.iter().any(|line| line == "goaway Drain"), gone);
    }
    node.settle();
    node.check_rest();
}

/// A connection that was on its way to its worker while the node went down was served as if nothing had happened.
#[test]
fn who_comes_after_a_drain_is_told_at_once() {
    check(
        "
        drain
        ada opens connect news
        bo opens
        eve opens sse connect
        ada < goaway Drain
        bo < goaway Drain
        eve < goaway Drain
        ",
    );
}

/// A node of two workers and a client of the first one, whose publish has left for its home on the second.
fn publishing_to_the_other_worker() -> (Node, usize) {
    let mut node = Node::new(Plan::steady(2));
    let ada = node.join("ada");
    node.settle();
    let names: Vec<String> = (0..9).map(|index| format!("news{index}")).collect();
    let away = names.iter().find(|name| {
        let name = ChannelName::parse(name).expect("a name");
        node.home_of(&ChannelKey::named(AppId::default(), name)) == 1
    });
    node.say(ada, "publish", &format!("{} hi", away.expect("one of them is at home there")));
    while node.step(0) {}
    (node, ada)
}

/// An unsubscribe between `connect` and its answer left the session connecting for ever.
#[test]
fn a_channel_given_up_while_connecting_does_not_hold_the_session_up() {
    check(
        "
        node steady
        ada opens
        ada > connect #1 a b & ada > unsubscribe #2 a & ada > ping #3
        ada < connected #1 [Conflict a] [b 0..0]
        ada < unsubscribed #2 a
        ada < pong #3
        ",
    );
}

#[test]
fn a_connection_that_drops_while_connecting_leaves_nothing() {
    check(
        "
        node steady
        ada opens
        ada > connect #1 a b c & ada drops
        app < 1 connected ada WebSocket
        app < 2 disconnected ada Lost
        app <* occupied a | vacated a | occupied b | vacated b | occupied c | vacated c
        ",
    );
}

/// A session was taken out and put back when somebody else showed its token, each time as another one, until the others gave way.
#[test]
fn who_shows_a_token_of_somebody_else_changes_nothing() {
    let mut node = Node::new(Plan::steady(1));
    let ada = node.join("ada");
    node.settle();
    let former = Some(node.clients[ada].id);
    node.lose(ada, Lost::Dropped);
    for _ in 0..3 {
        let user = UserId::parse("bo").ok();
        let identity = Identity { user, grants: Grants::ALL, ..Identity::default() };
        let connect = Connect { former, ..Connect::default() };
        node.open("bo", 0, Dialect::WebSocketJson, Some(identity), Some(connect));
        node.settle();
    }
    assert_eq!(node.workers[0].waiting.len(), 1);
}
