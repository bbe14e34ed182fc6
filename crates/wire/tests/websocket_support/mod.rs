//! What the WebSocket tests share: frames written and read by hand (so that the codec is not tested against itself), and
//! an echo server in memory.

#![expect(dead_code, reason = "each test file uses its part")]

pub(crate) mod kuhn;

use realtime_connector_wire::websocket::{
    Decoder, Limits, Message, Opcode, Role, Violation, encode, encode_close, encode_text,
};

pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// The key all masked test frames use.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A frame, with everything that can be wrong about one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) fin: bool,
    pub(crate) rsv: u8,
    pub(crate) opcode: u8,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { fin: true, rsv: 0, opcode, payload: payload.as_ref().to_vec() }
    }

    /// The same without the final bit.
    pub(crate) fn part(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self { fin: false, ..Self::new(opcode, payload) }
    }

    pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes(), reason.as_ref()].concat())
    }

    pub(crate) fn rsv(self, rsv: u8) -> Self {
        Self { rsv, ..self }
    }

    /// As a client sends it.
    pub(crate) fn masked(&self) -> Vec<u8> {
        let mut bytes = self.header(0x80);
        bytes.extend_from_slice(&MASK);
        bytes.extend(self.payload.iter().enumerate().map(|(i, byte)| byte ^ MASK[i % 4]));
        bytes
    }

    /// As a server sends it.
    pub(crate) fn unmasked(&self) -> Vec<u8> {
        let mut bytes = self.header(0);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    fn header(&self, mask_bit: u8) -> Vec<u8> {
        let mut bytes = vec![u8::from(self.fin) << 7 | self.rsv << 4 | self.opcode];
        match self.payload.len() {
            len @ 0..=125 => bytes.push(mask_bit | len as u8),
            len @ 126..=65_535 => {
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&(len as u16).to_be_bytes());
            }
            len => {
                bytes.push(mask_bit | 127);
                bytes.extend_from_slice(&(len as u64).to_be_bytes());
            }
        }
        bytes
    }

    /// Reads all frames of a server; panics when the bytes are anything else.
    pub(crate) fn read_all(mut bytes: &[u8]) -> Vec<Self> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            assert_eq!(bytes[1] & 0x80, 0, "a server does not mask");
            let (len, at) = match bytes[1] {
                126 => (u16::from_be_bytes([bytes[2], bytes[3]]).into(), 4),
                127 => (u64::from_be_bytes(*bytes[2..].first_chunk().expect("eight bytes")) as usize, 10),
                len => (usize::from(len), 2),
            };
            let payload = bytes[at..at + len].to_vec();
            let first = bytes[0];
            frames.push(Self { fin: first & 0x80 != 0, rsv: first >> 4 & 7, opcode: first & 15, payload });
            bytes = &bytes[at + len..];
        }
        frames
    }
}

/// A message that outlives the read buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owned {
    Text(String),
    Binary(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Message<'_>> for Owned {
    fn from(message: Message<'_>) -> Self {
        match message {
            Message::Text(text) => Self::Text(text.to_owned()),
            Message::Binary(bytes) => Self::Binary(bytes.to_vec()),
            Message::Ping(bytes) => Self::Ping(bytes.to_vec()),
            Message::Pong(bytes) => Self::Pong(bytes.to_vec()),
            Message::Close { code, reason } => Self::Close(code, reason.to_owned()),
        }
    }
}

/// Limits as generous as the Autobahn list needs them.
pub(crate) const WIDE: Limits =
    Limits { message_bytes_max: 16 * 1024 * 1024, frame_bytes_max: 16 * 1024 * 1024, fragments_max: 65_536 };

/// All that `decoder` makes of `bytes`, read in pieces of `chop`.
pub(crate) fn decode_all(
    decoder: &mut Decoder,
    bytes: &[u8],
    chop: usize,
    limits: &Limits,
) -> (Vec<Owned>, Result<(), Violation>) {
    let mut messages = Vec::new();
    for piece in bytes.chunks(chop.max(1)) {
        let mut scratch = piece.to_vec();
        let mut input = &mut scratch[..];
        loop {
            match decoder.decode(&mut input, limits) {
                Ok(Some(message)) => messages.push(message.into()),
                Ok(None) => break,
                Err(violation) => return (messages, Err(violation)),
            }
        }
    }
    (messages, Ok(()))
}

/// Echoes messages, answers pings and closes, and ends with the right code when the peer breaks a rule.
pub(crate) struct Echo {
    decoder: Decoder,
    limits: Limits,
    out: Vec<u8>,
}

impl Echo {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { decoder: Decoder::new(Role::Server), limits, out: Vec::new() }
    }

    /// One read of the socket.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        let mut scratch = bytes.to_vec();
        let mut input = &mut scratch[..];
        loop {
            match self.decoder.decode(&mut input, &self.limits) {
                Ok(None) => break,
                Ok(Some(Message::Text(text))) => encode_text(&mut self.out, text),
                Ok(Some(Message::Binary(bytes))) => encode(&mut self.out, Opcode::Binary, bytes),
                Ok(Some(Message::Ping(bytes))) => encode(&mut self.out, Opcode::Pong, bytes),
                Ok(Some(Message::Pong(_))) => {}
                Ok(Some(Message::Close { code, .. })) => encode_close(&mut self.out, code, ""),
                Err(violation) => encode_close(&mut self.out, Some(violation.code()), &violation.to_string()),
            }
        }
        assert!(input.is_empty());
    }

    /// The frames sent since the last call.
    pub(crate) fn take_frames(&mut self) -> Vec<Frame> {
        Frame::read_all(&std::mem::take(&mut self.out))
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.decoder.has_ended()
    }
}
