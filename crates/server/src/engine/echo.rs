//! Echo: each WebSocket message goes back as it came, in one frame. Conformance suites test the connection layer by it.
//!
//! Reading, pings, closing and writing are those of every other connection; only core has no session for it, so there is no
//! first frame, no deadline and no heartbeat.

use realtime_connector_core::id::ConnectionKey;
use realtime_connector_core::rejection::Lost;
use realtime_connector_wire::websocket::{self, Limits, Message, Opcode};

use super::connection::Stage;
use super::reading::Decoded;
use super::worker::WorkerLoop;
use crate::builder::EchoLimits;

/// Bytes that may wait to be written before the socket is no longer read.
pub(super) const OWED_BYTES_MAX: usize = 1024 * 1024;

impl WorkerLoop {
    /// The node goes down: core has nobody to tell.
    pub(super) fn end_echoes(&mut self) {
        if self.node.echo.is_none() {
            return;
        }
        for key in self.table.keys() {
            if self.table.get_mut(key).is_some_and(|it| it.stage == Stage::Open && !it.dialect.is_sse()) {
                let mut frame = Vec::new();
                websocket::encode_close(&mut frame, Some(websocket::close_code::GOING_AWAY), "");
                self.linger(key, &frame, Lost::Closed);
            }
        }
    }

    /// Takes the messages out of `input` and sends them back.
    pub(super) fn echo(&mut self, key: ConnectionKey, mut input: &mut [u8], limits: EchoLimits) -> Decoded {
        let limits = Limits {
            message_bytes_max: limits.message_bytes_max,
            frame_bytes_max: limits.message_bytes_max,
            fragments_max: limits.fragments_max,
        };
        loop {
            let Some(connection) = self.table.get_mut(key) else { return Decoded::Ended };
            if connection.owed_bytes() > OWED_BYTES_MAX {
                return Decoded::Left(input.len());
            }
            let mut out = Vec::new();
            let end = loop {
                match connection.decoder.decode(&mut input, &limits) {
                    Ok(Some(Message::Text(text))) => websocket::encode_text(&mut out, text),
                    Ok(Some(Message::Binary(bytes))) => websocket::encode(&mut out, Opcode::Binary, bytes),
                    Ok(Some(Message::Ping(payload))) => connection.pongs.push(payload),
                    Ok(Some(Message::Pong(_))) => {}
                    Ok(Some(Message::Close { code, .. })) => break End::Close(code),
                    Ok(None) => break End::Input,
                    Err(violation) => break End::Violation(violation),
                }
                if out.len() > OWED_BYTES_MAX {
                    break End::Full;
                }
            };
            if !out.is_empty() {
                connection.owe(&out);
            }
            if !connection.blocked {
                self.flush(key);
            }
            match end {
                End::Full => {}
                End::Input => return Decoded::All,
                End::Close(code) => return self.close_by_peer(key, code),
                End::Violation(violation) => return self.violate(key, violation.code(), &violation.to_string()),
            }
        }
    }
}

/// Why a stretch of messages ended.
enum End {
    /// There may be more, but what has been said is enough for one write.
    Full,
    Input,
    Close(Option<u16>),
    Violation(websocket::Violation),
}
