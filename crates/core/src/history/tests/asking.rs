//! Scripts about questions: what a stretch of the past brings, and what is told of the rest.

use std::time::Duration;

use crate::history::{Direction, Query, Span};
use crate::id::{AppId, ChannelKey, ChannelName};
use crate::worker::Call;
use crate::worker::testing::{Node, Plan, check};

#[test]
fn the_past_is_asked_in_both_directions() {
    check(
        "
        bo opens connect
        bo < connected
        bo > history #1 news
        bo < ok #1 [] at 0
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d & bo > publish news e
        bo > history #2 news
        bo < ok #2 [5 e, 4 d, 3 c, 2 b, 1 a] at 5
        bo > history #3 news limit=2
        bo < ok #3 [5 e, 4 d] at 5 …
        bo > history #4 news limit=2 forward
        bo < ok #4 [1 a, 2 b] at 2 …
        bo > history #5 news since=3
        bo < ok #5 [4 d, 5 e] at 5
        bo > history #6 news since=3 backward
        bo < ok #6 [5 e, 4 d] at 5
        bo > history #7 news until=2
        bo < ok #7 [2 b, 1 a] at 2
        bo > history #8 news until=2 limit=1 forward
        bo < ok #8 [1 a] at 1 …
        bo > history #9 news around=3 limit=3
        bo < ok #9 [2 b, 3 c, 4 d] at 4
        bo > history #10 news since=9
        bo < ok #10 [1 a, 2 b, 3 c, 4 d, 5 e] at 5 gap epoch, on from 5
        bo > history #11 news since=x:1 limit=1
        bo < ok #11 [1 a] at 1 gap epoch, on from 1 …
        api > history news limit=1
        api < [5 e] at 5 …
        ",
    );
}

#[test]
fn the_past_is_asked_by_id_and_time() {
    check(
        "
        node kept=old ring=2
        bo opens connect
        bo < connected
        bo > publish old a id=1
        pass 10s
        bo > publish old b id=2
        pass 10s
        bo > publish old c id=3
        pass 10s
        bo > publish old d id=4
        bo > history #1 old since=id:1
        bo < ok #1 [2 b, 3 c, 4 d] at 4
        bo > history #2 old since=id:4
        bo < ok #2 [] at 4
        bo > history #3 old until=id:2
        bo < ok #3 [2 b, 1 a] at 2
        bo > history #4 old around=id:3 limit=2
        bo < ok #4 [2 b, 3 c] at 3
        bo > history #5 old since=id:9
        bo < error #5 NotFound since
        bo > history #6 old since=time:10
        bo < ok #6 [2 b, 3 c, 4 d] at 4
        bo > history #7 old until=time:15
        bo < ok #7 [2 b, 1 a] at 2
        bo > history #8 old since=time:99
        bo < ok #8 [] at 4
        bo > history #9 old until=time:0
        bo < ok #9 [1 a] at 1
        bo > history #10 old around=time:20 limit=2
        bo < ok #10 [2 b, 3 c] at 3
        bo > history #11 old until=time:18446744073709551615
        bo < ok #11 [4 d, 3 c, 2 b, 1 a] at 4
        ",
    );
}

#[test]
fn what_is_gone_is_told_with_the_page() {
    check(
        "
        node ring=2
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        bo > history #1 news since=1
        bo < ok #1 [3 c, 4 d] at 4 gap 2-2 window
        bo > history #2 news until=1
        bo < ok #2 [] at 2
        eve opens deaf connect
        eve < connected
        eve > history #1 news
        eve < error #1 Forbidden news
        ",
    );
}

/// What was removed on purpose was told as loss.
#[test]
fn what_was_removed_is_no_loss_in_an_answer() {
    for kept in ["", "kept=news"] {
        check(&format!(
            "
            node page=2 {kept}
            bo opens connect
            bo < connected
            bo > publish #1 news a
            bo < ok #1 at 1 to 0
            bo > publish news b & bo > publish news c
            api > history news since=1 limit=1
            api < [2 b] at 2 …
            api > purge news@2
            api < purged up to 2
            bo > history #2 news since=1
            bo < ok #2 [3 c] at 3 gap 2-2 purged
            bo > history #3 news since=0 limit=1 forward
            bo < ok #3 [3 c] at 3 gap 1-2 purged
            bo > history #4 news since=2
            bo < ok #4 [3 c] at 3
            "
        ));
    }
}

