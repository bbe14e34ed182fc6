//! One client connection: from `connect` over the response head to frames, without I/O buffers of its own.
//!
//! Bytes are parsed where they were read; only the rest of an incomplete frame is kept.

use std::io::{self, Read, Write};
use std::mem;

use mio::net::TcpStream;

use crate::failure::{Failure, Result, Trying};
use crate::http::{self, Chunks};
use crate::payload::{self, Label};
use crate::peers::{Frame, Framing, Meaning, Peer, Transport};
use crate::{sse, ws};

/// What a connection has to say to the run.
#[derive(Debug)]
pub(crate) enum News {
    /// It is subscribed.
    Ready,
    /// A measured message.
    Message(Label),
    /// The server says that messages were skipped.
    Gap,
    /// The server ended it.
    Closed(String),
}

/// How far a connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// TCP handshake.
    Connecting,
    /// Waits for the HTTP response head.
    Head,
    /// Waits for the server's confirmation of the subscription.
    Greeting,
    /// Subscribed.
    Open,
    /// Ended.
    Closed,
}

/// A client connection.
#[derive(Debug)]
pub(crate) struct Conn {
    /// Non-blocking socket.
    pub(crate) socket: TcpStream,
    /// How far it is.
    pub(crate) phase: Phase,
    transport: Transport,
    rest: Vec<u8>,
    chunks: Option<Chunks>,
    fragments: Vec<u8>,
    hint: usize,
}

impl Conn {
    /// Around a socket whose connect has been started.
    pub(crate) fn new(socket: TcpStream, transport: Transport) -> Self {
        Self {
            socket,
            phase: Phase::Connecting,
            transport,
            rest: Vec::new(),
            chunks: None,
            fragments: Vec::new(),
            hint: 0,
        }
    }

    /// Sends the request once the TCP connection stands; false if it does not stand yet.
    ///
    /// # Errors
    /// The connection was refused.
    pub(crate) fn connected(&mut self, peer: &dyn Peer, request: &[u8]) -> Result<bool> {
        if let Some(error) = self.socket.take_error().trying("connecting")? {
            return Err(Failure::Io { what: "connecting".to_owned(), source: error });
        }
        if self.socket.peer_addr().is_err() {
            return Ok(false);
        }
        self.socket.set_nodelay(true).trying("TCP_NODELAY")?;
        self.send(request)?;
        self.phase = match peer.framing(self.transport) {
            Framing::Http => Phase::Head,
            Framing::Bare => Phase::Greeting,
        };
        Ok(true)
    }

