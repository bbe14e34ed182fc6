//! Bytes from a peer to messages, in place where possible.
//!
//! - A frame that lies in the input whole, and is a message of its own, is lent from there: no copy, no allocation.
//! - Anything else is collected in one box that lives from the first byte of something incomplete to the call after the
//!   message was handed out.
//! - The result does not depend on how the input was cut.

use super::text::{TextBuffer, grown};
use super::{HEADER_BYTES_MAX, Limits, Message, Opcode, Role, Violation, close_code, header::Header, mask::apply_mask};

/// Turns the bytes of one peer into messages; 16 bytes while nothing is incomplete.
///
/// ```
/// use realtime_connector_wire::websocket::{Decoder, Limits, Message, Role};
///
/// let limits = Limits { message_bytes_max: 65_536, frame_bytes_max: 65_536, fragments_max: 64 };
/// let mut decoder = Decoder::new(Role::Server);
/// let mut read = *b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"; // RFC 6455, 5.7
/// let mut input = &mut read[..];
/// let mut seen = Vec::new();
/// while let Some(message) = decoder.decode(&mut input, &limits)? {
///     if let Message::Text(text) = message {
///         seen.push(text.to_owned());
///     }
/// }
/// assert_eq!(seen, ["Hello"]);
/// # Ok::<(), realtime_connector_wire::websocket::Violation>(())
/// ```
#[derive(Debug)]
pub struct Decoder {
    role: Role,
    /// A close frame or a violation was seen: nothing later counts.
    ended: bool,
    partial: Option<Box<Partial>>,
}

impl Decoder {
    /// A decoder for what the *other* side of `role` sends.
    pub const fn new(role: Role) -> Self {
        Self { role, ended: false, partial: None }
    }

