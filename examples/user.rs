//! Send to a specific user: every connection of that user gets it, nobody else does.
//!
//! `cargo run --example user`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

mod support;

use realtime_connector::{Error, Message, Target, create_realtime_connector, get_realtime_connector};
use serde_json::json;
use support::{Client, any_port};

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = create_realtime_connector(any_port()).await?;
    let addr = server.serve().await?.local_addr();
    let mut phone = Client::websocket("phone (WebSocket)", addr, "userId=user-123").await;
    let mut laptop = Client::event_source("laptop (EventSource)", addr, "userId=user-123").await;
    let mut stranger = Client::websocket("stranger (WebSocket)", addr, "userId=user-456").await;

    let realtime_connector = get_realtime_connector().expect("created above");

    let alert = Message::new("alert", json!({"message": "Payment successful"}));
    let published = realtime_connector.broadcast(alert, Target::user("user-123")).await?;
    println!("{:<22} sent it to {} connections", "the application", published.connections);

    phone.print_next().await;
    laptop.print_next().await;
    stranger.print_silence().await;
    server.shutdown().await;
    Ok(())
}
