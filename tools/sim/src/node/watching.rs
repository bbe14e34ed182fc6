//! What homes of durable consumers do, as the checker of I8 notes it.

use realtime_connector_core::acks::{AckOutcome, Which};
use realtime_connector_core::consumers::{Delivery, Done, Order};
use realtime_connector_core::id::{ChannelKey, ConsumerName};
use realtime_connector_core::position::Position;
use realtime_connector_core::worker::{Answer, Call, Input, Lifecycle, Output, Watched};

use super::{Notice, Process};
use crate::checker::{self, Happened, Word};

/// A call that a consumer answers later.
#[derive(Debug)]
pub(super) struct Ordered {
    channel: ChannelKey,
    cursor: ConsumerName,
    /// Who takes.
    by: Option<String>,
}

impl Process {
    pub(super) fn watch_input(&mut self, input: &Input) {
        match input {
            Input::Peer { message, .. } => match message.watched() {
                Some(Watched::Ordered { channel, order }) => self.watch_order(channel, order),
                Some(Watched::Bounced { channel, member, offset }) => {
                    let happened = Happened::Bounced { by: member.consumer.to_string(), offset };
                    self.happened(channel, member.cursor(), happened);
                }
                Some(Watched::Left { channel, member, gives_back: true }) => {
                    let happened = Happened::GaveBack { by: member.consumer.to_string() };
                    self.happened(channel, member.cursor(), happened);
                }
                Some(
                    Watched::Left { gives_back: false, .. } | Watched::HandedOut { .. } | Watched::Answered { .. },
                )
                | None => {}
            },
            Input::Call { ticket, call: Call::Consumers { channel, order } } => {
                let ordered = match order {
                    Order::Take { member, .. } => Some((member.cursor(), Some(member.consumer.to_string()))),
                    Order::Requeue { consumer, .. } => Some((consumer, None)),
                    Order::Join { .. }
                    | Order::Leave { .. }
                    | Order::Ack { .. }
                    | Order::List
                    | Order::DeadLetters { .. }
                    | Order::Delete { .. } => None,
                };
                if let Some((cursor, by)) = ordered {
                    let ordered = Ordered { channel: channel.clone(), cursor: cursor.clone(), by };
                    self.ordered.insert(*ticket, ordered);
                }
                self.watch_order(channel, order);
            }
            Input::Opened(_)
            | Input::Received { .. }
            | Input::Pong { .. }
            | Input::Command { .. }
            | Input::Malformed { .. }
            | Input::Identified { .. }
            | Input::Closed { .. }
            | Input::Room { .. }
            | Input::LogOpened { .. }
            | Input::LogNotOpened { .. }
            | Input::NotAppended { .. }
            | Input::LogRead { .. }
            | Input::Committed { .. }
            | Input::Located { .. }
            | Input::Purged { .. }
            | Input::StateApplied { .. }
            | Input::StateScanned { .. }
            | Input::Call { .. }
            | Input::Drain => {}
        }
    }

    fn watch_order(&mut self, channel: &ChannelKey, order: &Order) {
        match order {
            Order::Join { member, terms } | Order::Take { member, terms, .. } => {
                let wait_us = terms.ack_wait.as_micros() as u64;
                let by = member.consumer.to_string();
                self.happened(channel, member.cursor(), Happened::Joined { by, wait_us });
            }
            Order::Leave { member } => {
                let happened = Happened::GaveBack { by: member.consumer.to_string() };
                self.happened(channel, member.cursor(), happened);
            }
            Order::Ack { member, epoch: Some(epoch), which, outcome } => {
                let (by, word) = (member.consumer.to_string(), word(outcome));
                let place = |offset: &u64| checker::Position { epoch: epoch.as_str().to_owned(), offset: *offset };
                let happened = match which {
                    Which::Offsets(offsets) => Happened::Said { by, places: offsets.iter().map(place).collect(), word },
                    Which::UpTo(last) => Happened::SaidUpTo { by, place: place(last), word },
                };
                self.happened(channel, member.cursor(), happened);
            }
            Order::Requeue { consumer, .. } => self.happened(channel, consumer, Happened::Requeues),
            Order::Ack { epoch: None, .. } => unreachable!("people here say which life of the log they mean"),
            Order::List | Order::DeadLetters { .. } | Order::Delete { .. } => {}
        }
    }

    pub(super) fn watch_output(&mut self, output: &Output) {
        match output {
            Output::Peer { message, .. } => match message.watched() {
                Some(Watched::HandedOut { group, delivery }) => {
                    self.handed(group.unwrap_or(&delivery.consumer), delivery);
                }
                Some(Watched::Answered { channel, order: Order::Join { member, .. } }) => {
                    let happened = Happened::Seated { by: member.consumer.to_string() };
                    self.happened(channel, member.cursor(), happened);
                }
                Some(
                    Watched::Answered { .. } | Watched::Ordered { .. } | Watched::Bounced { .. } | Watched::Left { .. },
                )
                | None => {}
            },
            Output::Answered { ticket, answer: Answer::Consumers(result) } => {
                let Some(Ordered { channel, cursor, by }) = self.ordered.remove(ticket) else { return };
                if let Some(by) = by {
                    self.happened(&channel, &cursor, Happened::Seated { by });
                }
                match result {
                    Ok(Done::Taken(taken)) => taken.deliveries.iter().for_each(|it| self.handed(&cursor, it)),
                    // A take that is refused has nothing to do with dead letters, and does no harm here.
                    Ok(Done::Requeued(_)) => self.happened(&channel, &cursor, Happened::Requeued),
                    Ok(Done::Nothing | Done::Joined(_) | Done::List(_) | Done::DeadLetters(..)) | Err(_) => {}
                }
            }
            Output::Lifecycle(Lifecycle::ConsumerDead { channel, death }) => {
                let happened = Happened::Died { place: noted(&death.letter.position), attempts: death.letter.attempts };
                self.happened(channel, &death.consumer, happened);
            }
            Output::OpenLog { .. }
            | Output::Append { .. }
            | Output::ReadLog { .. }
            | Output::LocateInLog { .. }
            | Output::PurgeLog { .. }
            | Output::ApplyState { .. }
            | Output::ScanState { .. }
            | Output::ForgetLog { .. }
            | Output::Ask { .. }
            | Output::Close { .. }
            | Output::Abort { .. }
            | Output::Replied { .. }
            | Output::Answered { .. }
            | Output::Lifecycle(_) => {}
        }
    }

    fn handed(&mut self, cursor: &ConsumerName, delivery: &Delivery) {
        let Some(position) = delivery.record.position() else { return };
        let (to, attempt) = (delivery.consumer.to_string(), delivery.attempt);
        let happened = Happened::Handed { to, place: noted(&position), attempt };
        self.happened(&delivery.record.channel, cursor, happened);
    }

    fn happened(&mut self, channel: &ChannelKey, cursor: &ConsumerName, happened: Happened) {
        let (channel, cursor) = (channel.clone(), cursor.to_string());
        self.notices.push(Notice::Consumer { channel, cursor, happened });
    }
}

/// What an outcome is for the checker.
pub(crate) const fn word(outcome: &AckOutcome) -> Word {
    match outcome {
        AckOutcome::Done => Word::Done,
        AckOutcome::Retry { .. } => Word::Retry,
        AckOutcome::Dead { .. } => Word::Dead,
        AckOutcome::Progress => Word::Progress,
    }
}

fn noted(position: &Position) -> checker::Position {
    checker::Position { epoch: position.epoch.as_str().to_owned(), offset: position.offset }
}