    /// Takes bytes from the front of `input`, unmasking them there, up to the end of the next message.
    ///
    /// `None` means that the input is used up; call again when more has been read. Call until then: it is that call
    /// which frees the memory of a message that had to be collected (else [`Decoder::release`] does).
    ///
    /// # Errors
    /// The peer broke a rule or a limit. The rest of the input is dropped, and so is everything given later.
    pub fn decode<'a, 'b: 'a>(
        &'a mut self,
        input: &mut &'b mut [u8],
        limits: &Limits,
    ) -> Result<Option<Message<'a>>, Violation> {
        self.release();
        if self.ended {
            self.partial = None;
            *input = &mut [];
            return Ok(None);
        }
        match self.step(input, limits) {
            Ok(Step::NeedsMore) => Ok(None),
            Ok(Step::Lent(message)) => {
                self.ended = matches!(message, Message::Close { .. });
                Ok(Some(message))
            }
            Ok(Step::Collected(opcode)) => self.collected(opcode).map(Some),
            Err(violation) => {
                self.ended = true;
                self.partial = None;
                *input = &mut [];
                Err(violation)
            }
        }
    }

    /// Frees the memory of the message that was handed out last, if it had to be collected. Only needed by a caller that
    /// stops before [`Decoder::decode`] said `None`.
    pub fn release(&mut self) {
        let Some(partial) = &mut self.partial else { return };
        match partial.stage {
            Stage::MessageLent => self.partial = None,
            Stage::ControlLent if partial.message.is_none() => self.partial = None,
            Stage::ControlLent => {
                partial.control = Vec::new();
                partial.stage = Stage::BETWEEN_FRAMES;
            }
            Stage::Header { .. } | Stage::Payload(_) => {}
        }
    }

    /// Whether the input so far ended with a message: the peer owes nothing. A peer that leaves a frame unfinished for
    /// long should be closed by a deadline of the caller.
    pub fn is_idle(&self) -> bool {
        self.partial.as_ref().is_none_or(|partial| partial.message_is_done())
    }

    /// Whether a close frame or a violation ended the input.
    pub const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Heap memory in use, in bytes: 0 when idle, and at most [`Limits::message_bytes_max`] plus a few hundred.
    pub fn held_bytes(&self) -> usize {
        self.partial.as_ref().map_or(0, |partial| {
            let message = partial.message.as_ref().map_or(0, |message| message.body.capacity());
            size_of::<Partial>() + partial.control.capacity() + message
        })
    }

    /// Works through the input up to something to hand out. Borrows only the input, so that the caller may still change
    /// the decoder.
    fn step<'b>(&mut self, input: &mut &'b mut [u8], limits: &Limits) -> Result<Step<'b>, Violation> {
        loop {
            if let Some(Partial { stage: Stage::Payload(frame), .. }) = self.partial.as_deref() {
                let bytes = take_front(input, frame.remaining);
                match self.collect(bytes, limits)? {
                    Collected::Partly => return Ok(Step::NeedsMore),
                    Collected::Fragment => continue,
                    Collected::Whole(opcode) => return Ok(Step::Collected(opcode)),
                }
            }
            let Some(header) = self.read_header(input)? else { return Ok(Step::NeedsMore) };
            let payload_len = self.admit(&header, limits)?;
            if header.fin && header.opcode != Opcode::Continuation && payload_len <= input.len() {
                self.leave_header();
                let payload = take_front(input, payload_len);
                apply_mask(header.mask, payload);
                return whole_message(header.opcode, payload).map(Step::Lent);
            }
            self.begin_frame(&header, payload_len);
        }
    }

    /// Reads a header, from the input alone if it lies there whole.
    fn read_header(&mut self, input: &mut &mut [u8]) -> Result<Option<Header>, Violation> {
        let message_is_open = self.open_message().is_some();
        if let Some(Partial { stage: Stage::Header { bytes, len }, .. }) = self.partial.as_deref_mut()
            && *len > 0
        {
            // The start came with an earlier read: complete it byte by byte, at most 13 times.
            while let [byte] = *take_front(input, 1) {
                bytes[usize::from(*len)] = byte;
                *len += 1;
                let header = Header::parse(&bytes[..usize::from(*len)], self.role, message_is_open)?;
                if header.is_some() {
                    return Ok(header);
                }
            }
            return Ok(None);
        }
        if let Some(header) = Header::parse(input, self.role, message_is_open)? {
            take_front(input, header.header_len);
            return Ok(Some(header));
        }
        let start = take_front(input, HEADER_BYTES_MAX);
        if !start.is_empty() {
            let mut bytes = [0; HEADER_BYTES_MAX];
            bytes[..start.len()].copy_from_slice(start);
            let len = u8::try_from(start.len()).expect("a header is at most 14 bytes");
            self.partial.get_or_insert_default().stage = Stage::Header { bytes, len };
        }
        Ok(None)
    }

    /// Holds what a header claims against the limits; returns the length of the payload in bytes.
    fn admit(&self, header: &Header, limits: &Limits) -> Result<usize, Violation> {
        let claimed = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
        if header.opcode.is_control() {
            return Ok(claimed);
        }
        let (received, fragments) =
            self.open_message().map_or((0, 0), |message| (message.body.len(), message.fragments));
        if fragments >= limits.fragments_max {
            return Err(Violation::TooManyFragments);
        }
        if claimed > limits.frame_bytes_max {
            return Err(Violation::FrameTooBig);
        }
        if claimed > limits.message_bytes_max.saturating_sub(received) {
            return Err(Violation::MessageTooBig);
        }
        Ok(claimed)
    }

    /// Forgets a header that was collected, its frame being whole in the input after all.
    fn leave_header(&mut self) {
        if let Some(partial) = &mut self.partial {
            partial.stage = Stage::BETWEEN_FRAMES;
            if partial.message.is_none() {
                self.partial = None;
            }
        }
    }

    /// Prepares to collect the payload of a frame that is not whole or not a message of its own.
    fn begin_frame(&mut self, header: &Header, payload_len: usize) {
        let partial = self.partial.get_or_insert_default();
        let Header { fin, opcode, mask, .. } = *header;
        partial.stage = Stage::Payload(Frame { fin, opcode, mask, remaining: payload_len });
        match opcode {
            Opcode::Text => partial.message = Some(OpenMessage::new(Body::Text(TextBuffer::default()))),
            Opcode::Binary => partial.message = Some(OpenMessage::new(Body::Binary(Vec::new()))),
            Opcode::Continuation => {
                let message = partial.message.as_mut().expect("a continuation without a message was refused");
                message.fragments += 1;
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong => partial.control = Vec::with_capacity(payload_len),
        }
    }

    /// Adds bytes of the current frame to what it is part of.
    fn collect(&mut self, bytes: &mut [u8], limits: &Limits) -> Result<Collected, Violation> {
        let partial = self.partial.as_deref_mut().expect("a frame is being collected");
        let Stage::Payload(frame) = &mut partial.stage else { unreachable!("a payload is being collected") };
        apply_mask(frame.mask, bytes);
        frame.mask.rotate_left(bytes.len() % 4);
        if frame.opcode.is_control() {
            partial.control.extend_from_slice(bytes);
        } else {
            let message = partial.message.as_mut().expect("a data frame belongs to a message");
            // The last frame tells how long the message becomes; before it, only the limit does.
            let bytes_max = if frame.fin { message.body.len() + frame.remaining } else { limits.message_bytes_max };
            message.body.push(bytes, bytes_max)?;
        }
        frame.remaining -= bytes.len();
        if frame.remaining > 0 {
            return Ok(Collected::Partly);
        }
        let Frame { fin, opcode, .. } = *frame;
        if opcode.is_control() {
            partial.stage = Stage::ControlLent;
            return Ok(Collected::Whole(opcode));
        }
        if !fin {
            partial.stage = Stage::BETWEEN_FRAMES;
            return Ok(Collected::Fragment);
        }
        partial.stage = Stage::MessageLent;
        match &partial.message {
            Some(OpenMessage { body: Body::Text(text), .. }) if !text.is_complete() => Err(Violation::InvalidUtf8),
            Some(OpenMessage { body: Body::Text(_), .. }) => Ok(Collected::Whole(Opcode::Text)),
            Some(OpenMessage { body: Body::Binary(_), .. }) | None => Ok(Collected::Whole(Opcode::Binary)),
        }
    }

    /// Lends what was collected.
    fn collected(&mut self, opcode: Opcode) -> Result<Message<'_>, Violation> {
        // Good or bad, a close frame is the end; its body stays until the next call.
        self.ended = opcode == Opcode::Close;
        let partial = self.partial.as_deref().expect("something was collected");
        match &partial.message {
            Some(message) if !opcode.is_control() => Ok(match &message.body {
                Body::Text(text) => Message::Text(text.as_str()),
                Body::Binary(bytes) => Message::Binary(bytes),
            }),
            Some(_) | None => whole_message(opcode, &partial.control),
        }
    }

    fn open_message(&self) -> Option<&OpenMessage> {
        self.partial.as_ref()?.message.as_ref()
    }
}

