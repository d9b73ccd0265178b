//! What one connection has agreed with its client.
//!
//! One byte, and none more as an `Option`, since every slot of a reactor has room for one. It goes
//! with the connection from the gate to the reactor.

use std::num::NonZeroU8;

use super::{WINDOW_BITS_MAX, WINDOW_BITS_MIN};

/// How our messages to a client may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// Not at all: the route has no compressor.
    Plain,
    /// Each by itself: the server takes no context over.
    Alone {
        /// 9 to 15.
        window_bits: u8,
    },
    /// With the context of those before it.
    Takeover {
        /// 9 to 15.
        window_bits: u8,
    },
}

/// The result of a negotiation: messages of the client may be compressed, and ours.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The low half: 1 for a client that takes no context over, otherwise its window bits less 7.
    /// The high half: 0 for plain, 1 to 7 for alone, 8 to 14 for takeover, by window bits.
    packed: NonZeroU8,
}

const WINDOWS: u8 = WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1;

impl Agreement {
    /// `inbound_window_bits`: 9 to 15 if the client takes its context over.
    pub(super) fn new(outbound: Outbound, inbound_window_bits: Option<u8>) -> Self {
        let place = |window_bits: u8| window_bits.clamp(WINDOW_BITS_MIN, WINDOW_BITS_MAX) - WINDOW_BITS_MIN;
        let high = match outbound {
            Outbound::Plain => 0,
            Outbound::Alone { window_bits } => 1 + place(window_bits),
            Outbound::Takeover { window_bits } => 1 + WINDOWS + place(window_bits),
        };
        let low = inbound_window_bits.map_or(1, |window_bits| 2 + place(window_bits));
        // `low` is at least 1, so nothing is lost by the saturation.
        Self { packed: NonZeroU8::MIN.saturating_add((high << 4 | low) - 1) }
    }

    /// How our messages may be compressed.
    pub fn outbound(self) -> Outbound {
        match self.packed.get() >> 4 {
            0 => Outbound::Plain,
            high if high <= WINDOWS => Outbound::Alone { window_bits: WINDOW_BITS_MIN + high - 1 },
            high => Outbound::Takeover { window_bits: WINDOW_BITS_MIN + high - 1 - WINDOWS },
        }
    }

    /// How much of the client's messages must be kept for its next one. `None`: nothing.
    pub fn inbound_window_bits(self) -> Option<u8> {
        let low = self.packed.get() & 0x0f;
        (low >= 2).then(|| WINDOW_BITS_MIN + low - 2)
    }

    /// Whether the connection has a context of its own, in either direction.
    pub fn takes_over(self) -> bool {
        self.inbound_window_bits().is_some() || matches!(self.outbound(), Outbound::Takeover { .. })
    }
}

impl std::fmt::Debug for Agreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Agreement")
            .field("outbound", &self.outbound())
            .field("inbound_window_bits", &self.inbound_window_bits())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_one_byte_and_loses_nothing() {
        assert_eq!(size_of::<Option<Agreement>>(), 1);
        let windows = WINDOW_BITS_MIN..=WINDOW_BITS_MAX;
        let outbounds = windows
            .clone()
            .flat_map(|window_bits| [Outbound::Alone { window_bits }, Outbound::Takeover { window_bits }])
            .chain([Outbound::Plain]);
        for outbound in outbounds {
            for inbound in windows.clone().map(Some).chain([None]) {
                let agreement = Agreement::new(outbound, inbound);
                assert_eq!((agreement.outbound(), agreement.inbound_window_bits()), (outbound, inbound));
                let takes_over = inbound.is_some() || matches!(outbound, Outbound::Takeover { .. });
                assert_eq!(agreement.takes_over(), takes_over);
            }
        }
    }
}
