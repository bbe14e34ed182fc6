//! The load: many client connections on one poll, drained when the run says so.
//!
//! Connections come from several loopback addresses, so that the port range of one never runs out.

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, Socket, Type};

use crate::conn::{Conn, News, Phase};
use crate::failure::{Failure, Result, Trying};
use crate::guard::Guard;
use crate::peers::{Peer, Place, Transport};

/// Handshakes under way at a time: well below any listen backlog, so that no SYN is dropped and retried a second later.
const HANDSHAKES_AT_ONCE: usize = 128;
/// First source address is 127.0.0.2; servers listen on 127.0.0.1.
const FIRST_SOURCE: usize = 2;
/// Source addresses that are walked through before the first comes again.
const SOURCES: usize = 200;
/// Events fetched per call; edge-triggered ones that do not fit come with the next call.
const EVENTS_AT_ONCE: usize = 4096;
/// Holds a burst of 64 messages of any of the servers in one read.
const SCRATCH_BYTES: usize = 64 << 10;
/// A server that accepts no connection for so long is broken.
const CONNECT_PATIENCE: Duration = Duration::from_secs(20);
/// A server that takes not a byte from its publisher for so long is broken.
const WRITE_PATIENCE: Duration = Duration::from_secs(5);

/// Payload of a full TCP segment with time stamps on Ethernet.
const ETHERNET_SEGMENT: u32 = 1448;

/// Chooses how connections are opened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Opening {
    /// `SO_RCVBUF` set before connecting, bytes. The segment size becomes that of Ethernet then: with loopback's 64 KiB
    /// segments the sender's kernel would queue megabytes for a reader that reads nothing.
    pub(crate) receive_buffer: Option<usize>,
    /// After its subscription is confirmed the connection is not read any more, until [`Load::wake`].
    pub(crate) stalled: bool,
    /// Each connection says a user id of its own (peers that know users).
    pub(crate) users: bool,
}

/// Many connections to one place over one transport.
pub(crate) struct Load {
    peer: Rc<dyn Peer>,
    place: Place,
    transport: Transport,
    poll: Poll,
    events: Events,
    conns: Vec<Conn>,
    scratch: Vec<u8>,
    /// Started so far, for the choice of the source address.
    started: usize,
    bytes_read: u64,
    guard: Guard,
}

impl Load {
    /// Without connections yet.
    ///
    /// # Errors
    /// No poll can be made.
    pub(crate) fn new(peer: Rc<dyn Peer>, place: Place, transport: Transport, guard: Guard) -> Result<Self> {
        Ok(Self {
            peer,
            place,
            transport,
            poll: Poll::new().trying("making a poll")?,
            events: Events::with_capacity(EVENTS_AT_ONCE),
            conns: Vec::new(),
            scratch: vec![0; SCRATCH_BYTES],
            started: 0,
            bytes_read: 0,
            guard,
        })
    }

    /// Number of connections.
    pub(crate) fn len(&self) -> usize {
        self.conns.len()
    }

    /// Bytes read since the start, heads included.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// Opens connections until there are `count`; returns when all are subscribed.
    ///
    /// # Errors
    /// A connection is refused or closed, or nothing moves for 20 s.
    pub(crate) fn open(&mut self, count: usize, opening: Opening) -> Result<()> {
        let mut pending = 0;
        let mut moved_at = Instant::now();
        while self.conns.len() < count || pending > 0 {
            self.guard.check()?;
            while self.conns.len() < count && pending < HANDSHAKES_AT_ONCE {
                let slot = self.conns.len();
                let conn = self.connect(slot, opening)?;
                self.conns.push(conn);
                pending += 1;
            }
            let mut ready = Vec::new();
            self.turn(Duration::from_millis(100), opening.users, &mut |slot, news| {
                match news {
                    News::Ready => ready.push(slot),
                    News::Closed(why) => return Err(Failure::Delivery(format!("connection {slot}: {why}"))),
                    News::Message(_) | News::Gap => {}
                }
                Ok(())
            })?;
            pending -= ready.len();
            if !ready.is_empty() {
                moved_at = Instant::now();
            }
            if moved_at.elapsed() > CONNECT_PATIENCE {
                return Err(Failure::Protocol(format!("{pending} connections got no answer for 20 s")));
            }
            if opening.stalled {
                for slot in ready {
                    self.poll.registry().deregister(&mut self.conns[slot].socket).trying("leaving the poll")?;
                }
            }
        }
        Ok(())
    }

