//! Members of durable consumers: they come and go, are handed messages, and say what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use realtime_connector_core::acks::{AckOf, AckOutcome, Acknowledge, Which};
use realtime_connector_core::command::{Command, Consume};
use realtime_connector_core::consumers::{Delivery, Done, From, Membership, News, Notice, Order, Terms};
use realtime_connector_core::id::{AppId, ChannelKey, ConsumerName};
use realtime_connector_core::position::Position;
use realtime_connector_core::rejection::{Rejection, RejectionKind};
use realtime_connector_core::worker::Call;

use super::hearing::noted;
use super::person::{Kind, Pending};
use super::{World, channel, journal_name};
use crate::checker::{Duty, Happened};
use crate::node::word;

/// Consumers: channel, group, and the names that members give themselves.
const JOBS: [(&str, Option<&str>, &[&str]); 4] = [
    ("orders", Some("team"), &["w1", "w2", "w3"]),
    ("orders", None, &["solo"]),
    ("live", Some("crew"), &["w1", "w2"]),
    ("chat", Some("pair"), &["w1", "w2"]),
];

/// Something that was handed to somebody.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) channel: ChannelKey,
    pub(crate) member: Membership,
    pub(crate) position: Position,
}

/// An ack on its way.
#[derive(Clone, Debug)]
pub(crate) struct Saying {
    held: Vec<Held>,
    up_to: bool,
    outcome: AckOutcome,
}

fn key(name: &str) -> ChannelKey {
    ChannelKey::named(AppId::default(), channel(name))
}

fn name(text: &str) -> ConsumerName {
    ConsumerName::parse(text).expect("a name")
}

impl World {
    /// What is noted of a consumer.
    pub(super) fn duty(&mut self, node: usize, channel: &ChannelKey, cursor: &str) -> &mut Duty {
        let consumer = format!("{}, {cursor}", journal_name(node, channel));
        let duties = &mut self.journals.duties;
        let index = duties.iter().position(|duty| duty.consumer == consumer).unwrap_or_else(|| {
            let name = journal_name(node, channel);
            let purged = self.purges.iter().filter(|(of, _)| *of == name);
            let happened = purged.map(|(_, through)| (0, Happened::Purges(through.clone()))).collect();
            duties.push(Duty { consumer, happened, ..Duty::default() });
            duties.len() - 1
        });
        &mut duties[index]
    }

    pub(super) fn note_consumer(&mut self, node: usize, channel: &ChannelKey, cursor: &str, happened: Happened) {
        self.say(|| format!("{}, {cursor}: {happened:?}", journal_name(node, channel)));
        let now_us = self.now_us;
        self.duty(node, channel, cursor).happened.push((now_us, happened));
    }

    /// Tells all consumers of a node, or of one of its channels.
    pub(super) fn note_consumers(&mut self, node: usize, channel: Option<&ChannelKey>, happened: &Happened) {
        let prefix = channel.map_or_else(|| format!("{node}/"), |it| format!("{}, ", journal_name(node, it)));
        for duty in self.journals.duties.iter_mut().filter(|duty| duty.consumer.starts_with(&prefix)) {
            duty.happened.push((self.now_us, happened.clone()));
        }
    }

    fn job(&mut self) -> (ChannelKey, Membership) {
        let (channel, group, names) = *self.rng.pick(&JOBS);
        let consumer = name(self.rng.pick::<&str>(names));
        (key(channel), Membership { consumer, group: group.map(name) })
    }

    fn terms(&mut self) -> Terms {
        let ack_wait = Duration::from_millis(self.rng.within(1_000, 6_000));
        Terms { from: From::All, ack_wait, pending_max: self.rng.within(1, 6) as u32 }
    }

    /// Takes messages from now on, perhaps in the place of somebody else, or on other terms.
    pub(super) fn consume(&mut self, who: usize) {
        let ((channel, member), terms) = (self.job(), self.terms());
        let consumes = self.people[who].consuming.contains(&(channel.clone(), member.clone()));
        let terms = (!consumes || self.rng.percent(40)).then_some(terms);
        let realtime_connector_core::id::Audience::Named(name) = &channel.audience else { return };
        let consume = Consume { channel: name.clone(), member: member.clone(), terms: terms.clone() };
        let pending = match terms {
            Some(_) => {
                // On an event stream deliveries may overtake the answer.
                if !consumes {
                    self.people[who].consuming.push((channel.clone(), member.clone()));
                }
                Pending::Consume(channel, member)
            }
            None => {
                self.people[who].consuming.retain(|it| *it != (channel.clone(), member.clone()));
                Pending::Other
            }
        };
        self.send(who, Command::Consume(Box::new(consume)), pending);
    }

