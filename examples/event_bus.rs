//! Event-driven use: one part of the application says what happened, another one tells the clients.
//!
//! `cargo run --example event_bus`

#![expect(clippy::print_stdout, reason = "an example shows what happens")]

mod support;

use realtime_connector::{Error, Event, Message, Target, create_realtime_connector, get_realtime_connector};
use serde::{Deserialize, Serialize};
use support::{Client, any_port};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Order {
    order_id: String,
    total_cents: u64,
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let server = create_realtime_connector(any_port()).await?;
    let addr = server.serve().await?.local_addr();
    let mut kitchen = Client::websocket("kitchen (WebSocket)", addr, "channel=orders").await;
    let mut screen = Client::event_source("screen (EventSource)", addr, "channel=orders").await;
    let event_bus = server.event_bus();

    // Whatever is known about an order goes to the subscribers of `orders`, as it is.
    let forward = event_bus.subscribe("order.created", |event: Event| async move {
        let Some(realtime_connector) = get_realtime_connector() else { return Ok(()) };
        let message = Message::new(event.event_type, event.payload);
        realtime_connector.broadcast(message, Target::channel("orders")).await.map(drop)
    })?;

    // A typed handler gets only what reads as an order.
    let log = event_bus.subscribe("order.*", |event: Event<Order>| async move {
        println!("{:<22} heard {} of order {}", "the event bus", event.event_type, event.payload.order_id);
    })?;

    event_bus.publish("order.created", Order { order_id: "12345".into(), total_cents: 4_200 }).await?;

    kitchen.print_next().await;
    screen.print_next().await;
    drop((forward, log));
    server.shutdown().await;
    Ok(())
}