#[test]
fn the_first_messages_are_missed_where_they_were_once() {
    check(
        "
        node kept=kept ring=2
        bo opens connect
        bo < connected
        bo > publish #1 kept a
        bo < ok #1 at 1 to 0
        bo > publish kept b & bo > publish kept c & bo > publish kept d
        log trims kept 1
        bo > history #2 kept since=0
        bo < ok #2 [2 b, 3 c, 4 d] at 4 gap 1-1 window
        bo > history #3 kept since=0 backward
        bo < ok #3 [4 d, 3 c, 2 b] at 4 gap 1-1 window
        bo > history #4 kept forward
        bo < ok #4 [2 b, 3 c, 4 d] at 4
        bo > publish #5 news a
        bo < ok #5 at 1 to 0
        bo > publish news b & bo > publish news c
        bo > history #6 news since=0
        bo < ok #6 [2 b, 3 c] at 3 gap 1-1 window
        ",
    );
}

/// It read the whole stretch of as many messages as it may have, for the few that fit.
#[test]
fn a_page_that_goes_back_reads_what_it_brings() {
    let mut plan = Plan::steady(1);
    plan.options.retention = Some(Default::default());
    plan.options.history.records = 1;
    let mut node = Node::new(plan);
    for _ in 0..300 {
        node.publish_by_call("news x bytes=60000");
        node.settle();
    }
    node.answers.clear();
    let channel = || ChannelKey::named(AppId::default(), ChannelName::parse("news").expect("a name"));
    let mut span = Span::All(Direction::Backward);
    let mut offsets = Vec::new();
    for _ in 0..3 {
        let before = node.workers[0].figures().log_reads;
        let query = Query { span: span.clone(), limit: 1_000 };
        node.call(0, |_| Call::History { channel: channel(), query });
        node.pass(Duration::ZERO);
        let page = node.pages.pop_front().expect("an answer");
        offsets.extend(page.records.iter().filter_map(|record| record.offset));
        let reads = node.workers[0].figures().log_reads - before;
        assert!(reads <= 2, "{reads} blocks for {} messages", page.records.len());
        span = Span::Rest(page.next.expect("there is more"));
    }
    assert!(offsets.len() >= 3 * 8, "{} messages", offsets.len());
    let from_the_newest: Vec<_> = (0..=300).rev().take(offsets.len()).collect();
    assert_eq!(offsets, from_the_newest);
}

/// The second one was passed over in silence.
#[test]
fn every_damaged_stretch_is_told() {
    check(
        "
        node kept=kept ring=1
        bo opens connect
        bo < connected
        bo > publish #1 kept a
        bo < ok #1 at 1 to 0
        bo > publish kept b & bo > publish kept c & bo > publish kept d & bo > publish kept e & bo > publish kept f
        bo > publish kept g
        log loses kept 2 3 5
        bo > history #2 kept forward
        bo < ok #2 [1 a, 4 d] at 4 gap 2-3 window …
        bo > history #3 kept next
        bo < ok #3 [6 f, 7 g] at 7 gap 5-5 window
        bo > history #4 kept backward
        bo < ok #4 [7 g, 6 f, 4 d] at 7 gap 5-5 window …
        bo > history #5 kept next
        bo < ok #5 [1 a] at 3 gap 2-3 window
        bo > history #6 kept since=x:1
        bo < ok #6 [1 a] at 1 gap epoch, on from 1 …
        ada opens connect kept@0
        ada < connected [kept 0..7 recovered]
        ada < kept 1 a
        ada < kept gap 2-2 window
        ada < kept gap 3-3 window
        ada < kept 4 d
        ada < kept gap 5-5 window
        ada < kept 6 f
        ada < kept 7 g
        ",
    );
}
