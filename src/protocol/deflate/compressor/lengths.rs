//! The lengths of a block's codes, as its head says them: in runs, and coded again (RFC 1951 §3.2.7).

use super::bits::BitWriter;
use super::huffman::{Code, Codes, best_lengths, codes_of};
use super::symbols::{DISTANCES, LITERALS};

/// Lengths of 0 to 15, and three ways to repeat.
const SYMBOLS: usize = 19;

/// Again the last one, 3 to 6 times.
const REPEAT: usize = 16;
/// Zeros, 3 to 10.
const ZEROS: usize = 17;
/// Zeros, 11 to 138.
const MANY_ZEROS: usize = 18;

/// How many bits follow each symbol.
const EXTRA_BITS: [u8; SYMBOLS] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];

/// The order in which a head says the lengths of their codes: the last are often zero, and left out.
const ORDER: [usize; SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// Longest code of those symbols.
const CODE_BITS_MAX: usize = 7;

/// The head of a block with codes of its own, behind its kind.
pub struct Lengths {
    literals: usize,
    distances: usize,
    /// Symbols, each with what follows it.
    runs: [(u8, u8); LITERALS + DISTANCES],
    runs_len: usize,
    codes: Codes<SYMBOLS>,
    /// Of [`ORDER`]: how many are said.
    said: usize,
    /// What all of it takes.
    bits: usize,
}

impl Lengths {
    /// For these codes.
    pub fn new(literals: &[u8; LITERALS], distances: &[u8; DISTANCES]) -> Self {
        let len = |lengths: &[u8], min: usize| lengths.iter().rposition(|length| *length != 0).map_or(min, |last| min.max(last + 1));
        let mut lengths = Self {
            literals: len(literals, 257),
            distances: len(distances, 1),
            runs: [(0, 0); LITERALS + DISTANCES],
            runs_len: 0,
            codes: [Code::default(); SYMBOLS],
            said: 0,
            bits: 0,
        };
        let mut all = [0; LITERALS + DISTANCES];
        let (front, back) = all.split_at_mut(lengths.literals);
        front.copy_from_slice(&literals[..lengths.literals]);
        back[..lengths.distances].copy_from_slice(&distances[..lengths.distances]);
        // A run may go on from the one alphabet into the other.
        let frequencies = lengths.find_runs(&all[..lengths.literals + lengths.distances]);
        let code_lengths = best_lengths(&frequencies, CODE_BITS_MAX);
        lengths.codes = codes_of(&code_lengths);
        lengths.said = ORDER.iter().rposition(|symbol| code_lengths[*symbol] != 0).map_or(4, |last| 4.max(last + 1));
        let runs_bits: usize = frequencies
            .iter()
            .zip(code_lengths.iter().zip(EXTRA_BITS))
            .map(|(frequency, (length, extra_bits))| *frequency as usize * usize::from(length + extra_bits))
            .sum();
        lengths.bits = 14 + 3 * lengths.said + runs_bits;
        lengths
    }

    /// What [`write`](Self::write) writes.
    pub fn bits(&self) -> usize {
        self.bits
    }

    /// Writes the head.
    pub fn write(&self, writer: &mut BitWriter<'_>) {
        writer.settle();
        writer.put((self.literals - 257) as u32, 5);
        writer.put((self.distances - 1) as u32, 5);
        writer.put((self.said - 4) as u32, 4);
        writer.settle();
        for symbols in ORDER[..self.said].chunks(16) {
            for symbol in symbols {
                writer.put(self.codes[*symbol].length.into(), 3);
            }
            writer.settle();
        }
        for (symbol, extra) in &self.runs[..self.runs_len] {
            let symbol = usize::from(*symbol);
            writer.put_code(self.codes[symbol]);
            writer.put((*extra).into(), EXTRA_BITS[symbol].into());
            writer.settle();
        }
    }

    /// Splits the lengths into runs, and counts their symbols.
    fn find_runs(&mut self, lengths: &[u8]) -> [u32; SYMBOLS] {
        let mut frequencies = [0; SYMBOLS];
        let mut push = |symbol: usize, extra: usize| {
            frequencies[symbol] += 1;
            self.runs[self.runs_len] = (symbol as u8, extra as u8);
            self.runs_len += 1;
        };
        for run in lengths.chunk_by(|one, next| one == next) {
            let length = usize::from(run[0]);
            let mut left = run.len();
            if length != 0 {
                push(length, 0);
                left -= 1;
            }
            while left > 0 {
                let taken = match (length, left) {
                    (_, ..3) => {
                        push(length, 0);
                        1
                    }
                    (0, ..11) => {
                        push(ZEROS, left - 3);
                        left
                    }
                    (0, _) => {
                        let taken = left.min(138);
                        push(MANY_ZEROS, taken - 11);
                        taken
                    }
                    _ => {
                        let taken = left.min(6);
                        push(REPEAT, taken - 3);
                        taken
                    }
                };
                left -= taken;
            }
        }
        frequencies
    }
}
