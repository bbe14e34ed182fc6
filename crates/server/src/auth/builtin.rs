//! The authenticators that come with the server, and its API keys.

use std::sync::Arc;

use realtime_connector_core::id::UserId;

use super::{AuthFuture, Authenticator, Credentials, Grants, Identity, Rejection, needs_credentials};
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

/// Without tokens: everybody may listen as nobody, or nobody may.
#[derive(Debug)]
pub(crate) struct Anonymous {
    pub(crate) allowed: bool,
}

impl Authenticator for Anonymous {
    fn authenticate(&self, credentials: Credentials) -> AuthFuture<'_> {
        Box::pin(async move {
            if credentials.user_id.is_some() {
                return Err(Rejection::field("userId", "is believed in dev mode only"));
            }
            if credentials.token.is_some() || !self.allowed {
                return Err(needs_credentials());
            }
            Ok(Some(Identity::anonymous(Grants::LISTEN)))
        })
    }
}

/// The keys of the HTTP API.
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