    /// A service takes what there is.
    pub(super) fn take_work(&mut self, who: usize) {
        let (channel, member) = self.job();
        self.take(who, channel, member);
    }

    fn take(&mut self, who: usize, channel: ChannelKey, member: Membership) {
        let terms = self.terms();
        let wait = if self.is_active { Duration::from_millis(self.rng.below(3_000)) } else { Duration::ZERO };
        let limit = self.rng.within(1, 8) as u32;
        let order = Order::Take { member: member.clone(), terms, limit, wait };
        let pending = Pending::Take(channel.clone(), member);
        self.call_home(who, &channel.clone(), Call::Consumers { channel, order }, pending);
    }

    /// An operator looks after consumers.
    pub(super) fn look_after_consumers(&mut self, who: usize) {
        let (channel, member) = self.job();
        let consumer = member.cursor().clone();
        let order = match self.rng.below(4) {
            0 => Order::List,
            1 => Order::DeadLetters { consumer, after: 0, limit: 5 },
            _ => Order::Requeue { consumer, offsets: None },
        };
        self.call_home(who, &channel.clone(), Call::Consumers { channel, order }, Pending::Other);
    }

    pub(super) fn hear_delivery(&mut self, who: usize, delivery: &Delivery) {
        let wrong = self.nodes[self.people[who].node].disk.borrow().model.borrow().check_message(&delivery.record);
        self.violations.extend(wrong);
        let person = &mut self.people[who];
        let own = person
            .consuming
            .iter()
            .find(|(channel, member)| *channel == delivery.record.channel && member.consumer == delivery.consumer);
        let Some((channel, member)) = own.cloned() else { return };
        let Some(position) = delivery.record.position() else { return };
        person.keep_in_mind(Held { channel, member, position });
    }

    pub(super) fn hear_notice(&mut self, who: usize, notice: &Notice) {
        if let News::Ended(_) = notice.news {
            let ended = (notice.channel.clone(), notice.member.clone());
            self.people[who].consuming.retain(|it| *it != ended);
        }
    }

    pub(super) fn hear_taken(&mut self, who: usize, channel: &ChannelKey, member: &Membership, done: &Done) {
        let Done::Taken(taken) = done else { return };
        for delivery in &taken.deliveries {
            let wrong = self.nodes[self.people[who].node].disk.borrow().model.borrow().check_message(&delivery.record);
            self.violations.extend(wrong);
            if let Some(position) = delivery.record.position() {
                let held = Held { channel: channel.clone(), member: member.clone(), position };
                self.people[who].keep_in_mind(held);
            }
        }
    }

    /// Says what became of something, now or long ago.
    pub(super) fn speak(&mut self, who: usize) {
        let count = self.people[who].in_mind.len() as u64;
        if count == 0 {
            return;
        }
        let index = if self.rng.percent(75) { count - 1 } else { self.rng.below(count) } as usize;
        let first = self.people[who].in_mind[index].clone();
        let most = self.rng.within(1, 4) as usize;
        let outcome = self.outcome();
        let up_to = self.rng.percent(10);
        let stays = self.rng.percent(25);
        let alike = |it: &Held| {
            (&it.channel, &it.member, &it.position.epoch) == (&first.channel, &first.member, &first.position.epoch)
        };
        let mut held: Vec<Held> = vec![first.clone()];
        held.extend(self.people[who].in_mind.iter().rev().filter(|it| alike(it)).take(most).cloned());
        if up_to {
            held.truncate(1);
        }
        if !stays {
            let said: Vec<Position> = held.iter().map(|it| it.position.clone()).collect();
            self.people[who].in_mind.retain(|it| !(alike(it) && said.contains(&it.position)));
        }
        self.ack(who, Saying { held, up_to, outcome });
    }

    fn outcome(&mut self) -> AckOutcome {
        match self.rng.below(20) {
            0..11 => AckOutcome::Done,
            11..14 => AckOutcome::Retry { delay: None },
            14..16 => AckOutcome::Retry { delay: Some(Duration::from_millis(self.rng.below(8_000))) },
            16..18 => AckOutcome::Dead { reason: Some(Arc::from("said so")) },
            _ => AckOutcome::Progress,
        }
    }

