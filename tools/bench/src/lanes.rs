//! Lanes: connections that publish to a store, each with one message on its way, answered when it is on the disk.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::failure::{Failure, Result, Trying};
use crate::guard::Guard;
use crate::payload::{self, Label};
use crate::peers::{Place, PublishBy};
use crate::stats::Latencies;
use crate::{http, ws};

/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(30);
const EVENTS: usize = 1_024;
const SCRATCH_BYTES: usize = 16 << 10;

/// A number of lanes to one channel.
pub(crate) struct Lanes {
    place: Place,
    by: PublishBy,
    poll: Poll,
    lanes: Vec<Lane>,
    guard: Guard,
    sent: u32,
}

struct Lane {
    socket: TcpStream,
    input: Vec<u8>,
    sent_at: Option<Instant>,
}

/// What one slice brought.
#[derive(Debug, Default)]
pub(crate) struct Slice {
    /// Messages answered.
    pub(crate) stored: u64,
    /// From the first message to the last answer.
    pub(crate) time: Duration,
}

impl Slice {
    /// Messages per second.
    pub(crate) fn per_second(&self) -> f64 {
        self.stored as f64 / self.time.as_secs_f64().max(f64::EPSILON)
    }
}

impl Lanes {
    /// Connects all of them.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) fn open(place: Place, by: PublishBy, count: usize, guard: &Guard) -> Result<Self> {
        let poll = Poll::new().trying("making a poll")?;
        let mut lanes = Vec::with_capacity(count);
        for number in 0..count {
            guard.check()?;
            let (socket, input) = connect(&place, by, number)?;
            socket.set_nonblocking(true).trying("preparing a socket")?;
            let mut socket = TcpStream::from_std(socket);
            poll.registry().register(&mut socket, Token(number), Interest::READABLE).trying("joining the poll")?;
            lanes.push(Lane { socket, input, sent_at: None });
        }
        Ok(Self { place, by, poll, lanes, guard: guard.clone(), sent: 0 })
    }

    /// Publishes on every lane for that long, and waits for the last answers.
    ///
    /// # Errors
    /// A message is refused, or its answer has no position.
    pub(crate) fn run(&mut self, length: Duration, latencies: &mut Latencies) -> Result<Slice> {
        let mut events = Events::with_capacity(EVENTS);
        let (started, mut slice, mut open) = (Instant::now(), Slice::default(), self.lanes.len());
        for lane in 0..self.lanes.len() {
            self.send(lane)?;
        }
        let mut moved_at = started;
        while open > 0 {
            self.guard.check()?;
            match self.poll.poll(&mut events, Some(Duration::from_millis(100))) {
                Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error).trying("polling"),
                Ok(()) | Err(_) => {}
            }
            let ready: Vec<usize> = events.iter().map(|event| event.token().0).collect();
            for lane in ready {
                if !self.answered(lane)? {
                    continue;
                }
                moved_at = Instant::now();
                let sent_at = self.lanes[lane].sent_at.take().expect("only what was sent is answered");
                latencies.add(moved_at - sent_at);
                slice.stored += 1;
                if started.elapsed() < length {
                    self.send(lane)?;
                } else {
                    open -= 1;
                }
            }
            if moved_at.elapsed() > PATIENCE {
                return Err(Failure::Delivery(format!("{open} messages were not answered for 30 s")));
            }
        }
        slice.time = started.elapsed();
        Ok(slice)
    }

    fn send(&mut self, lane: usize) -> Result<()> {
        self.sent += 1;
        let data = payload::write(Label { round: self.sent, seq: 0 });
        let fields =
            format!("\"type\":\"x\",\"channel\":\"{}\",\"ack\":\"stored\",\"data\":{data}", self.place.channel);
        let mut out = Vec::new();
        match self.by {
            PublishBy::WebSocket => {
                ws::write_text(&mut out, format!("{{\"op\":\"publish\",\"ref\":1,{fields}}}").as_bytes());
            }
            PublishBy::Http | PublishBy::Bare => {
                let body = format!("{{{fields}}}");
                let (addr, length) = (self.place.addr, body.len());
                out = format!(
                    "POST /api/broadcast HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\n\
                     Content-Length: {length}\r\n\r\n{body}"
                )
                .into_bytes();
            }
        }
        let lane = &mut self.lanes[lane];
        lane.sent_at = Some(Instant::now());
        // With one message on its way there is always room for the next.
        lane.socket.write_all(&out).trying("publishing")
    }

    /// Whether the answer is here, and says yes.
    fn answered(&mut self, lane: usize) -> Result<bool> {
        let (by, lane) = (self.by, &mut self.lanes[lane]);
        let mut scratch = [0; SCRATCH_BYTES];
        loop {
            match lane.socket.read(&mut scratch) {
                Ok(0) => return Err(Failure::Protocol("the server closed a publishing connection".to_owned())),
                Ok(count) => lane.input.extend_from_slice(&scratch[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error).trying("waiting for an answer"),
            }
        }
        let answer = match by {
            PublishBy::WebSocket => next_text(lane)?,
            PublishBy::Http | PublishBy::Bare => match http::response(&lane.input)? {
                Some((used, _, body)) => {
                    lane.input.drain(..used);
                    Some(body)
                }
                None => None,
            },
        };
        let Some(answer) = answer else { return Ok(false) };
        let text = String::from_utf8_lossy(&answer);
        if text.contains("\"position\"") { Ok(true) } else { Err(Failure::Delivery(format!("not stored: {text}"))) }
    }
}

