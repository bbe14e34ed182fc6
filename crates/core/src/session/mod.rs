//! A session: one connection from its first frame to its last.
//!
//! - A connection *waits* for `connect` (10 s), unless its URL said everything; then it *asks* for an identity if it brought a
//!   token, *connects* its first subscriptions, and is *open*. `connected` is its first frame: what arrives before waits behind it.
//! - Every open session hears `$all` and, with a user, `$user`.
//! - Its outbox is bounded. A record that does not fit makes that subscription Behind; replies that do not fit stop the reading
//!   of the socket.
//! - It ends by `close`, by the application, by silence, by breaking the protocol again and again, when its authorisation is over, or
//!   because its stream ended.

mod connect;
mod heartbeat;
mod outbox;
mod resume;
mod subscriptions;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use connect::Connecting;
pub(crate) use heartbeat::Due;
pub(crate) use outbox::{Outbox, OutboxPool};
pub(crate) use resume::{Formers, Legacy, Waiting, resumable};
pub(crate) use subscriptions::{LastPosition, LastPositions, Link, Subscription, carry};

use crate::command::{Connect, Ref};
use crate::consumers::Membership;
use crate::frame::Dialect;
use crate::id::{ChannelKey, ConnectionId, ConnectionKey, ConsumerName, DeviceId};
use crate::inbox::Taker;
use crate::permissions::Identity;
use crate::time::{Time, UnixMs};

/// How a client reaches us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// RFC 6455 or RFC 8441.
    WebSocket,
    /// Server-Sent Events, with POST for the other direction.
    Sse,
}

/// What is known about the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// How it reaches us.
    pub provider: Provider,
    /// Its address.
    pub address: SocketAddr,
    /// Its `User-Agent`, interned.
    pub user_agent: Option<Arc<str>>,
    /// `http/1.1` or `h2`.
    pub protocol: Protocol,
}

/// The HTTP version a connection came in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
}

/// Where the answer to a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Into the connection's stream.
    Stream(Option<Ref>),
    /// To whoever called with this ticket: a POST, or the HTTP API.
    Call {
        /// Which call.
        ticket: u64,
        /// The number to repeat.
        reference: Option<Ref>,
    },
    /// To the caller, and what came of it into the stream: the client is told of what others do to it.
    Announce {
        /// Which call.
        ticket: u64,
    },
}

impl Reply {
    pub(crate) const fn reference(self) -> Option<Ref> {
        match self {
            Self::Stream(reference) | Self::Call { reference, .. } => reference,
            Self::Announce { .. } => None,
        }
    }
}

/// Where a session stands.
#[derive(Debug)]
pub(crate) enum Phase {
    /// For its `connect` frame.
    Waiting,
    /// For the authenticator's answer.
    Asking(Box<Asking>),
    /// For the homes of its first channels.
    Connecting(Box<Connecting>),
    Open,
    /// For its last bytes to leave. The cursors among them need what it listened to.
    Closing(Option<Box<LastPositions>>),
}

/// A `connect` whose token is being verified.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) connect: Connect,
    pub(crate) reply: Reply,
    /// Until when `connect` may be sent again.
    pub(crate) deadline: Time,
}

impl Phase {
    /// Whether it is open who the session is or which one it continues, so that its next commands have to wait.
    pub(crate) fn waits_for_a_name(&self) -> bool {
        match self {
            Self::Asking(_) => true,
            Self::Connecting(connecting) => connecting.taking_over,
            Self::Waiting | Self::Open | Self::Closing(_) => false,
        }
    }
}

/// What is rarely looked at, kept out of the hot lines.
#[derive(Debug)]
pub(crate) struct Profile {
    pub(crate) identity: Identity,
    pub(crate) client: Client,
    pub(crate) connected_at: UnixMs,
    pub(crate) messages_in: u64,
    pub(crate) messages_out: u64,
    /// Numbers the lifecycle events of this connection.
    pub(crate) sequence: u64,
    /// What most sessions do not have.
    pub(crate) extras: Option<Box<Extras>>,
}

/// See [`Profile::extras`].
#[derive(Debug, Default)]
pub(crate) struct Extras {
    /// Which of the user's devices it says to be.
    pub(crate) device: Option<DeviceId>,
    /// The client's own metadata, untrusted.
    pub(crate) meta: Option<Bytes>,
    /// The connections this session had before.
    pub(crate) formers: Formers,
    /// The worker of the last of them keeps what it left until this one has been written to.
    pub(crate) inherits: bool,
    /// When its authorisation is over, with the skew of clocks.
    pub(crate) expires: Option<Time>,
    /// When its device has last said that it is there; only where that counts.
    pub(crate) seen_at: Time,
    /// What it has taken of its user's messages.
    pub(crate) inbox: Option<Box<Taker>>,
    /// The consumers it takes messages of; at most [`crate::limits::CONSUMERS_PER_CONNECTION`].
    pub(crate) consuming: Vec<Consuming>,
    pub(crate) strikes: u8,
    pub(crate) strikes_since: Time,
}

