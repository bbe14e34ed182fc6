//! One connection as its worker holds it: the stream, the framing, and what could not be written yet.

use std::io::{self, IoSlice, Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use mio::{Interest, Registry, Token};
use realtime_connector_core::frame::Dialect;
use realtime_connector_wire::websocket::{self, Decoder, Opcode, Role};
use socket2::SockRef;

use super::front::{Place, Stream};
use crate::transport::pump::WorkerEnd;

/// `MSG_NOSIGNAL`: in a process that does not ignore SIGPIPE, which a host application is free to be, a write to a peer that is gone
/// must be an error and not the end. The standard library's own writes say the same. Elsewhere it is a property of the socket.
const NO_SIGNAL: std::ffi::c_int = if cfg!(any(target_os = "linux", target_os = "android")) { 0x4000 } else { 0 };

/// The bytes' way in and out. Never blocks.
#[derive(Debug)]
pub(super) enum Transport {
    Socket(mio::net::TcpStream),
    Pumped(WorkerEnd),
}

impl Transport {
    pub(super) fn new(stream: Stream, registry: &Registry, token: Token) -> io::Result<Self> {
        match stream {
            Stream::Pumped(end) => Ok(Self::Pumped(end)),
            Stream::Socket(socket) => {
                let mut socket = mio::net::TcpStream::from_std(socket);
                registry.register(&mut socket, token, Interest::READABLE | Interest::WRITABLE)?;
                Ok(Self::Socket(socket))
            }
        }
    }

    pub(super) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Socket(socket) => socket.read(into),
            Self::Pumped(end) => end.read(into),
        }
    }

    /// Writes slices in one system call: `send` for one, `sendmsg` for more. Both are cheaper on a socket than `writev`, which
    /// goes through the file layer first.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self, slices) {
            (Self::Socket(socket), [only]) => socket.write(only),
            (Self::Socket(socket), _) => SockRef::from(&*socket).send_vectored_with_flags(slices, NO_SIGNAL),
            (Self::Pumped(end), _) => end.write_vectored(slices),
        }
    }

    /// Whether a read that did not fill its buffer is followed by a note when there is more.
    pub(super) const fn announces_more(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            // Only a read that finds nothing asks for one.
            Self::Pumped(_) => false,
        }
    }

    /// Tells the peer that nothing more comes. An error means it is gone already.
    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            Self::Socket(socket) => socket.shutdown(std::net::Shutdown::Write),
            Self::Pumped(end) => {
                end.shutdown_write();
                Ok(())
            }
        }
    }
}

/// Where a connection stands between its first byte and its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Core has a session for it.
    Open,
    /// Core wants it closed once its outbox is written; then this close code follows (WebSocket).
    Closing(u16),
    /// Core has let go; what is in `rest` leaves.
    Lingering,
    /// Everything that is said to it has left, and the peer's end is awaited for a moment.
    Told,
}

impl Stage {
    /// Whether core knows no such connection any more.
    pub(super) const fn has_ended(self) -> bool {
        matches!(self, Self::Lingering | Self::Told)
    }
}

/// One connection. Idle it is this struct and nothing else.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stage: Stage,
    pub(super) dialect: Dialect,
    pub(super) decoder: Decoder,
    pub(super) transport: Transport,
    /// The last write found no room; the next edge says when to go on.
    pub(super) blocked: bool,
    /// Commands wait in `stash` for credits, for the outbox to drain or for the next turn; the socket is not read meanwhile.
    pub(super) paused: bool,
    /// Is on the worker's list of connections to read.
    pub(super) queued_read: bool,
    /// Bytes that were begun or are owed before anything else: the rest of a frame, a pong, an HTTP head.
    pub(super) rest: Option<Box<Rest>>,
    /// Bytes read but not yet decoded.
    pub(super) stash: Option<Box<Stash>>,
    pub(super) pongs: Pongs,
    pub(super) rare: Option<Box<Rare>>,
    _place: Place,
}

/// What hardly any connection has.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// The explicit token of the handshake, until `connect` has come: a different one there contradicts it.
    pub(super) token: Option<String>,
    /// The words of the application for the end.
    pub(super) reason: Option<Arc<str>>,
}

/// What a connection begins with.
pub(super) struct Opening {
    pub(super) dialect: Dialect,
    /// Bytes to write first.
    pub(super) head: Bytes,
    /// Bytes that were read already.
    pub(super) prelude: Bytes,
    /// The explicit token of a handshake that is followed by a `connect` frame.
    pub(super) token: Option<String>,
    pub(super) place: Place,
}

/// Bytes that wait: to be decoded, or to be written as pongs. Behind one pointer, because hardly any connection has some.
#[derive(Debug, Default)]
pub(super) struct Stash {
    bytes: Vec<u8>,
    /// So many at the front are dealt with.
    taken: usize,
}

impl Stash {
    pub(super) fn new(bytes: &[u8]) -> Box<Self> {
        Box::new(Self { bytes: bytes.to_vec(), taken: 0 })
    }

    pub(super) fn left(&mut self) -> &mut [u8] {
        &mut self.bytes[self.taken..]
    }

    /// Keeps the last `left` bytes, where they are.
    pub(super) fn keep(&mut self, left: usize) {
        self.taken = self.bytes.len() - left;
    }
}

/// Bytes that leave first.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) bytes: Bytes,
}

/// The pongs that are owed, as frames.
#[derive(Debug, Default)]
pub(super) struct Pongs(Option<Box<Stash>>);

impl Pongs {
    /// Bytes of pongs that may wait. A peer that pings faster than it reads gets the newest ones only, as RFC 6455 (5.5.3)
    /// allows.
    const BYTES_MAX: usize = 4 * 1024;

    /// Answers a ping.
    pub(super) fn push(&mut self, payload: &[u8]) {
        let frames = &mut self.0.get_or_insert_default().bytes;
        if frames.len() + payload.len() > Self::BYTES_MAX {
            frames.clear();
        }
        websocket::encode(frames, Opcode::Pong, payload);
    }

    /// Takes the frames that are owed.
    pub(super) fn take(&mut self) -> Option<Vec<u8>> {
        self.0.take().map(|frames| frames.bytes)
    }
}

impl Connection {
    pub(super) fn new(transport: Transport, opening: Opening) -> Self {
        let Opening { dialect, head, prelude, token, place } = opening;
        let stash = (!prelude.is_empty() && !dialect.is_sse()).then(|| Stash::new(&prelude));
        Self {
            stage: Stage::Open,
            dialect,
            decoder: Decoder::new(Role::Server),
            transport,
            blocked: false,
            paused: false,
            queued_read: false,
            rest: (!head.is_empty()).then(|| Box::new(Rest { bytes: head })),
            stash,
            pongs: Pongs::default(),
            rare: token.map(|token| Box::new(Rare { token: Some(token), reason: None })),
            _place: place,
        }
    }

    /// Bytes that leave before the outbox.
    pub(super) fn owed_bytes(&self) -> usize {
        self.rest.as_ref().map_or(0, |rest| rest.bytes.len())
    }

    /// Appends bytes that leave before the outbox.
    pub(super) fn owe(&mut self, bytes: &[u8]) {
        let rest = match self.rest.take() {
            Some(rest) => [&rest.bytes, bytes].concat().into(),
            None => Bytes::copy_from_slice(bytes),
        };
        self.rest = Some(Box::new(Rest { bytes: rest }));
    }
}
