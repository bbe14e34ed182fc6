//! The floor as a peer: a child process of this same binary.

use std::process::Command;

use super::{Frame, Framing, Meaning, Peer, Place, PublishBy, Setup, Transport};
use crate::child::{self, Running, TempDir};
use crate::failure::{Result, Trying};
use crate::floor;

/// See [`crate::floor`].
#[derive(Debug)]
pub(super) struct FloorPeer;

impl Peer for FloorPeer {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn transports(&self) -> &'static [Transport] {
        // Not really WebSocket: bare frames.
        &[Transport::Ws]
    }

    fn start(&self, setup: &Setup) -> Result<Running> {
        let addr = child::free_addr()?;
        let program = std::env::current_exe().trying("finding our own program")?;
        let mut command = Command::new(program);
        command.arg("floor-server").arg("--port").arg(addr.port().to_string());
        Running::start(command, TempDir::new()?, addr, "send / writev".to_owned(), &setup.guard)
    }

    fn framing(&self, _transport: Transport) -> Framing {
        Framing::Bare
    }

    fn greets(&self, _transport: Transport) -> bool {
        true
    }

    fn subscribe(&self, _place: &Place, _transport: Transport, _user: Option<usize>) -> Vec<u8> {
        floor::SUBSCRIBER.to_vec()
    }

    fn meaning(&self, _transport: Transport, frame: Frame<'_>) -> Meaning {
        if frame.bytes() == floor::READY { Meaning::Ready } else { Meaning::Nothing }
    }

    fn publish_by(&self) -> PublishBy {
        PublishBy::Bare
    }

    fn publish(&self, _place: &Place, payloads: &[String], out: &mut Vec<u8>) -> usize {
        floor::write_batch(out, payloads);
        0
    }
}
