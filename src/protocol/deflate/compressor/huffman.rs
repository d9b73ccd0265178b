//! Huffman codes as DEFLATE has them: given by their lengths alone (RFC 1951 §3.2.2).

/// Longest code of a literal, length or distance (RFC 1951 §3.2.7).
pub const CODE_BITS_MAX: usize = 15;

/// A symbol's code; of no length for one that does not occur.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// In the order in which they are written.
    pub bits: u16,
    /// How many.
    pub length: u8,
}

/// The codes of an alphabet.
pub type Codes<const N: usize> = [Code; N];

/// Codes that make the symbols shortest in all, none longer than `max`.
///
/// At least two symbols have a code, since decoders want a complete one (RFC 1951 §3.2.7 has an
/// exception, which not all of them know).
pub fn best_codes<const N: usize>(frequencies: &[u32; N], max: usize) -> Codes<N> {
    let mut entries = [0; N];
    let used = collect(frequencies, &mut entries);
    let symbols = &entries[..used];
    let mut sorted = entries;
    let sorted = &mut sorted[..used];
    sorted.sort_unstable();
    let counts = count_lengths(sorted, max);
    let mut codes = [Code::default(); N];
    // The rarest have the longest codes.
    let longest_first = (1..=max).rev().flat_map(|length| std::iter::repeat_n(length, counts[length].into()));
    for (entry, length) in sorted.iter().zip(longest_first) {
        codes[symbol_of(*entry)].length = length as u8;
    }
    let mut next = first_codes(&counts);
    for entry in symbols {
        let code = &mut codes[symbol_of(*entry)];
        *code = next_code(&mut next, code.length);
    }
    codes
}

/// The codes that have these lengths.
pub const fn codes_of<const N: usize>(lengths: &[u8; N]) -> Codes<N> {
    let mut counts = [0; CODE_BITS_MAX + 1];
    let mut at = 0;
    while at < N {
        counts[lengths[at] as usize] += 1;
        at += 1;
    }
    counts[0] = 0;
    let mut next = first_codes(&counts);
    let mut codes = [Code { bits: 0, length: 0 }; N];
    at = 0;
    while at < N {
        if lengths[at] != 0 {
            codes[at] = next_code(&mut next, lengths[at]);
        }
        at += 1;
    }
    codes
}

/// The first code of each length, if so many codes have it (RFC 1951 §3.2.2).
const fn first_codes(counts: &[u16; CODE_BITS_MAX + 1]) -> [u16; CODE_BITS_MAX + 1] {
    let mut next = [0; CODE_BITS_MAX + 1];
    let mut length = 1;
    while length < next.len() {
        next[length] = (next[length - 1] + counts[length - 1]) << 1;
        length += 1;
    }
    next
}

/// Takes the next code of a length.
const fn next_code(next: &mut [u16; CODE_BITS_MAX + 1], length: u8) -> Code {
    let bits = next[length as usize];
    next[length as usize] = bits.wrapping_add(1);
    Code { bits: bits.reverse_bits() >> (16 - length as u32), length }
}

/// A symbol with its frequency above it: in the order of these, the rarest symbol comes first.
const SYMBOL_BITS: u32 = 9;

fn symbol_of(entry: u32) -> usize {
    (entry & ((1 << SYMBOL_BITS) - 1)) as usize
}

/// Collects the symbols that occur, and returns how many they are: at least two.
fn collect<const N: usize>(frequencies: &[u32; N], entries: &mut [u32; N]) -> usize {
    let mut used = 0;
    for (symbol, frequency) in frequencies.iter().enumerate() {
        if *frequency != 0 {
            entries[used] = frequency << SYMBOL_BITS | symbol as u32;
            used += 1;
        }
    }
    if used < 2 {
        // The first two symbols, or the one there is and the first that is another.
        let only = if used == 0 { 0 } else { symbol_of(entries[0]) };
        let other = if only == 0 { 1 } else { 0 };
        entries[0] = 1 << SYMBOL_BITS | only.min(other) as u32;
        entries[1] = 1 << SYMBOL_BITS | only.max(other) as u32;
        used = 2;
    }
    used
}

