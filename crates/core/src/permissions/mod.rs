//! Who may do what.
//!
//! An authenticator outside core turns credentials into an [`Identity`]; core asks only its [`Grants`]. Deny by default: what
//! no grant allows is `forbidden`.

use bytes::Bytes;

use crate::id::{AppId, UserId};
use crate::time::UnixMs;

/// Who a connection is.
///
/// More will belong to it; so it is made by [`Identity::of`] or [`Identity::anonymous`], and what else there is is set on that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
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

impl Identity {
    /// A user.
    #[must_use]
    pub fn of(user: UserId, grants: Grants) -> Self {
        Self { user: Some(user), ..Self::anonymous(grants) }
    }

    /// Nobody in particular.
    #[must_use]
    pub fn anonymous(grants: Grants) -> Self {
        Self { grants, ..Self::default() }
    }

    /// Metadata that the application vouches for: the text of a JSON object.
    #[must_use]
    pub fn with_meta(self, meta: impl Into<Bytes>) -> Self {
        Self { meta: Some(meta.into()), ..self }
    }

    /// When the authorisation ends.
    #[must_use]
    pub fn until(self, expires_at: UnixMs) -> Self {
        Self { expires_at: Some(expires_at), ..self }
    }
}

/// What a connection may do, on every channel alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grants {
    /// Listen to channels.
    pub subscribe: bool,
    /// Send messages.
    pub publish: bool,
    /// Take messages as a durable consumer, and say what became of them.
    pub consume: bool,
}

impl Grants {
    /// Everything: development, and servers with a key.
    pub const ALL: Self = Self { subscribe: true, publish: true, consume: true };
    /// Listening only: anonymous visitors.
    pub const LISTEN: Self = Self { subscribe: true, publish: false, consume: false };
}
