//! Send to a channel: its subscribers get it, others do not.
//!
//! `cargo run --example channel`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

mod support;

use realtime_connector::{Error, Message, Target, create_realtime_connector, get_realtime_connector};
use serde_json::json;
use support::{Client, any_port};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = create_realtime_connector(any_port()).await?;
    let addr = server.serve().await?.local_addr();
    let mut kitchen = Client::websocket("kitchen (WebSocket)", addr, "channel=orders").await;
    let mut screen = Client::event_source("screen (EventSource)", addr, "channel=orders&channel=news").await;
    let mut elsewhere = Client::websocket("elsewhere (WebSocket)", addr, "channel=news").await;

    let realtime_connector = get_realtime_connector().expect("created above");

    let update = Message::new("update", json!({"status": "processing"}));
    let published = realtime_connector.broadcast(update, Target::channel("orders")).await?;
    println!("{:<22} sent it to {} connections", "the application", published.connections);

    kitchen.print_next().await;
    screen.print_next().await;
    elsewhere.print_silence().await;
    server.shutdown().await;
    Ok(())
}