    /// Writes a small frame at once.
    ///
    /// # Errors
    /// The socket does not take it: the server does not read.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let written = (&self.socket).write(bytes).trying("writing to the server")?;
        if written == bytes.len() {
            return Ok(());
        }
        Err(Failure::Protocol(format!("the server takes only {written} of {} bytes", bytes.len())))
    }

    /// Reads all there is; returns the number of bytes.
    ///
    /// `scratch` is shared by all connections; `until_empty` is false where a short read proves that nothing is left.
    ///
    /// # Errors
    /// The server breaks HTTP, WebSocket or its own protocol.
    pub(crate) fn read(
        &mut self,
        peer: &dyn Peer,
        scratch: &mut [u8],
        until_empty: bool,
        news: &mut dyn FnMut(News) -> Result<()>,
    ) -> Result<u64> {
        let mut total = 0;
        while self.phase != Phase::Closed {
            match (&self.socket).read(scratch) {
                Ok(0) => self.close("the server closed the connection", news)?,
                Ok(count) => {
                    total += count as u64;
                    self.feed(peer, &scratch[..count], news)?;
                    if count < scratch.len() && !until_empty {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.close(&format!("reading failed: {error}"), news)?,
            }
        }
        Ok(total)
    }

    fn close(&mut self, why: &str, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        self.phase = Phase::Closed;
        news(News::Closed(why.to_owned()))
    }

    fn feed(&mut self, peer: &dyn Peer, bytes: &[u8], news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        if self.rest.is_empty() && self.chunks.is_none() {
            let used = self.parse(peer, bytes, news)?;
            self.rest.extend_from_slice(&bytes[used..]);
            return Ok(());
        }
        let mut all = mem::take(&mut self.rest);
        match &mut self.chunks {
            Some(chunks) => {
                chunks.feed(bytes, &mut all)?;
            }
            None => all.extend_from_slice(bytes),
        }
        let used = self.parse(peer, &all, news)?;
        all.drain(..used);
        self.rest = all;
        Ok(())
    }

    /// Takes whole frames off the front and returns their length.
    fn parse(&mut self, peer: &dyn Peer, bytes: &[u8], news: &mut dyn FnMut(News) -> Result<()>) -> Result<usize> {
        let mut at = 0;
        while self.phase != Phase::Closed {
            let rest = &bytes[at..];
            let used = match (self.phase, self.transport) {
                (Phase::Connecting | Phase::Closed, _) => None,
                (Phase::Head, _) => self.parse_head(peer, rest, news)?,
                (Phase::Greeting | Phase::Open, Transport::Ws) => self.parse_ws(peer, rest, news)?,
                (Phase::Greeting | Phase::Open, Transport::Sse) => self.parse_sse(peer, rest, news)?,
            };
            match used {
                Some(used) => at += used,
                None => break,
            }
        }
        Ok(at)
    }

    fn parse_head(
        &mut self,
        peer: &dyn Peer,
        bytes: &[u8],
        news: &mut dyn FnMut(News) -> Result<()>,
    ) -> Result<Option<usize>> {
        let Some((used, head)) = http::head(bytes)? else { return Ok(None) };
        let expected = match self.transport {
            Transport::Ws => 101,
            Transport::Sse => 200,
        };
        if head.status != expected {
            let body = String::from_utf8_lossy(&bytes[used..]).into_owned();
            return Err(Failure::Protocol(format!("refused with status {}: {body}", head.status)));
        }
        if self.transport == Transport::Ws && head.accept.as_deref() != Some(ws::ACCEPT) {
            return Err(Failure::Protocol(format!("wrong Sec-WebSocket-Accept: {:?}", head.accept)));
        }
        self.phase = Phase::Greeting;
        if !peer.greets(self.transport) {
            self.phase = Phase::Open;
            news(News::Ready)?;
        }
        if head.chunked {
            // The rest of this read still has its chunk headers: decode it here and parse it as if it came later.
            let mut chunks = Chunks::default();
            let mut decoded = Vec::new();
            chunks.feed(&bytes[used..], &mut decoded)?;
            self.chunks = Some(chunks);
            let parsed = self.parse(peer, &decoded, news)?;
            decoded.drain(..parsed);
            self.rest = decoded;
            return Ok(Some(bytes.len()));
        }
        Ok(Some(used))
    }

    fn parse_ws(
        &mut self,
        peer: &dyn Peer,
        bytes: &[u8],
        news: &mut dyn FnMut(News) -> Result<()>,
    ) -> Result<Option<usize>> {
        let Some((used, frame)) = ws::next(bytes)? else { return Ok(None) };
        match frame.opcode {
            ws::Opcode::Ping => {
                let mut pong = Vec::new();
                ws::write_pong(&mut pong, frame.payload);
                self.send(&pong)?;
            }
            ws::Opcode::Pong => {}
            ws::Opcode::Close => {
                let code = frame.payload.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]]));
                let reason = String::from_utf8_lossy(frame.payload.get(2..).unwrap_or_default()).into_owned();
                self.close(&format!("closed with {code} {reason}"), news)?;
            }
            ws::Opcode::Text | ws::Opcode::Binary | ws::Opcode::Continuation => {
                if frame.fin && self.fragments.is_empty() {
                    self.take(peer, Frame::Text(frame.payload), news)?;
                } else {
                    self.fragments.extend_from_slice(frame.payload);
                    if frame.fin {
                        let whole = mem::take(&mut self.fragments);
                        self.take(peer, Frame::Text(&whole), news)?;
                    }
                }
            }
        }
        Ok(Some(used))
    }

    fn parse_sse(
        &mut self,
        peer: &dyn Peer,
        bytes: &[u8],
        news: &mut dyn FnMut(News) -> Result<()>,
    ) -> Result<Option<usize>> {
        let Some((used, event)) = sse::next(bytes) else { return Ok(None) };
        if let Some(data) = &event.data {
            self.take(peer, Frame::Event { name: event.name, data }, news)?;
        }
        Ok(Some(used))
    }

    fn take(&mut self, peer: &dyn Peer, frame: Frame<'_>, news: &mut dyn FnMut(News) -> Result<()>) -> Result<()> {
        if let Some(label) = payload::find(frame.bytes(), &mut self.hint) {
            return news(News::Message(label));
        }
        match peer.meaning(self.transport, frame) {
            Meaning::Ready => {
                self.phase = Phase::Open;
                news(News::Ready)
            }
            Meaning::Answer(text) => {
                let mut answer = Vec::new();
                ws::write_text(&mut answer, &text);
                self.send(&answer)
            }
            Meaning::Gap => news(News::Gap),
            Meaning::Nothing => Ok(()),
            Meaning::Refused(why) => Err(Failure::Protocol(why)),
        }
    }
}
