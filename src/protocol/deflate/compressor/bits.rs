//! Bits in DEFLATE's order: from the lowest of a byte to the highest (RFC 1951 §3.1.1).

use super::huffman::Code;

/// Writes into a slice. Its end is judged by [`finish`](BitWriter::finish) alone: what has no room is
/// left out, and does not panic.
pub struct BitWriter<'a> {
    out: &'a mut [u8],
    /// Whole bytes so far.
    size: usize,
    /// What is behind them.
    bits: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    /// From the slice's beginning.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, size: 0, bits: 0, count: 0 }
    }

    /// Adds the `count` lowest bits of `bits`; those above are zero.
    #[inline]
    pub fn put(&mut self, bits: u32, count: u32) {
        self.bits |= u64::from(bits).wrapping_shl(self.count);
        self.count += count;
    }

    /// Adds a symbol's code.
    #[inline]
    pub fn put_code(&mut self, code: Code) {
        self.put(code.bits.into(), code.length.into());
    }

    /// Makes room for 56 bits more: so many may be added before the next call.
    #[inline]
    pub fn settle(&mut self) {
        if let Some(place) = self.out.get_mut(self.size..).and_then(|rest| rest.first_chunk_mut()) {
            *place = self.bits.to_le_bytes();
        }
        let bytes = self.count / 8;
        self.size += bytes as usize;
        self.bits = self.bits.wrapping_shr(bytes * 8);
        self.count %= 8;
    }

    /// Zeros up to a byte's end.
    pub fn align(&mut self) {
        self.count = self.count.next_multiple_of(8);
        self.settle();
    }

    /// Adds bytes, at a byte's end.
    pub fn put_bytes(&mut self, bytes: &[u8]) {
        if let Some(place) = self.out.get_mut(self.size..self.size + bytes.len()) {
            place.copy_from_slice(bytes);
        }
        self.size += bytes.len();
    }

    /// Bits so far.
    pub fn len(&self) -> usize {
        self.size * 8 + self.count as usize
    }

    /// Bytes written; the last is aligned. `None` if the slice did not have eight more.
    pub fn finish(mut self) -> Option<usize> {
        self.align();
        (self.size + size_of::<u64>() <= self.out.len()).then_some(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_bit_comes_first() {
        let mut out = [0xff; 13];
        let mut writer = BitWriter::new(&mut out);
        writer.put(0b1, 1);
        writer.put(0b01, 2);
        writer.settle();
        writer.put(0x1234, 16);
        assert_eq!(writer.len(), 19);
        writer.align();
        writer.put_bytes(b"ab");
        assert_eq!(writer.finish(), Some(5));
        assert_eq!(out[..5], [0b1010_0011, 0b1001_0001, 0, b'a', b'b']);
    }

    #[test]
    fn what_has_no_room_is_told_at_the_end() {
        for size in 0..32 {
            let mut out = vec![0; size];
            let mut writer = BitWriter::new(&mut out);
            for _ in 0..4 {
                writer.put(0x3ff_ffff, 26);
                writer.settle();
            }
            writer.align();
            writer.put_bytes(&[7; 3]);
            assert_eq!(writer.finish(), (size >= 24).then_some(16), "{size}");
        }
    }
}
