//! Scripts about publishing: targets, exclusion, ephemeral messages, idempotency.

use std::time::Duration;

use crate::id::{AppId, ChannelKey, ChannelName};
use crate::limits;
use crate::worker::testing::{Node, Plan, check};

#[test]
fn four_targets() {
    check(
        "
        ada opens connect news
        bo opens connect
        ada < connected [news 0..0]
        bo < connected
        bo > publish #1 $all a
        bo < $all 1 a
        bo < ok #1 at 1 to 2
        ada < $all 1 a
        bo > publish #2 news b
        bo < ok #2 at 1 to 1
        ada < news 1 b
        bo > publish #3 user:ada c
        bo < ok #3 at 1 to 1 queued
        ada < $user:ada 1 c
        bo > publish #4 user:ada/news d
        bo < ok #4 at ~ to 1
        ada < news ~ d
        api > publish news e
        api < at 2 to 1
        ada < news 2 e
        ",
    );
}

#[test]
fn publishing_needs_the_grant() {
    check(
        "
        ada opens reader connect
        ada < connected
        ada > publish #1 news hi
        ada < error #1 Forbidden
        ",
    );
}

#[test]
fn a_message_is_bounded() {
    check(
        "
        node message=4
        ada opens connect
        ada < connected
        ada > publish #1 news x bytes=4
        ada < ok #1 at 1 to 0
        ada > publish #2 news x bytes=5
        ada < error #2 TooLarge data limit 4
        ",
    );
}

#[test]
fn who_is_excluded_is_told_of_a_gap_that_is_no_loss() {
    check(
        "
        ada opens connect news
        bo opens connect news
        ada < connected [news 0..0]
        bo < connected [news 0..0]
        ada > publish #1 news hi exclude=ada
        ada < news gap 1-1 excluded
        ada < ok #1 at 1 to 2
        bo < news 1 hi
        ada > publish news ho exclude=ada exclude=bo
        ada < news gap 2-2 excluded
        bo < news gap 2-2 excluded
        ada > publish news all
        ada < news 3 all
        bo < news 3 all
        ",
    );
}

#[test]
fn neighbouring_exclusions_are_one_gap() {
    check(
        "
        node workers=1
        ada opens connect news chat
        bo opens connect
        ada < connected [news 0..0] [chat 0..0]
        bo < connected
        ada takes 0
        bo > publish news a exclude=ada & bo > publish news b exclude=ada & bo > publish news c exclude=ada
        bo > publish chat d exclude=ada & bo > publish news e exclude=ada & bo > publish news f
        ada takes 9
        ada reads
        ada < news gap 1-3 excluded
        ada < chat gap 1-1 excluded
        ada < news gap 4-4 excluded
        ada < news 5 f
        ",
    );
}

#[test]
fn exclusion_holds_when_caught_up_from_history() {
    check(
        "
        node page=2
        ada opens connect news
        bo opens connect
        ada < connected [news 0..0]
        bo < connected
        ada > unsubscribe news
        bo > publish news a exclude=ada & bo > publish news b exclude=ada & bo > publish news c exclude=ada
        bo > publish news d
        ada > subscribe #1 news@0
        ada < subscribed #1 news 0..4 recovered
        ada < news gap 1-2 excluded
        ada < news gap 3-3 excluded
        ada < news 4 d
        ",
    );
}

#[test]
fn an_ephemeral_message_is_heard_now_or_never() {
    check(
        "
        ada opens connect news
        bo opens connect
        ada < connected [news 0..0]
        bo < connected
        bo > publish #1 news now ephemeral id=1
        bo < ok #1 at ~ to 1
        ada < news ~ now
        bo > publish #2 news now ephemeral id=1 exclude=ada
        bo < ok #2 at ~ to 1
        bo > subscribe #3 news^
        bo < subscribed #3 news 0..0 recovered
        ",
    );
}

#[test]
fn the_same_id_is_published_once() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        ada > publish #1 news hi id=1
        ada < news 1 hi
        ada < ok #1 at 1 to 1
        ada > publish #2 news hi id=1
        ada < ok #2 at 1 to 1 duplicate
        ada > publish #3 news ho id=1
        ada < error #3 Conflict id
        ada > publish #4 news hi id=1 type=other
        ada < error #4 Conflict id
        ada > publish #5 news hi id=1 key=k
        ada < error #5 Conflict id
        ada > publish #6 news hi id=1 meta={}
        ada < error #6 Conflict id
        ada > publish #7 chat ho id=1
        ada < ok #7 at 1 to 0
        ",
    );
}

#[test]
fn the_id_belongs_to_its_publisher() {
    check(
        "
        ada opens connect
        phone opens as=ada connect
        bo opens connect
        eve opens anonymous connect
        dan opens anonymous connect
        ada < connected
        phone < connected
        bo < connected
        eve < connected
        dan < connected
        ada > publish #1 news a id=1
        ada < ok #1 at 1 to 0
        phone > publish #1 news a id=1
        phone < ok #1 at 1 to 0 duplicate
        bo > publish #1 news b id=1
        bo < ok #1 at 2 to 0
        eve > publish #1 news e id=1
        eve < ok #1 at 3 to 0
        dan > publish #1 news d id=1
        dan < ok #1 at 4 to 0
        api > publish news s id=1
        api < at 5 to 0
        api > publish news s id=1
        api < at 5 to 0 duplicate
        ",
    );
}

#[test]
fn an_id_is_forgotten_after_five_minutes() {
    check(
        "
        ada opens connect
        ada < connected
        ada > publish #1 news hi id=1
        ada < ok #1 at 1 to 0
        pass 299s
        ada > publish #2 news hi id=1
        ada < ok #2 at 1 to 0 duplicate
        pass 1s
        ada > publish #3 news hi id=1
        ada < ok #3 at 2 to 0
        ",
    );
}

/// A publish that nobody waits for kept its credit, until the worker had none left and took no more commands.
#[test]
fn a_publish_without_an_answer_gives_its_credit_back() {
    check(
        "
        node channels=2 credits=6
        ada opens connect
        ada < connected
        ada > publish #1 news a unanswered & ada > publish #2 news b unanswered & ada > publish #3 news c unanswered
        ada > publish #4 news d unanswered & ada > publish #5 news e unanswered & ada > publish #6 news f unanswered
        ada < ok #1 at ~ to 0
        ada < ok #2 at ~ to 0
        ada < ok #3 at ~ to 0
        ada < ok #4 at ~ to 0
        ada < ok #5 at ~ to 0
        ada < ok #6 at ~ to 0
        ada > publish #7 news g
        ada < ok #7 at 7 to 0
        ada > publish news h id=1 unanswered & ada > publish news i id=1 unanswered
        ada < error Conflict id
        ",
    );
}

/// Ids were forgotten by the next publish only: a channel that had been busy kept up to 10,000 of them while somebody listened.
#[test]
fn ids_are_forgotten_at_their_age_even_if_nothing_is_published() {
    let mut node = Node::new(Plan::steady(1));
    let ada = node.join_with("ada", "news");
    (0..3).for_each(|id| node.say(ada, "publish", &format!("news hi id={id}")));
    node.settle();
    let news = ChannelKey::named(AppId::default(), ChannelName::parse("news").expect("a name"));
    for (pass, remembered) in [(Duration::ZERO, 3), (limits::DEDUP_AGE, 3), (Duration::from_secs(1), 0)] {
        node.pass(pass);
        assert_eq!(node.workers[0].home_of_mut(&news).expect("somebody listens").desk.remembered(), remembered);
    }
    node.check_rest();
}
