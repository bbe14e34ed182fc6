//! Realtime messaging over WebSocket and Server-Sent Events, embeddable in an axum application.

pub mod config;