/// What the input so far leaves to do.
enum Step<'b> {
    /// The input is used up.
    NeedsMore,
    /// The message lies in the input.
    Lent(Message<'b>),
    /// The message lies in the decoder.
    Collected(Opcode),
}

/// What a piece of payload completed.
enum Collected {
    /// Nothing: the frame goes on.
    Partly,
    /// A frame, but not its message.
    Fragment,
    /// A message or control frame.
    Whole(Opcode),
}

/// Something incomplete, or handed out a moment ago.
#[derive(Debug, Default)]
struct Partial {
    stage: Stage,
    /// The message whose fragments are being received. Stays while it is lent.
    message: Option<OpenMessage>,
    /// Payload of a control frame that came in pieces. At most 125 bytes.
    control: Vec<u8>,
}

impl Partial {
    fn message_is_done(&self) -> bool {
        match self.stage {
            Stage::MessageLent => true,
            Stage::ControlLent => self.message.is_none(),
            Stage::Header { .. } | Stage::Payload(_) => false,
        }
    }
}

#[derive(Debug)]
enum Stage {
    /// Before the payload: the first `len` bytes of a header; with `len` 0, between the frames of a message.
    Header {
        bytes: [u8; HEADER_BYTES_MAX],
        len: u8,
    },
    Payload(Frame),
    /// The message is lent out, to be freed by the next call.
    MessageLent,
    /// The control frame is lent out, to be freed by the next call.
    ControlLent,
}

