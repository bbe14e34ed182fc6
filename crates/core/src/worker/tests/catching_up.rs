//! Live and Behind: slow readers, full queues, pages.

use std::time::Duration;

use crate::command::Connect;
use crate::frame::Dialect;
use crate::id::{AppId, ChannelKey, ChannelName};
use crate::limits;
use crate::options::{Retention, Rule};
use crate::pattern::Pattern;
use crate::permissions::{Grants, Identity};
use crate::session::Link;
use crate::worker::testing::{Node, Plan, check};

#[test]
fn a_slow_reader_is_caught_up_from_history() {
    check(
        "
        node outbox=3 page=2
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect news
        bo < connected [news 0..0]
        ada takes 1
        ada stops
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d & bo > publish news e
        bo > publish news f & bo > publish news g & bo > publish news h & bo > publish news i & bo > publish news j
        bo < news 1 a
        bo < news 2 b
        bo < news 3 c
        bo < news 4 d
        bo < news 5 e
        bo < news 6 f
        bo < news 7 g
        bo < news 8 h
        bo < news 9 i
        bo < news 10 j
        ada reads
        ada < news 1 a
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        ada < news 5 e
        ada < news 6 f
        ada < news 7 g
        ada < news 8 h
        ada < news 9 i
        ada < news 10 j
        ",
    );
}

#[test]
fn what_history_has_dropped_is_a_slow_gap() {
    check(
        "
        node workers=1 outbox=1 page=2 ring=2
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect
        bo < connected
        ada takes 0
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d & bo > publish news e
        ada takes 9
        ada reads
        ada < news 1 a
        ada < news gap 2-3 slow
        ada < news 4 d
        ada < news 5 e
        bo > publish news f
        ada < news 6 f
        ",
    );
}

#[test]
fn a_large_message_reaches_even_a_small_outbox() {
    check(
        "
        node outbox_bytes=500
        ada opens connect news
        ada < connected [news 0..0]
        ada > publish #1 news x bytes=2
        ada < news 1 xx
        ada < ok #1 at 1 to 1
        ada > publish news x bytes=9 & ada > publish news x bytes=8
        ada < news 2 xxxxxxxxx
        ada < news 3 xxxxxxxx
        ",
    );
}

#[test]
fn signals_to_a_slow_reader_are_dropped() {
    check(
        "
        node workers=1 outbox=2
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect
        bo < connected
        ada takes 0
        bo > publish news a ephemeral & bo > publish news b ephemeral & bo > publish news c ephemeral
        ada takes 9
        ada reads
        ada < news ~ a
        ada < news ~ b
        ",
    );
}

#[test]
fn several_channels_of_a_slow_reader_take_turns() {
    check(
        "
        node outbox=1 page=1 workers=1
        ada opens connect x y
        ada < connected [x 0..0] [y 0..0]
        bo opens connect
        bo < connected
        ada takes 0
        bo > publish x a & bo > publish x b & bo > publish x c & bo > publish y d & bo > publish y e
        ada takes 9
        ada reads
        ada < x 1 a
        ada < x 2 b
        ada < y 1 d
        ada < x 3 c
        ada < y 2 e
        ",
    );
}

#[test]
fn a_full_queue_between_workers_is_caught_up_from_history() {
    check(
        "
        node deliveries=2 page=2
        ada opens connect news
        bo opens connect news
        ada < connected [news 0..0]
        bo < connected [news 0..0]
        api > publish news a & api > publish news b & api > publish news c & api > publish news d & api > publish news e
        ada < news 1 a
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        ada < news 5 e
        bo < news 1 a
        bo < news 2 b
        bo < news 3 c
        bo < news 4 d
        bo < news 5 e
        api <* at 1 to 2 | at 2 to 2 | at 3 to 2 | at 4 to 2 | at 5 to 2
        api > publish news f
        ada < news 6 f
        bo < news 6 f
        api < at 6 to 2
        ",
    );
}

/// Who was caught up by a page and fell behind again before the next delivery went back to the delivery before.
#[test]
fn falling_behind_twice_brings_nothing_twice() {
    check(
        "
        node deliveries=2 steady
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        ada < news 1 a
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        bo > publish news x ephemeral & bo > publish news y ephemeral & bo > publish news e
        ada < news ~ x
        ada < news ~ y
        ada < news 5 e
        ",
    );
}

/// Whoever came while everyone else had fallen behind, and none of them read on, was thought to be Live and heard nothing.
#[test]
fn who_comes_while_a_queue_was_full_hears_everything() {
    check(
        "
        node deliveries=2 workers=1 noinbox steady
        ada opens home connect
        ada < connected
        ada takes 0
        ada stops
        api > publish $all a & api > publish $all b & api > publish $all c & api > publish $all d
        api > publish user:ada a & api > publish user:ada b & api > publish user:ada c & api > publish user:ada d
        api <* at 1 to 1 | at 2 to 1 | at 3 to 1 | at 4 to 1 | at 1 to 1 | at 2 to 1 | at 3 to 1 | at 4 to 1
        bo opens home as=ada connect
        bo < connected
        api > publish $all e
        api < at 5 to 2
        api > publish user:ada f
        api < at 5 to 2
        bo < $all 5 e
        bo < $user:ada 5 f
        ada drops
        ",
    );
}

