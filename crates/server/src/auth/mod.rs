//! Who a connection or a caller is, and what the server signs and seals for them.
//!
//! An [`Authenticator`] turns what a request shows into an identity. Two come with the server: *dev* (everything is allowed, the
//! identity is a query parameter; loopback only) and *by key* (an API key may do everything; without one a connection may listen, if
//! the configuration says so). Applications bring their own.

mod builtin;
pub(crate) mod seal;

use std::pin::Pin;
use std::time::Duration;

pub(crate) use builtin::{ApiKeys, ByKey, Dev};
/// The text of [`Identity::meta`].
pub use bytes::Bytes;
pub use realtime_connector_core::id::{AppId, UserId};
pub use realtime_connector_core::permissions::{Grants, Identity};
pub use realtime_connector_core::rejection::{Rejection, RejectionKind};
pub use realtime_connector_core::time::UnixMs;

/// What a request shows of who sends it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Credentials {
    /// An explicit token: `Authorization: Bearer`, `ticket`, or the `connect` frame's.
    pub token: Option<String>,
    /// The value of the cookie named by `auth.cookie`.
    pub cookie: Option<String>,
    /// The `userId` query parameter. Anybody can set it: only the dev authenticator believes it.
    pub user_id: Option<String>,
    /// The page's origin, if a browser sent one.
    pub origin: Option<String>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tokens never reach a log.
        f.debug_struct("Credentials")
            .field("token", &self.token.is_some())
            .field("cookie", &self.cookie.is_some())
            .field("user_id", &self.user_id)
            .field("origin", &self.origin)
            .finish()
    }
}

/// The answer of an [`Authenticator`].
///
/// `Ok(None)` means that the request shows nothing: a WebSocket may then still send a token in its first frame.
pub type Authenticated = Result<Option<Identity>, Rejection>;

/// A boxed future, so that authenticators can be trait objects.
pub type AuthFuture<'a> = Pin<Box<dyn Future<Output = Authenticated> + Send + 'a>>;

/// Decides who a connection is.
///
/// ```
/// use realtime_connector::auth::{AuthFuture, Authenticator, Credentials, Grants, Identity, UserId};
/// use realtime_connector::{Rejection, RejectionKind};
///
/// struct Sessions;
///
/// impl Authenticator for Sessions {
///     fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_> {
///         Box::pin(async move {
///             match credentials.cookie.as_deref() {
///                 Some("ada's session") => {
///                     let user = UserId::parse("ada").map_err(|error| Rejection::name("user", error))?;
///                     Ok(Some(Identity::of(user, Grants::ALL)))
///                 }
///                 _ => Err(Rejection::new(RejectionKind::Unauthenticated, "sign in first")),
///             }
///         })
///     }
/// }
/// ```
pub trait Authenticator: Send + Sync + 'static {
    /// Decides. Runs on the asynchronous front, never on a worker, so it may wait.
    fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_>;
}

/// What somebody without credentials is told where they are needed.
pub(crate) fn needs_credentials() -> Rejection {
    Rejection::new(RejectionKind::Unauthenticated, "credentials are needed: a token or a cookie")
}

/// How long an authenticator may take: as long as a client waits for any answer. Each handshake holds the place of a connection
/// meanwhile.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Asks an authenticator, and waits no longer than `patience`.
pub(crate) async fn ask(
    authenticator: &dyn Authenticator,
    credentials: Credentials,
    patience: Duration,
) -> Authenticated {
    let late = |_| Err(Rejection::new(RejectionKind::Timeout, "the credentials could not be verified within 10 s"));
    tokio::time::timeout(patience, authenticator.authenticate(credentials)).await.unwrap_or_else(late)
}
