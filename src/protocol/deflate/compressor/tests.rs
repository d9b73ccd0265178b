//! What is compressed is read back by zlib, with no more of a window than was agreed on; and what the
//! compressor did before changes nothing.

use flate2::{Decompress, FlushDecompress};
use proptest::collection::vec;
use proptest::prelude::*;

use super::super::tests::random;
use super::*;

const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// What sizes are divided by: Miri takes a second for a kilobyte, and so has no message of more than a block.
const SCALE: usize = if cfg!(miri) { 50 } else { 1 };

fn compressed(compressor: &mut Compressor, bytes: &[u8], dictionary: usize, window_bits: u8) -> Vec<u8> {
    let mut out = vec![0xaa; bytes.len() + bytes.len() / 4 + 100];
    let size = compressor.compress(bytes, dictionary, window_bits, &mut out).expect("there is room");
    out.truncate(size);
    out
}

/// Reads in small pieces, so that what is referred to must be in the window.
fn inflated(payload: &[u8], dictionary: &[u8], window_bits: u8) -> Vec<u8> {
    let mut client = Decompress::new_with_window_bits(false, window_bits);
    let kept = &dictionary[dictionary.len().saturating_sub(1 << window_bits)..];
    if !kept.is_empty() {
        client.set_dictionary(kept).expect("a raw stream takes a dictionary");
    }
    let input = [payload, &TAIL].concat();
    let (mut all, mut piece) = (Vec::new(), [0; 100]);
    loop {
        let (taken, written) = (client.total_in() as usize, client.total_out());
        client.decompress(&input[taken..], &mut piece, FlushDecompress::Sync).expect("zlib reads what is compressed");
        let size = (client.total_out() - written) as usize;
        all.extend_from_slice(&piece[..size]);
        if size < piece.len() {
            assert_eq!(client.total_in() as usize, input.len(), "input is left");
            return all;
        }
    }
}

/// Text with repeats of all lengths and distances, and parts that have none.
fn text(size: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(0x0019_660d).wrapping_add(0x3c6e_f35f);
        (state >> 8) as usize % limit
    };
    let mut text = b"So it begins: ".to_vec();
    while text.len() < size {
        if below(4) == 0 {
            let random: Vec<u8> = (0..below(30)).map(|_| below(256) as u8).collect();
            text.extend(random);
        } else {
            let distance = 1 + below(text.len().min(40_000));
            let start = text.len() - distance;
            for at in start..start + below(300) {
                text.push(text[at]);
            }
        }
    }
    text.truncate(size);
    text
}

#[test]
fn blocks_of_each_kind() {
    let random = random(200_000 / SCALE);
    let mut compressor = Compressor::default();
    let kind = |payload: &[u8]| payload[0] & 0b111;
    let short = compressed(&mut compressor, b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0, 15);
    assert_eq!(kind(&short), 0b010, "fixed codes");
    let words: String = (0..100).map(|number| format!("{number} times {number} are {}. ", number * number)).collect();
    let long = compressed(&mut compressor, words.as_bytes(), 0, 15);
    assert_eq!(kind(&long), 0b100, "codes of its own");
    // A block that does not shrink between others that do.
    let block = BLOCK_BYTES / SCALE;
    let mixed = [vec![b'a'; block], random[..block].to_vec(), text(100_000 / SCALE)].concat();
    let mixed_compressed = compressed(&mut compressor, &mixed, 0, 15);
    assert_eq!(inflated(&mixed_compressed, &[], 15), mixed);
    let grown = compressed(&mut compressor, &random, 0, 15);
    assert_eq!(kind(&grown), 0b000, "stored");
    assert!(grown.len() < random.len() + 32, "{}", grown.len());
    assert_eq!(inflated(&grown, &[], 15), random);
}

#[test]
fn a_message_is_compressed_as_if_it_were_the_first() {
    const FIRST: u32 = if cfg!(miri) { 300 } else { 5000 };
    let (first, second) = (text(FIRST as usize), text(70_000 / SCALE));
    let mut compressor = Compressor::default();
    let expected = compressed(&mut Compressor::default(), &first, 0, 15);
    for _ in 0..3 {
        assert_eq!(compressed(&mut compressor, &first, 0, 15), expected);
        assert_eq!(inflated(&compressed(&mut compressor, &second, 0, 15), &[], 15), second);
    }
    // After four gigabytes the places are counted from the beginning.
    for left in [FIRST - 1, FIRST, FIRST + 1] {
        compressor.matcher.begin((u32::MAX - compressor.matcher.end() - left) as usize);
        for _ in 0..2 {
            assert_eq!(compressed(&mut compressor, &first, 0, 15), expected, "{left}");
        }
    }
}

#[test]
fn a_dictionary_is_referred_to_as_far_as_the_window_goes() {
    let message = random(if cfg!(miri) { 800 } else { 3000 });
    let twice = [message.clone(), message.clone()].concat();
    let mut compressor = Compressor::default();
    let payload = compressed(&mut compressor, &twice, message.len(), 12);
    assert!(payload.len() < 60, "{}", payload.len());
    assert_eq!(inflated(&payload, &message, 12), message);
    let payload = compressed(&mut compressor, &twice, message.len(), 9);
    assert!(payload.len() > message.len(), "{}", payload.len());
    assert_eq!(inflated(&payload, &message, 9), message);
}

#[test]
fn what_has_no_room_is_no_message() {
    let message = text(if cfg!(miri) { 40 } else { 500 });
    let mut compressor = Compressor::default();
    let size = compressed(&mut compressor, &message, 0, 15).len();
    for room in 0..size + 12 {
        let mut out = vec![0; room];
        let expected = (room >= size + 8).then_some(size);
        assert_eq!(compressor.compress(&message, 0, 15, &mut out), expected, "{room}");
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => (1..40 + 4000 / SCALE, any::<prop::sample::Index>()).prop_map(|(size, from)| {
            let all = text(60_000 / SCALE);
            let from = from.index(all.len() - size);
            all[from..from + size].to_vec()
        }),
        2 => vec(any::<u8>(), 1..40 + 700 / SCALE),
        2 => vec(prop_oneof![Just(b'a'), Just(b'b')], 1..40 + 2000 / SCALE),
        1 => (1..200_000 / SCALE).prop_map(text),
        1 => (1..70_000 / SCALE, any::<u8>()).prop_map(|(size, byte)| vec![byte; size]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 1 } else { 96 }) })]

    #[test]
    fn what_is_compressed_is_read_back(
        messages in vec((bytes(), proptest::option::of(bytes())), 1..5),
        window_bits in 9..=15_u8,
    ) {
        let mut compressor = Compressor::default();
        for (message, dictionary) in messages {
            let dictionary = dictionary.unwrap_or_default();
            let dictionary = &dictionary[dictionary.len().saturating_sub(1 << window_bits)..];
            let joined = [dictionary, &message].concat();
            let payload = compressed(&mut compressor, &joined, dictionary.len(), window_bits);
            prop_assert!(payload.len() <= message.len() + 5 * (1 + message.len() / BLOCK_BYTES) + 1);
            prop_assert_eq!(inflated(&payload, dictionary, window_bits), message);
        }
    }
}
