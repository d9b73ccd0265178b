//! Compresses messages (RFC 7692 §7.2.1).
//!
//! A reactor has one for all of its connections, and drops it when a burst has ebbed: it takes up to
//! 224 KiB, and its buffers for messages.

use super::compressor::Compressor;
use super::{Outbound, Window};
use crate::limits::{DEFLATE_MIN_BYTES, RECYCLED_BYTES};

/// More room for output than a message may take there, as the [`Compressor`] wants it.
const SPARE_BYTES: usize = 8;

/// The compressor of a reactor. Takes no memory until a message is to be compressed.
#[derive(Default)]
pub struct Deflater {
    compressor: Compressor,
    /// A window and a message behind it.
    joined: Vec<u8>,
    out: Vec<u8>,
}

impl Deflater {
    /// The payload of a compressed message; its frame has RSV1 set. `None` if it would not be shorter than
    /// the plain one, which is then to be sent, and is no part of the context.
    ///
    /// `window` is the connection's, if it takes its context over.
    pub fn deflate(&mut self, outbound: Outbound, window: Option<&mut Window>, payload: &[u8]) -> Option<&[u8]> {
        let size = match outbound {
            Outbound::Plain => return None,
            _ if payload.is_empty() => return None,
            Outbound::Alone { .. } if payload.len() < DEFLATE_MIN_BYTES => return None,
            Outbound::Alone { window_bits } => {
                make_room(&mut self.out, payload.len() + SPARE_BYTES);
                self.compressor.compress(payload, 0, window_bits, &mut self.out)
            }
            Outbound::Takeover { window_bits } => {
                let dictionary = window.as_ref().map_or(&[][..], |window| window.bytes());
                trim(&mut self.joined, dictionary.len() + payload.len());
                self.joined.clear();
                self.joined.extend_from_slice(dictionary);
                self.joined.extend_from_slice(payload);
                make_room(&mut self.out, payload.len() + SPARE_BYTES);
                self.compressor.compress(&self.joined, dictionary.len(), window_bits, &mut self.out)
            }
        };
        let size = size.filter(|size| *size < payload.len())?;
        if let (Outbound::Takeover { window_bits }, Some(window)) = (outbound, window) {
            window.slide(payload, window_bits);
        }
        Some(&self.out[..size])
    }
}

/// Makes a buffer at least as long as that.
fn make_room(buffer: &mut Vec<u8>, bytes: usize) {
    trim(buffer, bytes);
    if buffer.len() < bytes {
        buffer.resize(bytes, 0);
    }
}

/// Lets go of what a buffer has taken for a message that was very long, if it now needs no more than that.
fn trim(buffer: &mut Vec<u8>, bytes: usize) {
    let kept = bytes.max(RECYCLED_BYTES);
    if buffer.capacity() > kept {
        buffer.truncate(kept);
        buffer.shrink_to(kept);
    }
}
