//! The status codes of close frames (RFC 6455, 7.4, and the registry it opened).
//!
//! Codes above 3999 belong to the application and are named where its protocol is.

/// The purpose of the connection is fulfilled.
pub const NORMAL: u16 = 1000;
/// The server goes down or the page is left.
pub const GOING_AWAY: u16 = 1001;
/// The peer broke RFC 6455.
pub const PROTOCOL: u16 = 1002;
/// A kind of message that is not accepted, such as binary on a text protocol.
pub const UNSUPPORTED: u16 = 1003;
/// A payload that is not what its kind says, such as text that is not UTF-8.
pub const INVALID_PAYLOAD: u16 = 1007;
/// A rule of the server was broken.
pub const POLICY: u16 = 1008;
/// A message above the limit.
pub const TOO_BIG: u16 = 1009;
/// The client wanted an extension that the server did not choose.
pub const EXTENSION_MISSING: u16 = 1010;
/// The server failed.
pub const INTERNAL: u16 = 1011;
/// The server restarts.
pub const RESTART: u16 = 1012;
/// The server is overloaded.
pub const TRY_LATER: u16 = 1013;

/// Whether `code` may stand in a close frame.
///
/// 1004 is reserved, 1005, 1006 and 1015 only describe what an endpoint saw, below 1000 nothing is defined, 1016–2999
/// wait for a future RFC, and from 5000 on there is no meaning.
pub const fn may_be_sent(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}
