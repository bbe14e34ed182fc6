//! A session's subscriptions: each is Live or Behind.
//!
//! - *Live*: it stands in the channel's audience and gets each record as it is committed.
//! - *Behind*: it knows the next offset it needs and pulls pages from the home whenever the outbox is empty. The page that
//!   reaches the head makes it Live when it is processed; the queue between workers is in order, so nothing falls between.
//!
//! Recovery, slow readers and full queues are all this one machine.

use crate::cursor::CursorPositions;
use crate::id::SlotKey;
use crate::position::{Epoch, Offset};

/// How a subscription hangs on its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// The home has been asked to attach it.
    Pending {
        /// Tells this request from an earlier one for the same channel.
        nonce: u32,
    },
    /// In the audience.
    Live {
        /// Where in the audience; unused for `$all`, which has no list.
        index: u32,
    },
    /// Needs this offset next.
    Behind {
        /// The next offset.
        next: Offset,
        /// A page is on its way.
        pulling: bool,
        /// Fell behind by not reading, as opposed to having been away.
        slow: bool,
    },
}

/// One subscription of one session.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subscription {
    /// The worker's entry of the channel, which lives as long as this does.
    pub(crate) local: u32,
    pub(crate) link: Link,
    /// The newest offset written to the client, for the SSE cursor; meaningless while Pending.
    pub(crate) written: Offset,
    /// Asked for by name, as opposed to `$all` and `$user`.
    pub(crate) named: bool,
}

impl Subscription {
    /// In place of an offset that was written: the client's position is lost, and the gap that says so has not left. Whoever comes
    /// back with it is told again.
    pub(crate) const NOWHERE: Offset = CursorPositions::NOWHERE;
}

/// Where a channel stands for a client after a frame that reaches `offset` was written. Positions never go back: replies of a page
/// may follow what was live.
pub(crate) fn carry(written: &mut Offset, offset: Offset) {
    *written = if *written == Subscription::NOWHERE { offset } else { (*written).max(offset) };
}

/// Where the subscriptions of an event stream stood when it was ended, for the cursors of what was still queued.
#[derive(Debug, Default)]
pub(crate) struct LastPositions {
    pub(crate) channels: Vec<LastPosition>,
}

/// See [`LastPositions`].
#[derive(Debug)]
pub(crate) struct LastPosition {
    /// The worker's entry of the channel, which may be gone by now.
    pub(crate) local: SlotKey,
    pub(crate) epoch: Epoch,
    pub(crate) fingerprint: u64,
    pub(crate) written: Offset,
}