/// A page for a channel that was left meanwhile was dropped, and with it the turn of the other channels of that session.
#[test]
fn leaving_one_channel_does_not_hold_up_the_others() {
    let mut node = Node::new(Plan::steady(1));
    // By POST, since an answer in the stream would give the session another turn.
    node.open(
        "ada",
        0,
        Dialect::SseData,
        Some(Identity { grants: Grants::ALL, ..Identity::default() }),
        Some(Connect::default()),
    );
    node.say(0, "publish", "x hi");
    node.say(0, "publish", "y hi");
    node.settle();
    node.say(0, "subscribe", "x<9");
    node.say(0, "subscribe", "y<9");
    let pulls = |node: &Node| {
        let links = node.workers[0].sessions.iter_from(0).flat_map(|session| &session.subscriptions);
        links.filter(|it| matches!(it.link, Link::Behind { pulling: true, .. })).count()
    };
    while pulls(&node) == 0 {
        node.turn(0);
        node.read(0, 9);
    }
    node.say(0, "unsubscribe", "x");
    node.settle();
    assert_eq!(node.clients[0].journal.back().map(String::as_str), Some("y 1 hi"));
    node.check_rest();
}

/// Many who catch up from a peer that does not answer took its last credits, and no connection of their worker was heard.
#[test]
fn pulls_leave_the_credits_of_a_command() {
    let mut plan = Plan::steady(2);
    plan.options.channels_per_connection = 2;
    plan.options.outbox_records = 1;
    plan.options.bounds.credits = plan.options.requests_per_command() + 2;
    let mut node = Node::new(plan);
    let away = (0..9).map(|index| format!("news{index}")).find(|name| {
        let name = ChannelName::parse(name).expect("a name");
        node.home_of(&ChannelKey::named(AppId::default(), name)) == 1
    });
    let away = away.expect("one of them is at home on the other worker");
    let slow: Vec<usize> = (0..8).map(|index| node.join_with(&format!("slow {index}"), &away)).collect();
    node.settle();
    for client in &slow {
        node.clients[*client].socket_max = 0;
    }
    (0..4).for_each(|_| node.publish_by_call(&format!("{away} hi")));
    node.settle();
    for client in &slow {
        node.clients[*client].socket_max = 100;
        node.flush(*client);
    }
    (0..3).for_each(|_| node.turn(0));
    assert!(node.workers[0].takes_commands(), "nothing is left for commands");
    node.settle();
    node.check_rest();
}

/// A session pulled one page at a time, so a channel whose page had to come from a store that was away held up all its others.
#[test]
fn a_page_that_waits_for_the_store_holds_up_no_other_channel() {
    check(
        "
        node ring=2 kept=kept:** outbox=1 page=1
        bo opens connect
        bo < connected
        ada opens connect kept:a news kept:b
        ada < connected [kept:a 0..0] [news 0..0] [kept:b 0..0]
        ada takes 0
        bo > publish kept:a a & bo > publish kept:a b & bo > publish kept:a c & bo > publish kept:a d
        bo > publish news e & bo > publish news f & bo > publish kept:b g & bo > publish kept:b h
        log away
        ada takes 9
        ada reads
        ada < kept:a 1 a
        ada <* news 1 e | news 2 f | kept:b 1 g | kept:b 2 h
        log back
        pass 1s
        ada < kept:a 2 b
        ada < kept:a 3 c
        ada < kept:a 4 d
        ",
    );
}

#[test]
fn a_session_waits_for_few_pages_of_the_store_at_once() {
    let mut plan = Plan::steady(2);
    plan.options.retention = Some(Retention::default());
    plan.options.history.records = 1;
    plan.options.outbox_records = 1;
    let rule = Rule {
        pattern: Pattern::parse("news:**").expect("a pattern"),
        history: plan.options.history,
        retention: plan.options.retention,
        latest_per_key: false,
        message_events: false,
    };
    plan.options.rules.push(rule);
    let mut node = Node::new(plan);
    let names: Vec<String> = (0..20).map(|index| format!("news:{index}")).collect();
    let ada = node.join_with("ada", &names.join(" "));
    node.settle();
    node.clients[ada].socket_max = 0;
    for name in names.iter().flat_map(|name| [name; 3]) {
        node.publish_by_call(&format!("{name} hi"));
    }
    node.settle();
    node.plan.log_failures = 100;
    node.clients[ada].socket_max = 100;
    node.flush(ada);
    node.settle();
    let links = node.workers[0].sessions.iter_from(0).flat_map(|session| &session.subscriptions);
    let pulls = links.filter(|it| matches!(it.link, Link::Behind { pulling: true, .. })).count();
    assert_eq!(pulls, limits::STORED_PULLS);
    node.plan.log_failures = 0;
    node.pass(Duration::from_secs(1));
    node.check_rest();
}
