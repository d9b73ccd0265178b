//! What a connection owns while a read cuts a frame, or a fragmented message is open.
//!
//! Made and dropped by [`receive`](super::receive()); a connection at a message boundary has none. Its
//! buffers follow the bytes that came, never a length that was only declared.

use super::deflate::Inflation;
use super::frame::Opcode;
use super::head::{Context, HEAD_BYTES_MAX, Head, compressed_room_bytes};
use super::receive::{
    Flow, MessageKind, Payload, Progress, Receiver, Rules, Step, deliver_compressed, deliver_control,
};
use super::{mask, utf8};
use crate::error::Violation;
use crate::limits::LARGE_MESSAGE_BYTES;

/// The unfinished part of a connection's input. Opaque; see [`receive`](super::receive()).
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

    /// Bytes that the frame wants which a read has cut, at least.
    pub fn missing_bytes(&self) -> usize {
        self.frame.as_ref().map_or(0, |frame| frame.missing_bytes)
    }

    /// The memory that it takes.
    pub fn held_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.bytes.capacity());
        size_of::<Self>() + self.control.capacity() + message
    }

    /// What the next frame may be.
    pub(super) fn context(&self, rules: Rules, may_be_compressed: bool) -> Context {
        let max = rules.max_payload_bytes;
        let (max, size, fragments) = match &self.message {
            Some(message) if message.compressed => (compressed_room_bytes(max), message.bytes.len(), message.fragments),
            Some(message) => (max, message.bytes.len(), message.fragments),
            None => (max, 0, 0),
        };
        Context {
            message_open: self.message.is_some(),
            fragments_left: fragments < rules.max_fragments,
            may_be_compressed,
            room_bytes: max.saturating_sub(size),
        }
    }

    /// Takes bytes up to the end of the frame, or as many as there are.
    pub(super) fn take(
        &mut self,
        rules: Rules,
        inflation: Option<&mut Inflation<'_>>,
        bytes: &mut [u8],
        receiver: &mut impl Receiver,
    ) -> Result<Step, Progress> {
        let mut taken = 0;
        let frame = match self.frame.take() {
            Some(frame) => frame,
            None => {
                let context = self.context(rules, inflation.is_some());
                let before = usize::from(self.head.size);
                let Some(head) = self.head.complete(bytes, context)? else {
                    return Ok(Step { taken: bytes.len(), flow: Flow::Continue });
                };
                taken = head.size - before;
                self.begin(head)
            }
        };
        let count = frame.missing_bytes.min(bytes.len() - taken);
        let whole = self.take_payload(frame, &mut bytes[taken..][..count]);
        let flow = match whole? {
            Whole::Nothing => Flow::Continue,
            Whole::Control(opcode) => deliver_control(opcode, &std::mem::take(&mut self.control), receiver)?,
            Whole::Message => self.deliver_message(rules, inflation, receiver)?,
        };
        Ok(Step { taken: taken + count, flow })
    }

    /// Begins a frame, and with a first fragment the message.
    fn begin(&mut self, head: Head) -> CutFrame {
        match (head.opcode, &mut self.message) {
            (Opcode::Text, _) => self.message = Some(OpenMessage::new(MessageKind::Text, head.compressed)),
            (Opcode::Binary, _) => self.message = Some(OpenMessage::new(MessageKind::Binary, head.compressed)),
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

    /// Takes the next part of a frame's payload, and says what is whole with it.
    fn take_payload(&mut self, mut frame: CutFrame, part: &mut [u8]) -> Result<Whole, Violation> {
        let is_ascii = frame.unmask(part);
        let whole = frame.missing_bytes == 0;
        if frame.opcode.is_control() {
            self.control.extend_from_slice(part);
            if whole {
                return Ok(Whole::Control(frame.opcode));
            }
        } else if let Some(message) = &mut self.message {
            message.append(part, is_ascii, &frame)?;
            if whole && frame.fin {
                return Ok(Whole::Message);
            }
        }
        if !whole {
            self.frame = Some(frame);
        }
        Ok(Whole::Nothing)
    }

    /// Hands the open message on, now that it is whole.
    fn deliver_message(
        &mut self,
        rules: Rules,
        inflation: Option<&mut Inflation<'_>>,
        receiver: &mut impl Receiver,
    ) -> Result<Flow, Violation> {
        let Some(message) = self.message.take() else {
            return Ok(Flow::Continue);
        };
        if message.compressed {
            return deliver_compressed(message.kind, &message.bytes, rules.max_payload_bytes, inflation, receiver);
        }
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

/// What a part of a payload completes.
enum Whole {
    Nothing,
    /// The control frame.
    Control(Opcode),
    /// The open message.
    Message,
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
    compressed: bool,
}

impl OpenMessage {
    fn new(kind: MessageKind, compressed: bool) -> Self {
        Self { bytes: Vec::new(), checked_bytes: 0, fragments: 1, kind, compressed }
    }

    /// Appends an unmasked part of `frame`'s payload. The capacity is at most twice the bytes that
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
        if self.compressed {
            return Ok(());
        }
        if is_ascii && !cuts_character {
            self.checked_bytes = size;
        } else if self.kind == MessageKind::Text {
            self.checked_bytes = utf8::check_further(&self.bytes, self.checked_bytes)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::script::{Connection, GENEROUS, frame, hex};

    fn capacity(connection: &Connection) -> usize {
        let message = connection.assembly.as_ref().and_then(|assembly| assembly.message.as_ref());
        message.map_or(0, |message| message.bytes.capacity())
    }

    #[test]
    fn is_small() {
        assert!(size_of::<Assembly>() <= 112, "{}", size_of::<Assembly>());
        assert_eq!(size_of::<Option<Box<Assembly>>>(), size_of::<usize>());
    }

    #[test]
    fn lives_only_while_something_is_unfinished() {
        let mut connection = Connection::new(GENEROUS);
        let bytes = [frame(0x81, b"whole"), frame(0x01, b"frag"), frame(0x89, b"x"), frame(0x80, b"ment")].concat();
        let boundaries = [0, 11, bytes.len()];
        for at in 0..bytes.len() {
            assert_eq!(connection.assembly.is_none(), boundaries.contains(&at), "in front of byte {at}");
            assert_eq!(connection.read(&bytes[at..=at]), Progress::Drained);
        }
        assert!(connection.assembly.is_none());
    }

    #[test]
    fn a_declared_length_reserves_nothing() {
        let mut connection = Connection::new(Rules { max_payload_bytes: usize::MAX, max_fragments: 2 });
        assert_eq!(connection.read(&hex("82ff 4000000000000000 37fa213d")), Progress::Drained);
        assert_eq!(capacity(&connection), 0);
        assert_eq!(connection.read(&[0; 10]), Progress::Drained);
        assert!(capacity(&connection) <= 20);
        // As a fragment, and behind another one, where the sum of the lengths would overflow.
        let mut connection = Connection::new(Rules { max_payload_bytes: usize::MAX, max_fragments: 9 });
        assert_eq!(connection.read(&frame(0x02, b"first")), Progress::Drained);
        assert_eq!(connection.read(&hex("80ff 7ffffffffffffffa 37fa213d 00")), Progress::Drained);
        assert!(capacity(&connection) <= 12);
    }

    #[test]
    fn the_buffer_follows_the_bytes_that_came() {
        const BYTES: usize = if cfg!(miri) { 10_000 } else { 100_000 };
        for first in [0x82, 0x02] {
            let bytes = frame(first, &[7; BYTES]);
            let head = bytes.len() - BYTES;
            let mut connection = Connection::new(GENEROUS);
            let mut came = 0;
            for piece in bytes[..bytes.len() - 1].chunks(777) {
                assert_eq!(connection.read(piece), Progress::Drained);
                came += piece.len();
                assert!(capacity(&connection) <= 2 * (came - head), "{} for {came}", capacity(&connection));
                assert!(first == 0x02 || capacity(&connection) <= BYTES);
            }
        }
    }

    #[test]
    fn large_messages_are_handed_over_with_their_buffer() {
        let cut = |size: usize| {
            let mut connection = Connection::new(GENEROUS);
            let bytes = frame(0x82, &vec![1; size]);
            let (front, back) = bytes.split_at(bytes.len() / 2);
            assert_eq!(connection.reads([front, back]), Progress::Drained);
            assert_eq!(connection.recorder.events.len(), 1);
            connection.recorder.owned
        };
        assert_eq!(cut(LARGE_MESSAGE_BYTES - 1), 0);
        assert_eq!(cut(LARGE_MESSAGE_BYTES), 1);
    }

    #[test]
    fn a_ping_cut_inside_a_message_keeps_both_apart() {
        let mut connection = Connection::new(GENEROUS);
        let bytes = [frame(0x01, "€".as_bytes()), frame(0x89, b"ping"), frame(0x80, b"!")].concat();
        assert_eq!(connection.reads(bytes.chunks(3)), Progress::Drained);
        let events = format!("{:?}", connection.recorder.events);
        assert_eq!(events, "[Ping([112, 105, 110, 103]), Message(Text, [226, 130, 172, 33])]");
        assert!(connection.assembly.is_none());
    }
}
