//! An echo server through the connector's own connection layer, with raised limits, for WebSocket conformance suites.
//!
//! `cargo run --release --example ws-echo`, then for instance the Autobahn suite: `wstest -m fuzzingclient` with
//! `{"servers": [{"agent": "realtime-connector", "url": "ws://127.0.0.1:9001/ws"}], "cases": ["*"], "exclude-cases": ["12.*", "13.*"]}`
//! (compression is refused for now).

#![expect(clippy::print_stdout, reason = "an example says where it is")]

use realtime_connector::{Builder, Config, EchoLimits};

/// What the largest cases of the suite send: 16 MiB in one message, and 4 MiB in fragments of 64 bytes.
const LIMITS: EchoLimits = EchoLimits { message_bytes_max: 16 * 1024 * 1024, fragments_max: 65_536 };

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:9001".into()).parse()?;
    let config = Config { listen: Some(listen), ..Config::default() };
    let rc = Builder::new(config).echo(LIMITS).build()?;
    let serving = rc.serve().await?;
    println!("echoing at ws://{}/ws", serving.local_addr());
    serving.wait().await;
    Ok(())
}
