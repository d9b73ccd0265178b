//! Messages in hex, hostile ones, and what holds for any: what is deflated is inflated, however the
//! bytes are cut on their way.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::error::Violation;
use crate::limits::{DEFLATE_GROWTH_BYTES, DEFLATE_LAST_BLOCKS, LARGE_MESSAGE_BYTES};
use crate::protocol::script::{Connection, Event, GENEROUS, frame, hex};
use crate::protocol::{MessageKind, Progress, Rules};

const ALONE: Outbound = Outbound::Alone { window_bits: 15 };

/// The agreement with a client that keeps no context, or a window of this size.
fn agreement(inbound_window_bits: Option<u8>) -> Agreement {
    Agreement::new(Outbound::Plain, inbound_window_bits)
}

/// What comes of frames, given as first byte and payload in hex.
fn outcome(inbound_window_bits: Option<u8>, rules: Rules, frames: &[(u8, &str)]) -> (Progress, Vec<Event>) {
    let mut connection = Connection::agreed(rules, agreement(inbound_window_bits));
    let bytes: Vec<u8> = frames.iter().flat_map(|(first, payload)| frame(*first, &hex(payload))).collect();
    (connection.reads([bytes.as_slice()]), connection.recorder.events)
}

fn text(text: &str) -> Event {
    Event::Message(MessageKind::Text, text.into())
}

/// Text of the kind that is sent.
fn json(records: usize) -> Vec<u8> {
    (0..records)
        .flat_map(|at| {
            format!("{{\"id\":{},\"user\":\"user{}\",\"price\":{}}},", at * 7919, at % 13, at * at).into_bytes()
        })
        .collect()
}

/// Bytes that cannot be compressed.
pub(super) fn random(size: usize) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 16) as u8
    };
    (0..size).map(|_| next()).collect()
}

/// Compressed by zlib as a client does, with a last block or without.
fn deflated(payload: &[u8], flush: flate2::FlushCompress) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() * 2 + 100);
    let mut compressor = flate2::Compress::new(flate2::Compression::best(), false);
    compressor.compress_vec(payload, &mut out, flush).expect("a compressor takes everything");
    assert_eq!(compressor.total_in(), payload.len() as u64);
    out.strip_suffix(&TAIL).map(<[u8]>::to_vec).unwrap_or(out)
}

#[test]
fn the_examples_of_the_rfc() {
    let hello = (Progress::Drained, vec![text("Hello")]);
    let whole = ["f248cdc9c90700", "0005 00fa ff48 656c 6c6f 00", "f348cdc9c9070000", "f2480500 0000ffff cac9c907 00"];
    for payload in whole {
        assert_eq!(outcome(None, GENEROUS, &[(0xc1, payload)]), hello, "{payload}");
    }
    let fragments = [(0x41, "f248cd"), (0x80, "c9c90700")];
    assert_eq!(outcome(None, GENEROUS, &fragments), hello);
    let between = [(0x41, "f248cd"), (0x89, ""), (0x00, ""), (0x80, "c9c90700")];
    assert_eq!(outcome(None, GENEROUS, &between), (Progress::Drained, vec![Event::Ping(vec![]), text("Hello")]));
    let taken_over = [(0xc1, "f248cdc9c90700"), (0xc1, "f200110000")];
    assert_eq!(outcome(Some(15), GENEROUS, &taken_over), (Progress::Drained, vec![text("Hello"), text("Hello")]));
    assert_eq!(outcome(None, GENEROUS, &[(0xc1, "00")]), (Progress::Drained, vec![text("")]));
}

#[test]
fn other_forms_of_messages() {
    let hello = (Progress::Drained, vec![text("Hello")]);
    // A last block without the byte that should follow it, and an empty message without any block.
    assert_eq!(outcome(None, GENEROUS, &[(0xc1, "f348cdc9c90700")]), hello);
    assert_eq!(outcome(None, GENEROUS, &[(0xc1, "")]), (Progress::Drained, vec![text("")]));
    // Behind a last block, a block that refers to what stands before it: "HelloHello".
    assert_eq!(
        outcome(None, GENEROUS, &[(0xc1, "f348cdc9c90700 f200110000")]),
        (Progress::Drained, vec![text("HelloHello")])
    );
    // A plain message is no part of the context.
    let mixed = [(0xc1, "f248cdc9c90700"), (0x81, "78797a"), (0xc1, "f200110000")];
    assert_eq!(outcome(Some(9), GENEROUS, &mixed).1, [text("Hello"), text("xyz"), text("Hello")]);
}

