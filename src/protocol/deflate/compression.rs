//! What a route wants of compression: its `compression` option.
//!
//! A value is made from uWebSockets.js's constants, where one compressor is ORed with one
//! decompressor. Their low four bits, zlib's memory level, change nothing here: no connection owns a
//! compressor.

use super::WINDOW_BITS_MAX;

/// Whose context a direction is compressed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Context {
    /// None: each message by itself.
    Shared,
    /// One of the connection's own.
    Dedicated {
        /// The logarithm of its size: 9 to 15.
        window_bits: u8,
    },
}

/// The two directions of a route's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compression {
    /// How messages of clients may be compressed; `None` turns the extension off.
    pub(super) inbound: Option<Context>,
    /// How ours may be.
    pub(super) outbound: Option<Context>,
}

impl Compression {
    /// No offer is accepted.
    pub const DISABLED: Self = Self { inbound: None, outbound: None };

    /// Both directions without a context.
    pub const SHARED: Self = Self { inbound: Some(Context::Shared), outbound: Some(Context::Shared) };

    /// From a constant, or a compressor ORed with a decompressor; `None` for anything else. A
    /// compressor alone has the shared decompressor. With a decompressor alone, clients may compress
    /// and we never do.
    pub fn from_constant(constant: u32) -> Option<Self> {
        const COMPRESSORS: [u32; 8] = [0x91, 0x92, 0xa3, 0xb4, 0xc5, 0xd6, 0xe7, 0xf8];
        let (compressor, decompressor) = (constant & 0xff, constant & !0xff);
        let outbound = match compressor {
            0 => None,
            1 => Some(Context::Shared),
            dedicated if COMPRESSORS.contains(&dedicated) => {
                Some(Context::Dedicated { window_bits: (dedicated >> 4) as u8 })
            }
            _ => return None,
        };
        let inbound = match decompressor {
            0 => outbound.map(|_| Context::Shared),
            0x100 => Some(Context::Shared),
            0x900..=0xf00 => Some(Context::Dedicated { window_bits: (decompressor >> 8) as u8 }),
            _ => return None,
        };
        Some(Self { inbound, outbound })
    }

    /// The window of our messages; of the client's choice without a context of the connection's own.
    pub(super) fn outbound_window_bits(self) -> u8 {
        match self.outbound {
            Some(Context::Dedicated { window_bits }) => window_bits,
            _ => WINDOW_BITS_MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_and_their_combinations() {
        let dedicated = |window_bits| Some(Context::Dedicated { window_bits });
        let shared = Some(Context::Shared);
        let cases = [
            (0, Some((None, None))),
            (1, Some((shared, shared))),
            (256, Some((shared, None))),
            (1 | 256, Some((shared, shared))),
            (145, Some((shared, dedicated(9)))),
            (146, Some((shared, dedicated(9)))),
            (163, Some((shared, dedicated(10)))),
            (180, Some((shared, dedicated(11)))),
            (197, Some((shared, dedicated(12)))),
            (214, Some((shared, dedicated(13)))),
            (231, Some((shared, dedicated(14)))),
            (248, Some((shared, dedicated(15)))),
            (2304, Some((dedicated(9), None))),
            (1 | 2560, Some((dedicated(10), shared))),
            (3072 | 180, Some((dedicated(12), dedicated(11)))),
            (3840 | 248, Some((dedicated(15), dedicated(15)))),
            (2, None),
            (144, None),
            (512, None),
            (2304 | 256, Some((dedicated(9), None))),
            (4096, None),
            (u32::MAX, None),
        ];
        for (constant, expected) in cases {
            let got =
                Compression::from_constant(constant).map(|compression| (compression.inbound, compression.outbound));
            assert_eq!(got, expected, "{constant}");
        }
    }
}