    fn ack(&mut self, who: usize, saying: Saying) {
        let Held { channel, member, position } = saying.held[0].clone();
        let which = if saying.up_to {
            Which::UpTo(position.offset)
        } else {
            Which::Offsets(saying.held.iter().map(|it| it.position.offset).collect())
        };
        let (epoch, outcome) = (Some(position.epoch), saying.outcome.clone());
        let person = &self.people[who];
        let consumes = person.consuming.contains(&(channel.clone(), member.clone()));
        let by_call = person.kind == Kind::Api || !consumes;
        let pending = Pending::Saying(Box::new(saying));
        if by_call {
            // All that a member holds can only be told apart while it stays.
            if matches!(which, Which::UpTo(_)) {
                return;
            }
            let order = Order::Ack { member, epoch, which, outcome };
            return self.call_home(who, &channel.clone(), Call::Consumers { channel, order }, pending);
        }
        let realtime_connector_core::id::Audience::Named(name) = channel.audience else { return };
        let of = AckOf::Consumer { consumer: member.consumer, group: member.group, channel: name };
        self.send(who, Command::Ack(Box::new(Acknowledge { of, epoch, which, outcome })), pending);
    }

    /// What was said is as safe as the channel's messages.
    pub(super) fn confirm(&mut self, who: usize, saying: &Saying) {
        let Held { channel, member, position } = saying.held[0].clone();
        let (node, word) = (self.people[who].node, word(&saying.outcome));
        let happened = if saying.up_to {
            Happened::ConfirmedUpTo { by: member.consumer.to_string(), place: noted(&position), word }
        } else {
            Happened::Confirmed { places: saying.held.iter().map(|it| noted(&it.position)).collect(), word }
        };
        self.note_consumer(node, &channel, member.cursor().as_str(), happened);
    }

    /// Nobody has answered, or somebody has said no: at the end it is said again.
    pub(super) fn say_again(&mut self, who: usize, saying: Saying, rejection: Option<&Rejection>) {
        let is_final = |it: &Rejection| matches!(it.kind, RejectionKind::Conflict | RejectionKind::NotFound);
        if !self.is_active && !rejection.is_some_and(is_final) {
            saying.held.into_iter().for_each(|held| self.people[who].keep_in_mind(held));
        }
    }

    /// At the end everybody says that all is done, and one service of each node asks for more until nothing comes.
    pub(super) fn finish_work(&mut self, who: usize) {
        let saying = self.people[who].pending.values().any(|(_, it)| matches!(it, Pending::Saying(_)));
        if let Some(last) = self.people[who].in_mind.last().cloned().filter(|_| !saying) {
            let alike = |it: &Held| {
                (&it.channel, &it.member, &it.position.epoch) == (&last.channel, &last.member, &last.position.epoch)
            };
            let (held, others) = std::mem::take(&mut self.people[who].in_mind).into_iter().partition(alike);
            self.people[who].in_mind = others;
            self.ack(who, Saying { held, up_to: false, outcome: AckOutcome::Done });
        }
        let node = self.people[who].node;
        if who != node || self.people[who].pending.values().any(|(_, it)| matches!(it, Pending::Take(..))) {
            return;
        }
        for (channel, group, _) in JOBS {
            let (channel, cursor) = (key(channel), group.unwrap_or("solo"));
            let consumer = format!("{}, {cursor}", journal_name(node, &channel));
            if self.journals.duties.iter().any(|duty| duty.consumer == consumer) {
                let consumer = name(if group.is_some() { "last" } else { "solo" });
                self.take(who, channel, Membership { consumer, group: group.map(name) });
            }
        }
    }

    /// Tells the checker what every consumer was there for. Returns whether all of that is over.
    pub(super) fn look_at_work(&mut self) -> bool {
        for node in 0..self.nodes.len() {
            for (channel, group, _) in JOBS {
                let (channel, cursor) = (key(channel), group.unwrap_or("solo"));
                let consumer = format!("{}, {cursor}", journal_name(node, &channel));
                let is_stored = self.plan.options.retention(&channel).is_some();
                let tight = if is_stored {
                    self.plan.tight_store
                } else {
                    self.plan.tight_memory || self.plan.active_us > 300_000_000
                };
                let disk = self.nodes[node].disk.borrow();
                let work: BTreeMap<_, _> = disk.model.borrow().work(&channel, &disk, tight);
                drop(disk);
                if let Some(duty) = self.journals.duties.iter_mut().find(|duty| duty.consumer == consumer) {
                    // A pause that a clock was set back over lasts as long. What lies in memory has ended with its process, and nobody knows who was there then.
                    (duty.work, duty.is_complete) = (work, is_stored && !self.nodes[node].was_set_back);
                }
            }
        }
        self.journals.duties.iter().all(Duty::is_over)
    }
}
