//! What a client sends, from bytes to messages (RFC 6455 §5).
//!
//! A reactor calls [`receive`] with each read, on its own thread. A message that lies wholly in the
//! read is unmasked in place and lent to the [`Receiver`]: no copy, no allocation. What the read
//! cuts goes on in an [`Assembly`]. A compressed message is decompressed when all of it is there, from
//! where it lies.

use super::assembly::Assembly;
use super::deflate::Inflation;
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
    /// Valid for the call: a part of the read buffer, of the assembly, or of the inflater.
    Borrowed(&'a [u8]),
    /// A message of at least [`LARGE_MESSAGE_BYTES`](crate::limits::LARGE_MESSAGE_BYTES) that was
    /// assembled or decompressed: its buffer, so that it need not be copied once more. The capacity is at most
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
/// `inflation` is there, at each call, if the client has agreed on permessage-deflate.
/// `assembly` belongs to the connection, and to this function: it is `None` whenever no frame is cut
/// and no fragmented message is open, and after the connection's end. `bytes` are unmasked in place
/// as far as they are taken.
pub fn receive(
    assembly: &mut Option<Box<Assembly>>,
    rules: Rules,
    inflation: Option<&mut Inflation<'_>>,
    bytes: &mut [u8],
    receiver: &mut impl Receiver,
) -> Progress {
    run(assembly, rules, inflation, bytes, receiver).unwrap_or_else(|end| {
        *assembly = None;
        end
    })
}

/// Like [`receive`], with the connection's end as an error.
#[inline]
fn run(
    assembly: &mut Option<Box<Assembly>>,
    rules: Rules,
    mut inflation: Option<&mut Inflation<'_>>,
    bytes: &mut [u8],
    receiver: &mut impl Receiver,
) -> Result<Progress, Progress> {
    let may_be_compressed = inflation.is_some();
    let mut consumed = 0;
    while consumed < bytes.len() {
        let rest = &mut bytes[consumed..];
        let at_boundary = assembly.as_ref().is_none_or(|open| open.is_between_frames());
        if at_boundary && !is_control(rest[0]) && !receiver.takes_messages() {
            return Ok(Progress::Paused { consumed });
        }
        let whole = match assembly {
            None => take_whole_frame(boundary(rules, may_be_compressed), rest, inflation.as_deref_mut(), receiver)?,
            Some(open) if open.is_between_frames() => {
                let context = open.context(rules, may_be_compressed);
                take_whole_frame(context, rest, inflation.as_deref_mut(), receiver)?
            }
            Some(_) => None,
        };
        let step = match whole {
            Some(step) => step,
            None => assembly.get_or_insert_default().take(rules, inflation.as_deref_mut(), rest, receiver)?,
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
fn boundary(rules: Rules, may_be_compressed: bool) -> Context {
    Context { message_open: false, fragments_left: true, may_be_compressed, room_bytes: rules.max_payload_bytes }
}

/// Takes the frame at the front of `bytes` where it lies, if it is a message or a control frame and
/// no part of it is missing. Otherwise touches nothing. Inlined into the loop: a quarter of the
/// time of a small frame.
#[inline(always)]
fn take_whole_frame(
    context: Context,
    bytes: &mut [u8],
    inflation: Option<&mut Inflation<'_>>,
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
    let is_ascii = mask::unmask(payload, head.masking_key);
    let flow = match kind {
        // Where a message begins, the room is what all of it may take.
        Some(kind) if head.compressed => deliver_compressed(kind, payload, context.room_bytes, inflation, receiver)?,
        Some(kind) => {
            if kind == MessageKind::Text && !is_ascii {
                utf8::check(payload)?;
            }
            receiver.message(kind, Payload::Borrowed(payload))
        }
        None => deliver_control(head.opcode, payload, receiver)?,
    };
    Ok(Some(Step { taken: head.size + head.payload_bytes, flow }))
}

/// Decompresses a message that is all there, and hands it on.
#[inline(never)]
pub(super) fn deliver_compressed(
    kind: MessageKind,
    payload: &[u8],
    max_payload_bytes: usize,
    inflation: Option<&mut Inflation<'_>>,
    receiver: &mut impl Receiver,
) -> Result<Flow, Violation> {
    let inflation = inflation.ok_or(Violation::ReservedBits)?;
    let message = inflation.inflate(payload, max_payload_bytes)?;
    if kind == MessageKind::Text {
        utf8::check(message)?;
    }
    Ok(receiver.message(kind, inflation.inflater.payload()))
}

/// Hands a whole control frame on. A close frame is the connection's end.
pub(super) fn deliver_control(opcode: Opcode, payload: &[u8], receiver: &mut impl Receiver) -> Result<Flow, Progress> {
    match opcode {
        Opcode::Ping => Ok(receiver.ping(payload)),
        Opcode::Pong => Ok(receiver.pong(payload)),
        _ => Err(close::judge(payload)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::script::{Connection, Event, GENEROUS, Recorder, frame, hex};

    fn text(text: &str) -> Event {
        Event::Message(MessageKind::Text, text.into())
    }

    /// What comes of one read, and the events on the way.
    fn outcome(rules: Rules, bytes: &[u8]) -> (Progress, Vec<Event>) {
        let mut connection = Connection::new(rules);
        (connection.reads([bytes]), connection.recorder.events)
    }

    #[test]
    fn the_masked_hello_of_the_rfc() {
        let events = vec![text("Hello")];
        assert_eq!(outcome(GENEROUS, &hex("8185 37fa213d 7f9f4d5158")), (Progress::Drained, events));
    }

    #[test]
    fn a_message_is_lent_from_the_read_where_it_lies() {
        struct Lent(Option<*const u8>);
        impl Receiver for Lent {
            fn message(&mut self, _: MessageKind, payload: Payload<'_>) -> Flow {
                self.0 = Some(payload.as_ref().as_ptr());
                Flow::Continue
            }
            fn ping(&mut self, _: &[u8]) -> Flow {
                Flow::Continue
            }
            fn pong(&mut self, _: &[u8]) -> Flow {
                Flow::Continue
            }
        }
        let mut lent = Lent(None);
        let mut bytes = hex("8185 37fa213d 7f9f4d5158");
        let mut assembly = None;
        assert_eq!(receive(&mut assembly, GENEROUS, None, &mut bytes, &mut lent), Progress::Drained);
        assert_eq!(lent.0, Some(bytes[6..].as_ptr()));
        assert_eq!(bytes[6..], *b"Hello");
        assert!(assembly.is_none());
    }

    #[test]
    fn control_frames_stand_between_fragments() {
        let bytes = [
            frame(0x01, b"Hel"),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x8A, b""),
            frame(0x80, b"lo"),
            frame(0x82, b""),
        ]
        .concat();
        let events = vec![
            Event::Ping(b"ping".to_vec()),
            Event::Pong(vec![]),
            text("Hello"),
            Event::Message(MessageKind::Binary, vec![]),
        ];
        assert_eq!(outcome(GENEROUS, &bytes), (Progress::Drained, events));
    }

    #[test]
    fn a_close_frame_ends_it_all() {
        let bytes = [frame(0x81, b"last"), frame(0x88, b"\x03\xe9bye"), frame(0x83, b"ignored")].concat();
        let close = Progress::Close { code: Some(1001), reason: "bye".into() };
        assert_eq!(outcome(GENEROUS, &bytes), (close, vec![text("last")]));
        let inside = [frame(0x01, b"open"), frame(0x88, b"")].concat();
        let close = Progress::Close { code: None, reason: "".into() };
        assert_eq!(outcome(GENEROUS, &inside), (close, vec![]));
    }

    #[test]
    fn what_came_before_a_violation_is_delivered() {
        let bytes = [frame(0x81, b"good"), frame(0x81, b"\xff")].concat();
        assert_eq!(outcome(GENEROUS, &bytes), (Violation::InvalidUtf8.into(), vec![text("good")]));
    }

    #[test]
    fn text_fails_at_its_first_bad_byte() {
        let message = frame(0x81, b"ab\xe2\x82\x28 and more");
        assert_eq!(outcome(GENEROUS, &message[..10]), (Progress::Drained, vec![]));
        assert_eq!(outcome(GENEROUS, &message[..11]), (Violation::InvalidUtf8.into(), vec![]));
        let over_fragments = [frame(0x01, b"\xe2"), frame(0x00, b"\x82"), frame(0x00, b"\x28")].concat();
        assert_eq!(outcome(GENEROUS, &over_fragments), (Violation::InvalidUtf8.into(), vec![]));
        let ends_early = [frame(0x01, b"\xe2"), frame(0x80, b"\x82")].concat();
        assert_eq!(outcome(GENEROUS, &ends_early), (Violation::InvalidUtf8.into(), vec![]));
    }

    #[test]
    fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
        let rules = Rules { max_payload_bytes: 5, ..GENEROUS };
        assert_eq!(outcome(rules, &frame(0x81, b"Hello")), (Progress::Drained, vec![text("Hello")]));
        assert_eq!(outcome(rules, &frame(0x81, b"Hello!")[..2]), (Violation::MessageTooBig.into(), vec![]));
        let exact = [frame(0x01, b"Hel"), frame(0x89, b"longer than five"), frame(0x80, b"lo")].concat();
        let events = vec![Event::Ping(b"longer than five".to_vec()), text("Hello")];
        assert_eq!(outcome(rules, &exact), (Progress::Drained, events));
        let over = [&frame(0x01, b"Hel")[..], &frame(0x00, b"lo!")[..2]].concat();
        assert_eq!(outcome(rules, &over), (Violation::MessageTooBig.into(), vec![]));
    }

    #[test]
    fn empty_fragments_count() {
        let rules = Rules { max_fragments: 3, ..GENEROUS };
        let three = [frame(0x01, b""), frame(0x00, b""), frame(0x80, b"")].concat();
        let progress = outcome(rules, &three.repeat(2));
        assert_eq!(progress, (Progress::Drained, vec![text(""), text("")]));
        let four = [&frame(0x01, b"")[..], &frame(0x00, b""), &frame(0x00, b""), b"\x80"].concat();
        assert_eq!(outcome(rules, &four), (Violation::TooManyFragments.into(), vec![]));
    }

    #[test]
    fn a_pause_leaves_what_is_behind_the_frame() {
        let mut bytes = [frame(0x81, b"one"), frame(0x81, b"two")].concat();
        let untouched = bytes.clone();
        let mut recorder = Recorder { script: [(true, false), (true, false)].into(), ..Recorder::default() };
        let mut assembly = None;
        let mut read = |bytes: &mut [u8]| receive(&mut assembly, GENEROUS, None, bytes, &mut recorder);
        assert_eq!(read(&mut bytes), Progress::Paused { consumed: 9 });
        assert_eq!(bytes[9..], untouched[9..]);
        assert_eq!(read(&mut bytes[9..]), Progress::Paused { consumed: 9 });
        assert_eq!(recorder.events, [text("one"), text("two")]);
    }

    #[test]
    fn control_frames_pass_while_messages_are_refused() {
        let mut bytes = [frame(0x89, b"1"), frame(0x8A, b"2"), frame(0x81, b"three")].concat();
        let mut recorder = Recorder { refuses: true, ..Recorder::default() };
        let mut assembly = None;
        let progress = receive(&mut assembly, GENEROUS, None, &mut bytes, &mut recorder);
        assert_eq!(progress, Progress::Paused { consumed: 14 });
        assert_eq!(recorder.events, [Event::Ping(b"1".to_vec()), Event::Pong(b"2".to_vec())]);
        recorder.refuses = false;
        assert_eq!(receive(&mut assembly, GENEROUS, None, &mut bytes[14..], &mut recorder), Progress::Drained);
        assert_eq!(recorder.events.last(), Some(&text("three")));
    }
}
