//! Who may do what.
//!
//! An authenticator outside core turns credentials into an [`Identity`]; core asks only its [`Grants`]. Deny by default: what
//! no grant allows is `forbidden`.

use bytes::Bytes;

use crate::id::{AppId, UserId};
use crate::time::UnixMs;

/// Who a connection is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// The application.
    pub app: AppId,
    /// The user; `None` is anonymous.
    pub user: Option<UserId>,
    /// What it may do.
    pub grants: Grants,
    /// Metadata that the application vouches for: a JSON object.
    pub meta: Option<Bytes>,
    /// When the authorisation ends. The client is told; 30 s later its connection is closed with 4203.
    pub expires_at: Option<UnixMs>,
}

/// What a connection may do, on every channel alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    /// Listen to channels.
    pub subscribe: bool,
    /// Send messages.
    pub publish: bool,
}

impl Grants {
    /// Everything: development, and servers with a key.
    pub const ALL: Self = Self { subscribe: true, publish: true };
    /// Listening only: anonymous visitors.
    pub const LISTEN: Self = Self { subscribe: true, publish: false };
}