/// A consumer that a connection takes messages of.
#[derive(Debug)]
pub(crate) struct Consuming {
    pub(crate) channel: ChannelKey,
    pub(crate) member: Membership,
    /// The home has said yes.
    pub(crate) joined: bool,
    /// Joins that are not answered. Bounded by the credits.
    pub(crate) asked: u32,
    /// Its deliveries have no room here, and the home knows or will.
    pub(crate) slow: bool,
}

impl Consuming {
    /// Whether this is meant: a connection need not name the group.
    pub(crate) fn fits(&self, member: &Membership) -> bool {
        self.member.consumer == member.consumer && (member.group.is_none() || self.member.group == member.group)
    }
}

impl Profile {
    pub(crate) fn consuming(&self, channel: &ChannelKey, consumer: &ConsumerName) -> Option<&Consuming> {
        let entries = &self.extras.as_ref()?.consuming;
        entries.iter().find(|it| it.channel == *channel && it.member.consumer == *consumer)
    }

    /// Makes room where there is none.
    pub(crate) fn extras_mut(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }

    pub(crate) fn device(&self) -> Option<DeviceId> {
        self.extras.as_ref()?.device.clone()
    }

    pub(crate) fn meta(&self) -> Option<Bytes> {
        self.extras.as_ref()?.meta.clone()
    }

    pub(crate) fn formers(&self) -> &[ConnectionId] {
        self.extras.as_ref().map_or(&[], |extras| &extras.formers)
    }

    pub(crate) fn expires(&self) -> Option<Time> {
        self.extras.as_ref()?.expires
    }
}

/// One connection's state.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: ConnectionKey,
    pub(crate) phase: Phase,
    pub(crate) dialect: Dialect,
    /// The handshake (or a token) has said who it is.
    pub(crate) identified: bool,
    /// Wants `ping` frames.
    pub(crate) pings: bool,
    /// Is on the write list.
    pub(crate) queued: bool,
    /// Has an entry for `$all` that is not Live, so walks over everyone pass it by.
    pub(crate) everyone_behind: bool,
    /// A Ping was sent, or at least queued, and nothing has come since.
    pub(crate) awaiting_pong: bool,
    /// That Ping still waits in the outbox.
    pub(crate) ping_queued: bool,
    /// Requests at homes that will be answered into the outbox.
    pub(crate) in_flight: u16,
    /// Those of them that ask about the past.
    pub(crate) questions: u8,
    pub(crate) subscriptions: Vec<Subscription>,
    pub(crate) outbox: Outbox,
    pub(crate) last_seen: Time,
    /// When to look at it next, and what for depends on the phase.
    pub(crate) deadline: Time,
    /// When the timer wheel wakes it; earlier wake-ups are left over from deadlines that moved.
    pub(crate) armed: Time,
    /// When the last Ping left, or (while it waits) when the peer last took something.
    pub(crate) pinged_at: Time,
    pub(crate) round_trip_ms: u32,
    pub(crate) profile: Box<Profile>,
}

impl Session {
    /// Whether records are delivered to it.
    pub(crate) const fn listens(&self) -> bool {
        match self.phase {
            Phase::Open | Phase::Connecting(_) => true,
            Phase::Waiting | Phase::Asking(_) | Phase::Closing(_) => false,
        }
    }

    /// When it must be looked at next.
    pub(crate) fn wake_at(&self) -> Time {
        match self.phase {
            Phase::Open => self.profile.expires().map_or(self.deadline, |expires| expires.min(self.deadline)),
            Phase::Waiting | Phase::Asking(_) | Phase::Connecting(_) | Phase::Closing(_) => self.deadline,
        }
    }

    /// Whether one of these is this session, by its present connection or a former one.
    pub(crate) fn is_excluded(&self, me: ConnectionId, excluded: &[ConnectionId]) -> bool {
        excluded.iter().any(|id| *id == me || self.profile.formers().contains(id))
    }

    /// Whether its outbox may be written.
    pub(crate) const fn writes(&self) -> bool {
        !matches!(self.phase, Phase::Connecting(_))
    }
}
