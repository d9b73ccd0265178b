//! Well-formed frames around the input's own payloads: what is assembled of fragments is the
//! concatenation of them, and text passes if and only if the standard library calls it UTF-8.
//!
//! Input, over and over: a byte (the kind, the number of fragments, a ping between them), for each
//! fragment a length and a payload; at last what is left is a row of cuts.

use tidewire::error::Violation;
use tidewire::protocol::{MessageKind, Progress, Rules};

use crate::choices::Choices;
use crate::wire::{Agreed, Connection, Event, frame, pieces};

const RULES: Rules = Rules { max_payload_bytes: 1 << 20, max_fragments: 1000 };

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    let mut is_good = true;
    let messages = choices.byte() & 7;
    for _ in 0..messages {
        let shape = choices.byte();
        let kind = if shape & 1 == 0 { MessageKind::Text } else { MessageKind::Binary };
        let fragments = 1 + (shape >> 1 & 7);
        let mut message = Vec::new();
        for at in 0..fragments {
            let length = usize::from(choices.byte());
            let payload = choices.bytes(length);
            let opcode = match (at, kind) {
                (0, MessageKind::Text) => 0x1,
                (0, MessageKind::Binary) => 0x2,
                _ => 0x0,
            };
            let fin = if at + 1 == fragments { 0x80 } else { 0 };
            if at > 0 && shape & 0x10 != 0 {
                stream.extend(frame(0x89, Some([shape; 4]), b"between"));
                expected.push(Event::Ping(b"between".to_vec()));
            }
            stream.extend(frame(fin | opcode, Some([shape, at, 0x5a, length as u8]), payload));
            message.extend_from_slice(payload);
        }
        if kind == MessageKind::Text && std::str::from_utf8(&message).is_err() {
            is_good = false;
            break;
        }
        expected.push(Event::Message(kind, message));
    }
    let cuts: Vec<usize> = choices.remainder().iter().take(16).map(|&cut| usize::from(cut)).chain([300]).collect();
    for lengths in [&cuts[..], &[1], &[usize::MAX]] {
        let mut connection = Connection::new(RULES, Agreed::Nothing);
        let progress = connection.reads(pieces(&stream, lengths));
        let events = connection.recorder.events;
        if is_good {
            assert_eq!(events, expected, "cut at {lengths:?}");
            assert_eq!(progress, Progress::Drained, "cut at {lengths:?}");
        } else {
            // A bad text fails at its first bad byte, which may come before a ping between fragments.
            assert!(expected.starts_with(&events), "cut at {lengths:?}");
            assert_eq!(progress, Progress::Violation(Violation::InvalidUtf8), "cut at {lengths:?}");
        }
    }
}
