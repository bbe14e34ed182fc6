//! Walks that pause, and what happens to the audience meanwhile.

use crate::id::WorkerId;
use crate::options::Bounds;
use crate::rejection::Lost;
use crate::worker::peers::Peer;
use crate::worker::testing::{Node, Plan};
use crate::worker::{Input, PeerMessage};

/// A node of one worker whose walks pause after each step, and so many listeners of `news`.
fn node(listeners: usize) -> Node {
    let mut plan = Plan::steady(1);
    plan.options.bounds = Bounds { walk_steps: 1, ..Bounds::default() };
    let mut node = Node::new(plan);
    for index in 0..listeners {
        node.join(&format!("listener {index}"));
        node.say(index, "subscribe", "news");
    }
    node.settle();
    node
}

/// Takes inputs until a walk pauses.
fn pause(node: &mut Node) {
    while !node.workers[0].is_walking() {
        assert!(node.step(0), "nothing is left and nobody walks");
    }
}

fn heard(node: &mut Node, line: &str) -> usize {
    node.settle();
    node.clients.iter().filter(|client| client.journal.iter().any(|it| it == line)).count()
}

/// When all listeners left during a walk, the entry of their channel was freed under it.
#[test]
fn an_entry_is_kept_while_a_walk_is_on_it() {
    let mut node = node(5);
    node.say(0, "publish", "news hi");
    pause(&mut node);
    (0..5).for_each(|client| node.lose(client, Lost::Dropped));
    while node.step(0) {}
    node.workers[0].finish_turn(node.now);
    let other = node.join("other");
    node.say(other, "subscribe", "chat");
    while node.step(0) {}
    assert!(node.workers[0].is_walking());
    assert_eq!(heard(&mut node, "news 1 hi"), 0);
    node.check_rest();
}

#[test]
fn who_leaves_during_a_walk_leaves_a_hole_that_is_closed() {
    for leavers in [&[0_usize][..], &[4], &[1, 3], &[0, 2, 4], &[1, 2, 3, 4], &[3, 1, 0]] {
        let mut node = node(5);
        node.say(0, "publish", "news hi");
        pause(&mut node);
        leavers.iter().for_each(|client| node.lose(*client, Lost::Dropped));
        while node.step(0) {}
        assert_eq!(heard(&mut node, "news 1 hi"), 5 - leavers.len(), "{leavers:?} left");
        node.check_rest();
        let rest = (0..5).find(|client| !leavers.contains(client)).unwrap();
        node.say(rest, "publish", "news hi");
        assert_eq!(heard(&mut node, "news 2 hi"), 5 - leavers.len(), "{leavers:?} left");
    }
}

#[test]
fn who_comes_during_a_walk_hears_the_next_one() {
    let mut node = node(3);
    node.say(0, "publish", "news hi");
    pause(&mut node);
    node.join("late");
    node.say(3, "subscribe", "news");
    while node.step(0) {}
    assert_eq!(node.clients[3].inputs.len(), 3, "new connections wait");
    assert_eq!(heard(&mut node, "news 1 hi"), 3);
    node.say(0, "publish", "news hi");
    assert_eq!(heard(&mut node, "news 2 hi"), 4);
    node.check_rest();
}

#[test]
fn a_walk_over_everyone_sees_who_comes_and_goes() {
    let mut node = node(4);
    node.say(0, "publish", "$all hi");
    pause(&mut node);
    node.lose(3, Lost::Dropped);
    while node.step(0) {}
    assert_eq!(heard(&mut node, "$all 1 hi"), 3);
    node.check_rest();
}

/// The engine went on to the next peer while a walk was unfinished. It only fell when that peer's first message began a walk of its
/// own, which no test had arranged.
#[test]
#[should_panic(expected = "wait while a worker walks")]
fn a_message_of_a_peer_during_a_walk_breaks_the_contract() {
    let mut node = node(3);
    node.say(0, "publish", "news hi");
    pause(&mut node);
    let message = PeerMessage(Peer::Behind { locals: Vec::new() });
    node.handle(0, Input::Peer { from: WorkerId(0), message });
}

#[test]
fn who_falls_behind_during_a_walk_is_caught_up() {
    let mut plan = Plan::steady(1);
    plan.options.bounds = Bounds { walk_steps: 1, ..Bounds::default() };
    plan.options.outbox_records = 1;
    let mut node = Node::new(plan);
    for index in 0..4 {
        node.join(&format!("listener {index}"));
        node.say(index, "subscribe", "news");
    }
    node.settle();
    for client in [1, 2] {
        node.clients[client].socket_max = 0;
    }
    (0..3).for_each(|_| node.say(0, "publish", "news hi"));
    node.settle();
    for client in [1, 2] {
        node.clients[client].socket_max = 9;
        node.read(client, 1);
    }
    assert_eq!(heard(&mut node, "news 3 hi"), 4);
    node.check_rest();
}
