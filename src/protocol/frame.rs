//! Opcodes, and the head of a frame that a server sends (RFC 6455 §5.2).
//!
//! The reactor writes a head in front of each payload: into its output buffer, or into an array of
//! its own for `writev`. Allocates nothing but what the output buffer needs to grow.

/// What a frame is (RFC 6455 §11.8). Reserved opcodes have no value here: they end the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of the open message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The closing handshake (§5.5.1).
    Close = 0x8,
    /// A ping (§5.5.2).
    Ping = 0x9,
    /// A pong (§5.5.3).
    Pong = 0xA,
}

impl Opcode {
    /// Whether frames of this kind are control frames: never fragmented, at most 125 bytes
    /// (RFC 6455 §5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    /// The opcode in the low four bits, as in a frame's first byte; `None` if it is reserved.
    pub const fn from_low_bits(byte: u8) -> Option<Self> {
        Some(match byte & 0x0F {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }
}

/// The bit of a frame's first byte that says that its message is compressed (RFC 7692 §6).
pub(super) const RSV1: u8 = 0x40;

/// The head of a frame that a server sends: never masked (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// What the frame is.
    pub opcode: Opcode,
    /// Whether it is the last (or only) fragment of its message.
    pub fin: bool,
    /// Whether it begins a compressed message (RFC 7692 §6): RSV1.
    pub compressed: bool,
    /// Length of the payload behind the head.
    pub payload_bytes: usize,
}

impl FrameHead {
    /// The head of a frame that is a whole message, or a control frame.
    pub const fn whole(opcode: Opcode, payload_bytes: usize) -> Self {
        Self { opcode, fin: true, compressed: false, payload_bytes }
    }

    /// The head as it goes on the wire, with the payload length in its shortest form.
    #[inline]
    pub fn encode(self) -> EncodedHead {
        let mut bytes = [0; EncodedHead::CAPACITY];
        bytes[0] = self.first_byte();
        let size = match LengthForm::of(self.payload_bytes) {
            LengthForm::Short(length) => {
                bytes[1] = length;
                2
            }
            LengthForm::Medium(length) => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&length);
                4
            }
            LengthForm::Long(length) => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&length);
                10
            }
        };
        EncodedHead { bytes, size }
    }

    /// Appends the encoded head to `out`: quicker than to copy what [`encode`](Self::encode) gives,
    /// since each form is copied with a length that the compiler knows.
    #[inline]
    pub fn append_to(self, out: &mut Vec<u8>) {
        let first = self.first_byte();
        match LengthForm::of(self.payload_bytes) {
            LengthForm::Short(length) => out.extend_from_slice(&[first, length]),
            LengthForm::Medium([a, b]) => out.extend_from_slice(&[first, 126, a, b]),
            LengthForm::Long([a, b, c, d, e, f, g, h]) => {
                out.extend_from_slice(&[first, 127, a, b, c, d, e, f, g, h]);
            }
        }
    }

    #[inline]
    const fn first_byte(self) -> u8 {
        self.opcode as u8 | if self.fin { 0x80 } else { 0 } | if self.compressed { RSV1 } else { 0 }
    }
}

/// The three forms of a payload length (RFC 6455 §5.2); the shortest that fits must be used.
enum LengthForm {
    Short(u8),
    Medium([u8; 2]),
    Long([u8; 8]),
}

impl LengthForm {
    #[inline]
    fn of(payload_bytes: usize) -> Self {
        match (u8::try_from(payload_bytes), u16::try_from(payload_bytes)) {
            (Ok(length @ 0..=125), _) => Self::Short(length),
            (_, Ok(length)) => Self::Medium(length.to_be_bytes()),
            _ => Self::Long((payload_bytes as u64).to_be_bytes()),
        }
    }
}

/// A head as it goes on the wire: 2, 4 or 10 bytes, read by `as_ref()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedHead {
    bytes: [u8; Self::CAPACITY],
    size: u8,
}

impl EncodedHead {
    const CAPACITY: usize = 10;
}

impl AsRef<[u8]> for EncodedHead {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }
}

#[cfg(test)]
mod tests {
    use tungstenite::protocol::frame::{FrameHeader, coding::OpCode};

    use super::*;
    use crate::protocol::script::hex;

    #[test]
    fn heads_in_hex() {
        let cases = [
            (FrameHead::whole(Opcode::Text, 5), "8105"),
            (FrameHead { fin: false, ..FrameHead::whole(Opcode::Text, 3) }, "0103"),
            (FrameHead { compressed: true, ..FrameHead::whole(Opcode::Text, 7) }, "c107"),
            (FrameHead { fin: false, compressed: true, ..FrameHead::whole(Opcode::Binary, 7) }, "4207"),
            (FrameHead::whole(Opcode::Continuation, 2), "8002"),
            (FrameHead::whole(Opcode::Ping, 0), "8900"),
            (FrameHead::whole(Opcode::Binary, 125), "827d"),
            (FrameHead::whole(Opcode::Binary, 126), "827e007e"),
            (FrameHead::whole(Opcode::Binary, 65_535), "827effff"),
            (FrameHead::whole(Opcode::Binary, 65_536), "827f0000000000010000"),
        ];
        for (head, dump) in cases {
            assert_eq!(head.encode().as_ref(), hex(dump), "{head:?}");
        }
    }

    #[test]
    fn tungstenite_writes_the_same_heads() {
        for first in 0..=0xFF_u8 {
            let Some(opcode) = Opcode::from_low_bits(first) else { continue };
            for payload_bytes in [0, 1, 125, 126, 127, 255, 256, 65_535, 65_536, 1 << 31] {
                let (fin, compressed) = (first & 0x80 != 0, first & RSV1 != 0);
                let head = FrameHead { opcode, fin, compressed, payload_bytes };
                let oracle = FrameHeader {
                    is_final: fin,
                    rsv1: compressed,
                    opcode: OpCode::from(first & 0xF),
                    ..FrameHeader::default()
                };
                let (mut expected, mut appended) = (Vec::new(), Vec::new());
                oracle.format(payload_bytes as u64, &mut expected).expect("a Vec takes everything");
                head.append_to(&mut appended);
                assert_eq!(appended, expected, "{head:?}");
                assert_eq!(head.encode().as_ref(), expected, "{head:?}");
            }
        }
    }
}
