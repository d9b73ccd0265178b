//! permessage-deflate (RFC 7692) on the client's side: with the contexts of one connection, or, where each message stands
//! by itself, one for all connections. Memory: some 300 KB.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use crate::soak::message::LONGEST_BYTES;

/// What a compressed message lacks at its end (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// Room for a message that gets longer: fixed codes take 9 bits for half of the bytes (RFC 1951 §3.2.6).
const ROOM_BYTES: usize = LONGEST_BYTES + LONGEST_BYTES / 4;

/// A compressor and a decompressor.
pub struct Codec {
    deflater: Compress,
    inflater: Decompress,
    keeps_context: bool,
    room: Vec<u8>,
}

impl Codec {
    /// One that forgets each message unless it `keeps_context`.
    pub fn new(keeps_context: bool) -> Self {
        Self {
            deflater: Compress::new(Compression::fast(), false),
            inflater: Decompress::new(false),
            keeps_context,
            room: Vec::with_capacity(ROOM_BYTES),
        }
    }

    /// A message of at most [`LONGEST_BYTES`], compressed.
    pub fn deflate(&mut self, message: &[u8]) -> &[u8] {
        if !self.keeps_context {
            self.deflater.reset();
        }
        self.room.clear();
        // With room for more than the message it cannot fail, nor leave something over.
        let _ = self.deflater.compress_vec(message, &mut self.room, FlushCompress::Sync);
        self.room.truncate(self.room.len().saturating_sub(TAIL.len()));
        &self.room
    }

    /// A compressed message's plain bytes, unless it is none or longer than any that there is.
    pub fn inflate(&mut self, compressed: &mut Vec<u8>) -> Option<&[u8]> {
        if !self.keeps_context {
            self.inflater.reset(false);
        }
        compressed.extend(TAIL);
        self.room.clear();
        let before = self.inflater.total_in();
        self.inflater.decompress_vec(compressed, &mut self.room, FlushDecompress::Sync).ok()?;
        (self.inflater.total_in() - before == compressed.len() as u64).then_some(&self.room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::soak::message::mix;

    #[test]
    fn messages_come_back_with_and_without_a_context() {
        for keeps_context in [false, true] {
            let (mut one, mut other) = (Codec::new(keeps_context), Codec::new(keeps_context));
            let mut lengths = Vec::new();
            for round in [1, 1, 1, 2] {
                // Squares repeat themselves; chance does not.
                let byte = |at| if round == 1 { ((at * at) >> 7) as u8 } else { (mix(at as u64) >> 56) as u8 };
                let message: Vec<u8> = (0..LONGEST_BYTES).map(byte).collect();
                let mut compressed = one.deflate(&message).to_vec();
                lengths.push(compressed.len());
                assert!(other.inflate(&mut compressed) == Some(&message[..]));
            }
            let mut empty = one.deflate(b"").to_vec();
            assert_eq!(other.inflate(&mut empty), Some(&b""[..]));
            assert!(other.inflate(&mut vec![0xff, 0xff]).is_none());
            assert!(lengths[2] <= lengths[0] && lengths[3] > LONGEST_BYTES);
        }
    }
}
