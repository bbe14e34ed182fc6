//! Scripts about channels whose messages are stored, live for a while, or take the place of others.

use crate::worker::testing::check;

#[test]
fn what_fell_out_of_memory_is_read_from_the_log() {
    check(
        "
        node kept=news ring=2 page=2
        bo opens connect
        bo < connected
        bo > publish #1 news a
        bo < ok #1 at 1 to 0
        bo > publish news b & bo > publish news c & bo > publish news d & bo > publish news e
        ada opens connect news@1
        ada < connected [news 1..5 recovered]
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        ada < news 5 e
        eve opens connect news@0
        eve < connected [news 0..5 recovered]
        eve < news 1 a
        eve < news 2 b
        eve < news 3 c
        eve < news 4 d
        eve < news 5 e
        bo > publish news f
        ada < news 6 f
        eve < news 6 f
        ",
    );
}

#[test]
fn a_persisted_channel_goes_on_where_it_was_after_it_was_forgotten() {
    check(
        "
        node kept=news
        bo opens connect
        bo < connected
        bo > publish news a
        pass 1200s
        bo > publish #1 news b
        bo < ok #1 at 2 to 0
        ada opens connect news@0
        ada < connected [news 0..2 recovered]
        ada < news 1 a
        ada < news 2 b
        ",
    );
}

#[test]
fn the_ack_level_moves_the_answer() {
    check(
        "
        node kept=news
        ada opens connect news
        ada < connected [news 0..0]
        bo opens connect
        bo < connected
        bo > publish #1 news a early
        bo < ok #1 at ~ to 1
        ada < news 1 a
        bo > publish #2 news b stored
        bo < ok #2 at 2 to 1
        ada < news 2 b
        bo > publish #3 news c
        bo < ok #3 at 3 to 1
        ada < news 3 c
        bo > publish #4 other d stored
        bo < error #4 NotEnabled ack
        bo > publish #5 news e stored ephemeral
        bo < error #5 BadRequest ack
        ",
    );
}

#[test]
fn what_has_expired_is_not_replayed() {
    check(
        "
        node kept=old
        ada opens connect news old
        ada < connected [news 0..0] [old 0..0]
        bo opens connect
        bo < connected
        bo > publish news a ttl=5 & bo > publish news b & bo > publish news c ttl=9
        bo > publish old d ttl=5 & bo > publish old e
        ada <* news 1 a | news 2 b | news 3 c | old 1 d | old 2 e
        pass 6s
        eve opens connect news@0
        eve < connected [news 0..3 recovered]
        eve < news gap 1-1 expired
        eve < news 2 b
        eve < news 3 c
        pass 3s
        kim opens connect
        kim < connected
        kim > subscribe #1 news@0
        kim < subscribed #1 news 0..3 recovered
        kim < news gap 1-1 expired
        kim < news 2 b
        kim < news gap 3-3 expired
        kim > subscribe #2 old@0
        kim < subscribed #2 old 0..2 recovered
        kim < old gap 1-1 expired
        kim < old 2 e
        kim > history #3 news
        kim < ok #3 [2 b] at 3
        ",
    );
}

#[test]
fn the_latest_of_each_key_is_replayed() {
    check(
        "
        node latest=news
        bo opens connect
        bo < connected
        bo > publish news a key=x & bo > publish news b key=y & bo > publish news c key=x & bo > publish news d
        bo > publish news e key=x
        ada opens connect news@0
        ada < connected [news 0..5 recovered]
        ada < news gap 1-1 replaced
        ada < news 2 b
        ada < news gap 3-3 replaced
        ada < news 4 d
        ada < news 5 e
        ada > history #1 news limit=2
        ada < ok #1 [5 e, 4 d] at 5 …
        ",
    );
}

#[test]
fn while_the_store_is_away_nobody_is_told_a_lie() {
    check(
        "
        node kept=news
        bo opens connect other
        bo < connected [other 0..0]
        log away
        ada opens sse connect news
        ada < -
        bo > publish #1 news a
        pass 1s
        bo < error #1 Unavailable
        bo > publish #2 other b
        bo <* ok #2 at 1 to 1 | other 1 b
        pass 10s
        ada < goaway Overloaded
        log back
        eve opens connect news
        pass 1s
        eve < connected [news 0..0]
        log away
        bo > publish #3 news c id=1
        bo < error #3 Overloaded
        log back
        bo > publish #4 news c id=1
        bo < ok #4 at 1 to 1
        eve < news 1 c
        ",
    );
}

/// It came out of the block that was read for the question before.
#[test]
fn what_was_replaced_is_gone_at_once() {
    check(
        "
        node latest_kept=news ring=1
        bo opens connect
        bo < connected
        bo > publish #1 news a key=x
        bo < ok #1 at 1 to 0
        bo > publish news b key=y & bo > publish news c key=z
        bo > history #2 news
        bo < ok #2 [3 c, 2 b, 1 a] at 3
        bo > publish #3 news d key=x
        bo < ok #3 at 4 to 0
        bo > history #4 news
        bo < ok #4 [4 d, 3 c, 2 b] at 4
        bo > publish #5 news e
        bo < ok #5 at 5 to 0
        ada opens connect news@0
        ada < connected [news 0..5 recovered]
        ada < news gap 1-1 replaced
        ada < news 2 b
        ada < news 3 c
        ada < news 4 d
        ada < news 5 e
        ",
    );
}

#[test]
fn the_log_finds_where_a_subscription_begins_that_asks_for_a_time() {
    check(
        "
        node ring=1 kept=kept:**
        bo opens connect
        bo < connected
        bo > publish kept:a a
        pass 10s
        bo > publish kept:a b
        pass 10s
        bo > publish kept:a c
        ada opens connect kept:a<15s kept:b<15s
        ada < connected [kept:a 1..3] [kept:b 0..0]
        ada < kept:a 2 b
        ada < kept:a 3 c
        ada drops
        eve opens connect
        eve < connected
        log away
        eve > subscribe #1 kept:a<50s
        eve < error #1 Overloaded kept:a
        log back
        eve > subscribe #2 kept:a<50s
        eve < subscribed #2 kept:a 0..3
        eve < kept:a 1 a
        eve < kept:a 2 b
        eve < kept:a 3 c
        pass 60s
        kim opens connect kept:a<15s
        kim < connected [kept:a 3..3]
        ",
    );
}
