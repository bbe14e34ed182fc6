//! The servers that can be measured, each behind one trait.
//!
//! To add one: a file with an implementation of [`Peer`], and a line in [`Wanted`] and [`make`].

mod floor;
mod nchan;
mod own;
mod socketio;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use crate::child::Running;
use crate::failure::Result;
use crate::guard::Guard;
use crate::ws;

/// How subscribers are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    /// WebSocket.
    Ws,
    /// Server-Sent Events over HTTP/1.1.
    Sse,
}

impl fmt::Display for Transport {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Ws => "WebSocket",
            Self::Sse => "SSE",
        })
    }
}

/// What comes before the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// An HTTP response head.
    Http,
    /// Nothing: the floor speaks frames at once.
    Bare,
}

/// How a peer is published to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PublishBy {
    /// POSTs on a keep-alive connection.
    Http,
    /// Frames of a WebSocket connection.
    #[value(name = "ws")]
    WebSocket,
    /// The floor's own bytes.
    #[value(skip)]
    Bare,
}

/// Where a contest takes place.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The server.
    pub(crate) addr: SocketAddr,
    /// All counted connections of the contestant listen to it and nobody else does.
    pub(crate) channel: String,
    /// Subscribers go on from this position (peers that know positions).
    pub(crate) since: Option<String>,
}

/// What a server sent: a WebSocket message or an SSE event.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Frame<'a> {
    /// WebSocket message.
    Text(&'a [u8]),
    /// SSE event with data.
    Event {
        /// `event:`, empty if absent.
        name: &'a [u8],
        /// The joined `data:` lines.
        data: &'a [u8],
    },
}

impl<'a> Frame<'a> {
    /// The bytes in which a payload may be.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        match self {
            Frame::Text(bytes) => bytes,
            Frame::Event { data, .. } => data,
        }
    }
}

/// What a frame without a payload means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// The subscription stands.
    Ready,
    /// A text to be sent back.
    Answer(Vec<u8>),
    /// Messages were skipped for this connection.
    Gap,
    /// Nothing that matters here.
    Nothing,
    /// The server refuses something: the run ends with these words.
    Refused(String),
}

/// What a peer needs to start.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Ends every wait.
    pub(crate) guard: Guard,
    /// Descriptors a process may open.
    pub(crate) descriptors: u64,
    /// Our own server's binary.
    pub(crate) server: PathBuf,
    /// Further arguments for it.
    pub(crate) server_args: Vec<String>,
    /// How it is published to.
    pub(crate) publish_by: PublishBy,
}

/// A server that can be measured.
pub(crate) trait Peer: fmt::Debug {
    /// Name in tables.
    fn name(&self) -> &'static str;

    /// What subscribers can use.
    fn transports(&self) -> &'static [Transport];

    /// Starts it on loopback.
    ///
    /// # Errors
    /// `Skip` if it cannot be had here, anything else if it is broken.
    fn start(&self, setup: &Setup) -> Result<Running>;

    /// What comes before the frames.
    fn framing(&self, _transport: Transport) -> Framing {
        Framing::Http
    }

    /// True if the server confirms a subscription with a frame that means [`Meaning::Ready`]; otherwise the response
    /// head is the confirmation.
    fn greets(&self, transport: Transport) -> bool;

    /// The bytes that open a subscriber's connection; `user` numbers those that have a user.
    fn subscribe(&self, place: &Place, transport: Transport, user: Option<usize>) -> Vec<u8>;

    /// What a frame without a payload means.
    fn meaning(&self, transport: Transport, frame: Frame<'_>) -> Meaning;

    /// How it is published to.
    fn publish_by(&self) -> PublishBy;

    /// Writes one round of messages; returns the number of HTTP answers to wait for.
    fn publish(&self, place: &Place, payloads: &[String], out: &mut Vec<u8>) -> usize;
}

/// Names for the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Wanted {
    /// Our own server.
    Server,
    /// nginx with the Nchan module.
    Nchan,
    /// socket.io on Node.
    #[value(name = "socketio")]
    SocketIo,
}

impl Wanted {
    /// All, ours first.
    pub(crate) const ALL: [Self; 3] = [Self::Server, Self::Nchan, Self::SocketIo];
}

/// The peer of a name.
pub(crate) fn make(wanted: Wanted, setup: &Setup) -> Rc<dyn Peer> {
    match wanted {
        Wanted::Server => Rc::new(own::Own::new(setup.publish_by)),
        Wanted::Nchan => Rc::new(nchan::Nchan),
        Wanted::SocketIo => Rc::new(socketio::SocketIo),
    }
}

/// The floor, which every run measures first.
pub(crate) fn floor() -> Rc<dyn Peer> {
    Rc::new(floor::FloorPeer)
}

/// A WebSocket upgrade request.
fn upgrade(place: &Place, target: &str) -> Vec<u8> {
    format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {}\r\n\
         Sec-WebSocket-Version: 13\r\n\r\n",
        place.addr,
        ws::KEY
    )
    .into_bytes()
}

/// A request for an event stream.
fn stream(place: &Place, target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/event-stream\r\n\r\n", place.addr).into_bytes()
}

/// Appends a POST.
fn post(out: &mut Vec<u8>, place: &Place, target: &str, content_type: &str, body: &str) {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        place.addr,
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}

/// True if `part` occurs in `bytes`.
fn contains(bytes: &[u8], part: &str) -> bool {
    memchr::memmem::find(bytes, part.as_bytes()).is_some()
}
