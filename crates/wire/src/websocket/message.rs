//! What a peer said, as it is lent to the caller, and the opcodes that carry it.

/// A whole message or control frame, borrowed from the read buffer or from the decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A text message.
    Text(&'a str),
    /// A binary message.
    Binary(&'a [u8]),
    /// A ping with its payload (at most 125 bytes); the answer is a pong with the same payload.
    Ping(&'a [u8]),
    /// A pong with its payload (at most 125 bytes).
    Pong(&'a [u8]),
    /// The peer closes; nothing it sends later is looked at.
    Close {
        /// The peer's code, one that [`close_code::may_be_sent`](super::close_code::may_be_sent) allows; `None` when the
        /// close frame was empty.
        code: Option<u16>,
        /// The peer's reason, at most 123 bytes.
        reason: &'a str,
    },
}

/// The kinds of frame that exist without extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of a message.
    Continuation = 0x0,
    /// A text message or its first fragment.
    Text = 0x1,
    /// A binary message or its first fragment.
    Binary = 0x2,
    /// The close handshake.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or tells that the peer lives.
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of these four bits; `None` for a reserved one.
    pub(super) const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether frames of this kind may stand between the fragments of a message, and must be short and whole.
    pub const fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }
}
