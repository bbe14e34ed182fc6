//! Configurations for tests.

use std::net::SocketAddr;

use realtime_connector::Config;

/// A configuration for any free port of loopback, with two workers.
pub(crate) fn config() -> Config {
    configured("{}")
}

/// As [`config`], with these keys besides.
pub(crate) fn configured(json: &str) -> Config {
    let config = Config::from_json(json).expect("a good configuration");
    Config { listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))), workers: 2, ..config }
}
