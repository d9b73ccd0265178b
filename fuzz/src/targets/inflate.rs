//! Compressed messages. Any bytes inflate to a bounded output or fail, the same in one frame and in
//! fragments; and what we compress is what a client's streaming decoder and our own read.
//!
//! Input: a byte of choices, then a row of messages, each with its length in two bytes.

use flate2::{Decompress, FlushDecompress};
use tidewire::error::Violation;
use tidewire::protocol::{Deflater, Inflater, Inflation, MessageKind, Outbound, Progress, Rules, Window};

use crate::choices::Choices;
use crate::wire::{Agreed, Connection, Event, frame};

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let shape = choices.byte();
    let window_bits = 9 + (shape & 7).min(6);
    let takes_over = shape & 8 != 0;
    let limit = [100, 5000, 70_000, 1 << 18][usize::from(shape >> 4 & 3)];
    let mut messages = Vec::new();
    while !choices.is_empty() && messages.len() < 8 {
        let length = usize::from(choices.word());
        messages.push(choices.bytes(length));
    }
    let agreed = if takes_over { Agreed::Takeover(window_bits) } else { Agreed::Alone };
    check_hostile(agreed, limit, &messages);
    check_identity(takes_over, window_bits, &messages);
}

/// The messages as what a peer sends compressed.
fn check_hostile(agreed: Agreed, limit: usize, messages: &[&[u8]]) {
    let key = Some([0x37, 0xfa, 0x21, 0x3d]);
    let (mut whole, mut fragments) = (Vec::new(), Vec::new());
    for message in messages {
        whole.extend(frame(0xC2, key, message));
        let (first, second) = message.split_at(message.len() / 2);
        fragments.extend(frame(0x42, key, first));
        fragments.extend(frame(0x80, key, second));
    }
    let rules = |max_payload_bytes| Rules { max_payload_bytes, max_fragments: 1000 };
    let mut connection = Connection::new(rules(limit), agreed);
    let progress = connection.reads([whole.as_slice()]);
    let events = connection.recorder.events;
    for event in &events {
        let Event::Message(MessageKind::Binary, bytes) = event else { panic!("{event:?} came of a binary message") };
        assert!(bytes.len() <= limit, "{} bytes passed a limit of {limit}", bytes.len());
    }
    assert!(matches!(
        progress,
        Progress::Drained | Progress::Violation(Violation::InvalidDeflate | Violation::MessageTooBig)
    ));
    for pieces in [[fragments.as_slice()].to_vec(), whole.chunks(7).collect(), fragments.chunks(5).collect()] {
        let mut cut = Connection::new(rules(limit), agreed);
        assert_eq!(cut.reads(pieces), progress);
        assert_eq!(cut.recorder.events, events);
    }
    // With more room, no more fails: what was too big may pass, or be found bad behind the limit.
    let mut roomy = Connection::new(rules(4 * limit), agreed);
    let roomy_progress = roomy.reads([whole.as_slice()]);
    assert!(roomy.recorder.events.starts_with(&events), "more room, other messages");
    if progress != Progress::Violation(Violation::MessageTooBig) {
        assert_eq!(roomy_progress, progress);
    }
}

/// The messages as what we send compressed.
fn check_identity(takes_over: bool, window_bits: u8, messages: &[&[u8]]) {
    let outbound = if takes_over { Outbound::Takeover { window_bits } } else { Outbound::Alone { window_bits } };
    let (mut deflater, mut inflater) = (Deflater::default(), Inflater::default());
    let (mut sent, mut received) = (Window::default(), Window::default());
    let mut client = Decompress::new_with_window_bits(false, window_bits);
    for message in messages {
        let Some(payload) = deflater.deflate(outbound, takes_over.then_some(&mut sent), message) else {
            continue;
        };
        assert!(payload.len() < message.len(), "compressed, {} bytes became {}", message.len(), payload.len());
        if !takes_over {
            client.reset(false);
        }
        assert_eq!(client_reads(&mut client, payload, message.len()), **message, "by a client");
        let mut inflation =
            Inflation { inflater: &mut inflater, window: takes_over.then_some((&mut received, window_bits)) };
        assert_eq!(inflation.inflate(payload, message.len()).as_deref(), Ok(*message), "by ourselves");
    }
    assert!(sent.bytes().len() <= 1 << window_bits, "a window larger than was agreed");
    assert_eq!(sent.bytes(), received.bytes());
}

/// What a client makes of a payload (RFC 7692 §7.2.2); its decoder goes on from message to message.
fn client_reads(client: &mut Decompress, payload: &[u8], size: usize) -> Vec<u8> {
    let input = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    let mut out = vec![0; size + 1];
    let (taken, written) = (client.total_in(), client.total_out());
    client.decompress(&input, &mut out, FlushDecompress::Sync).expect("a client reads what we compress");
    assert_eq!((client.total_in() - taken) as usize, input.len(), "a client is left with input");
    out.truncate((client.total_out() - written) as usize);
    out
}
