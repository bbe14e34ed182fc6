//! The words of scripts about consumers: what members say, and what the application asks.

use std::sync::Arc;
use std::time::Duration;

use super::log::MemoryLog;
use super::words::duration;
use crate::acks::{AckOf, AckOutcome, Acknowledge, Which};
use crate::command::{Command, Consume};
use crate::consumers::{From, Membership, Order, Terms};
use crate::id::{ChannelName, ConsumerName};
use crate::limits;
use crate::position::{Epoch, Offset, Position};

/// `jobs worker group=g from=all wait=5s pending=2`, or `jobs worker stop`.
pub(super) fn consume(arguments: &str) -> Command {
    let (channel, member, rest) = who(arguments);
    let stops = rest.contains(&"stop");
    let terms = terms(&rest);
    Command::Consume(Box::new(Consume { channel, member, terms: (!stops).then_some(terms) }))
}

/// `jobs worker 1,2`, `jobs worker upto=3 retry=5s`, `… retry`, `… dead=why`, `… progress`, `… epoch=x`.
pub(super) fn ack(arguments: &str) -> Command {
    let (channel, member, rest) = who(arguments);
    let Order::Ack { epoch, which, outcome, .. } = said(member.clone(), &rest) else { unreachable!() };
    let of = AckOf::Consumer { consumer: member.consumer, group: member.group, channel };
    Command::Ack(Box::new(Acknowledge { of, epoch, which, outcome }))
}

/// What the application asks.
pub(super) fn orders(verb: &str, arguments: &str) -> (ChannelName, Order) {
    if verb == "consumers" {
        return (ChannelName::parse(arguments).expect("a channel"), Order::List);
    }
    let (channel, member, rest) = who(arguments);
    let consumer = member.consumer.clone();
    let order = match verb {
        "take" => {
            let value = |name: &str| rest.iter().find_map(|word| word.strip_prefix(name));
            let limit = value("limit=").map_or(10, |it| it.parse().expect("a number"));
            let wait = value("poll=").map_or(Duration::ZERO, duration);
            Order::Take { terms: Terms { pending_max: limits::PENDING_MAX, ..terms(&rest) }, member, limit, wait }
        }
        "acks" => said(member, &rest),
        "letters" => Order::DeadLetters { consumer, after: 0, limit: 100 },
        "requeue" => Order::Requeue { consumer, offsets: rest.first().map(|word| offsets(word)) },
        "delete" => Order::Delete { consumer },
        verb => panic!("{verb}?"),
    };
    (channel, order)
}

fn who(arguments: &str) -> (ChannelName, Membership, Vec<&str>) {
    let mut words = arguments.split_whitespace();
    let channel = ChannelName::parse(words.next().expect("a channel")).expect("a channel");
    let name = |text: &str| ConsumerName::parse(text).expect("a name");
    let consumer = name(words.next().expect("a consumer"));
    let rest: Vec<&str> = words.collect();
    let group = rest.iter().find_map(|word| word.strip_prefix("group=")).map(name);
    (channel, Membership { consumer, group }, rest)
}

fn terms(words: &[&str]) -> Terms {
    let mut terms = Terms::default();
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("from", "all") => terms.from = From::All,
            ("from", offset) => {
                let epoch = MemoryLog::new().epoch().clone();
                terms.from = From::Position(Position { epoch, offset: offset.parse().expect("an offset") });
            }
            ("wait", time) => terms.ack_wait = duration(time),
            ("pending", count) => terms.pending_max = count.parse().expect("a number"),
            ("group" | "limit" | "poll" | "stop", _) => {}
            (word, _) => panic!("{word}?"),
        }
    }
    terms
}

fn offsets(word: &str) -> Vec<Offset> {
    word.split(',').map(|offset| offset.parse().expect("an offset")).collect()
}

fn said(member: Membership, words: &[&str]) -> Order {
    let (mut which, mut outcome, mut epoch) = (None, AckOutcome::Done, None);
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("group", _) => {}
            ("upto", offset) => which = Some(Which::UpTo(offset.parse().expect("an offset"))),
            ("retry", "") => outcome = AckOutcome::Retry { delay: None },
            ("retry", time) => outcome = AckOutcome::Retry { delay: Some(duration(time)) },
            ("dead", reason) => outcome = AckOutcome::Dead { reason: (!reason.is_empty()).then(|| Arc::from(reason)) },
            ("progress", _) => outcome = AckOutcome::Progress,
            ("epoch", name) => epoch = Epoch::parse(name),
            (list, _) => which = Some(Which::Offsets(offsets(list))),
        }
    }
    Order::Ack { member, epoch, which: which.expect("offsets"), outcome }
}
