//! The one connection that publishes: HTTP keep-alive, WebSocket, or the floor's own bytes.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::rc::Rc;
use std::time::Duration;

use crate::conn::News;
use crate::failure::{Failure, Result, Trying};
use crate::guard::Guard;
use crate::http;
use crate::load::{Load, Opening};
use crate::peers::{Peer, Place, PublishBy, Transport};

/// A publish that is not answered for so long has failed.
const ANSWER_PATIENCE: Duration = Duration::from_secs(10);

/// Publishes to one place.
pub(crate) struct Publisher {
    peer: Rc<dyn Peer>,
    place: Place,
    link: Link,
    out: Vec<u8>,
}

enum Link {
    Http { stream: TcpStream, input: Vec<u8>, awaited: usize },
    WebSocket(Box<Load>),
    Bare(TcpStream),
}

impl Publisher {
    /// Connects.
    ///
    /// # Errors
    /// The server refuses.
    pub(crate) fn connect(peer: Rc<dyn Peer>, place: Place, guard: &Guard) -> Result<Self> {
        let link = match peer.publish_by() {
            PublishBy::Http => Link::Http { stream: stream(&place)?, input: Vec::new(), awaited: 0 },
            PublishBy::WebSocket => {
                // A channel of its own, so that it is not one of the counted receivers.
                let channel = format!("{}-publisher", place.channel);
                let aside = Place { channel, addr: place.addr, since: None };
                let mut load = Load::new(Rc::clone(&peer), aside, Transport::Ws, guard.clone())?;
                load.open(1, Opening::default())?;
                Link::WebSocket(Box::new(load))
            }
            PublishBy::Bare => {
                let mut stream = stream(&place)?;
                stream.write_all(crate::floor::PUBLISHER).trying("greeting the floor")?;
                Link::Bare(stream)
            }
        };
        Ok(Self { peer, place, link, out: Vec::new() })
    }

    /// Publishes one round in one write.
    ///
    /// # Errors
    /// The connection is broken.
    pub(crate) fn publish(&mut self, payloads: &[String]) -> Result<()> {
        self.out.clear();
        let answers = self.peer.publish(&self.place, payloads, &mut self.out);
        match &mut self.link {
            Link::Http { stream, awaited, .. } => {
                *awaited += answers;
                stream.write_all(&self.out).trying("publishing")
            }
            Link::WebSocket(load) => load.write(0, &self.out),
            Link::Bare(stream) => stream.write_all(&self.out).trying("publishing"),
        }
    }

    /// Reads the answers to what was published.
    ///
    /// # Errors
    /// One of them is a refusal, or none comes for 10 s.
    pub(crate) fn collect(&mut self) -> Result<()> {
        match &mut self.link {
            Link::Http { stream, input, awaited } => {
                let mut chunk = [0; 16 << 10];
                while *awaited > 0 {
                    while let Some((used, status, body)) = http::response(input)? {
                        let body = String::from_utf8_lossy(&body).into_owned();
                        // A batch answers 200 with an error per message.
                        if !(200..300).contains(&status) || body.contains("\"error\"") {
                            return Err(Failure::Protocol(format!("publish refused with {status}: {body}")));
                        }
                        input.drain(..used);
                        *awaited -= 1;
                    }
                    if *awaited > 0 {
                        let count = stream.read(&mut chunk).trying("waiting for the answer to a publish")?;
                        if count == 0 {
                            return Err(Failure::Protocol("the server closed the publishing connection".to_owned()));
                        }
                        input.extend_from_slice(&chunk[..count]);
                    }
                }
                Ok(())
            }
            Link::WebSocket(load) => load.drain(Duration::ZERO, &mut |_, news| match news {
                News::Closed(why) => Err(Failure::Protocol(format!("publishing connection: {why}"))),
                News::Ready | News::Message(_) | News::Gap => Ok(()),
            }),
            Link::Bare(_) => Ok(()),
        }
    }
}

fn stream(place: &Place) -> Result<TcpStream> {
    let stream = TcpStream::connect(place.addr).trying("connecting the publisher")?;
    stream.set_nodelay(true).trying("TCP_NODELAY")?;
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).trying("setting a timeout")?;
    stream.set_write_timeout(Some(ANSWER_PATIENCE)).trying("setting a timeout")?;
    Ok(stream)
}
