//! Realtime messaging over WebSocket and Server-Sent Events: send an event once, and every browser, phone and service that should
//! see it sees it now.
//!
//! Use it as a program (`realtime-connector`), or inside your own application:
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
//!
//! | | |
//! |---|---|
//! | [`create_realtime_connector`], [`get_realtime_connector`], [`Builder`] | make a connector, find it again |
//! | [`RealtimeConnector`] | publish, look, steer, serve, mount |
//! | [`Message`], [`Target`], [`PublishResult`] | what is sent, to whom, and what became of it |
//! | [`HistoryQuery`], [`HistoryPage`] | what was |
//! | [`Connections`] | who is here |
//! | [`EventBus`], [`Event`] | what happened, and who acts on it |
//! | [`Config`], [`config`] | every setting |
//! | [`auth`] | who may come in |
//! | [`id`] | names: what they are, and what is wrong with one |
//! | [`Error`], [`Rejection`] | what can go wrong |
//!
//! The guides are `docs/embedding.md` and `docs/events.md`.

mod app;
pub mod auth;
mod builder;
pub mod config;
mod connections;
mod consumers;
mod earthquakes;
mod engine;
mod error;
mod event_bus;
mod handle;
mod history;
mod hooks;
mod http;
mod inbox;
mod inert;
mod message;
mod metrics;
mod runtime;
pub mod store;
mod transport;

pub use builder::{Builder, EchoLimits};
pub use config::{Config, Provider};
pub use connections::{ConnectionCursor, ConnectionFilter, ConnectionId, ConnectionInfo, ConnectionPage, Connections};
pub use consumers::{ConsumeFrom, Consumer, ConsumerInfo, DeadLetter, Deliveries, Delivery};
pub use error::Error;
pub use event_bus::{
    Event, EventBus, EventBusStats, HandlerResult, HandlerStats, PatternError, PublishError, SubscribeError,
    Subscription,
};
pub use handle::{RealtimeConnector, Serving, create_realtime_connector, get_realtime_connector};
pub use history::{At, HistoryCursor, HistoryMessage, HistoryPage, HistoryQuery};
pub use inbox::{Inbox, InboxCursor, InboxPage};
pub use message::{Ack, Message, Target};
pub use realtime_connector_core::event::Published as PublishResult;
pub use realtime_connector_core::id::{MessageId, UserId};
pub use realtime_connector_core::position::{Epoch, Gap, GapReason, Position};
pub use realtime_connector_core::rejection::{Rejection, RejectionKind};
pub use realtime_connector_core::time::UnixMs;

/// Names, as they stand in identities, rejections and results.
///
/// A name is checked once, when it is parsed, and [`NameError`](id::NameError) says what is wrong with it.
///
/// ```
/// use realtime_connector::id::{NameError, UserId};
///
/// assert_eq!(UserId::parse(""), Err(NameError::Empty));
/// assert_eq!(UserId::parse("ada")?.as_str(), "ada");
/// # Ok::<(), NameError>(())
/// ```
pub mod id {
    pub use realtime_connector_core::id::{AppId, Audience, ChannelKey, ChannelName, MessageId, NameError, UserId};
}

/// The guides' snippets are compiled and run with the tests.
#[cfg(doctest)]
mod guides {
    #[doc = include_str!("../../../docs/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../../../docs/consumers.md")]
    struct Consumers;
    #[doc = include_str!("../../../docs/events.md")]
    struct Events;
    #[doc = include_str!("../../../README.md")]
    struct Readme;
}
