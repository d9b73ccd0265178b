//! The alphabets of DEFLATE (RFC 1951 §3.2.5).

/// Literals, the end of a block, lengths, and two that only complete the fixed code.
pub const LITERALS: usize = 288;

/// Distances, and two that only complete the fixed code.
pub const DISTANCES: usize = 32;

/// Behind the literals.
pub const END_OF_BLOCK: usize = 256;

/// The longest repeat that has a symbol.
pub const LENGTH_MAX: usize = 258;

/// What stands for a length or a distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its place in the alphabet.
    pub number: usize,
    /// What follows its code, uncoded.
    pub extra: u32,
    /// How many bits that has.
    pub extra_bits: u32,
}

/// Of a repeat's length, 3 to 258.
#[inline]
pub fn length_symbol(length: u16) -> Symbol {
    if usize::from(length) >= LENGTH_MAX {
        return Symbol { number: 285, extra: 0, extra_bits: 0 };
    }
    // Four symbols for each power of two, from eight on.
    let above = u32::from(length.saturating_sub(3));
    let extra_bits = (above | 4).ilog2() - 2;
    let number = 257 + 4 * extra_bits + (above >> extra_bits);
    Symbol { number: number as usize, extra: above & ((1 << extra_bits) - 1), extra_bits }
}

/// Of a distance, 1 to 32,768.
#[inline]
pub fn distance_symbol(distance: u16) -> Symbol {
    // Two symbols for each power of two, from four on.
    let above = u32::from(distance.saturating_sub(1));
    let extra_bits = (above | 2).ilog2() - 1;
    let number = 2 * extra_bits + (above >> extra_bits);
    Symbol { number: number as usize, extra: above & ((1 << extra_bits) - 1), extra_bits }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of RFC 1951 §3.2.5: extra bits of each symbol, in order.
    const LENGTH_EXTRA_BITS: [u32; 28] =
        [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5];
    const DISTANCE_EXTRA_BITS: [u32; 30] =
        [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13];

    #[test]
    fn are_those_of_the_rfc() {
        let symbols = |extra_bits: &'static [u32], first| {
            extra_bits.iter().enumerate().flat_map(move |(at, &extra_bits)| {
                (0..1 << extra_bits).map(move |extra| Symbol { number: first + at, extra, extra_bits })
            })
        };
        for (length, symbol) in (3..258).zip(symbols(&LENGTH_EXTRA_BITS, 257)) {
            assert_eq!(length_symbol(length), symbol, "length {length}");
        }
        assert_eq!(length_symbol(258), Symbol { number: 285, extra: 0, extra_bits: 0 });
        for (distance, symbol) in (1..=32_768).zip(symbols(&DISTANCE_EXTRA_BITS, 0)) {
            assert_eq!(distance_symbol(distance), symbol, "distance {distance}");
        }
        assert_eq!(symbols(&DISTANCE_EXTRA_BITS, 0).count(), 32_768);
    }
}
