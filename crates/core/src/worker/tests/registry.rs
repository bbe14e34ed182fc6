//! The registry of clients: looking at connections, steering them, and what the application is told.

use crate::worker::testing::check;

#[test]
fn connections_are_listed_in_pages() {
    check(
        "
        node workers=1
        ada opens connect news
        bo opens connect chat
        eve opens sse as=ada connect news chat
        dan opens
        ada < connected [news 0..0]
        bo < connected [chat 0..0]
        eve < connected [news 0..0] [chat 0..0]
        api > connections limit=2
        api < connections ada bo …
        api > connections limit=2 after=2
        api < connections ada
        api > connections user=ada
        api < connections ada ada
        api > connections channel=chat
        api < connections bo ada
        api > connections channel=chat user=bo
        api < connections bo
        api > connections channel=none
        api < connections
        api > connection eve
        api < ada in [chat news]
        bo drops
        api > connections limit=9
        api < connections ada ada
        ",
    );
}

/// A device was checked, and then forgotten.
#[test]
fn a_connection_shows_its_device() {
    check(
        "
        ada opens
        ada > connect #1 device=phone news
        ada < connected #1 [news 0..0]
        api > connection ada
        api < ada at phone in [news]
        ",
    );
}

#[test]
fn channels_are_listed_in_pages() {
    check(
        "
        node workers=1
        ada opens connect a b
        bo opens connect b
        ada < connected [a 0..0] [b 0..0]
        bo < connected [b 0..0]
        bo > publish user:ada hi
        ada < $user:ada 1 hi
        bo > publish b hi & bo > publish c hi
        ada < b 1 hi
        bo < b 1 hi
        api > channels
        api < channels a=1 b=2 c=0
        api > channels 0 2
        api < channels a=1 b=2 …
        api > channel b
        api < b at 1 to 2 keeps 1
        api > channel $user:ada
        api < $user:ada at 1 to 1 keeps 1
        api > channel none
        api < no channel
        ",
    );
}

#[test]
fn the_application_ends_a_connection() {
    check(
        "
        ada opens connect news
        ada < connected [news 0..0]
        api > disconnect ada enough
        api < found
        ada < goaway Stopped enough
        api > disconnect ada
        api < not found
        ",
    );
}

#[test]
fn the_application_subscribes_a_connection_which_is_told() {
    check(
        "
        ada opens connect
        bo opens sse connect
        ada < connected
        bo < connected
        api > subscribe ada news
        api < subscribed news 0..0
        ada < subscribed news 0..0
        api > subscribe bo news
        api < subscribed news 0..0
        bo < subscribed news 0..0
        ada > publish news hi
        ada < news 1 hi
        bo < news 1 hi
        api > unsubscribe ada news
        api < found
        ada < unsubscribed news
        api > unsubscribe ada news
        api < found
        ada drops
        api > subscribe ada news
        api < not found
        ",
    );
}

#[test]
fn the_application_is_told_in_order_per_connection() {
    check(
        "
        node workers=1
        ada opens connect news
        ada < connected [news 0..0]
        app < 1 connected ada WebSocket
        app < occupied news
        app < 2 added ada news
        ada > subscribe #1 chat
        ada < subscribed #1 chat 0..0
        app < occupied chat
        app < 3 added ada chat
        bo opens sse connect news
        bo < connected [news 0..0]
        app < 1 connected bo Sse
        app < 2 added bo news
        ada > unsubscribe news
        app < 4 removed ada news
        bo leaves
        app < 3 removed bo news
        app < 4 disconnected bo Closed
        app < vacated news
        ada violates
        app < 5 removed ada chat
        app < 6 disconnected ada Violation
        app < vacated chat
        ",
    );
}

#[test]
fn messages_of_a_channel_whose_rule_says_so_are_events() {
    check(
        "
        node workers=1 told=told:*
        ada opens connect
        ada < connected
        ada > publish told:x hi & ada > publish news hi
        app < 1 connected ada WebSocket
        app < published told:x 1 hi
        ",
    );
}

/// It was said to be no channel when its messages lay in the store only.
#[test]
fn a_stored_channel_is_one_with_nothing_in_memory() {
    check(
        "
        node kept=kept ring=0
        api > publish kept a
        api < at 1 to 0
        api > channel kept
        api < kept at 1 to 0 keeps 0
        api > publish news a
        api < at 1 to 0
        api > channel news
        api < no channel
        api > purge kept
        api < purged up to 1
        api > channel kept
        api < no channel
        ",
    );
}
