//! Reading: from bytes to commands.
//!
//! A connection is paused while its commands may not be taken: what was read of them waits in its stash, the rest in the socket.
//! Whoever waits for its own outbox is read again when that is written; whoever waits for credits or for its next share is on the
//! list of connections to read.

use std::io;

use realtime_connector_core::command::Command;
use realtime_connector_core::id::ConnectionKey;
use realtime_connector_core::rejection::Lost;
use realtime_connector_core::session::Reply;
use realtime_connector_core::worker::Input;
use realtime_connector_wire::json;
use realtime_connector_wire::websocket::{self, Limits, Message};

use super::connection::{Stage, Stash};
use super::echo::OWED_BYTES_MAX;
use super::worker::WorkerLoop;

/// Reads per socket and turn, so that one sender cannot keep the others waiting.
const READS_PER_TURN: usize = 4;
/// Messages of one stretch of bytes: those that need neither a credit nor an answer are bounded by nothing else, and thousands of
/// them fit into one read.
const MESSAGES_PER_STRETCH: usize = 256;

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
    /// So many bytes at its end are for later.
    Left(usize),
    /// The connection says nothing more that matters.
    Ended,
}

/// How far to read a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// To a read that does not fill the buffer: an edge has just said that there is something, and the next one will.
    Short,
    /// To a read that finds nothing: edges may have come and gone, and the peer's end with them.
    Empty,
}

impl WorkerLoop {
    /// Puts a connection on the list of those to read, once.
    pub(super) fn queue_read(&mut self, key: ConnectionKey) {
        if let Some(connection) = self.table.get_mut(key)
            && !std::mem::replace(&mut connection.queued_read, true)
        {
            self.ready.push_back(key);
        }
    }

    /// Reads a connection until it is empty, has had its share, or has to wait.
    pub(super) fn read(&mut self, key: ConnectionKey, until: Until) {
        if !self.resume(key) {
            return;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if self.read_into(&mut scratch, key, until) {
            self.queue_read(key);
        }
        self.scratch = scratch;
    }

    /// Returns whether there may be more that nothing will announce.
    fn read_into(&mut self, scratch: &mut [u8], key: ConnectionKey, until: Until) -> bool {
        for _ in 0..READS_PER_TURN {
            let Some(connection) = self.table.get_mut(key) else { return false };
            match connection.transport.read(scratch) {
                Ok(0) => {
                    self.lose(key, Lost::Dropped);
                    return false;
                }
                Ok(count) => {
                    let announced = connection.transport.announces_more() && until == Until::Short;
                    if connection.stage == Stage::Open {
                        self.core.handle(self.clock.now(), Input::Received { connection: key });
                    }
                    match self.decode(key, &mut scratch[..count]) {
                        // The kernel had no more; the next byte brings an edge.
                        Decoded::All if count < scratch.len() && announced => return false,
                        Decoded::All => {}
                        Decoded::Left(left) => {
                            let stash = (left > 0).then(|| Stash::new(&scratch[count - left..count]));
                            self.pause(key, stash);
                            return false;
                        }
                        Decoded::Ended => return true,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.lose(key, Lost::Dropped);
                    return false;
                }
            }
        }
        true
    }

    /// Takes the stash of a paused connection first. Returns whether its socket may be read.
    fn resume(&mut self, key: ConnectionKey) -> bool {
        let must_write = self.must_write(key);
        let Some(connection) = self.table.get_mut(key) else { return false };
        if connection.paused {
            if must_write {
                return false;
            }
            if !self.core.takes_commands() {
                self.queue_read(key);
                return false;
            }
            connection.paused = false;
        }
        let Some(mut stash) = connection.stash.take() else { return true };
        match self.decode(key, stash.left()) {
            Decoded::All => true,
            Decoded::Left(left) => {
                stash.keep(left);
                self.pause(key, (left > 0).then_some(stash));
                false
            }
            Decoded::Ended => {
                self.queue_read(key);
                false
            }
        }
    }

    /// Whether a connection has to write before it is read on.
    fn must_write(&mut self, key: ConnectionKey) -> bool {
        if self.node.echo.is_some() {
            return self.table.get_mut(key).is_some_and(|connection| connection.owed_bytes() > OWED_BYTES_MAX);
        }
        self.core.is_congested(key)
    }

    /// Keeps the bytes for later, and stops reading the socket.
    fn pause(&mut self, key: ConnectionKey, stash: Option<Box<Stash>>) {
        let Some(connection) = self.table.get_mut(key) else { return };
        connection.stash = stash;
        connection.paused = true;
        if !self.must_write(key) {
            // Credits come back, and the next turn comes, without the connection's doing.
            self.queue_read(key);
        }
    }

    fn decode(&mut self, key: ConnectionKey, bytes: &mut [u8]) -> Decoded {
        let Some(connection) = self.table.get_mut(key) else { return Decoded::Ended };
        if connection.dialect.is_sse() {
            // A client has nothing to say on this stream; whatever it pipelined is dropped.
            return Decoded::All;
        }
        if connection.stage.has_ended() {
            return self.discard(key, bytes);
        }
        if let Some(limits) = self.node.echo {
            return self.echo(key, bytes, limits);
        }
        let limits = websocket_limits(self.decode_limits.message_bytes);
        let mut input = bytes;
        for _ in 0..MESSAGES_PER_STRETCH {
            if !self.core.takes_commands() || self.core.is_congested(key) {
                return Decoded::Left(input.len());
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
                Ok(Some(Message::Pong(payload))) if listens => {
                    if let Some(offset) = realtime_connector_wire::probed(payload) {
                        self.handle(Input::Pong { connection: key, offset });
                    }
                }
                Ok(Some(Message::Text(_) | Message::Binary(_) | Message::Pong(_))) => {}
                Err(violation) => return self.violate(key, violation.code(), &violation.to_string()),
            }
        }
        Decoded::Left(input.len())
    }

    /// After the last word only the peer's own last word is of interest: with both said, nobody waits for anything.
    fn discard(&mut self, key: ConnectionKey, bytes: &mut [u8]) -> Decoded {
        let limits = websocket_limits(self.decode_limits.message_bytes);
        let Some(connection) = self.table.get_mut(key) else { return Decoded::Ended };
        let all_is_said = connection.owed_bytes() == 0;
        let mut input = bytes;
        loop {
            match connection.decoder.decode(&mut input, &limits) {
                // Parts of its messages may be lost, so that the rest need not make sense.
                Ok(None) | Err(_) => return Decoded::All,
                Ok(Some(Message::Close { .. })) if all_is_said => {
                    self.forget(key);
                    return Decoded::Ended;
                }
                Ok(Some(
                    Message::Close { .. } | Message::Text(_) | Message::Binary(_) | Message::Ping(_) | Message::Pong(_),
                )) => {}
            }
        }
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
