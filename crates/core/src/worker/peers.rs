//! What one worker says to another, and what it may say.
//!
//! - Each ordered pair of workers has one first-in first-out queue; also a worker and itself.
//! - A *request* takes a credit, which reserves the place of its answer. Answers therefore always find room.
//! - A *delivery* needs no credit but room: entries and bytes. Where there is none, the channel falls behind at that worker: no
//!   more deliveries until one `Behind` notice is through and the worker has pulled itself up to the head.
//! - *Succession* (which connection goes on with a session) is told when there is room.
//! - *Interest* (how many listen) is state: the newest count is sent when there is room, so a leave cannot be lost.

use std::collections::VecDeque;
use std::sync::Arc;

use super::channel::{Feed, Interest};
use super::history::HistoryResult;
use super::inbox::InboxNews;
use super::input::LogFailure;
use super::output::Output;
use crate::consumers::{Ask, Delivery, Done, Membership, Notice};
use crate::event::Outcome;
use crate::history::{Page, Query};
use crate::id::{AppId, ChannelKey, ConnectionKey, ConsumerName, DeviceId, SlotKey, UserId, WorkerId};
use crate::inbox::{Actor, InboxAsk, Listener};
use crate::options::Options;
use crate::position::{Epoch, Gap, GapReason, Offset, Start};
use crate::publish::{Draft, Origin, PublishResult};
use crate::record::Record;
use crate::rejection::Rejection;
use crate::session::{Legacy, Reply};

/// One message between workers. Opaque to the engine, which only moves it.
#[derive(Debug)]
pub struct PeerMessage(pub(crate) Peer);

#[derive(Debug)]
pub(crate) enum Peer {
    Attach(Box<Attach>),
    Attached(Box<Attached>),
    /// The answer to an attach request for a channel that the home does not open.
    Refused(Box<Refused>),
    Pull(Pull),
    Pulled(Box<Pulled>),
    Publish(Box<Draft>),
    Published(Box<PublishedFor>),
    History(Box<HistoryAsk>),
    HistoryAnswer(Box<HistoryAnswer>),
    Inbox(Box<InboxAsk>),
    InboxAnswer(Box<InboxAnswer>),
    InboxNews(Box<InboxNews>),
    /// An order for the consumers of a channel.
    Consumers(Box<Ask>),
    ConsumersAnswer(Box<Ask>, Result<Done, Rejection>),
    /// A message for a member of a consumer.
    HandOut(Box<HandOut>),
    Notice(Box<NoticeFor>),
    /// What a home has to know of a member.
    Seat(Box<SeatNews>),
    TakeOver(Box<TakeOver>),
    TakenOver(TakenOver),
    Succession(Vec<Succession>),
    Deliver {
        local: SlotKey,
        record: Arc<Record>,
    },
    Behind {
        locals: Vec<SlotKey>,
    },
    Interest {
        home: Option<SlotKey>,
        channel: Option<Box<ChannelKey>>,
        local: SlotKey,
        count: u32,
    },
}

impl PeerMessage {
    /// Bytes that count against the queue's bound.
    #[must_use]
    pub fn cost(&self) -> u32 {
        match &self.0 {
            Peer::Deliver { record, .. } => record.cost(),
            Peer::HandOut(hand_out) => hand_out.delivery.record.cost(),
            Peer::Attach(_)
            | Peer::Attached(_)
            | Peer::Refused(_)
            | Peer::Pull(_)
            | Peer::Pulled(_)
            | Peer::Publish(_)
            | Peer::Published(_)
            | Peer::History(_)
            | Peer::HistoryAnswer(_)
            | Peer::Consumers(_)
            | Peer::ConsumersAnswer(..)
            | Peer::Notice(_)
            | Peer::Seat(_)
            | Peer::TakeOver(_)
            | Peer::TakenOver(_)
            | Peer::Inbox(_)
            | Peer::InboxAnswer(_)
            | Peer::InboxNews(_)
            | Peer::Succession(_)
            | Peer::Behind { .. }
            | Peer::Interest { .. } => 0,
        }
    }

