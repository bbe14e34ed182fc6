//! Reading: from bytes to commands.

use std::io;

use realtime_connector_core::command::Command;
use realtime_connector_core::id::ConnectionKey;
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::session::Reply;
use realtime_connector_core::worker::Input;
use realtime_connector_wire::json;
use realtime_connector_wire::websocket::{self, Limits, Message};

use super::connection::{Stage, Stash};
use super::worker::{SCRATCH_BYTES, WorkerLoop};

/// Reads per socket and turn, so that one sender cannot keep the others waiting.
const READS_PER_TURN: usize = 4;

/// A frame beyond this ends the connection, one below with too large a `data` is only refused: room for the envelope of the
/// largest message and for one that is too large to be told so.
pub(super) const fn websocket_limits(message_bytes: usize) -> Limits {
    const ENVELOPE_BYTES: usize = 16 * 1024;
    let bytes = message_bytes + ENVELOPE_BYTES;
    Limits { message_bytes_max: bytes, frame_bytes_max: bytes, fragments_max: 1_024 }
}

/// What became of a stretch of bytes.
pub(super) enum Decoded {
    /// All of it was taken.
    All,
    /// The rest is in the stash, for later.
    Stashed,
    /// The connection is no longer read.
    Ended,
}

impl WorkerLoop {
    /// Reads a connection until it is empty, has had its share, or has to wait.
    pub(super) fn read(&mut self, key: ConnectionKey) {
        if !self.resume(key) {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.table.get_mut(key) else { break };
            match connection.transport.read(&mut scratch) {
                Ok(0) => {
                    self.lose(key, Lost::Dropped);
                    break;
                }
                Ok(count) => {
                    if !matches!(self.decode(key, &mut scratch[..count]), Decoded::All) {
                        break;
                    }
                    if count < SCRATCH_BYTES {
                        // The kernel had no more; the next byte brings an edge.
                        self.scratch = scratch;
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.scratch = scratch;
                    return;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.lose(key, Lost::Dropped);
                    break;
                }
            }
        }
        self.scratch = scratch;
        if let Some(connection) = self.table.get_mut(key)
            && !connection.paused
        {
            self.ready.push_back(key);
        }
    }

    /// Takes the stash of a paused connection first. Returns whether its socket may be read.
    fn resume(&mut self, key: ConnectionKey) -> bool {
        let Some(connection) = self.table.get_mut(key) else { return false };
        connection.paused = false;
        let Some(mut stash) = connection.stash.take() else { return true };
        matches!(self.decode(key, &mut stash.bytes), Decoded::All)
    }

    fn decode(&mut self, key: ConnectionKey, bytes: &mut [u8]) -> Decoded {
        let Some(connection) = self.table.get_mut(key) else { return Decoded::Ended };
        if connection.stage == Stage::Open {
            self.core.handle(self.clock.now(), Input::Received { connection: key });
        }
        let Some(connection) = self.table.get_mut(key) else { return Decoded::Ended };
        if connection.dialect.is_sse() {
            // A client has nothing to say on this stream; whatever it pipelined is dropped.
            return Decoded::All;
        }
        if let Some(limits) = self.node.echo {
            return self.echo(key, bytes, limits);
        }
        let limits = websocket_limits(self.decode_limits.message_bytes);
        let mut input = bytes;
        loop {
            if !self.core.takes_commands() || self.core.is_congested(key) {
                return self.pause(key, input);
            }
            let Some(connection) = self.table.get_mut(key) else { return Decoded::Ended };
            let listens = connection.stage == Stage::Open;
            match connection.decoder.decode(&mut input, &limits) {
                Ok(None) => return Decoded::All,
                Ok(Some(Message::Text(text))) if listens => {
                    let mut frame = json::decode(text, &self.decode_limits);
                    connection.decoder.release();
                    if let Ok(Command::Connect(connect)) = &mut frame.result {
                        connect.former = connect.resume.take().and_then(|token| self.node.keys.session_of(&token));
                    }
                    if let Ok(Command::Connect(connect)) = &frame.result
                        && connect.token.is_none()
                    {
                        // It goes by the identity of the handshake, whose token is not needed any more.
                        connection.rare = None;
                    }
                    let reply = Reply::Stream(frame.reference);
                    self.handle(match frame.result {
                        Ok(command) => Input::Command { connection: key, command, reply },
                        Err(rejection) => Input::Malformed { connection: key, rejection: Box::new(rejection), reply },
                    });
                }
                Ok(Some(Message::Ping(payload))) => {
                    connection.pongs.push(payload);
                    self.core.requeue(key);
                }
                Ok(Some(Message::Binary(_))) if listens => {
                    let code = websocket::close_code::UNSUPPORTED;
                    return self.violate(key, code, "this subprotocol is text");
                }
                Ok(Some(Message::Close { code, .. })) => return self.close_by_peer(key, code),
                Ok(Some(Message::Text(_) | Message::Binary(_) | Message::Pong(_))) => {}
                Err(violation) => return self.violate(key, violation.code(), &violation.to_string()),
            }
        }
    }

    /// Keeps the bytes until commands are taken again, and stops reading the socket.
    fn pause(&mut self, key: ConnectionKey, rest: &[u8]) -> Decoded {
        let Some(connection) = self.table.get_mut(key) else { return Decoded::Ended };
        connection.stash = (!rest.is_empty()).then(|| Stash::new(rest));
        connection.paused = true;
        if !self.core.is_congested(key) {
            // Only credits are missing: they come back without the connection's doing.
            self.ready.push_back(key);
        }
        Decoded::Stashed
    }

    /// The peer closes: its code is repeated (RFC 6455, 5.5.1), and the session ends.
    pub(super) fn close_by_peer(&mut self, key: ConnectionKey, code: Option<u16>) -> Decoded {
        let mut frame = Vec::new();
        websocket::encode_close(&mut frame, code, "");
        self.linger(key, &frame, Lost::Closed);
        Decoded::Ended
    }

    /// The peer broke the framing: it is told which rule, and the session ends.
    pub(super) fn violate(&mut self, key: ConnectionKey, code: u16, reason: &str) -> Decoded {
        let mut frame = Vec::new();
        websocket::encode_close(&mut frame, Some(code), reason);
        self.linger(key, &frame, Lost::Violation);
        Decoded::Ended
    }
}
