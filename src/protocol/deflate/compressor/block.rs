//! One block: what it is made of, what each of its forms takes, and how they are written (RFC 1951 §3.2.3).

use super::bits::BitWriter;
use super::huffman::{CODE_BITS_MAX, Codes, best_codes, codes_of};
use super::lengths::Lengths;
use super::symbols::{DISTANCES, END_OF_BLOCK, LITERALS, distance_symbol, length_symbol};

/// Most bytes of a block: what a stored one can have (RFC 1951 §3.2.4).
pub const BLOCK_BYTES: usize = u16::MAX as usize;

/// With fewer symbols than this, the head of a block with codes of its own costs more than they save.
const OWN_CODES_SYMBOLS: usize = 64;

/// The kind of a block, in two bits above the one that marks the last, which none of ours is.
const STORED: u32 = 0b000;
const FIXED: u32 = 0b010;
const DYNAMIC: u32 = 0b100;

static FIXED_LITERALS: Codes<LITERALS> = codes_of(&fixed_literal_lengths());
static FIXED_DISTANCES: Codes<DISTANCES> = codes_of(&[5; DISTANCES]);

/// Literals and a repeat behind them.
#[derive(Clone, Copy)]
struct Sequence {
    literals: u16,
    /// 0 for the block's end.
    length: u16,
    distance: u16,
}

/// A block's symbols. Its memory is kept from block to block: 6 bytes for each repeat.
pub struct Block {
    sequences: Vec<Sequence>,
    literals: [u32; LITERALS],
    distances: [u32; DISTANCES],
    extra_bits: usize,
    symbols: usize,
}

impl Default for Block {
    fn default() -> Self {
        Self { sequences: Vec::new(), literals: [0; LITERALS], distances: [0; DISTANCES], extra_bits: 0, symbols: 0 }
    }
}

impl Block {
    /// Forgets the last block.
    pub fn begin(&mut self) {
        self.sequences.clear();
        self.literals.fill(0);
        self.distances.fill(0);
        self.extra_bits = 0;
        self.symbols = 1;
    }

    /// Adds literals, at most [`BLOCK_BYTES`] in the block, and a repeat.
    #[inline]
    pub fn push(&mut self, literals: &[u8], length: u16, distance: u16) {
        self.push_literals(literals);
        let (length_symbol, distance_symbol) = (length_symbol(length), distance_symbol(distance));
        self.literals[length_symbol.number % LITERALS] += 1;
        self.distances[distance_symbol.number % DISTANCES] += 1;
        self.extra_bits += (length_symbol.extra_bits + distance_symbol.extra_bits) as usize;
        self.symbols += 2;
        self.sequences.push(Sequence { literals: literals.len() as u16, length, distance });
    }

    /// Adds the last literals.
    pub fn end(&mut self, literals: &[u8]) {
        self.push_literals(literals);
        self.literals[END_OF_BLOCK] = 1;
        self.sequences.push(Sequence { literals: literals.len() as u16, length: 0, distance: 0 });
    }

    /// Writes the block, whose plain bytes are these, in the form that is shortest.
    pub fn write(&self, plain: &[u8], writer: &mut BitWriter<'_>) {
        let stored = (writer.len() + 3).next_multiple_of(8) - writer.len() + 32 + 8 * plain.len();
        let fixed = 3 + self.symbols_bits(&FIXED_LITERALS, &FIXED_DISTANCES);
        if self.symbols >= OWN_CODES_SYMBOLS {
            let literals = best_codes(&self.literals, CODE_BITS_MAX);
            let distances = best_codes(&self.distances, CODE_BITS_MAX);
            let lengths = Lengths::new(&literals, &distances);
            let dynamic = 3 + lengths.bits() + self.symbols_bits(&literals, &distances);
            if dynamic < fixed.min(stored) {
                writer.put(DYNAMIC, 3);
                lengths.write(writer);
                return self.write_symbols(plain, &literals, &distances, writer);
            }
        }
        if fixed < stored {
            writer.put(FIXED, 3);
            self.write_symbols(plain, &FIXED_LITERALS, &FIXED_DISTANCES, writer);
        } else {
            writer.put(STORED, 3);
            writer.align();
            let length = plain.len() as u16;
            writer.put_bytes(&length.to_le_bytes());
            writer.put_bytes(&(!length).to_le_bytes());
            writer.put_bytes(plain);
        }
    }

    #[inline]
    fn push_literals(&mut self, literals: &[u8]) {
        for literal in literals {
            self.literals[usize::from(*literal)] += 1;
        }
        self.symbols += literals.len();
    }

    /// What [`write_symbols`](Self::write_symbols) writes.
    fn symbols_bits(&self, literals: &Codes<LITERALS>, distances: &Codes<DISTANCES>) -> usize {
        self.extra_bits + bits(&self.literals, literals) + bits(&self.distances, distances)
    }

    fn write_symbols(
        &self,
        plain: &[u8],
        literals: &Codes<LITERALS>,
        distances: &Codes<DISTANCES>,
        writer: &mut BitWriter<'_>,
    ) {
        writer.settle();
        let mut rest = plain;
        for Sequence { literals: run, length, distance } in &self.sequences {
            let (run, behind) = rest.split_at(rest.len().min(usize::from(*run)));
            // Three codes have at most 45 bits.
            for three in run.chunks(3) {
                for literal in three {
                    writer.put_code(literals[usize::from(*literal)]);
                }
                writer.settle();
            }
            if *length == 0 {
                break;
            }
            // The codes and what follows them have at most 15 + 5 and 15 + 13 bits.
            let symbol = length_symbol(*length);
            writer.put_code(literals[symbol.number % LITERALS]);
            writer.put(symbol.extra, symbol.extra_bits);
            let symbol = distance_symbol(*distance);
            writer.put_code(distances[symbol.number % DISTANCES]);
            writer.put(symbol.extra, symbol.extra_bits);
            writer.settle();
            rest = behind.get(usize::from(*length)..).unwrap_or_default();
        }
        writer.put_code(literals[END_OF_BLOCK]);
        writer.settle();
    }
}

/// Bits of all symbols with these codes. Far below what would wrap: a block has less than 2¹⁶ symbols.
fn bits<const N: usize>(frequencies: &[u32; N], codes: &Codes<N>) -> usize {
    let all = frequencies.iter().zip(codes);
    all.fold(0_u32, |sum, (frequency, code)| sum.wrapping_add(frequency.wrapping_mul(code.length.into()))) as usize
}

/// RFC 1951 §3.2.6.
const fn fixed_literal_lengths() -> [u8; LITERALS] {
    let mut lengths = [8; LITERALS];
    let mut at = 144;
    while at < 280 {
        lengths[at] = if at < 256 { 9 } else { 7 };
        at += 1;
    }
    lengths
}
