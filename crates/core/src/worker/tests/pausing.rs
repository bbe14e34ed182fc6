//! Connections that are not read for a while, and are read again.

use crate::command::{Command, History, Listen, Subscribe};
use crate::event::{Event, Outcome};
use crate::history::{Direction, Query, Span};
use crate::id::ChannelName;
use crate::limits;
use crate::position::Start;
use crate::worker::testing::{Node, Plan, check};

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

/// Each answer counted as 256 bytes, whatever it held: who asked for pages and read none had the server keep 192 of them, and 64 more on
/// their way.
#[test]
fn who_reads_no_answers_is_not_read_on_and_then_gets_them_all() {
    let mut node = Node::new(Plan::steady(1));
    let (ada, bo) = (node.join("ada"), node.join("bo"));
    (0..8).for_each(|_| node.say(bo, "publish", "news x bytes=60000"));
    node.settle();
    node.clients[ada].socket_max = 0;
    const QUESTIONS: usize = 100;
    (0..QUESTIONS).for_each(|_| node.say(ada, "history", "news"));
    node.settle();
    let waiting = |node: &Node| {
        let pages = node.workers[0].outbox(node.clients[ada].key).filter_map(|frame| {
            let Event::Ok { outcome: Outcome::History(page), .. } = frame.event() else { return None };
            Some(page.records.iter().map(|it| it.cost()).sum())
        });
        pages.collect::<Vec<u32>>()
    };
    let pages = waiting(&node);
    assert!(pages.iter().all(|bytes| *bytes > 480_000), "{pages:?}");
    let most = limits::OUTBOX_ANSWER_BYTES + u32::from(limits::QUESTIONS_IN_FLIGHT) * 600_000;
    assert!(pages.iter().sum::<u32>() <= most, "{} pages wait", pages.len());
    assert!(node.workers[0].is_congested(node.clients[ada].key));
    node.clients[ada].socket_max = 1_000;
    node.flush(ada);
    node.settle();
    let answers = node.clients[ada].journal.iter().filter(|line| line.starts_with("ok")).count();
    assert_eq!(answers, QUESTIONS);
    node.check_rest();
}

/// The same without numbers: nothing is written that would have the socket read again.
#[test]
fn questions_without_a_number_are_heard_to_the_end() {
    let mut node = Node::new(Plan::steady(2));
    let ada = node.join("ada");
    for _ in 0..100 {
        let listen = Listen::Named(ChannelName::parse("news").expect("a name"));
        let query = Query { span: Span::All(Direction::Forward), limit: 1 };
        node.command(ada, Command::History(Box::new(History { listen, query })), None);
    }
    node.say(ada, "ping", "");
    node.settle();
    assert_eq!(node.clients[ada].journal.back().map(String::as_str), Some("pong #1"));
    node.check_rest();
}

/// A POST is not paused: its questions are refused while too many wait.
#[test]
fn too_many_questions_by_post_are_refused() {
    let questions: Vec<String> = (1..=10).map(|number| format!("ada > history #{number} news")).collect();
    let ok = (1..=8).map(|number| format!("ok #{number} [1 a] at 1"));
    let refused = (9..=10).map(|number| format!("error #{number} Overloaded"));
    let answers: Vec<String> = ok.chain(refused).collect();
    check(&format!(
        "
        node steady
        bo opens connect
        bo < connected
        bo > publish news a
        ada opens sse connect
        ada < connected
        {}
        ada <* {}
        ada > history #11 news
        ada < ok #11 [1 a] at 1
        ",
        questions.join(" & "),
        answers.join(" | "),
    ));
}
