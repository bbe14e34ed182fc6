//! What can go wrong for the operator, as opposed to a client.

use std::io;
use std::net::SocketAddr;

use crate::config::ConfigError;

/// Why a connector cannot be created or cannot serve.
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
    /// A publish was refused.
    #[error("{}", .0.message)]
    Rejected(realtime_connector_core::rejection::Rejection),
}

impl From<realtime_connector_core::rejection::Rejection> for Error {
    fn from(rejection: realtime_connector_core::rejection::Rejection) -> Self {
        Self::Rejected(rejection)
    }
}
