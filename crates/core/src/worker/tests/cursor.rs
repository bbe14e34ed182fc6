//! The cursor of an event stream: what a client that was cut comes back with.

use crate::cursor::CursorPositions;
use crate::id::ConnectionKey;
use crate::position::Epoch;
use crate::worker::testing::{Node, Plan, check};

#[test]
fn a_cursor_names_what_the_write_brought() {
    check(
        "
        node steady
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish chat b & bo > publish chat c
        ada opens sse connect news
        ada < connected [news 1..1]
        ada holds $all=0 news=1
        ada > subscribe #1 chat@1
        ada < subscribed #1 chat 1..2 recovered
        ada < chat 2 c
        ada holds $all=0 news=1 chat=2
        bo > publish user:ada d & bo > publish $all e
        bo < $all 1 e
        ada <* $user:ada 1 d | $all 1 e
        ada holds news=1 chat=2 $user:ada=1 $all=1
        bo > publish news f exclude=ada
        ada < news gap 2-2 excluded
        ada holds news=2 chat=2 $user:ada=1 $all=1
        ada > unsubscribe #2 chat
        ada < unsubscribed #2 chat
        bo > publish news g
        ada < news 3 g
        ada holds news=3 $user:ada=1 $all=1
        ",
    );
}

#[test]
fn a_client_that_is_cut_misses_nothing() {
    check(
        "
        node batch=2 steady
        bo opens connect
        bo < connected
        ada opens sse connect news
        ada < connected [news 0..0]
        ada stops
        ada takes 9
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        ada reads 3
        ada < news 1 a
        ada < news 2 b
        ada < news 3 c
        ada holds $all=0 news=2
        bo > publish user:ada e & bo > publish $all f
        bo < $all 1 f
        ada resumes
        ada < connected [$all 0..1 recovered] [$user:ada 0..1 recovered] [news 2..4 recovered]
        ada <* $all 1 f | $user:ada 1 e | news 3 c | news 4 d
        ada holds $all=1 $user:ada=1 news=4
        ",
    );
}

/// The position behind a gap stood in the cursor before the gap had left, and a client that was cut there never heard of it.
#[test]
fn a_cursor_does_not_hide_a_gap_that_has_not_left() {
    check(
        "
        node ring=2 batch=1 steady
        bo opens connect
        bo < connected
        bo > publish news a & bo > publish news b & bo > publish news c & bo > publish news d
        ada opens sse connect news@1 & ada stops & ada takes 1
        ada reads 1
        ada < connected [news 2..4 unrecovered]
        ada holds $all=0 news=1
        ada resumes
        ada < connected [$all 0..0 recovered] [$user:ada 0..0 recovered] [news 2..4 unrecovered]
        ada < news gap 2-2 window
        ada < news 3 c
        ada < news 4 d
        eve opens sse connect news@x:3 & eve stops & eve takes 1
        eve reads 1
        eve < connected [news 2..4 unrecovered]
        eve holds $all=0 news=?
        eve takes 9
        eve resumes
        eve < connected [$all 0..0 recovered] [$user:eve 0..0 recovered] [news 2..4 unrecovered]
        eve < news gap epoch, on from 2
        eve < news 3 c
        eve < news 4 d
        ",
    );
}

/// The places of channels are reused, and a frame that waited from an earlier channel moved the position of the later one.
#[test]
fn a_frame_of_a_channel_that_was_left_moves_nobody_elses_position() {
    check(
        "
        node batch=1 steady workers=1
        bo opens connect
        bo < connected
        ada opens sse connect old
        ada < connected [old 0..0]
        ada takes 0
        ada stops
        bo > publish old a & bo > publish old b & bo > publish old c & bo > publish old d
        ada > unsubscribe #1 old
        ada < unsubscribed #1 old
        ada > subscribe #2 new
        ada < subscribed #2 new 0..0
        bo > publish new e
        ada takes 9
        ada reads
        ada < old 1 a
        ada < old 2 b
        ada < old 3 c
        ada < old 4 d
        ada < new 1 e
        ada holds $all=0 new=1
        ",
    );
}

