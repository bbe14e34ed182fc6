//! Scripts about questions: what a stretch of the past brings, and what is told of the rest.

use crate::worker::testing::check;

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
