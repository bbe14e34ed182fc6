//! What can go wrong.
//!
//! Two kinds, as everywhere in this project: a [`Rejection`] says why one publish or one call was refused, in the words a client
//! would be told; an [`Error`] is for whoever builds and runs the connector. Everything converts into [`Error`], so that a
//! `main` that returns it can use `?` throughout.

use std::io;
use std::net::SocketAddr;

use realtime_connector_core::rejection::Rejection;

use crate::config::ConfigError;
use crate::event_bus::{PublishError, SubscribeError};
use crate::store::OpenStoreError;

/// Why a connector cannot be created or cannot serve, or what one of its parts refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The address is taken or not ours.
    #[error("failed to listen on {address}: {source}")]
    Bind {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The system refused a thread or a poll.
    #[error("failed to start the workers: {0}")]
    Workers(#[source] io::Error),
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] OpenStoreError),
    /// A router was asked for, and nobody has said who may use it: the host application may listen anywhere.
    #[error(
        "a router needs to know who may come in: give the builder an `authenticator`, configure `auth`, \
         or say `dev()` to let everyone on this machine do everything"
    )]
    RouterNeedsAuthenticator,
    /// A publish or a call was refused.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The event bus refused a subscription.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
    /// The event bus refused an event, or a handler missed it.
    #[error(transparent)]
    Publish(#[from] PublishError),
}
