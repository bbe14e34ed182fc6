//! What a client may be told when something does not work.
//!
//! Three tiers: a [`Rejection`] answers one command and the connection lives on; a [`Close`] ends the connection and says whether
//! to come back; errors for the operator live outside core. The numbers and strings of codes belong to the dialect in `wire`.

use std::borrow::Cow;
use std::fmt;

use crate::id::{ChannelKey, NameError};

/// The refusal of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejection {
    /// The kind, which is the code on the wire.
    pub kind: RejectionKind,
    /// A lowercase fragment for people, which names the value and the limit.
    pub message: Cow<'static, str>,
    /// The field at fault.
    pub field: Option<Cow<'static, str>>,
    /// The channel it is about.
    pub channel: Option<ChannelKey>,
    /// When trying again may work, in milliseconds.
    pub retry_after_ms: Option<u32>,
    /// The bound that was hit.
    pub limit: Option<u64>,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Rejection {}

/// Kinds of refusals, as in `protocol/codes.toml`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RejectionKind {
    /// Malformed or contradictory.
    BadRequest,
    /// No identity, or none that is valid.
    Unauthenticated,
    /// Not allowed; also said of what may not exist.
    Forbidden,
    /// The feature is off, or not served yet.
    NotEnabled,
    /// A bound on how many.
    LimitExceeded,
    /// No such thing.
    NotFound,
    /// Contradicts what was said before.
    Conflict,
    /// A bound on how large.
    TooLarge,
    /// Too often; come back later.
    RateLimited,
    /// A bug.
    Internal,
    /// The node is at its limit; come back later.
    Overloaded,
    /// Something the node needs is away; come back later.
    Unavailable,
    /// No answer in time; the outcome is unknown.
    Timeout,
    /// The disk is full; nothing was stored or delivered.
    StorageFull,
}

impl Rejection {
    /// A refusal of this kind.
    #[must_use]
    pub fn new(kind: RejectionKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), field: None, channel: None, retry_after_ms: None, limit: None }
    }

    /// A malformed field.
    #[must_use]
    pub fn field(field: impl Into<Cow<'static, str>>, message: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..Self::new(RejectionKind::BadRequest, message) }
    }

    /// A name that is none.
    #[must_use]
    pub fn name(field: &'static str, error: NameError) -> Self {
        Self::field(field, error.to_string())
    }

    /// Says which field is at fault.
    #[must_use]
    pub fn at(self, field: impl Into<Cow<'static, str>>) -> Self {
        Self { field: Some(field.into()), ..self }
    }

    /// Says which channel it is about.
    #[must_use]
    pub fn on(self, channel: ChannelKey) -> Self {
        Self { channel: Some(channel), ..self }
    }

    /// Says which bound was hit.
    #[must_use]
    pub fn limit(self, limit: u64) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Says when trying again may work.
    #[must_use]
    pub fn retry_after_ms(self, ms: u32) -> Self {
        Self { retry_after_ms: Some(ms), ..self }
    }
}

/// Why a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client asked for it.
    Normal,
    /// The application ended it; do not come back.
    Stopped,
    /// No valid identity.
    Unauthenticated,
    /// No `connect` frame in time.
    ConnectDeadline,
    /// Blocked.
    Blocked,
    /// Another connection has taken the session over.
    TakenOver,
    /// More connections than allowed.
    ConnectionLimit,
    /// Broke the protocol again and again.
    Protocol,
    /// The node is at its limit.
    Overloaded,
    /// Did not read for too long.
    Slow,
    /// The node shuts down.
    Drain,
    /// No sign of life.
    Silent,
    /// Its authorisation is over.
    TokenExpired,
}

impl Close {
    /// Whether the connection is ended for good, by its client or by the application.
    pub(crate) const fn is_final(self) -> bool {
        match self {
            Self::Normal | Self::Stopped => true,
            Self::Unauthenticated
            | Self::ConnectDeadline
            | Self::Blocked
            | Self::TakenOver
            | Self::ConnectionLimit
            | Self::Protocol
            | Self::Overloaded
            | Self::Slow
            | Self::Drain
            | Self::Silent
            | Self::TokenExpired => false,
        }
    }
}

/// What the engine saw of a connection's end when the peer or the network caused it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// The peer closed properly.
    Closed,
    /// The stream ended or broke.
    Dropped,
    /// The peer broke the framing.
    Violation,
}
