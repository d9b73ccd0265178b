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
    kept: HashMap<u32, Box<Kept>>,
    /// Memory of those, as far as it is counted.
    kept_bytes: usize,
}

/// The windows of one connection.
#[derive(Default)]
struct Kept {
    windows: Windows,
    /// Their memory when it was last looked at: before the last message.
    counted_bytes: usize,
}

impl Contexts {
    /// What decoding needs for a connection.
    pub fn inflation(&mut self, index: u32, agreement: Agreement) -> Inflation<'_> {
        let window = agreement
            .inbound_window_bits()
            .map(|window_bits| (&mut windows(&mut self.kept, &mut self.kept_bytes, index).inbound, window_bits));
        Inflation { inflater: &mut self.inflater, window }
    }

    /// The compressed payload of a whole message, if it is to be sent compressed.
    pub fn deflate(&mut self, index: u32, agreement: Agreement, payload: &[u8]) -> Option<&[u8]> {
        let outbound = agreement.outbound();
        let window = match outbound {
            Outbound::Takeover { .. } => Some(&mut windows(&mut self.kept, &mut self.kept_bytes, index).outbound),
            Outbound::Plain | Outbound::Alone { .. } => None,
        };
        self.deflater.deflate(outbound, window, payload)
    }

    /// A connection's socket is closed.
    pub fn forget(&mut self, index: u32) {
        if let Some(kept) = self.kept.remove(&index) {
            self.kept_bytes -= kept.counted_bytes;
        }
    }

    /// Lets go of what can be made again.
    pub fn let_go(&mut self) {
        self.inflater = Inflater::default();
        self.deflater = Deflater::default();
        self.kept.shrink_to_fit();
    }

    /// Memory of the windows: what the last message of each connection has added is not in it yet.
    pub fn kept_bytes(&self) -> usize {
        self.kept_bytes
    }

    /// Connections that own windows.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.kept.len()
    }
}

/// The windows of a connection, born now if there are none. What they have grown by is counted.
fn windows<'a>(kept: &'a mut HashMap<u32, Box<Kept>>, kept_bytes: &mut usize, index: u32) -> &'a mut Windows {
    let Kept { windows, counted_bytes } = &mut **kept.entry(index).or_default();
    let bytes = size_of::<Kept>() + windows.inbound.capacity_bytes() + windows.outbound.capacity_bytes();
    *kept_bytes += bytes - *counted_bytes;
    *counted_bytes = bytes;
    windows
}