impl Stage {
    const BETWEEN_FRAMES: Self = Self::Header { bytes: [0; HEADER_BYTES_MAX], len: 0 };
}

impl Default for Stage {
    fn default() -> Self {
        Self::BETWEEN_FRAMES
    }
}

/// A frame whose payload is being received.
#[derive(Debug)]
struct Frame {
    fin: bool,
    opcode: Opcode,
    /// The mask key, rotated to the next byte of the payload.
    mask: [u8; 4],
    /// Bytes of payload still to come.
    remaining: usize,
}

#[derive(Debug)]
struct OpenMessage {
    body: Body,
    /// Frames begun, at most [`Limits::fragments_max`].
    fragments: u32,
}

impl OpenMessage {
    const fn new(body: Body) -> Self {
        Self { body, fragments: 1 }
    }
}

#[derive(Debug)]
enum Body {
    Text(TextBuffer),
    Binary(Vec<u8>),
}

impl Body {
    fn push(&mut self, bytes: &[u8], bytes_max: usize) -> Result<(), Violation> {
        match self {
            Self::Text(text) => text.push(bytes, bytes_max),
            Self::Binary(buffer) => {
                let len = buffer.len();
                buffer.reserve_exact(grown(buffer.capacity(), len + bytes.len(), bytes_max) - len);
                buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(buffer) => buffer.len(),
        }
    }

    fn capacity(&self) -> usize {
        match self {
            Self::Text(text) => text.capacity(),
            Self::Binary(buffer) => buffer.capacity(),
        }
    }
}

/// Cuts at most `len` bytes from the front of `input`.
fn take_front<'b>(input: &mut &'b mut [u8], len: usize) -> &'b mut [u8] {
    let taken = std::mem::take(input);
    let (front, rest) = taken.split_at_mut(len.min(taken.len()));
    *input = rest;
    front
}

/// A message from the unmasked payload of its only frame.
fn whole_message(opcode: Opcode, payload: &[u8]) -> Result<Message<'_>, Violation> {
    match opcode {
        Opcode::Text => simdutf8::basic::from_utf8(payload).map(Message::Text).map_err(|_| Violation::InvalidUtf8),
        Opcode::Binary => Ok(Message::Binary(payload)),
        Opcode::Close => parse_close(payload),
        Opcode::Ping => Ok(Message::Ping(payload)),
        Opcode::Pong => Ok(Message::Pong(payload)),
        Opcode::Continuation => unreachable!("a continuation is never a message of its own"),
    }
}

fn parse_close(body: &[u8]) -> Result<Message<'_>, Violation> {
    let Some((&code, reason)) = body.split_first_chunk() else {
        let empty = Message::Close { code: None, reason: "" };
        return if body.is_empty() { Ok(empty) } else { Err(Violation::CloseBodyTooShort) };
    };
    let code = u16::from_be_bytes(code);
    if !close_code::may_be_sent(code) {
        return Err(Violation::CloseCode);
    }
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Violation::InvalidUtf8)?;
    Ok(Message::Close { code: Some(code), reason })
}

const _: () = assert!(size_of::<Decoder>() == 16, "an idle connection pays for this");
