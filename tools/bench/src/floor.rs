//! The floor: what the system calls alone cost. No protocol, no rules, no framing beyond a header made once.
//!
//! A client says `S` (subscriber, greeted with a `ready` frame) or `P` (publisher). The publisher sends batches: a
//! big-endian `u16` count, then for each message a `u16` length and its bytes. A batch of one is a bare `send` to each
//! subscriber; a larger one is one `writev` of its frames to each. It ends when its standard input does.

use std::io::{self, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr};

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::failure::{Failure, Result, Trying};
use crate::{limits, ws};

/// First byte of a subscriber.
pub(crate) const SUBSCRIBER: &[u8] = b"S";
/// First byte of the publisher.
pub(crate) const PUBLISHER: &[u8] = b"P";
/// Payload of the frame that greets a subscriber.
pub(crate) const READY: &[u8] = b"ready";

/// The kernel cuts it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
const LISTENER: Token = Token(usize::MAX);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    New,
    Subscriber,
    Publisher,
}

struct Conn {
    socket: TcpStream,
    role: Role,
    /// What a full socket did not take; a box, so that an idle connection stays small.
    #[expect(clippy::box_collection, reason = "8 bytes instead of 24 in each idle connection")]
    rest: Option<Box<Vec<u8>>>,
}

struct Floor {
    poll: Poll,
    conns: Vec<Option<Conn>>,
    free: Vec<usize>,
    /// Of the publisher: bytes of an incomplete batch.
    input: Vec<u8>,
    scratch: Vec<u8>,
}

/// Appends one batch for the floor.
pub(crate) fn write_batch(out: &mut Vec<u8>, payloads: &[String]) {
    out.extend_from_slice(&(payloads.len() as u16).to_be_bytes());
    for payload in payloads {
        out.extend_from_slice(&(payload.len() as u16).to_be_bytes());
        out.extend_from_slice(payload.as_bytes());
    }
}

/// Takes one batch off the front, as ready frames, with its length.
fn read_batch(input: &[u8]) -> Option<(usize, Vec<Vec<u8>>)> {
    let number = |at: usize| Some(usize::from(u16::from_be_bytes([*input.get(at)?, *input.get(at + 1)?])));
    let mut at = 2;
    let mut frames = Vec::new();
    for _ in 0..number(0)? {
        let length = number(at)?;
        let payload = input.get(at + 2..at + 2 + length)?;
        frames.push([&ws::server_header(length), payload].concat());
        at += 2 + length;
    }
    Some((at, frames))
}

/// Serves until standard input ends.
///
/// # Errors
/// The port is taken, or the poll fails.
pub(crate) fn serve(port: u16) -> Result<()> {
    limits::raise()?;
    std::thread::spawn(|| {
        // The parent holds the other end: its death, however sudden, ends us.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    let mut listener = listen(port)?;
    let poll = Poll::new().trying("making a poll")?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE).trying("joining the poll")?;
    let mut floor = Floor { poll, conns: Vec::new(), free: Vec::new(), input: Vec::new(), scratch: vec![0; 64 << 10] };
    let mut events = Events::with_capacity(1024);
    loop {
        match floor.poll.poll(&mut events, None) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Failure::Io { what: "polling".to_owned(), source: error }),
        }
        for event in &events {
            if event.token() == LISTENER {
                floor.accept(&listener)?;
                continue;
            }
            let slot = event.token().0;
            if event.is_writable() {
                floor.flush(slot);
            }
            if event.is_readable() {
                floor.read(slot);
            }
        }
    }
}

