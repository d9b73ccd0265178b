//! Compresses messages (RFC 7692 §7.2.1).
//!
//! A reactor has one for all of its connections, and drops it when a burst has ebbed: a compressor takes
//! up to 380 KB, and one is made for each window size that is asked for.

use flate2::{Compress, FlushCompress, Status};

use super::{Outbound, TAIL, WINDOW_BITS_MAX, WINDOW_BITS_MIN, Window};
use crate::limits::{DEFLATE_MIN_BYTES, RECYCLED_BYTES};

/// zlib's level. At 1 KiB of JSON-like text, in microseconds and as part of the plain size, each
/// message alone: level 1 takes 4 (0.40), 2 takes 11 (0.32), 3 takes 13 (0.312), 6 takes 15 (0.310);
/// at 16 KiB 42 (0.29), 80 (0.21), 100 (0.194), 150 (0.185).
const LEVEL: u32 = 2;

const WINDOWS: usize = (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1) as usize;

/// The compressors of a reactor. Makes none until a message is to be compressed.
#[derive(Default)]
pub struct Deflater {
    /// By window size.
    compressors: [Option<Compress>; WINDOWS],
    out: Vec<u8>,
}

impl Deflater {
    /// The payload of a compressed message; its frame has RSV1 set. `None` if it would not be shorter than
    /// the plain one, which is then to be sent, and is no part of the context.
    ///
    /// `window` is the connection's, if it takes its context over.
    pub fn deflate(&mut self, outbound: Outbound, window: Option<&mut Window>, payload: &[u8]) -> Option<&[u8]> {
        let (window_bits, mut window) = match outbound {
            Outbound::Plain => return None,
            _ if payload.is_empty() => return None,
            Outbound::Alone { .. } if payload.len() < DEFLATE_MIN_BYTES => return None,
            Outbound::Alone { window_bits } => (window_bits, None),
            Outbound::Takeover { window_bits } => (window_bits, window),
        };
        let dictionary = window.as_ref().map_or(&[][..], |window| window.bytes());
        let size = self.compress(window_bits, dictionary, payload)?;
        if let Some(window) = &mut window {
            window.slide(payload, window_bits);
        }
        Some(&self.out[..size])
    }

    /// Compresses into `out`, and returns the size there.
    fn compress(&mut self, window_bits: u8, dictionary: &[u8], payload: &[u8]) -> Option<usize> {
        // One byte more than would do: a compressor that fills this may have more to say.
        let room = payload.len() + TAIL.len();
        if self.out.len() < room {
            self.out.resize(room, 0);
        } else if self.out.len() > RECYCLED_BYTES.max(room) {
            self.out.truncate(RECYCLED_BYTES.max(room));
            self.out.shrink_to_fit();
        }
        let place = usize::from(window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX) - WINDOW_BITS_MIN);
        if let Some(compressor) = &mut self.compressors[place] {
            compressor.reset();
        }
        let compressor = self.compressors[place].get_or_insert_with(|| {
            Compress::new_with_window_bits(flate2::Compression::new(LEVEL), false, WINDOW_BITS_MIN + place as u8)
        });
        if !dictionary.is_empty() {
            compressor.set_dictionary(dictionary).ok()?;
        }
        let status = compressor.compress(payload, &mut self.out[..room], FlushCompress::Sync);
        let (taken, size) = (compressor.total_in(), compressor.total_out() as usize);
        let whole = matches!(status, Ok(Status::Ok)) && taken == payload.len() as u64 && size < room;
        if whole { self.out[..size].strip_suffix(&TAIL).map(<[u8]>::len) } else { None }
    }
}
