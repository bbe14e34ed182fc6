//! Formats of Realtime Connector: native JSON, WebSocket and SSE framing, sans-IO.

#[path = "codes.gen.rs"]
pub mod codes;
pub mod websocket;