#[test]
fn what_is_not_deflate_fails_the_connection() {
    let cases = [
        ("ff", "the reserved kind of block"),
        ("f248cd", "ends inside a block"),
        ("f248cdc9c907", "ends inside a block's end"),
        ("0005 00fa fe", "a stored block whose lengths differ"),
        ("f200110000", "refers to what is not there"),
        ("f248cdc9c90700 0000ffff", "its end was not cut off"),
        ("f348cdc9c90700 01", "goes on behind the last block with half a block"),
    ];
    for (payload, why) in cases {
        let (progress, events) = outcome(None, GENEROUS, &[(0x82, "00"), (0xc2, payload)]);
        assert_eq!(progress, Violation::InvalidDeflate.into(), "{why}");
        assert_eq!(events.len(), 1, "{why}");
    }
    let not_text = (Violation::InvalidUtf8.into(), vec![]);
    assert_eq!(outcome(None, GENEROUS, &[(0xc1, "0001 00fe ffff 00")]), not_text);
}

#[test]
fn reserved_bits_need_an_agreement_and_a_message_that_begins() {
    let mut plain = Connection::new(GENEROUS);
    assert_eq!(plain.reads([frame(0xc1, &hex("f248cdc9c90700")).as_slice()]), Violation::ReservedBits.into());
    for first in [0xa1, 0xd1, 0xe1, 0xc8, 0xc9, 0xca] {
        assert_eq!(outcome(None, GENEROUS, &[(first, "")]).0, Violation::ReservedBits.into(), "{first:x}");
    }
    let fragments = [(0x41, "f248cd"), (0xc0, "c9c90700")];
    assert_eq!(outcome(None, GENEROUS, &fragments).0, Violation::ReservedBits.into());
}

#[test]
fn a_message_may_be_as_long_as_the_limit_once_it_is_inflated() {
    let rules = |max_payload_bytes| Rules { max_payload_bytes, ..GENEROUS };
    assert_eq!(outcome(None, rules(5), &[(0xc1, "f248cdc9c90700")]).1, [text("Hello")]);
    assert_eq!(outcome(None, rules(4), &[(0xc1, "f248cdc9c90700")]).0, Violation::MessageTooBig.into());
    // What cannot be compressed is longer on the wire than the limit, but not by much.
    let random = random(1000);
    let grown = deflated(&random, flate2::FlushCompress::Sync);
    assert!(grown.len() > random.len());
    let mut connection = Connection::agreed(rules(1000), agreement(None));
    assert_eq!(connection.reads([frame(0xc2, &grown).as_slice()]), Progress::Drained);
    let too_long = vec![0; 1000 + 1000 / 8 + DEFLATE_GROWTH_BYTES + 1];
    let mut connection = Connection::agreed(rules(1000), agreement(None));
    assert_eq!(connection.reads([&frame(0xc2, &too_long)[..4]]), Violation::MessageTooBig.into());
    // In fragments it is judged as one; a plain message has no such slack.
    let mut connection = Connection::agreed(rules(1000), agreement(None));
    let fragments = [frame(0x42, &too_long[..1000]), frame(0x80, &too_long[1000..])].concat();
    assert_eq!(connection.reads([fragments.as_slice()]), Violation::MessageTooBig.into());
    let mut connection = Connection::agreed(rules(1000), agreement(None));
    assert_eq!(connection.reads([&frame(0x82, &too_long[..1001])[..4]]), Violation::MessageTooBig.into());
}

#[test]
fn a_bomb_takes_no_more_than_the_limit_allows() {
    // Miri inflates some ten kilobytes a minute.
    let (size, limits) =
        if cfg!(miri) { (20_000, [1000, 3000, 10_000]) } else { (100 << 20, [1000, 300_000, 1 << 20]) };
    let bomb = deflated(&vec![0; size], flate2::FlushCompress::Sync);
    assert!(bomb.len() < size / 300);
    for max_payload_bytes in limits {
        let mut inflater = Inflater::default();
        let mut inflation = Inflation { inflater: &mut inflater, window: None };
        assert_eq!(inflation.inflate(&bomb, max_payload_bytes), Err(Violation::MessageTooBig));
        assert!(inflater.memory_bytes() <= 2 * max_payload_bytes.max(4096), "{}", inflater.memory_bytes());
    }
}

#[test]
fn last_blocks_in_the_middle_of_a_message_are_counted() {
    // 03 00 is an empty last block, and 00 begins the block whose rest was cut off.
    let inflated = |last_blocks: usize| {
        let message = [[0x03, 0x00].repeat(last_blocks), vec![0x00]].concat();
        let mut inflater = Inflater::default();
        let mut inflation = Inflation { inflater: &mut inflater, window: None };
        inflation.inflate(&message, 1 << 20).map(<[u8]>::len)
    };
    assert_eq!(inflated(DEFLATE_LAST_BLOCKS), Ok(0));
    assert_eq!(inflated(DEFLATE_LAST_BLOCKS + 1), Err(Violation::InvalidDeflate));
}

#[test]
#[cfg_attr(miri, ignore = "Miri takes many minutes for a message of this size")]
fn a_large_message_is_handed_over_with_its_buffer() {
    let message = json(50).repeat(33);
    assert!(message.len() > LARGE_MESSAGE_BYTES);
    let mut connection = Connection::agreed(GENEROUS, agreement(None));
    let bytes = frame(0xc1, &deflated(&message, flate2::FlushCompress::Sync));
    assert_eq!(connection.reads([bytes.as_slice()]), Progress::Drained);
    assert_eq!(connection.recorder.owned, 1);
    assert_eq!(connection.recorder.events, [Event::Message(MessageKind::Text, message)]);
}

