//! The consumers of a channel at its home: orders of members, of the application, and of the workers of connections.

mod handing;
mod keeping;

use super::Worker;
use super::call::Answer;
use super::channel::{Parked, ready};
use super::peers::{NoticeFor, Peer, SeatChange, SeatNews};
use crate::consumers::{
    Ask, Consumer, Consumers, Done, From, Joined, Membership, News, Order, Poll, Seat, Taken, Terms, Then,
};
use crate::id::{ChannelKey, ConnectionKey, SlotKey, WorkerId};
use crate::limits;
use crate::position::{Offset, Start};
use crate::publish::Origin;
use crate::rejection::{Rejection, RejectionKind};

impl Worker {
    /// An order has come to the worker of its channel.
    pub(crate) fn order_consumers(&mut self, ask: Box<Ask>) {
        let channel = ask.channel.clone();
        self.at_home(&channel, Parked::Consumers(ask));
    }

    pub(crate) fn handle_consumer_order(&mut self, key: SlotKey, ask: Box<Ask>) {
        self.trim_home(key);
        let Some(home) = ready(&mut self.homes, key) else { return };
        let persisted = home.ring.is_persisted();
        let mut is_unread = false;
        let consumers = home.consumers.get_or_insert_with(|| {
            is_unread = persisted;
            Box::new(if persisted { Consumers::unread() } else { Consumers::default() })
        });
        if let Some(loading) = &mut consumers.loading {
            loading.parked.push(*ask);
            if is_unread {
                self.scan_consumers(key);
            }
            return;
        }
        self.with_consumers(key, |worker, consumers| worker.obey(key, consumers, ask));
        self.pump_consumers(key);
    }

    /// Works with the consumers of a home and the rest of the worker at once.
    fn with_consumers(&mut self, key: SlotKey, work: impl FnOnce(&mut Self, &mut Consumers)) {
        let taken = self.home_mut(key).and_then(|home| home.consumers.take());
        let Some(mut consumers) = taken else { return };
        work(self, &mut consumers);
        if let Some(home) = self.home_mut(key) {
            home.consumers = Some(consumers);
        }
    }

    /// Does what an order says. Its answer may have to wait for a write.
    fn obey(&mut self, key: SlotKey, consumers: &mut Consumers, ask: Box<Ask>) {
        let now = self.now;
        let channel = ask.channel.clone();
        let head = ready(&mut self.homes, key).map_or(0, |home| home.ring.head());
        let result = match &ask.order {
            Order::Join { .. } | Order::Take { .. } => return self.obey_join(key, consumers, ask),
            Order::Leave { member } => {
                // Its own join may wait, and comes first.
                if consumers.list.get(member.cursor()).is_some_and(|consumer| consumer.fresh) {
                    return consumers.push(Then::Again(ask));
                }
                if let (Origin::Session { worker, connection, .. }, Some(consumer)) =
                    (&ask.origin, consumers.list.get_mut(member.cursor()))
                {
                    consumer.unseat(&member.consumer, *worker, *connection, true, now);
                }
                return self.answer_order(ask, Ok(Done::Nothing));
            }
            Order::List => {
                let list = consumers.list.values().map(|consumer| consumer.info(head)).collect();
                return self.answer_order(ask, Ok(Done::List(list)));
            }
            Order::DeadLetters { consumer, after, limit } => {
                let found = consumers.list.get(consumer).map(|it| it.dead_letters(*after, *limit));
                let result = found.map(|(letters, more)| Done::DeadLetters(letters, more)).ok_or_else(no_consumer);
                return self.answer_order(ask, result);
            }
            Order::Ack { .. } => self.obey_ack(key, consumers, &ask.order),
            Order::Requeue { consumer, offsets } => match consumers.list.get_mut(consumer) {
                Some(consumer) => consumer.requeue(offsets.as_deref()).map(Done::Requeued),
                None => Err(no_consumer()),
            },
            Order::Delete { consumer } => match consumers.list.get_mut(consumer) {
                Some(it) => {
                    let message = "the application has removed the consumer";
                    let polls = it.end_all(&Rejection::new(RejectionKind::NotFound, message).at("consumer"));
                    self.tell_news(&channel, it);
                    polls
                        .into_iter()
                        .for_each(|poll| self.answer_call(poll.ticket, Answer::Consumers(Err(no_consumer()))));
                    consumers.delete(&channel, &consumer.clone());
                    self.figures.consumers -= 1;
                    Ok(Done::Nothing)
                }
                None => Err(no_consumer()),
            },
        };
        if let Some(then) = consumers.answer_when_written(Then::Answer(ask, result)) {
            self.follow(key, consumers, vec![then]);
        }
    }

