//! What compression takes: the reactor's codecs, and the contexts of those connections that have one.
//!
//! The codecs are born with the first compressed message and dropped when a burst has ebbed. A
//! connection without context takeover owns nothing here. One with it owns two windows, from its
//! first message on to the end of its socket, of as many bytes as passed and at most what was agreed.

use std::collections::HashMap;

use crate::protocol::{Agreement, Deflater, Inflater, Inflation, Outbound, Windows};

/// The codecs of a reactor, and windows by the place of the connection.
#[derive(Default)]
pub struct Contexts {
    inflater: Inflater,
    deflater: Deflater,
    windows: HashMap<u32, Box<Windows>>,
}

impl Contexts {
    /// What decoding needs for a connection.
    pub fn inflation(&mut self, index: u32, agreement: Agreement) -> Inflation<'_> {
        let windows = &mut self.windows;
        let window = agreement
            .inbound_window_bits()
            .map(|window_bits| (&mut windows.entry(index).or_default().inbound, window_bits));
        Inflation { inflater: &mut self.inflater, window }
    }

    /// The compressed payload of a whole message, if it is to be sent compressed.
    pub fn deflate(&mut self, index: u32, agreement: Agreement, payload: &[u8]) -> Option<&[u8]> {
        let outbound = agreement.outbound();
        let window = match outbound {
            Outbound::Takeover { .. } => Some(&mut self.windows.entry(index).or_default().outbound),
            Outbound::Plain | Outbound::Alone { .. } => None,
        };
        self.deflater.deflate(outbound, window, payload)
    }

    /// A connection's socket is closed.
    pub fn forget(&mut self, index: u32) {
        self.windows.remove(&index);
    }

    /// Lets go of what can be made again.
    pub fn let_go(&mut self) {
        self.inflater = Inflater::default();
        self.deflater = Deflater::default();
        self.windows.shrink_to_fit();
    }

    /// Connections that own windows.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.windows.len()
    }
}