/// Whoever was sent away with messages still queued got a cursor that named nothing, and came back to miss what followed.
#[test]
fn the_last_cursor_of_an_ended_stream_is_whole() {
    check(
        "
        bo opens connect
        bo < connected
        ada opens sse connect news chat
        ada < connected [news 0..0] [chat 0..0]
        bo > publish chat c
        ada < chat 1 c
        ada takes 0
        ada stops
        bo > publish news a
        bo > publish news b
        api > disconnect ada
        api < found
        bo > publish news d
        ada takes 9
        ada reads
        ada < news 1 a
        ada < news 2 b
        ada < goaway Stopped
        ada holds $all=0 news=2 chat=1
        ",
    );
}

/// Positions before the first message were left out, so a stream that was cut before a quiet channel's first message came back
/// to miss it.
#[test]
fn a_cursor_names_channels_that_have_no_message_yet() {
    check(
        "
        node steady
        bo opens connect
        bo < connected
        ada opens sse connect news quiet
        ada < connected [news 0..0] [quiet 0..0]
        ada holds $all=0 news=0 quiet=0
        bo > publish news a
        ada < news 1 a
        ada holds $all=0 news=1 quiet=0
        ada stops & ada takes 1
        bo > publish quiet b & bo > publish $all c & bo > publish user:ada d
        bo < $all 1 c
        ada resumes
        ada < connected [$all 0..1 recovered] [$user:ada 0..1 recovered] [news 1..1 recovered] [quiet 0..1 recovered]
        ada <* quiet 1 b | $all 1 c | $user:ada 1 d
        ",
    );
}

/// A channel that had no room in the cursor went on from now when its session was continued, and nobody was told of what came before.
#[test]
fn a_restored_channel_that_the_cursor_does_not_name_is_told_as_lost() {
    check(
        "
        bo opens connect
        bo < connected
        ada opens sse connect news
        ada < connected [news 0..0]
        ada > subscribe #1 chat
        ada < subscribed #1 chat 0..0
        ada > subscribe #2 quiet
        ada < subscribed #2 quiet 0..0
        ada drops
        bo > publish news a & bo > publish chat b & bo > publish quiet c
        eve opens sse as=ada continues=ada cursor=news:0,quiet:0 connect news@0
        eve < connected resumed [news 0..1 recovered] [chat 0..1 unrecovered] [quiet 0..1 recovered]
        eve <* news 1 a | chat gap epoch, on from 0 | chat 1 b | quiet 1 c
        eve drops
        kim opens sse as=ada continues=eve cursor=- connect
        kim < connected resumed [news 0..1 unrecovered] [chat 0..1 unrecovered] [quiet 0..1 unrecovered]
        kim <* news gap epoch, on from 0 | chat gap epoch, on from 0 | quiet gap epoch, on from 0 | news 1 a | chat 1 b | quiet 1 c
        ",
    );
}

/// The cursor named a channel that was subscribed by POST only with its first message.
#[test]
fn the_cursor_names_a_channel_as_soon_as_it_is_subscribed() {
    check(
        "
        bo opens connect
        bo < connected
        ada opens sse connect news
        ada < connected [news 0..0]
        bo > publish chat a
        ada > subscribe #1 chat
        ada < subscribed #1 chat 1..1
        ada holds $all=0 news=0 chat=1
        api > subscribe ada quiet
        api < subscribed quiet 0..0
        ada < subscribed quiet 0..0
        ada holds $all=0 news=0 chat=1 quiet=0
        ",
    );
}

/// A position that another client had left behind in the buffer gave its epoch to a cursor that had none.
#[test]
fn a_cursor_holds_nothing_of_the_stream_before_it() {
    let mut positions = CursorPositions::default();
    positions.push(&Epoch::parse("stale").expect("an epoch"), 1, 2);
    let mut node = Node::new(Plan::steady(1));
    let nobody = ConnectionKey { slot: 9, generation: 9 };
    assert_eq!(node.workers[0].move_cursor(nobody, 1, &mut positions), None);
    assert_eq!(positions, CursorPositions::default());
}
