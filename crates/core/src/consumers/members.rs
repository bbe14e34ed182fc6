//! Who takes a consumer's messages.

use std::time::Duration;

use super::Delivery;
use super::window::Load;
use crate::id::{ConnectionKey, ConsumerName, WorkerId};
use crate::limits;
use crate::time::Time;

#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: ConsumerName,
    pub(crate) seat: Seat,
    pub(super) ack_wait: Duration,
    pub(super) pending_max: u32,
    /// Deliveries it holds, and their bytes.
    pub(super) held: u32,
    pub(super) held_bytes: u64,
    /// Its connection does not take what it is sent.
    pub(super) slow: bool,
    /// When it was served last, by the consumer's count of deliveries.
    pub(super) served: u64,
}

/// Where its deliveries go.
#[derive(Debug)]
pub(crate) enum Seat {
    /// To a connection.
    Session { worker: WorkerId, connection: ConnectionKey },
    /// To whoever asks by call, and waits now or does not.
    Calls(Option<Poll>),
    /// Nowhere: its connection is lost, and its time to ack runs.
    Gone,
}

/// A call that waits for messages.
#[derive(Debug)]
pub(crate) struct Poll {
    pub(crate) ticket: u64,
    pub(crate) limit: u32,
    pub(crate) until: Time,
    pub(crate) deliveries: Vec<Delivery>,
    pub(super) bytes: u64,
}

impl Poll {
    pub(crate) const fn new(ticket: u64, limit: u32, until: Time) -> Self {
        Self { ticket, limit, until, deliveries: Vec::new(), bytes: 0 }
    }
}

impl Member {
    /// Whether it takes one more message of this cost.
    pub(super) fn takes(&self, cost: u32) -> bool {
        let within = |held: u64, bytes: u64| held == 0 || bytes + u64::from(cost) <= limits::PENDING_BYTES_MAX;
        let room = self.held < self.pending_max;
        match &self.seat {
            Seat::Session { .. } => room && !self.slow && within(u64::from(self.held), self.held_bytes),
            Seat::Calls(Some(poll)) => {
                let taken = poll.deliveries.len();
                room && taken < poll.limit as usize && within(taken as u64, poll.bytes)
            }
            Seat::Calls(None) | Seat::Gone => false,
        }
    }

    /// How much more it takes.
    pub(super) fn room(&self) -> Load {
        let messages = self.pending_max.saturating_sub(self.held);
        let left = |bytes: u64| limits::PENDING_BYTES_MAX.saturating_sub(bytes);
        match &self.seat {
            Seat::Session { .. } if !self.slow => Load { messages, bytes: left(self.held_bytes) },
            Seat::Calls(Some(poll)) => {
                let wanted = poll.limit.saturating_sub(poll.deliveries.len() as u32);
                Load { messages: messages.min(wanted), bytes: left(poll.bytes) }
            }
            Seat::Session { .. } | Seat::Calls(None) | Seat::Gone => Load::default(),
        }
    }

    /// Whether somebody is there.
    pub(super) const fn is_present(&self) -> bool {
        match self.seat {
            Seat::Session { .. } | Seat::Calls(Some(_)) => true,
            Seat::Calls(None) | Seat::Gone => false,
        }
    }

    /// Whether this connection sits there.
    pub(super) fn is_seated(&self, worker: WorkerId, connection: ConnectionKey) -> bool {
        matches!(&self.seat, Seat::Session { worker: at, connection: who } if (*at, *who) == (worker, connection))
    }
}
