//! Scripts about messages that nobody has acked: each comes, or is told to be lost.

use crate::worker::testing::check;

/// A write that was begun is not one that has left.
#[test]
fn a_post_proves_nothing_of_what_is_not_written() {
    check(
        "
        ada opens sse connect
        ada < connected
        ada takes 0
        ada stops
        api > publish user:ada a
        api < at 1 to 1 queued
        pass 3s
        ada > ping
        ada < pong
        api > inbox ada list
        api < [1 a] of 1
        ada takes 9
        ada reads
        ada < $user:ada 1 a
        ",
    );
}
