//! The opening handshake: RFC 6455, 4.2, over HTTP/1.1, and RFC 8441 over HTTP/2.
//!
//! - A request is judged by method, version and headers alone; host, origin, path and credentials are the caller's.
//! - The work is linear in the size of the headers, whatever they hold.
//! - A subprotocol is chosen only if it was offered; an empty or unknown offer chooses none and is no reason to refuse.
//! - Offered extensions are ignored: leaving them out of the answer declines them.
//! - Over HTTP/2 the request is an extended CONNECT: no key, no `Upgrade`, and the answer is a plain 200.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// The subprotocol of the native JSON protocol.
pub const NATIVE_JSON: &str = "realtime-connector.v1+json";

/// What is appended to the client's key before hashing (RFC 6455, 1.3).
const KEY_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Length of `Sec-WebSocket-Key`, 16 bytes in base64.
const KEY_LEN: usize = 24;

/// Versions of HTTP, as far as the handshake tells them apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpVersion {
    /// HTTP/1.0 and older, which cannot upgrade.
    Http10,
    /// HTTP/1.1.
    Http11,
    /// HTTP/2.
    Http2,
}

/// The first line of a request, without its target.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The method, as it was sent.
    pub method: &'a str,
    /// The version of HTTP.
    pub version: HttpVersion,
    /// The pseudo-header `:protocol` of an extended CONNECT.
    pub protocol: Option<&'a str>,
}

/// What to answer to a good request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// The value of `Sec-WebSocket-Accept`, ASCII, for an answer 101 with `Upgrade: websocket` and
    /// `Connection: Upgrade`. `None` over HTTP/2, where the answer is 200 without these three.
    pub accept: Option<[u8; 28]>,
    /// The value of `Sec-WebSocket-Protocol`; without one the header is left out.
    pub subprotocol: Option<&'static str>,
}

/// Decides whether a request may become a WebSocket. `supported` are the subprotocols known, best first.
///
/// # Errors
/// The rule that the request breaks, with its HTTP status.
pub fn accept<'h>(
    request: &Request<'_>,
    headers: impl IntoIterator<Item = (&'h str, &'h [u8])>,
    supported: &[&'static str],
) -> Result<Accepted, Refusal> {
    check_start(request)?;
    let seen = Seen::collect(headers, supported);
    if seen.body {
        return Err(Refusal::Body);
    }
    if request.version == HttpVersion::Http11 {
        seen.check_upgrade()?;
    }
    seen.check_version()?;
    let accept = match request.version {
        HttpVersion::Http2 => None,
        HttpVersion::Http10 | HttpVersion::Http11 => Some(accept_key(seen.key()?)),
    };
    Ok(Accepted { accept, subprotocol: seen.subprotocol.map(|index| supported[index]) })
}

/// The value of `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`, in ASCII. Clients compare it with the answer.
pub fn accept_key(key: &[u8]) -> [u8; 28] {
    let digest = Sha1::new().chain_update(key).chain_update(KEY_SUFFIX).finalize();
    let mut accept = [0; 28];
    STANDARD.encode_slice(digest, &mut accept).expect("20 bytes are 28 in base64");
    accept
}

/// A `Sec-WebSocket-Key` for 16 random bytes, in ASCII. For clients.
pub fn client_key(random: [u8; 16]) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    STANDARD.encode_slice(random, &mut key).expect("16 bytes are 24 in base64");
    key
}

/// Why a request does not become a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Neither GET nor an extended CONNECT.
    #[error("websocket needs GET")]
    Method,
    /// HTTP/1.0 or older.
    #[error("websocket needs http/1.1 or http/2")]
    HttpVersion,
    /// GET over HTTP/2, where the upgrade of HTTP/1.1 does not exist.
    #[error("websocket over http/2 needs an extended CONNECT")]
    NotExtendedConnect,
    /// An extended CONNECT for another protocol.
    #[error("extended CONNECT for a protocol other than websocket")]
    ConnectProtocol,
    /// `Upgrade` does not name `websocket`.
    #[error("upgrade header does not name websocket")]
    NotUpgrade,
    /// `Connection` does not name `upgrade`, or names `close`.
    #[error("connection header does not say upgrade")]
    Connection,
    /// `Sec-WebSocket-Version` is missing or not 13.
    #[error("websocket version is not 13")]
    Version,
    /// `Sec-WebSocket-Key` is missing.
    #[error("websocket key missing")]
    KeyMissing,
    /// `Sec-WebSocket-Key` is not 16 bytes in base64, or comes more than once.
    #[error("websocket key is not 16 bytes in base64")]
    KeyInvalid,
    /// The request has a body, which would be taken for frames.
    #[error("websocket request has a body")]
    Body,
}

impl Refusal {
    /// The HTTP status to answer with.
    pub const fn status(self) -> u16 {
        match self {
            Self::HttpVersion
            | Self::NotExtendedConnect
            | Self::Connection
            | Self::KeyMissing
            | Self::KeyInvalid
            | Self::Body => 400,
            Self::Method => 405,
            Self::NotUpgrade | Self::Version => 426,
            Self::ConnectProtocol => 501,
        }
    }

