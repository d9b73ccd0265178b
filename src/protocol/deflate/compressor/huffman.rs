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

/// The lengths that make the symbols shortest in all, none longer than `max`.
///
/// At least two symbols have a code, since decoders want a complete one (RFC 1951 §3.2.7 has an
/// exception, which not all of them know).
pub fn best_lengths<const N: usize>(frequencies: &[u32; N], max: usize) -> [u8; N] {
    let mut lengths = [0; N];
    let mut sorted = [0; N];
    let used = sort(frequencies, &mut sorted);
    let sorted = &sorted[..used];
    let counts = count_lengths(sorted, max);
    // The rarest have the longest codes.
    let longest_first = (1..=max).rev().flat_map(|length| std::iter::repeat_n(length, counts[length].into()));
    for (entry, length) in sorted.iter().zip(longest_first) {
        lengths[symbol_of(*entry)] = length as u8;
    }
    lengths
}

/// The codes that have these lengths (RFC 1951 §3.2.2).
pub const fn codes_of<const N: usize>(lengths: &[u8; N]) -> Codes<N> {
    let mut next = [0_u16; CODE_BITS_MAX + 2];
    let mut at = 0;
    while at < N {
        if lengths[at] != 0 {
            next[lengths[at] as usize + 1] += 1;
        }
        at += 1;
    }
    let mut length = 2;
    while length < next.len() {
        next[length] = (next[length] + next[length - 1]) << 1;
        length += 1;
    }
    let mut codes = [Code { bits: 0, length: 0 }; N];
    at = 0;
    while at < N {
        let length = lengths[at];
        if length != 0 {
            let bits = next[length as usize];
            codes[at] = Code { bits: bits.reverse_bits() >> (16 - length as u32), length };
            next[length as usize] = bits.wrapping_add(1);
        }
        at += 1;
    }
    codes
}

/// A symbol with its frequency above it: in the order of these, the rarest symbol comes first.
const SYMBOL_BITS: u32 = 9;

fn symbol_of(entry: u32) -> usize {
    (entry & ((1 << SYMBOL_BITS) - 1)) as usize
}

/// Puts the symbols that occur in front, the rarest first, and returns how many they are: at least two.
fn sort<const N: usize>(frequencies: &[u32; N], sorted: &mut [u32; N]) -> usize {
    let mut used = 0;
    for (symbol, &frequency) in frequencies.iter().enumerate() {
        if frequency != 0 {
            sorted[used] = frequency << SYMBOL_BITS | symbol as u32;
            used += 1;
        }
    }
    for (symbol, _) in frequencies.iter().enumerate().filter(|(_, frequency)| **frequency == 0) {
        if used >= 2 {
            break;
        }
        sorted[used] = 1 << SYMBOL_BITS | symbol as u32;
        used += 1;
    }
    sorted[..used].sort_unstable();
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
