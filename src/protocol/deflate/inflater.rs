//! Decompresses messages (RFC 7692 §7.2.2).
//!
//! A reactor has one for all of its connections. However little a message says how much it becomes, its
//! output never takes more than twice what came out so far, nor more than the route's limit.

use flate2::{Decompress, FlushDecompress, Status};

use super::{TAIL, Window};
use crate::error::Violation;
use crate::limits::{DEFLATE_LAST_BLOCKS, LARGE_MESSAGE_BYTES, RECYCLED_BYTES};
use crate::protocol::receive::Payload;

/// Behind a message and its [`TAIL`]: an empty last block. A stream ends with it only if the message
/// ended between two blocks.
const LAST_BLOCK: [u8; 5] = [0x01, 0x00, 0x00, 0xff, 0xff];

/// Room for output at first.
const FIRST_BYTES: usize = 4 * 1024;

/// The decompressor of a reactor, of about 48 KB. Makes none until a message is to be decompressed.
#[derive(Default)]
pub struct Inflater {
    decompressor: Option<Decompress>,
    /// All of it is initialized; the message is at its front.
    out: Vec<u8>,
    size: usize,
}

/// What [`receive`](crate::protocol::receive()) needs for a connection with an [`Agreement`](super::Agreement).
pub struct Inflation<'a> {
    /// The reactor's.
    pub inflater: &'a mut Inflater,
    /// The connection's, with its size, if the client takes its context over.
    pub window: Option<(&'a mut Window, u8)>,
}

impl Inflation<'_> {
    /// A compressed message's plain bytes.
    ///
    /// # Errors
    ///
    /// [`Violation::InvalidDeflate`], or [`Violation::MessageTooBig`] for one that becomes longer than
    /// `max_bytes`.
    pub fn inflate(&mut self, payload: &[u8], max_bytes: usize) -> Result<&[u8], Violation> {
        let dictionary = self.window.as_ref().map_or(&[][..], |(window, _)| window.bytes());
        self.inflater.inflate(payload, max_bytes, dictionary)?;
        let message = &self.inflater.out[..self.inflater.size];
        if let Some((window, window_bits)) = &mut self.window {
            window.slide(message, *window_bits);
        }
        Ok(message)
    }
}

/// How a part of the input ended.
#[derive(PartialEq, Eq)]
enum End {
    /// All of it was taken.
    Input,
    /// The last block ended, with this much of the input left.
    Stream(usize),
}

impl Inflater {
    /// The message that was just decompressed; with its buffer, if it is large and fills half of it.
    pub(in crate::protocol) fn payload(&mut self) -> Payload<'_> {
        if self.size < LARGE_MESSAGE_BYTES || self.out.len() > 2 * self.size {
            return Payload::Borrowed(&self.out[..self.size]);
        }
        let mut message = std::mem::take(&mut self.out);
        message.truncate(self.size);
        Payload::Owned(message)
    }

    #[cfg(test)]
    pub(super) fn memory_bytes(&self) -> usize {
        self.out.capacity()
    }

    fn inflate(&mut self, payload: &[u8], max_bytes: usize, dictionary: &[u8]) -> Result<(), Violation> {
        self.size = 0;
        if self.out.len() > RECYCLED_BYTES {
            self.out = Vec::new();
        }
        // Some clients send an empty message so, for want of a block (§7.2.3.6 has one).
        if payload.is_empty() {
            return Ok(());
        }
        self.begin(dictionary)?;
        let mut rest = payload;
        let mut last_blocks = 0;
        while let End::Stream(left) = self.feed(rest, max_bytes)? {
            if left == 0 {
                return Ok(());
            }
            last_blocks += 1;
            if last_blocks > DEFLATE_LAST_BLOCKS {
                return Err(Violation::InvalidDeflate);
            }
            // A message may go on behind a last block (§7.2.3.5).
            rest = &rest[rest.len() - left..];
            self.begin(dictionary)?;
            let out = std::mem::take(&mut self.out);
            let referred = self.refer_to(&out[..self.size]);
            self.out = out;
            referred?;
        }
        let [a, b, c, d] = TAIL;
        let [e, f, g, h, i] = LAST_BLOCK;
        if self.feed(&[a, b, c, d, e, f, g, h, i], max_bytes)? == End::Stream(0) {
            Ok(())
        } else {
            Err(Violation::InvalidDeflate)
        }
    }

    /// Begins a stream that may refer to what is in the dictionary.
    fn begin(&mut self, dictionary: &[u8]) -> Result<(), Violation> {
        match &mut self.decompressor {
            Some(decompressor) => decompressor.reset(false),
            None => self.decompressor = Some(Decompress::new(false)),
        }
        self.refer_to(dictionary)
    }

    /// Adds bytes to the dictionary.
    fn refer_to(&mut self, bytes: &[u8]) -> Result<(), Violation> {
        match &mut self.decompressor {
            Some(decompressor) if !bytes.is_empty() => {
                decompressor.set_dictionary(bytes).map(drop).map_err(|_| Violation::InvalidDeflate)
            }
            _ => Ok(()),
        }
    }

    /// Decompresses one part of the input.
    fn feed(&mut self, mut input: &[u8], max_bytes: usize) -> Result<End, Violation> {
        let Some(decompressor) = &mut self.decompressor else { return Err(Violation::InvalidDeflate) };
        loop {
            if self.size == self.out.len() {
                let size = (2 * self.size).max(FIRST_BYTES);
                self.out.resize(size, 0);
            }
            // A byte above the limit is enough to know.
            let end = self.out.len().min(max_bytes.saturating_add(1));
            let (taken, written) = (decompressor.total_in(), decompressor.total_out());
            let status = decompressor
                .decompress(input, &mut self.out[self.size..end], FlushDecompress::Sync)
                .map_err(|_| Violation::InvalidDeflate)?;
            input = &input[(decompressor.total_in() - taken) as usize..];
            self.size += (decompressor.total_out() - written) as usize;
            if self.size > max_bytes {
                return Err(Violation::MessageTooBig);
            }
            if status == Status::StreamEnd {
                return Ok(End::Stream(input.len()));
            }
            if self.size < end {
                // There was room for more, so the input is used up.
                return if input.is_empty() { Ok(End::Input) } else { Err(Violation::InvalidDeflate) };
            }
        }
    }
}