    fn obey_ack(&mut self, key: SlotKey, consumers: &mut Consumers, order: &Order) -> Result<Done, Rejection> {
        let Order::Ack { member, epoch, which, outcome } = order else { return Ok(Done::Nothing) };
        let now = self.now;
        let Some(consumer) = consumers.list.get_mut(member.cursor()) else { return Err(no_consumer()) };
        let present = ready(&mut self.homes, key).map(|home| home.ring.epoch().clone());
        if epoch.is_some() && *epoch != present {
            let message = "is not the present epoch of the channel: its messages are gone";
            return Err(Rejection::new(RejectionKind::Conflict, message).at("epoch"));
        }
        self.figures.acks += 1;
        consumer.ack(member, which, outcome, now, &mut || self.next_random()).map(|()| Done::Nothing)
    }

    /// Somebody wants messages. A new consumer is written down before it is said to exist.
    fn obey_join(&mut self, key: SlotKey, consumers: &mut Consumers, ask: Box<Ask>) {
        let (Order::Join { member, terms } | Order::Take { member, terms, .. }) = &ask.order else { return };
        match consumers.list.get(member.cursor()) {
            None => match self.make_consumer(key, consumers, member, terms) {
                Ok(()) => consumers.push(Then::Again(ask)),
                Err(rejection) => self.answer_order(ask, Err(rejection)),
            },
            Some(consumer) if consumer.fresh => consumers.push(Then::Again(ask)),
            Some(_) => self.seat_member(key, consumers, ask),
        }
    }

