//! The authenticators that come with the server, and its API keys.

use std::sync::Arc;

use realtime_connector_core::id::UserId;

use super::{AuthFuture, Authenticator, Credentials, Grants, Identity, Rejection, RejectionKind, needs_credentials};
use crate::config::Auth;

/// Development: whoever says to be somebody is. The server sees to it that only loopback gets here.
#[derive(Debug)]
pub(crate) struct Dev;

impl Authenticator for Dev {
    fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_> {
        Box::pin(async move {
            let user = credentials.user_id.as_deref().map(UserId::parse).transpose();
            let user = user.map_err(|error| Rejection::name("userId", error))?;
            Ok(Some(user.map_or(Identity::anonymous(Grants::ALL), |user| Identity::of(user, Grants::ALL))))
        })
    }
}

/// What the section `auth` says: a server with a key may do everything, and everybody else may listen as nobody, or may not.
#[derive(Debug)]
pub(crate) struct ByKey {
    pub(crate) keys: ApiKeys,
    pub(crate) anonymous: bool,
}

impl Authenticator for ByKey {
    fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_> {
        Box::pin(async move {
            if credentials.user_id.is_some() {
                return Err(Rejection::field("userId", "is believed in dev mode only"));
            }
            match credentials.token {
                Some(token) if self.keys.check(Some(&token)).is_some() => Ok(Some(Identity::anonymous(Grants::ALL))),
                Some(_) => Err(Rejection::new(RejectionKind::Unauthenticated, "the token is none of the API keys")),
                None if self.anonymous => Ok(Some(Identity::anonymous(Grants::LISTEN))),
                None => Err(needs_credentials()),
            }
        })
    }
}

/// The keys of servers.
#[derive(Debug)]
pub(crate) struct ApiKeys {
    keys: Vec<(String, Arc<str>)>,
    /// Everybody is let in.
    open: bool,
}

impl ApiKeys {
    pub(crate) fn new(auth: &Auth, open: bool) -> Self {
        let name = |index: usize, name: &Option<String>| match name {
            Some(name) => Arc::from(name.as_str()),
            None => Arc::from(format!("key {}", index + 1)),
        };
        let keys = auth.api_keys.iter().enumerate();
        let keys = keys.map(|(index, key)| (key.key.reveal().to_owned(), name(index, &key.name))).collect();
        Self { keys, open }
    }

    /// The name of the key, if it is one. Every key is compared in constant time, so timing tells nothing.
    pub(crate) fn check(&self, presented: Option<&str>) -> Option<Arc<str>> {
        if self.open {
            return Some(Arc::from("dev"));
        }
        let presented = presented?.as_bytes();
        let mut found = None;
        for (key, name) in &self.keys {
            if aws_lc_rs::constant_time::verify_slices_are_equal(key.as_bytes(), presented).is_ok() {
                found = Some(name.clone());
            }
        }
        found
    }
}
