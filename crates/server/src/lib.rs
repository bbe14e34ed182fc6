//! Realtime messaging over WebSocket and Server-Sent Events: send an event once, and every browser, phone and service that should
//! see it sees it now.
//!
//! Use it as a program (`realtime-connector`), or inside your own axum application:
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), realtime_connector::Error> {
//! use realtime_connector::{Config, Message, Target, create_realtime_connector};
//! use serde_json::json;
//!
//! let rc = create_realtime_connector(Config::default()).await?;
//! let message = Message::new("notification", json!({"message": "New order received", "orderId": "12345"}));
//! rc.broadcast(message, Target::everyone()).await?;
//! # Ok(()) }
//! ```

mod app;
pub mod auth;
mod builder;
pub mod config;
mod earthquakes;
mod engine;
mod error;
mod event_bus;
mod handle;
mod http;
mod metrics;
mod transport;

pub use builder::Builder;
pub use config::Config;
pub use error::Error;
pub use event_bus::EventBus;
pub use handle::{Message, RealtimeConnector, Serving, Target, create_realtime_connector, get_realtime_connector};
pub use realtime_connector_core::event::Published;
