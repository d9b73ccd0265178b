//! What a client sends, from bytes to messages (RFC 6455 §5).
//!
//! A reactor calls [`receive`] with each read, on its own thread. A message that lies wholly in the
//! read is unmasked in place and lent to the [`Receiver`]: no copy, no allocation. What the read
//! cuts goes on in an [`Assembly`].

use super::assembly::Assembly;
use super::frame::Opcode;
use super::head::{Context, Head};
use super::{close, mask, utf8};
use crate::error::Violation;

/// The limits of a connection's route. Given with each call, so that a connection keeps no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Longest message, over all of its fragments.
    pub max_payload_bytes: usize,
    /// Most fragments of one message, empty ones counted. A message in one frame always passes.
    pub max_fragments: u32,
}

/// The two kinds of message (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MessageKind {
    /// Valid UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

/// A whole message's bytes.
#[derive(Debug)]
pub enum Payload<'a> {
    /// Valid for the call: a part of the read buffer, or of the assembly.
    Borrowed(&'a [u8]),
    /// A message of at least [`LARGE_MESSAGE_BYTES`](crate::limits::LARGE_MESSAGE_BYTES) that was
    /// assembled: its buffer, so that it need not be copied once more. The capacity is less than
    /// twice the length.
    Owned(Vec<u8>),
}

impl AsRef<[u8]> for Payload<'_> {
    fn as_ref(&self) -> &[u8] {
        match self {
            Self::Borrowed(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }
}

/// Takes what a client sent, in the order of the wire.
pub trait Receiver {
    /// Whether a message would be taken now. If not, [`receive`] pauses in front of the next frame
    /// that is part of one; control frames go on being taken.
    fn takes_messages(&self) -> bool {
        true
    }
    /// A whole message, unmasked. Text is valid UTF-8.
    fn message(&mut self, kind: MessageKind, payload: Payload<'_>) -> Flow;
    /// A ping, of at most 125 bytes; it wants a pong with the same payload (RFC 6455 §5.5.3).
    fn ping(&mut self, payload: &[u8]) -> Flow;
    /// A pong, of at most 125 bytes.
    fn pong(&mut self, payload: &[u8]) -> Flow;
}

/// Whether decoding goes on behind the frame that was just taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Flow {
    /// Goes on.
    Continue,
    /// Stops: [`receive`] returns [`Progress::Paused`].
    Pause,
}

/// How far [`receive`] came.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Progress {
    /// All bytes were taken.
    Drained,
    /// The receiver paused. The bytes from `consumed` on (there may be none) were not touched, are
    /// still masked, and must be given again, in front of what comes next.
    Paused {
        /// Bytes that were taken.
        consumed: usize,
    },
    /// The peer's close frame. What came behind it is ignored (RFC 6455 §1.4); `receive` is not to
    /// be called again.
    Close {
        /// A code that [may be sent](super::is_sendable); `None` if the frame was empty.
        code: Option<u16>,
        /// At most 123 bytes.
        reason: Box<str>,
    },
    /// The peer broke a rule, and the connection fails. What came before was delivered; `receive`
    /// is not to be called again.
    Violation(Violation),
}

impl From<Violation> for Progress {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

/// Decodes `bytes`, which came behind those of the last call, and gives what is whole to `receiver`.
///
/// `assembly` belongs to the connection, and to this function: it is `None` whenever no frame is cut
/// and no fragmented message is open, and after the connection's end. `bytes` are unmasked in place
/// as far as they are taken.
pub fn receive(
    assembly: &mut Option<Box<Assembly>>,
    rules: Rules,
    bytes: &mut [u8],
    receiver: &mut impl Receiver,
) -> Progress {
    run(assembly, rules, bytes, receiver).unwrap_or_else(|end| {
        *assembly = None;
        end
    })
}

/// Like [`receive`], with the connection's end as an error.
#[inline]
fn run(
    assembly: &mut Option<Box<Assembly>>,
    rules: Rules,
    bytes: &mut [u8],
    receiver: &mut impl Receiver,
) -> Result<Progress, Progress> {
    let mut consumed = 0;
    while consumed < bytes.len() {
        let rest = &mut bytes[consumed..];
        let at_boundary = assembly.as_ref().is_none_or(|open| open.is_between_frames());
        if at_boundary && !is_control(rest[0]) && !receiver.takes_messages() {
            return Ok(Progress::Paused { consumed });
        }
        let whole = match assembly {
            None => take_whole_frame(boundary(rules), rest, receiver)?,
            Some(open) if open.is_between_frames() => take_whole_frame(open.context(rules), rest, receiver)?,
            Some(_) => None,
        };
        let step = match whole {
            Some(step) => step,
            None => assembly.get_or_insert_default().take(rules, rest, receiver)?,
        };
        if assembly.as_ref().is_some_and(|assembly| assembly.is_vacant()) {
            *assembly = None;
        }
        consumed += step.taken;
        if step.flow == Flow::Pause {
            return Ok(Progress::Paused { consumed });
        }
    }
    Ok(Progress::Drained)
}

/// Whether a frame with this first byte is a control frame (RFC 6455 §5.5).
fn is_control(first_byte: u8) -> bool {
    first_byte & 0x08 != 0
}

/// What was taken at once.
pub(super) struct Step {
    pub(super) taken: usize,
    pub(super) flow: Flow,
}

/// What a frame may be where no message is open.
fn boundary(rules: Rules) -> Context {
    Context { message_open: false, fragments_left: true, room_bytes: rules.max_payload_bytes }
}

/// Takes the frame at the front of `bytes` where it lies, if it is a message or a control frame and
/// no part of it is missing. Otherwise touches nothing.
#[inline]
fn take_whole_frame(
    context: Context,
    bytes: &mut [u8],
    receiver: &mut impl Receiver,
) -> Result<Option<Step>, Progress> {
    let Some(head) = Head::parse(bytes, context)? else {
        return Ok(None);
    };
    let kind = match head.opcode {
        _ if !head.fin => return Ok(None),
        Opcode::Continuation => return Ok(None),
        Opcode::Text => Some(MessageKind::Text),
        Opcode::Binary => Some(MessageKind::Binary),
        Opcode::Close | Opcode::Ping | Opcode::Pong => None,
    };
    let Some(payload) = bytes[head.size..].get_mut(..head.payload_bytes) else {
        return Ok(None);
    };
    mask::unmask(payload, head.masking_key);
    let flow = match kind {
        Some(kind) => {
            if kind == MessageKind::Text {
                utf8::check(payload)?;
            }
            receiver.message(kind, Payload::Borrowed(payload))
        }
        None => deliver_control(head.opcode, payload, receiver)?,
    };
    Ok(Some(Step { taken: head.size + head.payload_bytes, flow }))
}

/// Hands a whole control frame on. A close frame is the connection's end.
pub(super) fn deliver_control(opcode: Opcode, payload: &[u8], receiver: &mut impl Receiver) -> Result<Flow, Progress> {
    match opcode {
        Opcode::Ping => Ok(receiver.ping(payload)),
        Opcode::Pong => Ok(receiver.pong(payload)),
        _ => Err(close::judge(payload)),
    }
}