/// How many codes have which length.
///
/// Huffman's way, with two queues: the leaves as they are sorted, and the nodes as they come. Then the
/// nodes are looked at from the root down: each splits a code of its depth into two that are longer.
/// One that is too deep splits the deepest that is not.
fn count_lengths(sorted: &[u32], max: usize) -> [u16; CODE_BITS_MAX + 1] {
    let mut counts = [0; CODE_BITS_MAX + 1];
    let mut weights = [0_u32; 288];
    let mut parents = [0_u16; 288];
    let nodes = sorted.len() - 1;
    let (mut leaf, mut node) = (0, 0);
    for parent in 0..nodes {
        let mut weight = 0;
        for _ in 0..2 {
            let leaf_weight = sorted.get(leaf).map(|entry| entry >> SYMBOL_BITS);
            match leaf_weight {
                Some(leaf_weight) if node == parent || leaf_weight <= weights[node] => {
                    weight += leaf_weight;
                    leaf += 1;
                }
                _ => {
                    weight += weights[node];
                    parents[node] = parent as u16;
                    node += 1;
                }
            }
        }
        weights[parent] = weight;
    }
    counts[1] = 2;
    // From here on a node's depth is in its parent's place.
    let mut depths = parents;
    depths[nodes - 1] = 0;
    for at in (0..nodes - 1).rev() {
        let depth = depths[usize::from(depths[at])] + 1;
        depths[at] = depth;
        let mut split = usize::from(depth);
        if split >= max {
            split = (1..max).rev().find(|length| counts[*length] > 0).unwrap_or(1);
        }
        counts[split] -= 1;
        counts[split + 1] += 2;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::cmp::Reverse;
    use std::collections::BinaryHeap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        // RFC 1951 §3.2.2: the codes of A to H.
        let written = ["010", "011", "100", "101", "110", "00", "1110", "1111"];
        for (code, written) in codes_of(&[3, 3, 3, 3, 3, 2, 4, 4]).iter().zip(written) {
            let reversed: String = written.chars().rev().collect();
            assert_eq!(format!("{:01$b}", code.bits, usize::from(code.length)), reversed);
        }
    }

    #[test]
    fn what_occurs_hardly_has_a_complete_code_too() {
        let lengths = |frequencies| best_codes::<4>(&frequencies, 7).map(|code| code.length);
        assert_eq!(lengths([0, 0, 0, 0]), [1, 1, 0, 0]);
        assert_eq!(lengths([9, 0, 0, 0]), [1, 1, 0, 0]);
        assert_eq!(lengths([0, 0, 9, 0]), [1, 0, 1, 0]);
        assert_eq!(lengths([0, 7, 0, 9]), [0, 1, 0, 1]);
        assert_eq!(lengths([0, 1, 1, 9]), [0, 2, 2, 1]);
    }

    /// Bits of all symbols with Huffman's codes, however long these are.
    fn least_bits(frequencies: &[u32]) -> u64 {
        let used = frequencies.iter().filter(|frequency| **frequency > 0);
        let mut heap: BinaryHeap<_> = used.map(|frequency| Reverse(u64::from(*frequency))).collect();
        let mut bits = 0;
        while let (Some(Reverse(one)), Some(Reverse(other))) = (heap.pop(), heap.pop()) {
            bits += one + other;
            heap.push(Reverse(one + other));
        }
        bits
    }

    fn check<const N: usize>(frequencies: &[u32; N], max: usize) {
        let codes = best_codes(frequencies, max);
        let used: Vec<Code> = codes.iter().copied().filter(|code| code.length > 0).collect();
        let parts: u32 = used.iter().map(|code| 1 << (max - usize::from(code.length))).sum();
        assert_eq!(parts, 1 << max, "complete, and none too long");
        for (code, frequency) in codes.iter().zip(frequencies) {
            assert!(code.length > 0 || *frequency == 0);
        }
        assert_eq!(codes, codes_of(&codes.map(|code| code.length)));
        if used.len() > 2 {
            let bits: u64 = codes.iter().zip(frequencies).map(|(code, f)| u64::from(code.length) * u64::from(*f)).sum();
            let least = least_bits(frequencies);
            let longest = used.iter().map(|code| usize::from(code.length)).max();
            assert!(bits >= least);
            assert!(bits == least || longest == Some(max), "{bits} bits where {least} would do");
        }
    }

    #[test]
    fn no_code_is_longer_than_it_may_be() {
        // Fibonacci's numbers make the longest codes.
        let mut frequencies = [1; 24];
        for at in 2..frequencies.len() {
            frequencies[at] = frequencies[at - 1] + frequencies[at - 2];
        }
        check(&frequencies, 15);
        let mut seven = [0; 19];
        seven.copy_from_slice(&frequencies[..19]);
        check(&seven, 7);
    }

    proptest! {
        #[test]
        fn codes_are_complete_and_the_shortest_in_all(
            frequencies in prop::array::uniform32(prop_oneof![3 => Just(0), 3 => 1..5_u32, 1 => 0..60_000_u32]),
            max in 6..=15_usize,
        ) {
            check(&frequencies, max);
        }
    }
}
