//! A DEFLATE compressor for messages (RFC 1951).
//!
//! zlib's are made for streams: to begin anew they clear a table of 128 KiB, which takes as long as to
//! compress some hundred bytes. This one begins in no time, and its tables are as large as the message.

mod bits;
mod block;
mod huffman;
mod lengths;
mod matcher;
mod symbols;
#[cfg(test)]
mod tests;

use bits::BitWriter;
use block::{BLOCK_BYTES, Block};
use matcher::Matcher;

/// Compresses one message after the other. Owns at most 128 KiB of places and 96 KiB of symbols.
#[derive(Default)]
pub struct Compressor {
    matcher: Matcher,
    block: Block,
}

impl Compressor {
    /// Compresses what is behind the first `dictionary` bytes, which the decompressor has already. The
    /// blocks are written to the front of `out`, and with them what is left of a flush without its
    /// [`TAIL`](super::TAIL); their size is returned. `None` if `out` is less than 8 bytes longer.
    pub fn compress(&mut self, bytes: &[u8], dictionary: usize, window_bits: u8, out: &mut [u8]) -> Option<usize> {
        self.matcher.begin(bytes.len());
        self.matcher.remember_dictionary(bytes, dictionary);
        let mut writer = BitWriter::new(out);
        let mut start = dictionary;
        while start < bytes.len() {
            let end = bytes.len().min(start + BLOCK_BYTES);
            self.block.begin();
            self.matcher.parse(bytes, start..end, 1 << window_bits, &mut self.block);
            self.block.write(&bytes[start..end], &mut writer);
            start = end;
        }
        // An empty stored block, whose lengths are the tail (RFC 7692 §7.2.1).
        writer.put(0, 3);
        writer.finish()
    }
}