    /// Headers that the status asks for, names in lower case. Over HTTP/2, `connection` and `upgrade` do not exist and are
    /// left out (hyper does so by itself).
    pub const fn headers(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Method => &[("allow", "GET")],
            Self::NotUpgrade | Self::Version => {
                &[("connection", "upgrade"), ("upgrade", "websocket"), ("sec-websocket-version", "13")]
            }
            Self::HttpVersion
            | Self::NotExtendedConnect
            | Self::ConnectProtocol
            | Self::Connection
            | Self::KeyMissing
            | Self::KeyInvalid
            | Self::Body => &[],
        }
    }
}

/// Method and version, before any header.
fn check_start(request: &Request<'_>) -> Result<(), Refusal> {
    match (request.version, request.method) {
        (HttpVersion::Http10, _) => Err(Refusal::HttpVersion),
        (HttpVersion::Http11, "GET") => Ok(()),
        (HttpVersion::Http2, "CONNECT") => match request.protocol {
            Some(protocol) if protocol.eq_ignore_ascii_case("websocket") => Ok(()),
            Some(_) => Err(Refusal::ConnectProtocol),
            None => Err(Refusal::Method),
        },
        (HttpVersion::Http2, "GET") => Err(Refusal::NotExtendedConnect),
        (HttpVersion::Http11 | HttpVersion::Http2, _) => Err(Refusal::Method),
    }
}

/// What one pass over the headers found.
#[derive(Default)]
struct Seen<'h> {
    upgrade_websocket: bool,
    connection_upgrade: bool,
    connection_close: bool,
    version: Once<'h>,
    key: Once<'h>,
    /// Index of the best subprotocol offered.
    subprotocol: Option<usize>,
    body: bool,
}

/// A header that may come only once.
#[derive(Default)]
enum Once<'h> {
    #[default]
    Missing,
    One(&'h [u8]),
    Many,
}

impl<'h> Once<'h> {
    fn add(&mut self, value: &'h [u8]) {
        *self = match self {
            Self::Missing => Self::One(value.trim_ascii()),
            Self::One(_) | Self::Many => Self::Many,
        };
    }
}

impl<'h> Seen<'h> {
    fn collect(headers: impl IntoIterator<Item = (&'h str, &'h [u8])>, supported: &[&'static str]) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
            if is("upgrade") {
                seen.upgrade_websocket |= names(value, b"websocket");
            } else if is("connection") {
                seen.connection_upgrade |= names(value, b"upgrade");
                seen.connection_close |= names(value, b"close");
            } else if is("sec-websocket-version") {
                seen.version.add(value);
            } else if is("sec-websocket-key") {
                seen.key.add(value);
            } else if is("sec-websocket-protocol") {
                seen.offer(value, supported);
            } else if is("content-length") {
                seen.body |= value.trim_ascii() != b"0";
            } else if is("transfer-encoding") {
                seen.body = true;
            }
        }
        seen
    }

    /// Takes the best subprotocol of one header; the header may come several times. Names compare byte for byte.
    fn offer(&mut self, value: &[u8], supported: &[&'static str]) {
        for offered in elements(value) {
            // Only better ones are looked for, so that a thousand known names cost no more than a thousand unknown ones.
            let better = &supported[..self.subprotocol.unwrap_or(supported.len())];
            if let Some(index) = better.iter().position(|name| name.as_bytes() == offered) {
                self.subprotocol = Some(index);
            }
        }
    }

    fn check_upgrade(&self) -> Result<(), Refusal> {
        if !self.upgrade_websocket {
            return Err(Refusal::NotUpgrade);
        }
        if !self.connection_upgrade || self.connection_close {
            return Err(Refusal::Connection);
        }
        Ok(())
    }

    fn check_version(&self) -> Result<(), Refusal> {
        match self.version {
            Once::One(b"13") => Ok(()),
            Once::Missing | Once::One(_) | Once::Many => Err(Refusal::Version),
        }
    }

    fn key(&self) -> Result<&'h [u8], Refusal> {
        match self.key {
            Once::Missing => Err(Refusal::KeyMissing),
            Once::One(key) if is_key(key) => Ok(key),
            Once::One(_) | Once::Many => Err(Refusal::KeyInvalid),
        }
    }
}

/// Whether `key` is 16 bytes in base64: 22 characters and two equals signs. The four bits beyond the 16th byte are not
/// looked at, as they mean nothing.
fn is_key(key: &[u8]) -> bool {
    key.len() == KEY_LEN
        && key.ends_with(b"==")
        && key[..KEY_LEN - 2].iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

/// Whether the list in `value` names `token`, in any case.
fn names(value: &[u8], token: &[u8]) -> bool {
    elements(value).any(|element| element.eq_ignore_ascii_case(token))
}

/// The elements of a comma separated header, without white space around them; some may be empty.
fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}