    /// Whether it was sent against room (as opposed to a credit), which the receiver's engine reports back as free again.
    #[must_use]
    pub const fn takes_room(&self) -> bool {
        match self.0 {
            Peer::Deliver { .. }
            | Peer::HandOut(_)
            | Peer::Notice(_)
            | Peer::Seat(_)
            | Peer::Behind { .. }
            | Peer::Interest { .. }
            | Peer::Succession(_)
            | Peer::InboxNews(_) => true,
            Peer::Attach(_)
            | Peer::Attached(_)
            | Peer::Refused(_)
            | Peer::Pull(_)
            | Peer::Pulled(_)
            | Peer::Publish(_)
            | Peer::Published(_)
            | Peer::History(_)
            | Peer::HistoryAnswer(_)
            | Peer::Consumers(_)
            | Peer::ConsumersAnswer(..)
            | Peer::TakeOver(_)
            | Peer::TakenOver(_)
            | Peer::Inbox(_)
            | Peer::InboxAnswer(_) => false,
        }
    }
}

/// On whose behalf a worker attaches to a channel.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AttachFor {
    /// The worker itself, to `$all`.
    Everyone,
    /// A session that connects; the index is that of its list, `None` for `$user` and `$all`.
    Connect { connection: ConnectionKey, index: Option<u32>, nonce: u32 },
    /// An open session.
    Subscribe { connection: ConnectionKey, reply: Reply, nonce: u32 },
    /// A session that has the subscription already and only wants an answer.
    Repeat { connection: ConnectionKey, reply: Reply },
}

#[derive(Debug)]
pub(crate) struct Attach {
    pub(crate) asker: AttachFor,
    pub(crate) worker: WorkerId,
    pub(crate) local: SlotKey,
    pub(crate) channel: ChannelKey,
    pub(crate) start: Start,
    /// To its user's own channel, if that is an inbox.
    pub(crate) listener: Option<Box<Listener>>,
}

#[derive(Debug)]
pub(crate) struct Attached {
    pub(crate) asker: AttachFor,
    pub(crate) local: SlotKey,
    pub(crate) home: SlotKey,
    pub(crate) epoch: Epoch,
    pub(crate) head: Offset,
    /// The subscription continues after this offset.
    pub(crate) position: Offset,
    pub(crate) recovered: Option<bool>,
    pub(crate) gap: Option<Gap>,
    /// Every record after `position` follows in this queue.
    pub(crate) live: bool,
    /// Messages that wait, and how many were dropped without anybody having been told.
    pub(crate) dropped: Option<(u32, u64)>,
}

#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) asker: AttachFor,
    pub(crate) local: SlotKey,
    /// What was asked for, for whoever asks again.
    pub(crate) start: Start,
    pub(crate) refusal: Refusal,
}

/// Why a home does not open.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Refusal {
    /// Too many are open.
    Crowded,
    /// The log has not said where the channel stands.
    Log(LogFailure),
}

#[derive(Clone, Debug)]
pub(crate) struct Pull {
    pub(crate) connection: ConnectionKey,
    pub(crate) worker: WorkerId,
    pub(crate) local: SlotKey,
    pub(crate) home: SlotKey,
    pub(crate) next: Offset,
    /// Records it may take.
    pub(crate) room: usize,
    /// Whose place in the inbox counts, if it is one.
    pub(crate) device: Option<DeviceId>,
}

#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) connection: ConnectionKey,
    pub(crate) local: SlotKey,
    /// The offset that was asked for: a page for an earlier subscription is not taken for the present one's.
    pub(crate) from: Offset,
    pub(crate) page: Page,
    /// Why offsets before the page are missing.
    pub(crate) missing: GapReason,
    /// Why the page passes over offsets.
    pub(crate) skipped: GapReason,
    /// Every record after this page follows in this queue.
    pub(crate) live: bool,
}

#[derive(Debug)]
pub(crate) struct PublishedFor {
    pub(crate) connection: ConnectionKey,
    pub(crate) reply: Reply,
    pub(crate) result: PublishResult,
}

/// A question about the past, on its way to the channel's home.
#[derive(Debug)]
pub(crate) struct HistoryAsk {
    pub(crate) origin: Origin,
    pub(crate) channel: ChannelKey,
    pub(crate) query: Query,
    /// Only what is pending for them in the inbox.
    pub(crate) inbox: Option<Actor>,
}

#[derive(Debug)]
pub(crate) struct HistoryAnswer {
    pub(crate) connection: ConnectionKey,
    pub(crate) reply: Reply,
    pub(crate) result: HistoryResult,
}

/// What a session asked of its inbox.
#[derive(Debug)]
pub(crate) struct InboxAnswer {
    pub(crate) connection: ConnectionKey,
    pub(crate) reply: Reply,
    pub(crate) result: Result<Outcome, Rejection>,
}