/// The next text message; pings are answered on the way.
fn next_text(lane: &mut Lane) -> Result<Option<Vec<u8>>> {
    while let Some((used, frame)) = ws::next(&lane.input)? {
        let (opcode, payload) = (frame.opcode, frame.payload.to_vec());
        lane.input.drain(..used);
        match opcode {
            ws::Opcode::Text => return Ok(Some(payload)),
            ws::Opcode::Ping => {
                let mut pong = Vec::new();
                ws::write_pong(&mut pong, &payload);
                lane.socket.write_all(&pong).trying("answering a ping")?;
            }
            ws::Opcode::Pong | ws::Opcode::Binary | ws::Opcode::Continuation => {}
            ws::Opcode::Close => return Err(Failure::Protocol("the server closed a publishing connection".to_owned())),
        }
    }
    Ok(None)
}

/// A connection that may publish, and what was read of it too early. Each is a user of its own where there are users.
fn connect(place: &Place, by: PublishBy, number: usize) -> Result<(std::net::TcpStream, Vec<u8>)> {
    let mut socket = dial(place.addr)?;
    let mut input = Vec::new();
    if by == PublishBy::WebSocket {
        let request = format!(
            "GET /ws?userId=lane-{number} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {}\r\nSec-WebSocket-Version: 13\r\n\r\n",
            place.addr,
            ws::KEY
        );
        socket.write_all(request.as_bytes()).trying("opening a WebSocket")?;
        let mut scratch = [0; SCRATCH_BYTES];
        let mut is_open = false;
        loop {
            if !is_open && let Some((used, head)) = http::head(&input)? {
                if head.status != 101 {
                    return Err(Failure::Protocol(format!("a WebSocket was refused with {}", head.status)));
                }
                input.drain(..used);
                is_open = true;
            }
            if is_open && let Some((used, _)) = ws::next(&input)? {
                // `connected`, the first frame.
                input.drain(..used);
                break;
            }
            let count = socket.read(&mut scratch).trying("opening a WebSocket")?;
            if count == 0 {
                return Err(Failure::Protocol("the server closed a WebSocket at once".to_owned()));
            }
            input.extend_from_slice(&scratch[..count]);
        }
    }
    Ok((socket, input))
}

fn dial(addr: SocketAddr) -> Result<std::net::TcpStream> {
    let socket = std::net::TcpStream::connect(addr).trying("connecting")?;
    socket.set_nodelay(true).trying("TCP_NODELAY")?;
    socket.set_read_timeout(Some(PATIENCE)).trying("setting a timeout")?;
    Ok(socket)
}

/// A whole answer to a GET.
///
/// # Errors
/// The server does not answer, or not with 200.
pub(crate) fn get(addr: SocketAddr, path: &str) -> Result<String> {
    exchange(addr, &format!("GET {path} HTTP/1.1\r\nHost: {addr}\r\n\r\n"))
}

/// A whole answer to a POST of JSON.
///
/// # Errors
/// The server does not answer, or not with 200.
pub(crate) fn post(addr: SocketAddr, path: &str, body: &str) -> Result<String> {
    let length = body.len();
    exchange(
        addr,
        &format!(
            "POST {path} HTTP/1.1\r\nHost: {addr}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        ),
    )
}

fn exchange(addr: SocketAddr, request: &str) -> Result<String> {
    let mut socket = dial(addr)?;
    socket.write_all(request.as_bytes()).trying("asking the server")?;
    let (mut input, mut scratch) = (Vec::new(), [0; SCRATCH_BYTES]);
    loop {
        if let Some((_, status, body)) = http::response(&input)? {
            let text = String::from_utf8_lossy(&body).into_owned();
            return if status == 200 { Ok(text) } else { Err(Failure::Protocol(format!("answer {status}: {text}"))) };
        }
        let count = socket.read(&mut scratch).trying("asking the server")?;
        if count == 0 {
            return Err(Failure::Protocol("the server closed a connection without an answer".to_owned()));
        }
        input.extend_from_slice(&scratch[..count]);
    }
}
