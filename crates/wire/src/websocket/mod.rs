//! The WebSocket protocol of RFC 6455, sans-IO: bytes in, messages out, and back.
//!
//! - [`Decoder`] unmasks in place in the caller's read buffer and lends a message out of it when the message lies there
//!   whole; only an incomplete frame or message is kept, and what keeps it is freed with the message. An idle decoder
//!   is 16 bytes.
//! - Limits are checked when a length is *claimed*, memory grows only as bytes *arrive*.
//! - Text is checked as it arrives, so that the first bad byte ends the connection, not the last.
//! - The first [`Violation`] or close frame ends the input: whatever follows is ignored.
//! - Encoding ([`encode`], [`frame_in_place`], [`encode_close`]) writes complete, final frames; [`encode_masked`] is the
//!   client's side.
//! - [`handshake`] decides about the opening request; it knows headers, not sockets.
//! - No extension is negotiated, so reserved bits are always a violation.
//!
//! Randomness (mask keys, the client's key) is an argument. Answering pings, echoing a close and closing the socket is
//! the caller's work.

pub mod close_code;
mod decoder;
mod encoder;
#[doc(hidden)]
pub mod fuzzing;
pub mod handshake;
mod header;
mod mask;
mod message;
mod text;
mod violation;

pub use decoder::Decoder;
pub use encoder::{
    CloseBody, FrameHeader, encode, encode_close, encode_masked, encode_text, encode_with, frame_header,
    frame_in_place, masked_frame_header,
};
pub use mask::apply_mask;
pub use message::{Message, Opcode};
pub use violation::Violation;

/// Which side of the connection decodes; it decides whether the input must be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Decodes what a client sent: every frame must be masked.
    Server,
    /// Decodes what a server sent: no frame may be masked.
    Client,
}

/// What one peer may send; the same for all connections of a listener, hence handed to each call and not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Payload of a whole message, all fragments together, in bytes. More is [`Violation::MessageTooBig`].
    pub message_bytes_max: usize,
    /// Payload of one data frame, in bytes. More is [`Violation::FrameTooBig`].
    pub frame_bytes_max: usize,
    /// Frames a message may be cut into. More is [`Violation::TooManyFragments`]: bytes alone do not bound the work,
    /// since a fragment may be empty.
    pub fragments_max: u32,
}

/// The longest payload of a control frame, in bytes (RFC 6455, 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// The longest header of a frame, in bytes: two, an eight byte length and a mask key.
pub const HEADER_BYTES_MAX: usize = 14;
