//! Connections that are not read for a while, and are read again.

use crate::command::{Command, Listen, Subscribe};
use crate::id::ChannelName;
use crate::limits;
use crate::position::Start;
use crate::worker::testing::{Node, Plan};

/// Without numbers nothing is answered, so nothing was ever written that would have had the socket read again.
#[test]
fn who_asks_for_much_and_wants_no_answers_is_heard_to_the_end() {
    let mut node = Node::new(Plan::steady(2));
    let ada = node.join("ada");
    for index in 0..3 * limits::COMMANDS_IN_FLIGHT {
        let listen = Listen::Named(ChannelName::parse(&format!("news {index}")).expect("a name"));
        node.command(ada, Command::Subscribe(Subscribe { listen, start: Start::Now }), None);
    }
    node.settle();
    node.check_rest();
    let count = node.workers[0].figures().subscriptions;
    assert_eq!(count, u64::from(3 * limits::COMMANDS_IN_FLIGHT));
}
