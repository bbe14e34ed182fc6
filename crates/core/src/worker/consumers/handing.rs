//! Handing out: from the channel to members, as far as they and the queues to their workers have room.

use super::super::Worker;
use super::super::call::Answer;
use super::super::channel::ready;
use super::super::history::Reader;
use super::super::output::{Lifecycle, Output};
use super::super::peers::{HandOut, NoticeFor, Peer};
use crate::consumers::{Consumer, Consumers, Done, Notice, Wanted as WantedMessages};
use crate::history::{Found, Page, PageBounds, Wanted};
use crate::id::{ChannelKey, SlotKey};
use crate::limits;
use crate::position::Offset;

/// What has stopped a consumer from handing out more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// Nobody takes more, or there is nothing more.
    Satisfied,
    /// The queue to a worker is full.
    NoRoom,
    /// All consumers of the worker together hold what they may.
    Crowded,
}

impl Worker {
    /// Hands out what can be, says what has to be said, and begins to write what has changed.
    pub(crate) fn pump_consumers(&mut self, key: SlotKey) {
        self.with_consumers(key, |worker, consumers| {
            if consumers.loading.is_some() {
                return;
            }
            let Some(channel) = worker.home_mut(key).map(|home| home.channel.clone()) else { return };
            let mut starves = false;
            let mut crowded = false;
            for consumer in consumers.list.values_mut() {
                let stopped = worker.pump(key, &channel, consumer);
                starves |= stopped == Stopped::NoRoom;
                crowded |= stopped == Stopped::Crowded;
                worker.report(&channel, consumer);
            }
            if starves && !worker.starving.contains(&key) {
                worker.starving.push(key);
            }
            if crowded {
                let at = worker.now.time.after(limits::LOG_RETRY);
                consumers.retry_at = Some(consumers.retry_at.map_or(at, |earlier| earlier.min(at)));
            }
            worker.count_bytes(consumers);
            worker.write_consumers(key, consumers);
            worker.arm_consumers(key, consumers);
        });
    }

    fn count_bytes(&mut self, consumers: &mut Consumers) {
        let bytes = consumers.list.values().map(Consumer::bytes).sum();
        self.consumers_bytes = self.consumers_bytes + bytes - consumers.bytes;
        consumers.bytes = bytes;
    }

    fn pump(&mut self, key: SlotKey, channel: &ChannelKey, consumer: &mut Consumer) -> Stopped {
        loop {
            while let Some((index, offset)) = self.next_pair(channel, consumer) {
                if let Some((worker, cost)) = consumer.route(index, offset)
                    && !self.peers.has_room(worker, cost)
                {
                    return Stopped::NoRoom;
                }
                let Some(out) = consumer.hand_out((index, offset), self.now) else { return Stopped::Satisfied };
                self.figures.handed_out += 1;
                self.figures.handed_out_again += u64::from(out.delivery.attempt > 1);
                if let Some((worker, connection)) = out.to {
                    let group = consumer.group();
                    let hand_out = HandOut { connection, group, delivery: out.delivery };
                    // There was room.
                    drop(self.peers.send_if_room(worker, Peer::HandOut(Box::new(hand_out))));
                }
            }
            if !consumer.has_takers() {
                return Stopped::Satisfied;
            }
            let Some(head) = self.home_mut(key).map(|home| home.ring.head()) else { return Stopped::Satisfied };
            let crowded = self.consumers_bytes >= limits::CONSUMERS_BYTES;
            let Some(wanted) = consumer.wanted(head, crowded) else {
                let would = crowded && consumer.wanted(head, false).is_some();
                return if would { Stopped::Crowded } else { Stopped::Satisfied };
            };
            if !self.read_for(key, consumer, wanted) {
                return Stopped::Satisfied;
            }
        }
    }

    /// Who gets which message next. What is given up on the way is told before what had to wait for it goes out.
    fn next_pair(&mut self, channel: &ChannelKey, consumer: &mut Consumer) -> Option<(usize, Offset)> {
        let pair = consumer.next_pair(self.now);
        self.report_deaths(channel, consumer);
        pair
    }

    /// Reads on for a consumer. Returns whether something has come; otherwise it waits for the log.
    fn read_for(&mut self, key: SlotKey, consumer: &mut Consumer, wanted: WantedMessages) -> bool {
        let bounds = PageBounds { records_max: wanted.records_max, now: self.now.time };
        let Some(home) = ready(&mut self.homes, key) else { return false };
        let page = match home.ring.page(wanted.offset, bounds) {
            Found::Here(page) => page,
            Found::InLog { .. } if consumer.reading => return false,
            Found::InLog { missing, from } => {
                let reader = Reader::Consumer { home: key, name: consumer.name.clone() };
                match self.blocks.want(key, from, home.ring.floor(), reader) {
                    Wanted::Here(block, _) => Page::of_block(block, missing, from, bounds),
                    Wanted::Waits => {
                        consumer.reading = true;
                        return false;
                    }
                    Wanted::Ask { from } => {
                        consumer.reading = true;
                        self.read_log(key, from);
                        return false;
                    }
                }
            }
        };
        let reason = home.ring.missing_because(page.missing.map_or(page.reached, |range| range.1));
        consumer.take_in(wanted, page, reason, self.now);
        true
    }

    /// Says what a consumer has to say: to those who wait, to its members, and to the application.
    fn report(&mut self, channel: &ChannelKey, consumer: &mut Consumer) {
        for (ticket, taken) in consumer.take_answers(self.now) {
            self.answer_call(ticket, Answer::Consumers(Ok(Done::Taken(taken))));
        }
        self.report_deaths(channel, consumer);
        consumer.tell_gap();
        self.tell_news(channel, consumer);
    }

    fn report_deaths(&mut self, channel: &ChannelKey, consumer: &mut Consumer) {
        for death in consumer.take_deaths() {
            self.figures.dead_letters += 1;
            self.peers
                .outputs
                .push_back(Output::Lifecycle(Lifecycle::ConsumerDead { channel: channel.clone(), death }));
        }
    }

    pub(super) fn tell_news(&mut self, channel: &ChannelKey, consumer: &mut Consumer) {
        for (worker, connection, member, news) in consumer.take_news() {
            let notice = Notice { channel: channel.clone(), member, news };
            self.post(worker, Peer::Notice(Box::new(NoticeFor { connection, notice })));
        }
    }

    /// Sends a message that waits where there is no room, in order with others of its kind.
    pub(crate) fn post(&mut self, to: crate::id::WorkerId, message: Peer) {
        // What waits already is looked at once per turn: thousands may leave in one.
        let unsent = if self.mail.is_empty() { self.peers.send_if_room(to, message).err() } else { Some(message) };
        self.mail.extend(unsent.map(|message| (to, message)));
    }

    /// Sends what waits for room, as far as there is some.
    pub(crate) fn send_mail(&mut self) {
        let mut full: smallvec::SmallVec<[crate::id::WorkerId; 4]> = smallvec::SmallVec::new();
        for _ in 0..self.mail.len() {
            let Some((to, message)) = self.mail.pop_front() else { break };
            if full.contains(&to) {
                self.mail.push_back((to, message));
            } else if let Err(message) = self.peers.send_if_room(to, message) {
                full.push(to);
                self.mail.push_back((to, message));
            }
        }
    }

    /// Goes on with consumers whose messages found no room.
    pub(crate) fn feed_starving(&mut self) {
        for key in std::mem::take(&mut self.starving) {
            self.pump_consumers(key);
        }
    }
}