/// A new connection wants to continue the session of a former one.
#[derive(Debug)]
pub(crate) struct TakeOver {
    pub(crate) former: ConnectionKey,
    pub(crate) worker: WorkerId,
    pub(crate) connection: ConnectionKey,
    pub(crate) app: AppId,
    pub(crate) user: Option<UserId>,
}

#[derive(Debug)]
pub(crate) struct TakenOver {
    pub(crate) connection: ConnectionKey,
    pub(crate) legacy: Option<Box<Legacy>>,
}

/// What the workers of a former and of a later connection of a session tell each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Succession {
    /// The heir has been written to: nobody will come for what the former one left behind.
    Settled { former: ConnectionKey, heir: ConnectionKey },
    /// The session goes on elsewhere.
    Ousted { connection: ConnectionKey },
}

/// A message on its way to a member of a consumer.
#[derive(Debug)]
pub(crate) struct HandOut {
    pub(crate) connection: ConnectionKey,
    pub(crate) group: Option<ConsumerName>,
    pub(crate) delivery: Delivery,
}

#[derive(Debug)]
pub(crate) struct NoticeFor {
    pub(crate) connection: ConnectionKey,
    pub(crate) notice: Notice,
}

/// What has become of a member's connection.
#[derive(Debug)]
pub(crate) struct SeatNews {
    pub(crate) channel: ChannelKey,
    pub(crate) member: Membership,
    pub(crate) connection: ConnectionKey,
    pub(crate) change: SeatChange,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum SeatChange {
    /// It takes no more; `gives_back`: and what it holds may go to others at once.
    Gone { gives_back: bool },
    /// It had no room for this message.
    Bounced { offset: Offset },
    /// It has room again.
    Awake,
}

#[derive(Debug)]
struct Link {
    credits: u32,
    room_entries: u32,
    room_bytes: u64,
    /// Channels, by the peer's name for them, whose notice has not been sent.
    behind: Vec<(SlotKey, SlotKey)>,
    /// What has not been sent for want of room: at most one for each connection that continues a session, and one for each session.
    succession: Vec<Succession>,
}

/// A worker's links to all workers of its node, itself included.
#[derive(Debug)]
pub(crate) struct Peers {
    links: Vec<Link>,
    requests_per_command: u32,
    /// Credits of each link that pulls of stored channels do not take.
    memory_pulls: u32,
    pub(crate) outputs: VecDeque<Output>,
    /// Ephemeral messages dropped because a queue was full.
    pub(crate) signals_dropped: u64,
}

impl Peers {
    pub(crate) fn new(workers: usize, options: &Options) -> Self {
        let bounds = options.bounds;
        let link = || Link {
            credits: bounds.credits,
            room_entries: bounds.deliveries,
            room_bytes: bounds.delivery_bytes,
            behind: Vec::new(),
            succession: Vec::new(),
        };
        Self {
            links: (0..workers).map(|_| link()).collect(),
            requests_per_command: options.requests_per_command(),
            memory_pulls: bounds.credits.saturating_sub(options.requests_per_command()) / 2,
            outputs: VecDeque::new(),
            signals_dropped: 0,
        }
    }

    fn link(&mut self, worker: WorkerId) -> &mut Link {
        &mut self.links[usize::from(worker.0)]
    }

    fn send(&mut self, to: WorkerId, message: Peer) {
        self.outputs.push_back(Output::Peer { to, message: PeerMessage(message) });
    }

    /// Whether every peer would take all requests of one command.
    pub(crate) fn can_ask(&self) -> bool {
        self.links.iter().all(|link| link.credits >= self.requests_per_command)
    }

    /// Whether this peer would take one request and leave those of a command. Commands wait for every peer, so pulls that took
    /// the last credits of one would keep all connections of this worker from being heard. Pulls of stored channels leave half of the
    /// others to those of channels in memory, which wait for no store.
    pub(crate) fn can_pull(&self, worker: WorkerId, stored: bool) -> bool {
        let reserved = if stored { self.memory_pulls } else { 0 };
        self.links[usize::from(worker.0)].credits > self.requests_per_command + reserved
    }

    pub(crate) fn request(&mut self, to: WorkerId, request: Peer) {
        let link = self.link(to);
        assert!(link.credits > 0, "the caller has checked that there is a credit");
        link.credits -= 1;
        self.send(to, request);
    }

    pub(crate) fn answer(&mut self, to: WorkerId, answer: Peer) {
        self.send(to, answer);
    }

    /// An answer has come: its credit is free again.
    pub(crate) fn return_credit(&mut self, from: WorkerId) {
        self.link(from).credits += 1;
    }

