//! Compression of messages: permessage-deflate (RFC 7692).
//!
//! The gate [negotiates](negotiate()) an [`Agreement`] of one byte for each connection. A reactor has one
//! [`Inflater`] and one [`Deflater`] for all of its connections. What a connection with context
//! takeover (§7.1.1) owns is a [`Window`] for each direction: the last bytes that passed, and not a
//! compressor's state, which takes many times the memory. The window is given to the codec as its
//! dictionary, so every message begins and ends with a codec that knows nothing, and one that fails
//! leaves nothing behind.

mod agreement;
mod compression;
mod compressor;
mod deflater;
mod inflater;
mod negotiate;
#[cfg(test)]
mod tests;
mod window;

pub use agreement::{Agreement, Outbound};
pub use compression::{Compression, Context};
pub use deflater::Deflater;
pub use inflater::{Inflater, Inflation};
pub use negotiate::negotiate;
pub use window::{Window, Windows};

/// What ends each flush of a compressor and is not sent (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The window of a shared codec, which costs nobody anything: the largest (RFC 1951 §2).
const WINDOW_BITS_MAX: u8 = 15;

/// The smallest window that is agreed on. A client whose zlib compresses does not keep to one of 8 bits.
const WINDOW_BITS_MIN: u8 = 9;
