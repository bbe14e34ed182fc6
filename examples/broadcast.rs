//! Broadcast a message: everyone who is connected gets it, over both providers.
//!
//! `cargo run --example broadcast`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

mod support;

use realtime_connector::{Error, Message, Target, create_realtime_connector, get_realtime_connector};
use serde_json::json;
use support::{Client, any_port};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = create_realtime_connector(any_port()).await?;
    let addr = server.serve().await?.local_addr();
    let mut ada = Client::websocket("ada (WebSocket)", addr, "userId=ada").await;
    let mut bob = Client::event_source("bob (EventSource)", addr, "userId=bob").await;

    // Anywhere in the application:
    let realtime_connector = get_realtime_connector().expect("created above");

    let notification = Message::new("notification", json!({"message": "New order received", "orderId": "12345"}));
    realtime_connector.broadcast(notification, Target::everyone()).await?;
    println!("{:<22} sent it to everyone", "the application");

    ada.print_next().await;
    bob.print_next().await;
    server.shutdown().await;
    Ok(())
}