    /// The peer has taken this much out of its queue.
    pub(crate) fn return_room(&mut self, from: WorkerId, entries: u32, bytes: u64) {
        let link = self.link(from);
        link.room_entries += entries;
        link.room_bytes += bytes;
    }

    /// Whether a notice waits for room in some queue.
    pub(crate) fn holds_notices(&self) -> bool {
        self.links.iter().any(|link| !link.behind.is_empty() || !link.succession.is_empty())
    }

    fn take_room(&mut self, to: WorkerId, bytes: u32) -> bool {
        let link = self.link(to);
        if link.room_entries == 0 || link.room_bytes < u64::from(bytes) {
            return false;
        }
        link.room_entries -= 1;
        link.room_bytes -= u64::from(bytes);
        true
    }

    /// Hands a record to a worker that listens, or marks it behind.
    pub(crate) fn deliver(&mut self, interest: &mut Interest, record: &Arc<Record>) {
        match interest.feed {
            Feed::Behind { .. } => {}
            Feed::Live if self.take_room(interest.worker, record.cost()) => {
                self.send(interest.worker, Peer::Deliver { local: interest.local, record: record.clone() });
            }
            Feed::Live => {
                interest.feed = Feed::Behind { noticed: false };
                self.link(interest.worker).behind.push((interest.home, interest.local));
            }
        }
    }

    /// Hands an ephemeral message to a worker that listens, or drops and counts it.
    pub(crate) fn deliver_if_room(&mut self, interest: &Interest, record: &Arc<Record>) {
        if self.take_room(interest.worker, record.cost()) {
            self.send(interest.worker, Peer::Deliver { local: interest.local, record: record.clone() });
        } else {
            self.signals_dropped += 1;
        }
    }

    /// Tells a worker that something has happened to an inbox, or drops and counts it.
    pub(crate) fn send_news(&mut self, to: WorkerId, news: InboxNews) {
        if self.take_room(to, 0) {
            self.send(to, Peer::InboxNews(Box::new(news)));
        } else {
            self.signals_dropped += 1;
        }
    }

    /// Tells a worker something about a session at the end of the turn, or when there is room.
    pub(crate) fn say(&mut self, to: WorkerId, said: Succession) {
        self.link(to).succession.push(said);
    }

    /// Sends the notices that have room. Returns the homes and workers whose `Behind` is out.
    pub(crate) fn send_notices(&mut self) -> Vec<(SlotKey, WorkerId)> {
        let mut noticed = Vec::new();
        for index in 0..self.links.len() {
            let worker = WorkerId(u8::try_from(index).expect("at most 256 workers"));
            if !self.links[index].succession.is_empty() && self.take_room(worker, 0) {
                let said = std::mem::take(&mut self.links[index].succession);
                self.send(worker, Peer::Succession(said));
            }
            if self.links[index].behind.is_empty() || !self.take_room(worker, 0) {
                continue;
            }
            let behind = std::mem::take(&mut self.links[index].behind);
            noticed.extend(behind.iter().map(|(home, _)| (*home, worker)));
            self.send(worker, Peer::Behind { locals: behind.into_iter().map(|(_, local)| local).collect() });
        }
        noticed
    }

    /// Tells a home how many listen, if there is room.
    pub(crate) fn send_interest(&mut self, to: WorkerId, interest: Peer) -> Result<(), Peer> {
        self.send_if_room(to, interest)
    }

    /// Whether a message of this cost would find room.
    pub(crate) fn has_room(&self, to: WorkerId, bytes: u32) -> bool {
        let link = &self.links[usize::from(to.0)];
        link.room_entries > 0 && link.room_bytes >= u64::from(bytes)
    }

    /// Sends what needs room, or hands it back.
    pub(crate) fn send_if_room(&mut self, to: WorkerId, message: Peer) -> Result<(), Peer> {
        let message = PeerMessage(message);
        if !self.take_room(to, message.cost()) {
            return Err(message.0);
        }
        self.outputs.push_back(Output::Peer { to, message });
        Ok(())
    }
}

#[cfg(test)]
impl Peers {
    /// Whether nothing is asked, owed or waiting to be told.
    pub(crate) fn is_at_rest(&self, options: &Options) -> bool {
        let bounds = options.bounds;
        let quiet = |link: &Link| {
            link.credits == bounds.credits
                && link.room_entries == bounds.deliveries
                && link.room_bytes == bounds.delivery_bytes
                && link.behind.is_empty()
                && link.succession.is_empty()
        };
        self.outputs.is_empty() && self.links.iter().all(quiet)
    }
}
