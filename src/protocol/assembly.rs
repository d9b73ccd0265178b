//! What a connection owns while a read cuts a frame, or a fragmented message is open.
//!
//! Made and dropped by [`receive`](super::receive); a connection at a message boundary has none. Its
//! buffers follow the bytes that came, never a length that was only declared.

use super::frame::Opcode;
use super::head::{Context, HEAD_BYTES_MAX, Head};
use super::receive::{Flow, MessageKind, Payload, Progress, Receiver, Rules, Step, deliver_control};
use super::{mask, utf8};
use crate::error::Violation;
use crate::limits::LARGE_MESSAGE_BYTES;

/// The unfinished part of a connection's input. Opaque; see [`receive`](super::receive).
#[derive(Debug, Default)]
pub struct Assembly {
    head: CutHead,
    frame: Option<CutFrame>,
    /// The message that waits for further bytes or fragments.
    message: Option<OpenMessage>,
    /// The payload of a control frame that a read cut; it may stand inside a message.
    control: Vec<u8>,
}

impl Assembly {
    /// Whether nothing is unfinished.
    pub(super) fn is_vacant(&self) -> bool {
        self.is_between_frames() && self.message.is_none()
    }

    /// Whether the next byte is the first of a frame.
    pub(super) fn is_between_frames(&self) -> bool {
        self.head.size == 0 && self.frame.is_none()
    }

    /// What the next frame may be.
    pub(super) fn context(&self, rules: Rules) -> Context {
        let (size, fragments) = match &self.message {
            Some(message) => (message.bytes.len(), message.fragments),
            None => (0, 0),
        };
        Context {
            message_open: self.message.is_some(),
            fragments_left: fragments < rules.max_fragments,
            room_bytes: rules.max_payload_bytes.saturating_sub(size),
        }
    }

    /// Takes bytes up to the end of the frame, or as many as there are.
    pub(super) fn take(
        &mut self,
        rules: Rules,
        bytes: &mut [u8],
        receiver: &mut impl Receiver,
    ) -> Result<Step, Progress> {
        let mut taken = 0;
        let frame = match self.frame.take() {
            Some(frame) => frame,
            None => {
                let context = self.context(rules);
                let before = usize::from(self.head.size);
                let Some(head) = self.head.complete(bytes, context)? else {
                    return Ok(Step { taken: bytes.len(), flow: Flow::Continue });
                };
                taken = head.size - before;
                self.begin(head)
            }
        };
        let count = frame.missing_bytes.min(bytes.len() - taken);
        let flow = self.take_payload(frame, &mut bytes[taken..][..count], receiver)?;
        Ok(Step { taken: taken + count, flow })
    }

    /// Begins a frame, and with a first fragment the message.
    fn begin(&mut self, head: Head) -> CutFrame {
        match (head.opcode, &mut self.message) {
            (Opcode::Text, _) => self.message = Some(OpenMessage::new(MessageKind::Text)),
            (Opcode::Binary, _) => self.message = Some(OpenMessage::new(MessageKind::Binary)),
            (Opcode::Continuation, Some(message)) => message.fragments += 1,
            _ => {}
        }
        CutFrame {
            opcode: head.opcode,
            fin: head.fin,
            masking_key: head.masking_key,
            missing_bytes: head.payload_bytes,
        }
    }

    /// Takes the next part of a frame's payload. If it is the last, hands on what is whole with it.
    fn take_payload(
        &mut self,
        mut frame: CutFrame,
        part: &mut [u8],
        receiver: &mut impl Receiver,
    ) -> Result<Flow, Progress> {
        let is_ascii = frame.unmask(part);
        let whole = frame.missing_bytes == 0;
        if frame.opcode.is_control() {
            self.control.extend_from_slice(part);
            if whole {
                let payload = std::mem::take(&mut self.control);
                return deliver_control(frame.opcode, &payload, receiver);
            }
        } else if let Some(message) = &mut self.message {
            message.append(part, is_ascii, &frame)?;
            if whole && frame.fin {
                return Ok(self.deliver_message(receiver)?);
            }
        }
        if !whole {
            self.frame = Some(frame);
        }
        Ok(Flow::Continue)
    }

    /// Hands the open message on, now that it is whole.
    fn deliver_message(&mut self, receiver: &mut impl Receiver) -> Result<Flow, Violation> {
        let Some(message) = self.message.take() else {
            return Ok(Flow::Continue);
        };
        if message.kind == MessageKind::Text && message.checked_bytes < message.bytes.len() {
            return Err(Violation::InvalidUtf8);
        }
        let payload = if message.bytes.len() >= LARGE_MESSAGE_BYTES {
            Payload::Owned(message.bytes)
        } else {
            Payload::Borrowed(&message.bytes)
        };
        Ok(receiver.message(message.kind, payload))
    }
}

/// The bytes of a head that a read cut.
#[derive(Debug, Default)]
struct CutHead {
    bytes: [u8; HEAD_BYTES_MAX],
    size: u8,
}

impl CutHead {
    /// Completes the head from the front of `bytes`. If they do not suffice, keeps them all.
    fn complete(&mut self, bytes: &[u8], context: Context) -> Result<Option<Head>, Violation> {
        let before = usize::from(self.size);
        let count = bytes.len().min(HEAD_BYTES_MAX - before);
        let end = before + count;
        self.bytes[before..end].copy_from_slice(&bytes[..count]);
        let head = Head::parse(&self.bytes[..end], context)?;
        self.size = if head.is_some() { 0 } else { end as u8 };
        Ok(head)
    }
}

/// A frame whose payload is not all there.
#[derive(Debug)]
struct CutFrame {
    opcode: Opcode,
    fin: bool,
    /// As it meets the next byte.
    masking_key: [u8; 4],
    missing_bytes: usize,
}

impl CutFrame {
    /// Unmasks the next part of the payload, and says whether it is all ASCII.
    fn unmask(&mut self, part: &mut [u8]) -> bool {
        let is_ascii = mask::unmask(part, self.masking_key);
        self.masking_key = mask::rotated(self.masking_key, part.len());
        self.missing_bytes -= part.len();
        is_ascii
    }
}

/// A message that is not all there.
#[derive(Debug)]
struct OpenMessage {
    bytes: Vec<u8>,
    /// How much of a text was found to be UTF-8.
    checked_bytes: usize,
    fragments: u32,
    kind: MessageKind,
}

impl OpenMessage {
    fn new(kind: MessageKind) -> Self {
        Self { bytes: Vec::new(), checked_bytes: 0, fragments: 1, kind }
    }

    /// Appends an unmasked part of `frame`'s payload. The capacity stays below twice the bytes that
    /// came, and behind a last fragment's declared end nothing is reserved.
    fn append(&mut self, part: &[u8], is_ascii: bool, frame: &CutFrame) -> Result<(), Violation> {
        let size = self.bytes.len() + part.len();
        if size > self.bytes.capacity() {
            let end = if frame.fin { size.saturating_add(frame.missing_bytes) } else { usize::MAX };
            let capacity = size.saturating_mul(2).min(end);
            self.bytes.reserve_exact(capacity - self.bytes.len());
        }
        let cuts_character = self.checked_bytes < self.bytes.len();
        self.bytes.extend_from_slice(part);
        if is_ascii && !cuts_character {
            self.checked_bytes = size;
        } else if self.kind == MessageKind::Text {
            self.checked_bytes = utf8::check_further(&self.bytes, self.checked_bytes)?;
        }
        Ok(())
    }
}