#[test]
fn what_does_not_shrink_is_sent_plain_and_leaves_the_context() {
    let mut deflater = Deflater::default();
    let random = random(if cfg!(miri) { 800 } else { 40_000 });
    let mut window = Window::default();
    let takeover = Outbound::Takeover { window_bits: 12 };
    for payload in [&b""[..], b"abc", &random] {
        assert!(deflater.deflate(ALONE, None, payload).is_none());
        assert!(deflater.deflate(takeover, Some(&mut window), payload).is_none());
    }
    assert!(window.bytes().is_empty());
    assert!(deflater.deflate(Outbound::Plain, None, &json(100)).is_none());
    // The compressor that gave up is as good as new.
    let message = json(20);
    let alone = deflater.deflate(ALONE, None, &message).expect("JSON shrinks").to_vec();
    assert_eq!(deflater.deflate(ALONE, None, &message).expect("as before"), alone);
    let first = deflater.deflate(takeover, Some(&mut window), &message).expect("JSON shrinks").len();
    let again = deflater.deflate(takeover, Some(&mut window), &message).expect("it refers to itself").len();
    assert!(again * 3 < first, "{again} against {first}");
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..if cfg!(miri) { 15 } else { 80_usize }).prop_map(json),
        2 => vec(any::<u8>(), 0..600),
        1 => (0..if cfg!(miri) { 40 } else { 3000_usize }).prop_map(json),
        1 => (0..if cfg!(miri) { 1_500 } else { 70_000_usize }).prop_map(|size| vec![b'z'; size]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 64 }) })]

    /// Our compressor plays the client's: with and without takeover, and with windows of all sizes.
    #[test]
    fn what_is_deflated_is_inflated_however_it_is_cut(
        payloads in vec((payload(), any::<bool>(), proptest::option::of(0..300_usize)), 1..12),
        window_bits in 9..=15_u8,
        takeover in any::<bool>(),
        lengths in vec(1..3000_usize, 1..6),
    ) {
        let outbound = if takeover { Outbound::Takeover { window_bits } } else { Outbound::Alone { window_bits } };
        let (mut deflater, mut window) = (Deflater::default(), Window::default());
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        for (payload, compress, cut) in payloads {
            let compressed =
                if compress { deflater.deflate(outbound, Some(&mut window), &payload).map(<[u8]>::to_vec) } else { None };
            let first = 0x02 | if compressed.is_some() { 0x40 } else { 0 };
            let sent = compressed.as_ref().unwrap_or(&payload);
            prop_assert!(sent.len() <= payload.len());
            match cut {
                Some(cut) => {
                    let (front, back) = sent.split_at(cut.min(sent.len()));
                    bytes.extend([frame(first, front), frame(0x89, b"!"), frame(0x80, back)].concat());
                    expected.push(Event::Ping(b"!".to_vec()));
                }
                None => bytes.extend(frame(0x80 | first, sent)),
            }
            expected.push(Event::Message(MessageKind::Binary, payload));
        }
        let agreement = agreement(takeover.then_some(window_bits));
        let mut whole = Connection::agreed(GENEROUS, agreement);
        prop_assert_eq!(whole.reads([bytes.as_slice()]), Progress::Drained);
        prop_assert_eq!(&whole.recorder.events, &expected);
        prop_assert!(whole.assembly.is_none());
        prop_assert_eq!(whole.window.bytes(), window.bytes());
        let mut cut = Connection::agreed(GENEROUS, agreement);
        let mut rest = bytes.as_slice();
        for length in lengths.iter().cycle() {
            let (piece, behind) = rest.split_at((*length).min(rest.len()));
            prop_assert_eq!(cut.reads([piece]), Progress::Drained);
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(&cut.recorder.events, &expected);
    }

    /// Any bytes end in a message or in a violation, and the same one however they are cut.
    #[test]
    fn any_payload_is_judged(bytes in vec(any::<u8>(), 1..200), flips in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4), good in any::<bool>()) {
        let mut payload = if good { deflated(&json(20), flate2::FlushCompress::Sync) } else { bytes };
        for (at, value) in flips {
            let at = at.index(payload.len());
            payload[at] ^= value;
        }
        let rules = Rules { max_payload_bytes: 3000, ..GENEROUS };
        let wire = frame(0xc2, &payload);
        let mut whole = Connection::agreed(rules, agreement(Some(12)));
        let progress = whole.reads([wire.as_slice()]);
        let mut crumbs = Connection::agreed(rules, agreement(Some(12)));
        prop_assert_eq!(crumbs.reads(wire.chunks(1)), progress.clone());
        prop_assert_eq!(&crumbs.recorder.events, &whole.recorder.events);
        let judged = [Progress::Drained, Violation::InvalidDeflate.into(), Violation::MessageTooBig.into()];
        prop_assert!(judged.contains(&progress), "{:?}", progress);
    }
}
