//! Error and close codes of the native protocol.
//!
//! Generated from `protocol/codes.toml` by `cargo run -p xtask -- codegen`: edit the table, not this file.

use core::fmt;
use core::str::FromStr;

/// Why a request was refused: `code` of an `error` frame and of a problem-JSON body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The frame or request is malformed, or a value is outside its bounds; `field` names the place where there
    /// is one.
    ///
    /// HTTP 400. Fix the client. HTTP refusals without a code of their own (405, 406, 408, 411, 414, 415, 426,
    /// 431) carry this code with that status.
    BadRequest,
    /// No credentials, or credentials that do not verify; or an operation that needs a user on a connection
    /// without one.
    ///
    /// HTTP 401. Get credentials, then try again.
    Unauthenticated,
    /// The token was good and its time is over.
    ///
    /// HTTP 401. Fetch a new token, then try again with it.
    TokenExpired,
    /// The token was revoked before its time was over.
    ///
    /// HTTP 401. Sign in again; the same token never works again.
    TokenRevoked,
    /// The credentials are good and do not allow this. Also the answer for channels that may not exist, so that
    /// it tells nothing about them.
    ///
    /// HTTP 403. Ask for the missing permission; do not retry.
    Forbidden,
    /// The operation or field is part of the protocol, and this server, or the rule of this channel, does not
    /// serve it.
    ///
    /// HTTP 403. Look into `connected.features` first; do not retry.
    NotEnabled,
    /// A count is at its bound, for example channels per connection; `limit` is the bound.
    ///
    /// HTTP 403. Give something up first (unsubscribe), then try again.
    LimitExceeded,
    /// There is no such connection, session or resource, or not for these credentials.
    ///
    /// HTTP 404. Do not retry; for `/sse/{connectionId}` open a new stream.
    NotFound,
    /// It contradicts what has already happened: a second `connect`, a `ref` that still waits for its answer, or
    /// an `id` used with other content.
    ///
    /// HTTP 409. Do not retry unchanged; take a new `ref` or `id`.
    Conflict,
    /// `data`, `meta`, a body or a batch is above its bound; `limit` is the bound in bytes or items. The
    /// connection stays.
    ///
    /// HTTP 413. Send less, or a reference to it.
    TooLarge,
    /// More than the rate of `scope` allows; `retryAfterMs` says when there is room.
    ///
    /// HTTP 429. Wait `retryAfterMs`, then send again.
    RateLimited,
    /// A mistake of the server; the operation may or may not have happened.
    ///
    /// HTTP 500. Report it. Repeating is safe only with the same `id`.
    Internal,
    /// The server has no room for this now and has refused it before doing anything.
    ///
    /// HTTP 503. Wait `retryAfterMs` (else 1 s, doubling, jittered), then send again.
    Overloaded,
    /// Something the operation needs, such as the store, does not answer now; whether it happened may be unknown.
    ///
    /// HTTP 503. Send again with the same `id`.
    Unavailable,
    /// There was no answer in time; whether it happened is unknown.
    ///
    /// HTTP 504. Send again with the same `id`.
    Timeout,
    /// The store has no space left; nothing was stored or delivered.
    ///
    /// HTTP 507. Wait for the operator, then send again with the same `id`.
    StorageFull,
}

impl Code {
    /// Every code, in the order of the table.
    pub const ALL: [Self; 16] = [
        Self::BadRequest,
        Self::Unauthenticated,
        Self::TokenExpired,
        Self::TokenRevoked,
        Self::Forbidden,
        Self::NotEnabled,
        Self::LimitExceeded,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::RateLimited,
        Self::Internal,
        Self::Overloaded,
        Self::Unavailable,
        Self::Timeout,
        Self::StorageFull,
    ];

    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Unauthenticated => "unauthenticated",
            Self::TokenExpired => "token_expired",
            Self::TokenRevoked => "token_revoked",
            Self::Forbidden => "forbidden",
            Self::NotEnabled => "not_enabled",
            Self::LimitExceeded => "limit_exceeded",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::Overloaded => "overloaded",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::StorageFull => "storage_full",
        }
    }

    /// HTTP status of an answer with this code.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::BadRequest => 400,
            Self::Unauthenticated | Self::TokenExpired | Self::TokenRevoked => 401,
            Self::Forbidden | Self::NotEnabled | Self::LimitExceeded => 403,
            Self::NotFound => 404,
            Self::Conflict => 409,
            Self::TooLarge => 413,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Overloaded | Self::Unavailable => 503,
            Self::Timeout => 504,
            Self::StorageFull => 507,
        }
    }

    /// Whether the same request, unchanged, can succeed later.
    #[must_use]
    pub const fn retryable(self) -> bool {
        match self {
            Self::BadRequest
            | Self::Unauthenticated
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::Forbidden
            | Self::NotEnabled
            | Self::LimitExceeded
            | Self::NotFound
            | Self::Conflict
            | Self::TooLarge
            | Self::Internal => false,
            Self::RateLimited | Self::Overloaded | Self::Unavailable | Self::Timeout | Self::StorageFull => true,
        }
    }
}

impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        match text {
            "bad_request" => Ok(Self::BadRequest),
            "unauthenticated" => Ok(Self::Unauthenticated),
            "token_expired" => Ok(Self::TokenExpired),
            "token_revoked" => Ok(Self::TokenRevoked),
            "forbidden" => Ok(Self::Forbidden),
            "not_enabled" => Ok(Self::NotEnabled),
            "limit_exceeded" => Ok(Self::LimitExceeded),
            "not_found" => Ok(Self::NotFound),
            "conflict" => Ok(Self::Conflict),
            "too_large" => Ok(Self::TooLarge),
            "rate_limited" => Ok(Self::RateLimited),
            "internal" => Ok(Self::Internal),
            "overloaded" => Ok(Self::Overloaded),
            "unavailable" => Ok(Self::Unavailable),
            "timeout" => Ok(Self::Timeout),
            "storage_full" => Ok(Self::StorageFull),
            _ => Err(UnknownCode),
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that is no error code of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownCode;

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no error code of this version")
    }
}

impl core::error::Error for UnknownCode {}

/// Why a connection ended: number of a WebSocket Close frame, `code` of a `goaway` frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseCode {
    /// 1000: The client asked for it with `close`, or closed first; leaves are immediate.
    Normal,
    /// 1001: The other side went away without saying more.
    GoingAway,
    /// 1002: The bytes violate RFC 6455.
    ProtocolError,
    /// 1003: A binary message on the JSON subprotocol.
    UnsupportedData,
    /// 1005: A Close frame without a number arrived.
    ///
    /// Never sent; a WebSocket library reports it.
    NoStatus,
    /// 1006: The connection ended without a Close frame.
    ///
    /// Never sent; a WebSocket library reports it.
    Abnormal,
    /// 1007: A text message that is not UTF-8.
    InvalidData,
    /// 1008: Refused by something between client and server.
    Policy,
    /// 1009: A frame above the size bound of a whole frame.
    MessageTooBig,
    /// 1011: A mistake of the server ended this connection.
    InternalError,
    /// 1012: Something between client and server restarts.
    ServiceRestart,
    /// 1013: Something between client and server is overloaded.
    TryAgainLater,
    /// 4000: The application or an operator disconnected this client and does not want it back.
    Stopped,
    /// 4001: No valid credentials, or no `connect` within the connect deadline.
    Unauthenticated,
    /// 4002: The user is blocked.
    Blocked,
    /// 4003: The session lives on another connection now. A new session may be started; resuming would make two
    /// copies fight.
    SessionTakenOver,
    /// 4004: The user, or this address, has too many connections.
    ConnectionLimit,
    /// 4008: Too many malformed frames in a short time.
    Protocol,
    /// 4100: The server has no room for this connection now.
    Overloaded,
    /// 4101: Far above a rate limit for too long.
    RateAbuse,
    /// 4102: The client does not read, and what waits for it cannot be reduced further.
    Slow,
    /// 4200: The node is being stopped; other nodes, or its successor, take over.
    Drain,
    /// 4201: The node has more than its share of connections.
    Rebalance,
    /// 4202: Nothing came back after a Ping: the path is taken for dead.
    Silent,
    /// 4203: The token's time is over and no new one was sent with `auth`.
    TokenExpired,
}

