//! socket.io on Node, installed by npm into a temporary directory when it is wanted.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Frame, Meaning, Peer, Place, PublishBy, Setup, Transport, upgrade};
use crate::child::{self, Running, TempDir};
use crate::failure::{Failure, Result, Trying};
use crate::ws;

/// The major version of the published comparisons.
const PACKAGE: &str = "socket.io@4";
/// For a slow registry; usually a few seconds.
const INSTALL_PATIENCE: Duration = Duration::from_secs(120);
const SCRIPT: &str = include_str!("socketio.js");

/// See the module.
#[derive(Debug)]
pub(super) struct SocketIo;

impl Peer for SocketIo {
    fn name(&self) -> &'static str {
        "socket.io"
    }

    fn transports(&self) -> &'static [Transport] {
        &[Transport::Ws]
    }

    fn start(&self, setup: &Setup) -> Result<Running> {
        let mut ask = Command::new("node");
        ask.arg("--version");
        let node = child::output(ask, Duration::from_secs(10), &setup.guard)?;
        let dir = TempDir::new()?;
        let mut install = Command::new("npm");
        install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        install.arg(dir.path()).arg(PACKAGE);
        child::output(install, INSTALL_PATIENCE, &setup.guard)?;
        let version = installed_version(dir.path())?;
        let script = dir.path().join("server.js");
        fs::write(&script, SCRIPT).trying("writing the socket.io server")?;
        let addr = child::free_addr()?;
        let mut command = Command::new("node");
        command.arg(&script).arg(addr.port().to_string());
        Running::start(command, dir, addr, format!("socket.io {version}, Node {}", node.trim()), &setup.guard)
    }

    fn greets(&self, _transport: Transport) -> bool {
        true
    }

    fn subscribe(&self, place: &Place, _transport: Transport, _user: Option<usize>) -> Vec<u8> {
        upgrade(place, "/socket.io/?EIO=4&transport=websocket")
    }

    fn meaning(&self, _transport: Transport, frame: Frame<'_>) -> Meaning {
        // Engine.IO packet types: 0 open, 2 ping, 4 message; inside of 4, Socket.IO types: 0 connect, 4 connect error.
        match frame.bytes() {
            [b'0', ..] => Meaning::Answer(b"40".to_vec()),
            [b'2', ..] => Meaning::Answer(b"3".to_vec()),
            [b'4', b'0', ..] => Meaning::Ready,
            [b'4', b'4', rest @ ..] => Meaning::Refused(String::from_utf8_lossy(rest).into_owned()),
            _ => Meaning::Nothing,
        }
    }

    fn publish_by(&self) -> PublishBy {
        PublishBy::WebSocket
    }

    fn publish(&self, _place: &Place, payloads: &[String], out: &mut Vec<u8>) -> usize {
        ws::write_text(out, format!("42[\"publish\",[{}]]", payloads.join(",")).as_bytes());
        0
    }
}

fn installed_version(dir: &Path) -> Result<String> {
    let file = dir.join("node_modules/socket.io/package.json");
    let text = fs::read_to_string(file).map_err(|error| Failure::Skip(format!("socket.io is not there: {error}")))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| Failure::Skip(format!("its package.json is broken: {error}")))?;
    Ok(json["version"].as_str().unwrap_or("of unknown version").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_is_answered_packet_by_packet() {
        for (packet, expected) in [
            ("0{\"sid\":\"a\"}", Meaning::Answer(b"40".to_vec())),
            ("40{\"sid\":\"b\"}", Meaning::Ready),
            ("2", Meaning::Answer(b"3".to_vec())),
            ("44{\"message\":\"no\"}", Meaning::Refused("{\"message\":\"no\"}".to_owned())),
            ("42[\"other\"]", Meaning::Nothing),
        ] {
            assert_eq!(SocketIo.meaning(Transport::Ws, Frame::Text(packet.as_bytes())), expected, "{packet}");
        }
    }
}
