//! Raw bytes as a client's frames: cuts and pauses change nothing, memory follows the bytes that
//! came, and tungstenite accepts what is accepted.
//!
//! Input: a byte of limits, a byte for the cuts' count, the cuts, and the stream.

use tidewire::error::Violation;
use tidewire::limits::CONTROL_PAYLOAD_BYTES;
use tidewire::protocol::{Progress, Rules};

use crate::choices::Choices;
use crate::wire::{Agreed, Connection, Ending, oracle, pieces};

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let limits = choices.byte();
    let max_payload_bytes = [0, 50, 1000, 1 << 20][usize::from(limits & 3)];
    let max_fragments = [1, 2, 1000, u32::MAX][usize::from(limits >> 2 & 3)];
    let rules = Rules { max_payload_bytes, max_fragments };
    let count = usize::from(choices.byte() & 7);
    let cuts: Vec<usize> = choices.bytes(count).iter().map(|&cut| usize::from(cut)).collect();
    let bytes = choices.remainder();

    let mut whole = Connection::new(rules, Agreed::Nothing);
    let progress = whole.reads([bytes]);
    check_cuts(&whole, &progress, rules, bytes, &cuts);
    let delivered: usize = whole.recorder.events.iter().map(payload_bytes).sum();
    assert!(delivered <= bytes.len(), "{delivered} bytes came out of {}", bytes.len());
    // tungstenite counts no fragments, and holds its limit against control frames, too.
    if max_fragments == u32::MAX && max_payload_bytes > CONTROL_PAYLOAD_BYTES {
        compare(&whole, progress, bytes, max_payload_bytes);
    }
}

/// Reads the stream again, in pieces and with pauses.
fn check_cuts(whole: &Connection, progress: &Progress, rules: Rules, bytes: &[u8], cuts: &[usize]) {
    for lengths in [cuts, &[1]] {
        for pauses in [false, true] {
            let mut cut = Connection::new(rules, Agreed::Nothing);
            cut.recorder.pauses = pauses;
            let came = cut.reads(pieces(bytes, lengths));
            if lengths.is_empty() {
                continue;
            }
            assert_eq!(came, *progress, "cut at {lengths:?}");
            assert_eq!(cut.recorder.events, whole.recorder.events, "cut at {lengths:?}");
            assert_eq!(cut.owns_memory(), whole.owns_memory(), "cut at {lengths:?}");
        }
    }
}

/// Holds what was decoded against tungstenite, which knows fewer rules (it takes lengths that are
/// not in their shortest form, refuses close code 1014, answers bad close codes) and judges later:
/// where we fail, it may have read on.
fn compare(ours: &Connection, progress: Progress, bytes: &[u8], max_payload_bytes: usize) {
    let (events, ending) = oracle(bytes, max_payload_bytes);
    let own = &ours.recorder.events;
    match progress {
        Progress::Violation(Violation::InvalidCloseCode) | Progress::Close { code: Some(1014), .. } => {
            assert_eq!(*own, events);
        }
        Progress::Violation(_) => assert!(events.starts_with(own), "{events:?} does not begin with {own:?}"),
        progress => {
            assert_eq!(*own, events);
            assert_eq!(Ending::from(progress), ending);
        }
    }
}

fn payload_bytes(event: &crate::wire::Event) -> usize {
    match event {
        crate::wire::Event::Message(_, bytes) | crate::wire::Event::Ping(bytes) | crate::wire::Event::Pong(bytes) => {
            bytes.len()
        }
    }
}
