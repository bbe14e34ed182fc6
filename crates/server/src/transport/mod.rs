//! How connections come in, until a worker takes them over.

pub(crate) mod listen;
pub(crate) mod pump;
pub(crate) mod request;
pub(crate) mod socket;
pub(crate) mod sse;
mod takeover;
mod unread;
pub(crate) mod ws;

use bytes::Bytes;
use realtime_connector_core::command::Connect;
use realtime_connector_core::frame::Dialect;
use realtime_connector_core::permissions::Identity;
use realtime_connector_core::session::Client;

use crate::engine::{Adoption, Place, Stream};

/// A connection that only lacks its stream.
pub(crate) struct Handover {
    /// Bytes to write first.
    pub(crate) head: Bytes,
    pub(crate) dialect: Dialect,
    pub(crate) client: Client,
    pub(crate) identity: Option<Identity>,
    pub(crate) connect: Option<Connect>,
    /// The number of the `connect` frame in the request's body.
    pub(crate) reference: Option<u64>,
    /// The explicit token of a handshake that is followed by a `connect` frame.
    pub(crate) token: Option<String>,
    pub(crate) place: Place,
}

impl std::fmt::Debug for Handover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tokens never reach a log.
        f.debug_struct("Handover").field("client", &self.client).finish_non_exhaustive()
    }
}

impl Handover {
    pub(crate) fn with(self, stream: Stream, prelude: Bytes) -> Adoption {
        let Self { head, dialect, client, identity, connect, reference, token, place } = self;
        Adoption { stream, prelude, head, dialect, client, identity, connect, reference, token, place }
    }
}