impl CloseCode {
    /// Every close code, ascending.
    pub const ALL: [Self; 25] = [
        Self::Normal,
        Self::GoingAway,
        Self::ProtocolError,
        Self::UnsupportedData,
        Self::NoStatus,
        Self::Abnormal,
        Self::InvalidData,
        Self::Policy,
        Self::MessageTooBig,
        Self::InternalError,
        Self::ServiceRestart,
        Self::TryAgainLater,
        Self::Stopped,
        Self::Unauthenticated,
        Self::Blocked,
        Self::SessionTakenOver,
        Self::ConnectionLimit,
        Self::Protocol,
        Self::Overloaded,
        Self::RateAbuse,
        Self::Slow,
        Self::Drain,
        Self::Rebalance,
        Self::Silent,
        Self::TokenExpired,
    ];

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::Normal => 1000,
            Self::GoingAway => 1001,
            Self::ProtocolError => 1002,
            Self::UnsupportedData => 1003,
            Self::NoStatus => 1005,
            Self::Abnormal => 1006,
            Self::InvalidData => 1007,
            Self::Policy => 1008,
            Self::MessageTooBig => 1009,
            Self::InternalError => 1011,
            Self::ServiceRestart => 1012,
            Self::TryAgainLater => 1013,
            Self::Stopped => 4000,
            Self::Unauthenticated => 4001,
            Self::Blocked => 4002,
            Self::SessionTakenOver => 4003,
            Self::ConnectionLimit => 4004,
            Self::Protocol => 4008,
            Self::Overloaded => 4100,
            Self::RateAbuse => 4101,
            Self::Slow => 4102,
            Self::Drain => 4200,
            Self::Rebalance => 4201,
            Self::Silent => 4202,
            Self::TokenExpired => 4203,
        }
    }

    /// The reason text of the Close frame, `reason` of `goaway`; at most 123 bytes.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::GoingAway => "going_away",
            Self::ProtocolError => "protocol_error",
            Self::UnsupportedData => "unsupported_data",
            Self::NoStatus => "no_status",
            Self::Abnormal => "abnormal",
            Self::InvalidData => "invalid_data",
            Self::Policy => "policy",
            Self::MessageTooBig => "message_too_big",
            Self::InternalError => "internal_error",
            Self::ServiceRestart => "service_restart",
            Self::TryAgainLater => "try_again_later",
            Self::Stopped => "stopped",
            Self::Unauthenticated => "unauthenticated",
            Self::Blocked => "blocked",
            Self::SessionTakenOver => "session_taken_over",
            Self::ConnectionLimit => "connection_limit",
            Self::Protocol => "protocol",
            Self::Overloaded => "overloaded",
            Self::RateAbuse => "rate_abuse",
            Self::Slow => "slow",
            Self::Drain => "drain",
            Self::Rebalance => "rebalance",
            Self::Silent => "silent",
            Self::TokenExpired => "token_expired",
        }
    }

    /// What a client does after it.
    #[must_use]
    pub const fn verdict(self) -> Verdict {
        match self {
            Self::Normal
            | Self::ProtocolError
            | Self::UnsupportedData
            | Self::InvalidData
            | Self::Policy
            | Self::MessageTooBig
            | Self::Stopped
            | Self::Unauthenticated
            | Self::Blocked
            | Self::SessionTakenOver
            | Self::ConnectionLimit
            | Self::Protocol => Verdict::Stop,
            Self::GoingAway
            | Self::NoStatus
            | Self::Abnormal
            | Self::InternalError
            | Self::ServiceRestart
            | Self::TryAgainLater
            | Self::Overloaded
            | Self::RateAbuse
            | Self::Slow => Verdict::BackOff,
            Self::Drain | Self::Rebalance | Self::Silent => Verdict::ResumeNow,
            Self::TokenExpired => Verdict::TokenFirst,
        }
    }

    /// Whether it may stand in a Close frame; the others are only reported by WebSocket libraries.
    #[must_use]
    pub const fn is_sendable(self) -> bool {
        match self {
            Self::Normal
            | Self::GoingAway
            | Self::ProtocolError
            | Self::UnsupportedData
            | Self::InvalidData
            | Self::Policy
            | Self::MessageTooBig
            | Self::InternalError
            | Self::ServiceRestart
            | Self::TryAgainLater
            | Self::Stopped
            | Self::Unauthenticated
            | Self::Blocked
            | Self::SessionTakenOver
            | Self::ConnectionLimit
            | Self::Protocol
            | Self::Overloaded
            | Self::RateAbuse
            | Self::Slow
            | Self::Drain
            | Self::Rebalance
            | Self::Silent
            | Self::TokenExpired => true,
            Self::NoStatus | Self::Abnormal => false,
        }
    }

    /// The code of a number, if it is one of the table.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1000 => Some(Self::Normal),
            1001 => Some(Self::GoingAway),
            1002 => Some(Self::ProtocolError),
            1003 => Some(Self::UnsupportedData),
            1005 => Some(Self::NoStatus),
            1006 => Some(Self::Abnormal),
            1007 => Some(Self::InvalidData),
            1008 => Some(Self::Policy),
            1009 => Some(Self::MessageTooBig),
            1011 => Some(Self::InternalError),
            1012 => Some(Self::ServiceRestart),
            1013 => Some(Self::TryAgainLater),
            4000 => Some(Self::Stopped),
            4001 => Some(Self::Unauthenticated),
            4002 => Some(Self::Blocked),
            4003 => Some(Self::SessionTakenOver),
            4004 => Some(Self::ConnectionLimit),
            4008 => Some(Self::Protocol),
            4100 => Some(Self::Overloaded),
            4101 => Some(Self::RateAbuse),
            4102 => Some(Self::Slow),
            4200 => Some(Self::Drain),
            4201 => Some(Self::Rebalance),
            4202 => Some(Self::Silent),
            4203 => Some(Self::TokenExpired),
            _ => None,
        }
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number(), self.reason())
    }
}

/// What a client does after a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verdict {
    /// Do not come back by yourself: `stop`.
    Stop,
    /// Wait with growing, jittered delays, then resume: `back_off`.
    BackOff,
    /// Resume at once, here or elsewhere: `resume_now`.
    ResumeNow,
    /// Fetch a new token, then resume at once: `token_first`.
    TokenFirst,
}

impl Verdict {
    /// The word in the tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::BackOff => "back_off",
            Self::ResumeNow => "resume_now",
            Self::TokenFirst => "token_first",
        }
    }

    /// The verdict on any close number: that of the table, else that of its hundred, else back off.
    #[must_use]
    pub const fn of_number(number: u16) -> Self {
        if let Some(code) = CloseCode::from_number(number) {
            return code.verdict();
        }
        match number {
            4000..=4099 => Self::Stop,
            4200..=4299 => Self::ResumeNow,
            _ => Self::BackOff,
        }
    }
}
