//! What kind of thing a message, a frame or a token is.

use crate::event::Event;
use crate::frame::Frame;
use crate::permissions::{Grants, Identity};
use crate::position::GapReason;
use crate::publish::Draft;
use crate::worker::peers::Peer;
use crate::worker::{Call, Input, PeerMessage};

/// The message that comes to its home with this input.
pub(super) fn draft(input: &Input) -> Option<&Draft> {
    if let Input::Peer { message: PeerMessage(Peer::Publish(draft)), .. }
    | Input::Call { call: Call::Publish(draft), .. } = input
    {
        return Some(draft);
    }
    None
}

pub(super) fn is_request(message: &Peer) -> bool {
    match message {
        Peer::Attach(_)
        | Peer::Pull(_)
        | Peer::Publish(_)
        | Peer::History(_)
        | Peer::Inbox(_)
        | Peer::Consumers(_)
        | Peer::TakeOver(_) => true,
        Peer::Attached(_)
        | Peer::HistoryAnswer(_)
        | Peer::TakenOver(_)
        | Peer::Refused(_)
        | Peer::Pulled(_)
        | Peer::Published(_)
        | Peer::ConsumersAnswer(..)
        | Peer::HandOut(_)
        | Peer::Notice(_)
        | Peer::Seat(_)
        | Peer::Deliver { .. }
        | Peer::Behind { .. }
        | Peer::InboxAnswer(_)
        | Peer::InboxNews(_)
        | Peer::Succession(_)
        | Peer::Interest { .. } => false,
    }
}

pub(super) fn is_answer(message: &Peer) -> bool {
    match message {
        Peer::Attached(_)
        | Peer::Refused(_)
        | Peer::Pulled(_)
        | Peer::Published(_)
        | Peer::HistoryAnswer(_)
        | Peer::InboxAnswer(_)
        | Peer::ConsumersAnswer(..)
        | Peer::TakenOver(_) => true,
        Peer::Attach(_)
        | Peer::Inbox(_)
        | Peer::InboxNews(_)
        | Peer::History(_)
        | Peer::TakeOver(_)
        | Peer::Pull(_)
        | Peer::Publish(_)
        | Peer::Consumers(_)
        | Peer::HandOut(_)
        | Peer::Notice(_)
        | Peer::Seat(_)
        | Peer::Deliver { .. }
        | Peer::Behind { .. }
        | Peer::Succession(_)
        | Peer::Interest { .. } => false,
    }
}

/// Messages and offsets in excluded gaps that a frame stands for.
pub(super) fn count(frame: &Frame) -> (u64, u64) {
    match frame.event() {
        Event::Message(_) => (1, 0),
        Event::Gap { gap, .. } if gap.reason == GapReason::Excluded => {
            (0, gap.range.map_or(0, |(from, to)| to + 1 - from))
        }
        Event::Gap { .. }
        | Event::Connected(_)
        | Event::Delivery(_)
        | Event::Consumer(_)
        | Event::Ok { .. }
        | Event::Error { .. }
        | Event::Subscribed { .. }
        | Event::Unsubscribed { .. }
        | Event::Ping
        | Event::Heartbeat
        | Event::Probe(_)
        | Event::Inbox { .. }
        | Event::Pong { .. }
        | Event::Goaway { .. } => (0, 0),
    }
}

/// Tokens of tests: `ada` is the user ada, `ada!` may not publish, `-` is refused.
pub(crate) fn identify(token: &str) -> Option<Identity> {
    let (name, grants) = token.strip_suffix('!').map_or((token, Grants::ALL), |name| (name, Grants::LISTEN));
    let user = crate::id::UserId::parse(name).ok().filter(|_| name != "-")?;
    Some(Identity { user: Some(user), grants, ..Identity::default() })
}
