//! What messages between workers say of durable consumers, for those who look on: the simulator compares it with what was promised.

use super::peers::{Peer, PeerMessage, SeatChange};
use crate::consumers::{Delivery, Membership, Order};
use crate::id::{ChannelKey, ConsumerName};
use crate::position::Offset;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub enum Watched<'a> {
    /// An order for the consumers of a channel.
    Ordered {
        /// Of which channel.
        channel: &'a ChannelKey,
        /// What.
        order: &'a Order,
    },
    /// Its answer.
    Answered {
        /// Of which channel.
        channel: &'a ChannelKey,
        /// What was ordered.
        order: &'a Order,
    },
    /// A message for a member.
    HandedOut {
        /// The group of the member.
        group: Option<&'a ConsumerName>,
        /// The message.
        delivery: &'a Delivery,
    },
    /// The connection of a member had no room for a message.
    Bounced {
        /// Of which channel.
        channel: &'a ChannelKey,
        /// Who.
        member: &'a Membership,
        /// Which message.
        offset: Offset,
    },
    /// The connection of a member takes no more.
    Left {
        /// Of which channel.
        channel: &'a ChannelKey,
        /// Who.
        member: &'a Membership,
        /// What it holds may go to others at once.
        gives_back: bool,
    },
}

impl PeerMessage {
    /// What it says of durable consumers.
    #[must_use]
    pub fn watched(&self) -> Option<Watched<'_>> {
        match &self.0 {
            Peer::Consumers(ask) => Some(Watched::Ordered { channel: &ask.channel, order: &ask.order }),
            Peer::ConsumersAnswer(ask, _) => Some(Watched::Answered { channel: &ask.channel, order: &ask.order }),
            Peer::HandOut(it) => Some(Watched::HandedOut { group: it.group.as_ref(), delivery: &it.delivery }),
            Peer::Seat(news) => {
                let (channel, member) = (&news.channel, &news.member);
                match news.change {
                    SeatChange::Bounced { offset } => Some(Watched::Bounced { channel, member, offset }),
                    SeatChange::Gone { gives_back } => Some(Watched::Left { channel, member, gives_back }),
                    SeatChange::Awake => None,
                }
            }
            Peer::Attach(_)
            | Peer::Attached(_)
            | Peer::Refused(_)
            | Peer::Pull(_)
            | Peer::Pulled(_)
            | Peer::Publish(_)
            | Peer::Published(_)
            | Peer::History(_)
            | Peer::HistoryAnswer(_)
            | Peer::Notice(_)
            | Peer::TakeOver(_)
            | Peer::TakenOver(_)
            | Peer::Inbox(_)
            | Peer::InboxAnswer(_)
            | Peer::InboxNews(_)
            | Peer::Succession(_)
            | Peer::Deliver { .. }
            | Peer::Behind { .. }
            | Peer::Interest { .. } => None,
        }
    }
}