fn listen(port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP)).trying("a socket")?;
    socket.set_reuse_address(true).trying("SO_REUSEADDR")?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).trying("binding")?;
    socket.listen(BACKLOG).trying("listening")?;
    Ok(TcpListener::from_std(socket.into()))
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) -> Result<()> {
        loop {
            let mut socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(error) => return Err(Failure::Io { what: "accepting".to_owned(), source: error }),
            };
            // Like every server that cares for latency.
            let _ = socket.set_nodelay(true);
            let slot = self.free.pop().unwrap_or(self.conns.len());
            self.poll.registry().register(&mut socket, Token(slot), Interest::READABLE).trying("joining the poll")?;
            let conn = Some(Conn { socket, role: Role::New, rest: None });
            if slot == self.conns.len() {
                self.conns.push(conn);
            } else {
                self.conns[slot] = conn;
            }
        }
    }

    fn read(&mut self, slot: usize) {
        loop {
            let Some(conn) = self.conns[slot].as_mut() else { return };
            match (&conn.socket).read(&mut self.scratch) {
                Ok(0) => return self.close(slot),
                Ok(count) => self.take(slot, count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.close(slot),
            }
        }
    }

    fn take(&mut self, slot: usize, count: usize) {
        let Some(conn) = self.conns[slot].as_mut() else { return };
        let mut bytes = &self.scratch[..count];
        if conn.role == Role::New {
            conn.role = if bytes[..1] == *PUBLISHER { Role::Publisher } else { Role::Subscriber };
            bytes = &bytes[1..];
            if conn.role == Role::Subscriber {
                let _ = (&conn.socket).write(&[&ws::server_header(READY.len()), READY].concat());
            }
        }
        if conn.role == Role::Publisher {
            self.input.extend_from_slice(bytes);
            while let Some((used, frames)) = read_batch(&self.input) {
                self.input.drain(..used);
                self.deliver(&frames);
            }
        }
    }

    /// The measured part.
    fn deliver(&mut self, frames: &[Vec<u8>]) {
        let slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        let total: usize = frames.iter().map(Vec::len).sum();
        for slot in 0..self.conns.len() {
            let Some(conn) = self.conns[slot].as_mut() else { continue };
            if conn.role != Role::Subscriber {
                continue;
            }
            let mut written = 0;
            if conn.rest.is_none() {
                let result = match frames {
                    [frame] => (&conn.socket).write(frame),
                    _ => (&conn.socket).write_vectored(&slices),
                };
                written = match result {
                    Ok(count) => count,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                    Err(_) => {
                        self.close(slot);
                        continue;
                    }
                };
            }
            if written < total {
                self.keep(slot, &frames.concat()[written..]);
            }
        }
    }

    fn keep(&mut self, slot: usize, bytes: &[u8]) {
        let Some(conn) = self.conns[slot].as_mut() else { return };
        if let Some(rest) = &mut conn.rest {
            return rest.extend_from_slice(bytes);
        }
        conn.rest = Some(Box::new(bytes.to_vec()));
        let both = Interest::READABLE | Interest::WRITABLE;
        if self.poll.registry().reregister(&mut conn.socket, Token(slot), both).is_err() {
            self.close(slot);
        }
    }

    fn flush(&mut self, slot: usize) {
        let Some(conn) = self.conns[slot].as_mut() else { return };
        let Some(mut rest) = conn.rest.take() else { return };
        while !rest.is_empty() {
            match (&conn.socket).write(&rest) {
                Ok(count) => drop(rest.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    conn.rest = Some(rest);
                    return;
                }
                Err(_) => return self.close(slot),
            }
        }
        let _ = self.poll.registry().reregister(&mut conn.socket, Token(slot), Interest::READABLE);
    }

    fn close(&mut self, slot: usize) {
        if let Some(mut conn) = self.conns[slot].take() {
            let _ = self.poll.registry().deregister(&mut conn.socket);
            self.free.push(slot);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_comes_back_as_frames_and_only_when_whole() {
        let payloads = vec!["a".repeat(150), "bc".to_owned()];
        let mut wire = Vec::new();
        write_batch(&mut wire, &payloads);
        let (used, frames) = read_batch(&wire).unwrap();
        assert_eq!(used, wire.len());
        assert_eq!(frames.iter().map(Vec::len).collect::<Vec<_>>(), [154, 4]);
        for cut in 0..wire.len() {
            assert!(read_batch(&wire[..cut]).is_none(), "cut at {cut}");
        }
    }
}