    fn make_consumer(
        &mut self,
        key: SlotKey,
        consumers: &mut Consumers,
        member: &Membership,
        terms: &Terms,
    ) -> Result<(), Rejection> {
        let now = self.now;
        let Some(home) = ready(&mut self.homes, key) else { return Ok(()) };
        let too_many = |message: &'static str, limit: u64| {
            Rejection::new(RejectionKind::LimitExceeded, message).at("consumer").limit(limit)
        };
        if consumers.list.len() >= limits::CONSUMERS_PER_CHANNEL {
            let limit = limits::CONSUMERS_PER_CHANNEL as u64;
            return Err(too_many("the channel has as many consumers as one may have", limit));
        }
        if self.figures.consumers >= limits::CONSUMERS_PER_WORKER {
            return Err(too_many("there are too many consumers", limits::CONSUMERS_PER_WORKER));
        }
        let start = match &terms.from {
            From::New => Start::Now,
            From::All => Start::Rewind(u32::MAX),
            From::Position(position) => Start::Since(position.clone()),
        };
        // None of these is a time, which alone may have to be looked for in the log.
        let window = home.ring.window(&start, now.wall).unwrap_or_else(|_| home.ring.from(home.ring.head() + 1));
        let name = member.cursor().clone();
        let epoch = home.ring.epoch().clone();
        let consumer = Consumer::new(name.clone(), member.group.is_some(), epoch, window.position, now);
        consumers.list.insert(name, consumer.having_lost(window.gap));
        self.figures.consumers += 1;
        Ok(())
    }

    fn seat_member(&mut self, key: SlotKey, consumers: &mut Consumers, ask: Box<Ask>) {
        let now = self.now;
        let (Order::Join { member, terms } | Order::Take { member, terms, .. }) = &ask.order else { return };
        let seat = match (&ask.order, &ask.origin) {
            (Order::Take { limit, wait, .. }, Origin::Call { ticket }) => {
                Seat::Calls(Some(Poll::new(*ticket, *limit, now.time.after(*wait))))
            }
            (_, Origin::Session { worker, connection, .. }) => {
                Seat::Session { worker: *worker, connection: *connection }
            }
            (_, Origin::Call { .. } | Origin::Nobody) => return self.answer_order(ask, Ok(Done::Nothing)),
        };
        if let Seat::Session { worker, connection } = seat {
            self.unsay_end((worker, connection), &ask.channel, member);
        }
        let Some(consumer) = consumers.list.get_mut(member.cursor()) else { return };
        if let Some(home) = ready(&mut self.homes, key) {
            consumer.catch_up_with(home.ring.floor(), home.ring.missing_because(home.ring.floor()));
        }
        let poll = match consumer.seat(member, terms, seat, now) {
            Ok(poll) => poll,
            Err(rejection) => return self.answer_order(ask, Err(rejection)),
        };
        if let Some(poll) = poll {
            let taken = Taken { deliveries: Vec::new(), position: consumer.position(), gap: None };
            self.answer_call(poll.ticket, Answer::Consumers(Ok(Done::Taken(taken))));
        }
        if let Order::Join { .. } = ask.order {
            let joined = Joined { position: consumer.position(), gap: consumer.take_gap() };
            self.answer_order(ask, Ok(Done::Joined(joined)));
        }
    }

    /// Who sits down again need not be told that it was replaced before. The news may wait for room; the answer would overtake it.
    fn unsay_end(&mut self, who: (WorkerId, ConnectionKey), channel: &ChannelKey, member: &Membership) {
        self.mail.retain(|(to, message)| {
            let Peer::Notice(it) = message else { return true };
            let NoticeFor { connection, notice } = &**it;
            let is_end = matches!(notice.news, News::Ended(_));
            !(is_end && (*to, *connection) == who && notice.channel == *channel && notice.member == *member)
        });
    }

    /// Answers an order, wherever it came from.
    pub(crate) fn answer_order(&mut self, ask: Box<Ask>, result: Result<Done, Rejection>) {
        match ask.origin {
            Origin::Session { worker, .. } => self.peers.answer(worker, Peer::ConsumersAnswer(ask, result)),
            Origin::Call { ticket } => self.answer_call(ticket, Answer::Consumers(result)),
            Origin::Nobody => {}
        }
    }

    /// The worker of a member says what has become of its connection.
    pub(crate) fn handle_seat_news(&mut self, from: WorkerId, news: SeatNews) {
        let now = self.now;
        let Some(key) = self.home_index.get(&news.channel).copied() else { return };
        let Some(home) = ready(&mut self.homes, key) else { return };
        let consumers = home.consumers.as_deref_mut();
        let Some(consumer) = consumers.and_then(|it| it.list.get_mut(news.member.cursor())) else { return };
        let (name, connection) = (&news.member.consumer, news.connection);
        match news.change {
            SeatChange::Gone { gives_back } => consumer.unseat(name, from, connection, gives_back, now),
            SeatChange::Bounced { offset } => consumer.bounce(name, from, connection, offset, now),
            SeatChange::Awake => consumer.wake(name, from, connection),
        }
        self.pump_consumers(key);
        self.arm_home(key);
    }

    /// Messages of a channel were removed on purpose.
    pub(crate) fn purge_consumers(&mut self, key: SlotKey, through: Offset) {
        let Some(consumers) = self.home_mut(key).and_then(|home| home.consumers.as_deref_mut()) else { return };
        consumers.list.values_mut().for_each(|consumer| consumer.purge(through));
        self.pump_consumers(key);
    }
}

fn no_consumer() -> Rejection {
    Rejection::new(RejectionKind::NotFound, "there is no such consumer of this channel").at("consumer")
}
