//! A connection that takes messages as a durable consumer: what it asks for, and what it is handed.
//!
//! Its home counts what it holds. Where its outbox has no room a delivery bounces, and nothing more comes until the outbox is empty.

use super::Worker;
use super::output::DisconnectReason;
use super::peers::{HandOut, NoticeFor, Peer, SeatChange, SeatNews};
use crate::acks::{AckOf, Acknowledge};
use crate::command::Consume;
use crate::consumers::{Ask, Done, Membership, News, Order};
use crate::event::{Event, Outcome};
use crate::frame::Frame;
use crate::id::{ChannelKey, ConnectionKey, ConsumerName};
use crate::limits;
use crate::publish::Origin;
use crate::rejection::{Close, Rejection, RejectionKind};
use crate::session::{Consuming, Reply};

impl Worker {
    pub(crate) fn handle_consume(&mut self, key: ConnectionKey, consume: Consume, reply: Reply) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let identity = &session.profile.identity;
        let channel = ChannelKey::named(identity.app, consume.channel);
        if !identity.grants.consume {
            let rejection = Rejection::new(RejectionKind::Forbidden, "may not consume");
            return self.reject(key, reply, rejection.on(channel));
        }
        let member = consume.member;
        let known = session.profile.consuming(&channel, &member.consumer);
        let order = match (consume.terms, known) {
            (None, Some(known)) if known.fits(&member) => Order::Leave { member: known.member.clone() },
            (None, _) => {
                let rejection = Rejection::new(RejectionKind::NotFound, "consumes nothing by this name");
                return self.reject(key, reply, rejection.at("consumer"));
            }
            (Some(_), Some(known)) if known.member.group != member.group => {
                let message = "consumes under this name in another group, or in none";
                return self.reject(key, reply, Rejection::new(RejectionKind::Conflict, message).at("group"));
            }
            (Some(terms), Some(_)) => {
                if let Some(entry) = self.consuming_mut(key, &channel, &member.consumer) {
                    entry.asked += 1;
                }
                Order::Join { member, terms }
            }
            (Some(terms), None) => {
                let consuming = &mut session.profile.extras_mut().consuming;
                if consuming.len() >= limits::CONSUMERS_PER_CONNECTION {
                    let limit = limits::CONSUMERS_PER_CONNECTION as u64;
                    let message = format!("a connection may be a member of {limit} consumers");
                    let rejection = Rejection::new(RejectionKind::LimitExceeded, message);
                    return self.reject(key, reply, rejection.limit(limit));
                }
                let (to, me) = (channel.clone(), member.clone());
                consuming.push(Consuming { channel: to, member: me, joined: false, asked: 1, slow: false });
                self.unsay_seat(key, &channel, &member.consumer);
                Order::Join { member, terms }
            }
        };
        self.ask_consumers(key, channel, order, reply);
    }

    /// What waits to be said of a former seat is not about the next one, which would overtake it.
    fn unsay_seat(&mut self, key: ConnectionKey, channel: &ChannelKey, consumer: &ConsumerName) {
        self.mail.retain(|(_, message)| {
            let Peer::Seat(news) = message else { return true };
            (news.connection, &news.channel, &news.member.consumer) != (key, channel, consumer)
        });
    }

    fn ask_consumers(&mut self, key: ConnectionKey, channel: ChannelKey, order: Order, reply: Reply) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.in_flight += 1;
        let origin = Origin::Session { worker: self.id, connection: key, reply };
        let home = self.home_worker(channel.fingerprint());
        self.peers.request(home, Peer::Consumers(Box::new(Ask { origin, channel, order })));
    }

    /// A connection says what became of its deliveries.
    pub(crate) fn handle_consumer_ack(&mut self, key: ConnectionKey, ack: Acknowledge, reply: Reply) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let AckOf::Consumer { consumer, group, channel } = ack.of else { return };
        let channel = ChannelKey::named(session.profile.identity.app, channel);
        let known = session.profile.consuming(&channel, &consumer);
        let Some(known) = known.filter(|known| known.fits(&Membership { consumer, group })) else {
            let rejection = Rejection::new(RejectionKind::NotFound, "consumes nothing by this name");
            return self.reject(key, reply, rejection.at("consumer"));
        };
        let member = known.member.clone();
        let order = Order::Ack { member, epoch: ack.epoch, which: ack.which, outcome: ack.outcome };
        self.ask_consumers(key, channel, order, reply);
    }

    /// The home has answered.
    pub(crate) fn handle_consumers_answer(&mut self, ask: Ask, result: Result<Done, Rejection>) {
        let Origin::Session { connection: key, reply, .. } = ask.origin else { return };
        match (&ask.order, &result) {
            (Order::Join { member, .. }, Ok(_)) => {
                let entry = self.consuming_mut(key, &ask.channel, &member.consumer);
                let is_new = entry.as_ref().is_some_and(|entry| !entry.joined);
                match entry {
                    Some(entry) => (entry.joined, entry.asked) = (true, entry.asked - 1),
                    // It has ended meanwhile, and the home did not know it when it was told.
                    None => {
                        self.tell_home(key, ask.channel.clone(), member.clone(), SeatChange::Gone { gives_back: true })
                    }
                }
                self.figures.consuming += u64::from(is_new);
            }
            (Order::Join { member, .. }, Err(_)) => {
                if let Some(entry) = self.consuming_mut(key, &ask.channel, &member.consumer) {
                    entry.asked -= 1;
                }
                self.forget_consuming(key, &ask.channel, &member.consumer, false);
            }
            (Order::Leave { member }, Ok(_)) => self.forget_consuming(key, &ask.channel, &member.consumer, true),
            // It may still be seated there.
            (Order::Leave { .. }, Err(_)) => {}
            (
                Order::Take { .. }
                | Order::Ack { .. }
                | Order::List
                | Order::DeadLetters { .. }
                | Order::Requeue { .. }
                | Order::Delete { .. },
                _,
            ) => {}
        }
        match result {
            Ok(Done::Joined(joined)) => {
                let outcome = Outcome::Consuming(joined);
                self.respond(key, reply, Event::Ok { reference: reply.reference(), outcome });
            }
            Ok(Done::Nothing | Done::Taken(_) | Done::List(_) | Done::DeadLetters(..) | Done::Requeued(_)) => {
                self.done(key, reply);
            }
            Err(rejection) => {
                let rejection = if rejection.channel.is_some() { rejection } else { rejection.on(ask.channel) };
                self.reject(key, reply, rejection);
            }
        }
        self.land(key);
    }

    fn consuming_mut(
        &mut self,
        key: ConnectionKey,
        channel: &ChannelKey,
        consumer: &ConsumerName,
    ) -> Option<&mut Consuming> {
        let extras = self.sessions.get_mut(key)?.profile.extras.as_mut()?;
        extras.consuming.iter_mut().find(|it| it.channel == *channel && it.member.consumer == *consumer)
    }

    /// The connection takes no more messages under this name; `joined`: even if it did. A join that is not answered has been sent since,
    /// and counts.
    fn forget_consuming(&mut self, key: ConnectionKey, channel: &ChannelKey, consumer: &ConsumerName, joined: bool) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(extras) = session.profile.extras.as_mut() else { return };
        let index = extras.consuming.iter().position(|it| it.channel == *channel && it.member.consumer == *consumer);
        if let Some(index) = index.filter(|index| joined || !extras.consuming[*index].joined) {
            let was_joined = std::mem::take(&mut extras.consuming[index].joined);
            if extras.consuming[index].asked == 0 {
                extras.consuming.swap_remove(index);
            }
            self.figures.consuming -= u64::from(was_joined);
        }
    }

    fn tell_home(&mut self, key: ConnectionKey, channel: ChannelKey, member: Membership, change: SeatChange) {
        let home = self.home_worker(channel.fingerprint());
        let news = SeatNews { channel, member, connection: key, change };
        self.post(home, Peer::Seat(Box::new(news)));
    }

    /// A message has come for a connection.
    pub(crate) fn handle_hand_out(&mut self, hand_out: HandOut) {
        let HandOut { connection: key, group, delivery } = hand_out;
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.listens() {
            return;
        }
        let (channel, cost) = (delivery.record.channel.clone(), delivery.record.cost());
        let room = session.outbox.has_room(cost, &self.options);
        let Some(entry) = session.profile.extras.as_mut().and_then(|extras| {
            extras.consuming.iter_mut().find(|it| it.channel == channel && it.member.consumer == delivery.consumer)
        }) else {
            return;
        };
        if entry.member.group != group {
            return;
        }
        if !room || entry.slow {
            entry.slow = true;
            let (member, offset) = (entry.member.clone(), delivery.record.offset.unwrap_or_default());
            return self.tell_home(key, channel, member, SeatChange::Bounced { offset });
        }
        session.outbox.push(Frame::moving(Event::Delivery(Box::new(delivery)), cost, None), &mut self.pool);
        self.queue_write(key.slot);
    }

    /// A member is told something of its consumer.
    pub(crate) fn handle_notice(&mut self, notice: NoticeFor) {
        let NoticeFor { connection: key, notice } = notice;
        if self.consuming_mut(key, &notice.channel, &notice.member.consumer).is_none() {
            return;
        }
        match &notice.news {
            News::Ended(_) => self.forget_consuming(key, &notice.channel, &notice.member.consumer, true),
            News::Gap(gap, _) => self.figures.gaps += u64::from(gap.reason.lost()),
        }
        self.send(key, Event::Consumer(Box::new(notice)));
    }

    /// Everything has left the outbox: members that had no room go on.
    pub(crate) fn wake_consuming(&mut self, key: ConnectionKey) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(extras) = session.profile.extras.as_mut() else { return };
        let mut slow = Vec::new();
        for entry in extras.consuming.iter_mut().filter(|entry| entry.slow) {
            entry.slow = false;
            slow.push((entry.channel.clone(), entry.member.clone()));
        }
        for (channel, member) in slow {
            self.tell_home(key, channel, member, SeatChange::Awake);
        }
    }

    /// The connection ends. One that leaves by its own will, or for good, gives back what it holds.
    pub(crate) fn leave_consumers(&mut self, key: ConnectionKey, reason: DisconnectReason) {
        let gives_back = match reason {
            DisconnectReason::Server(Close::Normal | Close::Stopped | Close::Drain) => true,
            DisconnectReason::Server(_)
            | DisconnectReason::Closed
            | DisconnectReason::Lost
            | DisconnectReason::Violation => false,
        };
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(extras) = session.profile.extras.as_mut() else { return };
        for entry in std::mem::take(&mut extras.consuming) {
            self.figures.consuming -= u64::from(entry.joined);
            self.tell_home(key, entry.channel, entry.member, SeatChange::Gone { gives_back });
        }
    }
}
