//! What one worker says to another, and what it may say.
//!
//! - Each ordered pair of workers has one first-in first-out queue; also a worker and itself.
//! - A *request* takes a credit, which reserves the place of its answer. Answers therefore always find room.
//! - A *delivery* needs no credit but room: entries and bytes. Where there is none, the channel falls behind at that worker: no
//!   more deliveries until one `Behind` notice is through and the worker has pulled itself up to the head.
//! - *Succession* (which connection goes on with a session) is told when there is room.
//! - *Interest* (how many listen) is state: the newest count is sent when there is room, so a leave cannot be lost.

use std::sync::Arc;

use super::history::HistoryResult;
use super::inbox::InboxNews;
use super::input::LogFailure;
use crate::consumers::{Ask, Delivery, Done, Membership, Notice};
use crate::event::Outcome;
use crate::history::{Page, Query};
use crate::id::{AppId, ChannelKey, ConnectionKey, ConsumerName, DeviceId, SlotKey, UserId, WorkerId};
use crate::inbox::{Actor, InboxAsk, Listener};
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
