//! Formats of Realtime Connector: native JSON, WebSocket and SSE framing, sans-IO.

pub mod websocket;