    /// Writes a whole text to one connection, waiting while the server is slow to take it.
    ///
    /// # Errors
    /// The server takes nothing for 5 s, or the connection is broken.
    pub(crate) fn write(&mut self, slot: usize, mut bytes: &[u8]) -> Result<()> {
        let started = Instant::now();
        while !bytes.is_empty() {
            match (&self.conns[slot].socket).write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && started.elapsed() < WRITE_PATIENCE => {
                    self.guard.sleep(Duration::from_micros(100))?;
                }
                Err(error) => return Err(Failure::Io { what: "writing to the server".to_owned(), source: error }),
            }
        }
        Ok(())
    }

    /// Starts reading stalled connections.
    ///
    /// # Errors
    /// The poll refuses a socket.
    pub(crate) fn wake(&mut self) -> Result<()> {
        for (slot, conn) in self.conns.iter_mut().enumerate() {
            let registry = self.poll.registry();
            registry.register(&mut conn.socket, Token(slot), Interest::READABLE).trying("joining the poll")?;
        }
        Ok(())
    }

    /// Replaces a connection that is done by a new one (churn).
    ///
    /// # Errors
    /// No socket can be had.
    pub(crate) fn renew(&mut self, slot: usize, farewell: &[u8]) -> Result<()> {
        if !farewell.is_empty() {
            self.conns[slot].send(farewell)?;
        }
        let fresh = self.connect(slot, Opening::default())?;
        drop(std::mem::replace(&mut self.conns[slot], fresh));
        Ok(())
    }

    /// Starts connections up to `count` without waiting for them (churn).
    ///
    /// # Errors
    /// No socket can be had.
    pub(crate) fn start(&mut self, count: usize) -> Result<()> {
        while self.conns.len() < count {
            let conn = self.connect(self.conns.len(), Opening::default())?;
            self.conns.push(conn);
        }
        Ok(())
    }

    /// Reads everything that has arrived, waiting at most `wait` for the first of it.
    ///
    /// # Errors
    /// What `news` says, or a broken protocol.
    pub(crate) fn drain(&mut self, wait: Duration, news: &mut dyn FnMut(usize, News) -> Result<()>) -> Result<()> {
        self.turn(wait, false, news)
    }

    fn turn(&mut self, wait: Duration, users: bool, news: &mut dyn FnMut(usize, News) -> Result<()>) -> Result<()> {
        let mut wait = wait;
        loop {
            if let Err(error) = self.poll.poll(&mut self.events, Some(wait)) {
                if error.kind() == io::ErrorKind::Interrupted {
                    return self.guard.check();
                }
                return Err(Failure::Io { what: "polling".to_owned(), source: error });
            }
            let mut count = 0;
            for event in &self.events {
                count += 1;
                let slot = event.token().0;
                let conn = &mut self.conns[slot];
                if conn.phase == Phase::Connecting {
                    let request = self.peer.subscribe(&self.place, self.transport, users.then_some(slot));
                    if !conn.connected(&*self.peer, &request)? {
                        continue;
                    }
                    self.poll
                        .registry()
                        .reregister(&mut conn.socket, Token(slot), Interest::READABLE)
                        .trying("joining the poll")?;
                    continue;
                }
                let until_empty = event.is_read_closed() || event.is_error();
                self.bytes_read +=
                    conn.read(&*self.peer, &mut self.scratch, until_empty, &mut |item| news(slot, item))?;
            }
            if count < EVENTS_AT_ONCE {
                return Ok(());
            }
            wait = Duration::ZERO;
        }
    }

    fn connect(&mut self, slot: usize, opening: Opening) -> Result<Conn> {
        let address = self.started % SOURCES + FIRST_SOURCE;
        self.started += 1;
        let source = SocketAddr::from((Ipv4Addr::new(127, 0, 0, address as u8), 0));
        let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), Some(Protocol::TCP)).trying("a socket")?;
        if let Some(bytes) = opening.receive_buffer {
            socket.set_recv_buffer_size(bytes).trying("SO_RCVBUF")?;
            socket.set_tcp_mss(ETHERNET_SEGMENT).trying("TCP_MAXSEG")?;
        }
        socket.bind(&source.into()).trying("binding to a source address")?;
        match socket.connect(&self.place.addr.into()) {
            Ok(()) => {}
            // EINPROGRESS has no kind of its own.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock || error.raw_os_error() == Some(115) => {}
            Err(error) => return Err(Failure::Io { what: "connecting".to_owned(), source: error }),
        }
        let mut stream = TcpStream::from_std(socket.into());
        self.poll
            .registry()
            .register(&mut stream, Token(slot), Interest::READABLE | Interest::WRITABLE)
            .trying("joining the poll")?;
        Ok(Conn::new(stream, self.transport))
    }
}
