//! How a peer can break the protocol, and the close code each breach is answered with.

use super::close_code;

/// The peer broke RFC 6455 or a limit; the connection must be closed with [`Violation::code`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A reserved bit is set although no extension was negotiated.
    #[error("reserved bit set without an extension")]
    ReservedBit,
    /// Opcode 3–7 or 11–15.
    #[error("reserved opcode")]
    ReservedOpcode,
    /// A client sent a frame without a mask.
    #[error("frame from a client is not masked")]
    NotMasked,
    /// A server sent a frame with a mask.
    #[error("frame from a server is masked")]
    Masked,
    /// A close, ping or pong without the final bit.
    #[error("control frame is fragmented")]
    FragmentedControl,
    /// A close, ping or pong of more than 125 bytes.
    #[error("control frame above 125 bytes")]
    LongControl,
    /// A length that would have fitted a shorter form.
    #[error("length not in its shortest form")]
    LengthNotMinimal,
    /// A 64-bit length whose top bit is set.
    #[error("length above 63 bits")]
    LengthTopBit,
    /// A continuation frame while no message is open.
    #[error("continuation without a message")]
    ContinuationWithoutStart,
    /// A new text or binary frame while a fragmented message is open.
    #[error("new message inside a fragmented one")]
    MessageInterrupted,
    /// A close frame whose body is one byte, too short for a code.
    #[error("close body of one byte")]
    CloseBodyTooShort,
    /// A close code that must not be sent.
    #[error("close code must not be sent")]
    CloseCode,
    /// Text or a close reason that is not UTF-8.
    #[error("text is not utf-8")]
    InvalidUtf8,
    /// A frame above [`Limits::frame_bytes_max`](super::Limits::frame_bytes_max).
    #[error("frame above the limit")]
    FrameTooBig,
    /// A message above [`Limits::message_bytes_max`](super::Limits::message_bytes_max).
    #[error("message above the limit")]
    MessageTooBig,
    /// A message in more frames than [`Limits::fragments_max`](super::Limits::fragments_max).
    #[error("message in too many fragments")]
    TooManyFragments,
    /// A binary message on a text protocol. The decoder never says this: it is here for the layer above, so that every
    /// end of a connection by its peer's fault takes one route.
    #[error("binary messages are not accepted")]
    BinaryNotAccepted,
}

impl Violation {
    /// The close code to answer with: 1002, 1003, 1007, 1008 or 1009.
    pub const fn code(self) -> u16 {
        match self {
            Self::ReservedBit
            | Self::ReservedOpcode
            | Self::NotMasked
            | Self::Masked
            | Self::FragmentedControl
            | Self::LongControl
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::ContinuationWithoutStart
            | Self::MessageInterrupted
            | Self::CloseBodyTooShort
            | Self::CloseCode => close_code::PROTOCOL,
            Self::BinaryNotAccepted => close_code::UNSUPPORTED,
            Self::InvalidUtf8 => close_code::INVALID_PAYLOAD,
            Self::TooManyFragments => close_code::POLICY,
            Self::FrameTooBig | Self::MessageTooBig => close_code::TOO_BIG,
        }
    }
}
