//! The lengths of a block's codes, as its head says them: in runs, and coded again (RFC 1951 §3.2.7).

use super::bits::BitWriter;
use super::huffman::{Codes, best_codes};
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
    pub fn new(literals: &Codes<LITERALS>, distances: &Codes<DISTANCES>) -> Self {
        let literals = &literals[..said(literals.iter().map(|code| code.length), 257)];
        let distances = &distances[..said(distances.iter().map(|code| code.length), 1)];
        let mut all = [0; LITERALS + DISTANCES];
        for (length, code) in all.iter_mut().zip(literals.iter().chain(distances)) {
            *length = code.length;
        }
        let mut runs = [(0, 0); LITERALS + DISTANCES];
        // A run may go on from the one alphabet into the other.
        let (frequencies, runs_len) = find_runs(&all[..literals.len() + distances.len()], &mut runs);
        let codes = best_codes(&frequencies, CODE_BITS_MAX);
        let said = said(ORDER.iter().map(|symbol| codes[*symbol].length), 4);
        let runs_bits: usize = frequencies
            .iter()
            .zip(codes.iter().zip(EXTRA_BITS))
            .map(|(frequency, (code, extra_bits))| *frequency as usize * usize::from(code.length + extra_bits))
            .sum();
        let bits = 14 + 3 * said + runs_bits;
        Self { literals: literals.len(), distances: distances.len(), runs, runs_len, codes, said, bits }
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
}

/// How many of the lengths are said: those behind the last that is not zero may be left out.
fn said(lengths: impl ExactSizeIterator<Item = u8> + DoubleEndedIterator, min: usize) -> usize {
    let mut lengths = lengths;
    lengths.rposition(|length| length != 0).map_or(min, |last| min.max(last + 1))
}

/// Splits the lengths into runs, and counts their symbols.
fn find_runs(lengths: &[u8], runs: &mut [(u8, u8); LITERALS + DISTANCES]) -> ([u32; SYMBOLS], usize) {
    let mut frequencies = [0; SYMBOLS];
    let mut runs_len = 0;
    let mut push = |symbol: usize, extra: usize| {
        frequencies[symbol] += 1;
        runs[runs_len] = (symbol as u8, extra as u8);
        runs_len += 1;
    };
    for run in lengths.chunk_by(|one, next| one == next) {
        let length = usize::from(run[0]);
        let mut left = run.len();
        if length != 0 {
            push(length, 0);
            left -= 1;
        }
        while left > 0 {
            let (symbol, taken, extra) = match (length, left) {
                (_, ..3) => (length, 1, 0),
                (0, ..11) => (ZEROS, left, left - 3),
                (0, _) => (MANY_ZEROS, left.min(138), left.min(138) - 11),
                _ => (REPEAT, left.min(6), left.min(6) - 3),
            };
            push(symbol, extra);
            left -= taken;
        }
    }
    (frequencies, runs_len)
}
