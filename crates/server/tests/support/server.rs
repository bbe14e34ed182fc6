//! A server of a test's own, inside its process, on any free port of loopback.

use std::net::SocketAddr;
use std::time::Duration;

use realtime_connector::{Builder, Config, RealtimeConnector};

/// A server in development mode and where it listens.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) rc: RealtimeConnector,
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// A server with the defaults of the product and this many workers.
    pub(crate) async fn start(workers: u32) -> Self {
        Self::start_with(Config { workers, ..Config::default() }).await
    }

    /// A server of this configuration, but for the address.
    pub(crate) async fn start_with(config: Config) -> Self {
        let listen = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        Self::start_at(Config { listen, ..config }).await
    }

    /// A server exactly as configured.
    pub(crate) async fn start_at(config: Config) -> Self {
        // The transcripts see only what their own clients do.
        let rc = Builder::new(config).playground(false).build().expect("the configuration is sound");
        let addr = rc.serve().await.expect("the address is free").local_addr();
        Self { rc, addr }
    }

    /// Ends it. Clients that do not read are not waited for: a test that wants to see the end looks for itself.
    pub(crate) async fn stop(self) {
        // Workers end with their handle; whoever still waits here waits for nothing that the test would see.
        let ended = tokio::time::timeout(Duration::from_secs(10), self.rc.shutdown()).await;
        assert!(ended.is_ok(), "the server did not stop within 10 s");
    }
}
