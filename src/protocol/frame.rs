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

/// The head of a frame that a server sends: never masked (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// What the frame is.
    pub opcode: Opcode,
    /// Whether it is the last (or only) fragment of its message.
    pub fin: bool,
    /// Length of the payload behind the head.
    pub payload_bytes: usize,
}

impl FrameHead {
    /// The head of a frame that is a whole message, or a control frame.
    pub const fn whole(opcode: Opcode, payload_bytes: usize) -> Self {
        Self { opcode, fin: true, payload_bytes }
    }

    /// The head as it goes on the wire, with the payload length in its shortest form.
    #[inline]
    pub fn encode(self) -> EncodedHead {
        let mut bytes = [0; EncodedHead::CAPACITY];
        bytes[0] = self.opcode as u8 | if self.fin { 0x80 } else { 0 };
        let size = if self.payload_bytes <= 125 {
            bytes[1] = self.payload_bytes as u8;
            2
        } else if let Ok(length) = u16::try_from(self.payload_bytes) {
            bytes[1] = 126;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            4
        } else {
            bytes[1] = 127;
            bytes[2..].copy_from_slice(&(self.payload_bytes as u64).to_be_bytes());
            10
        };
        EncodedHead { bytes, size }
    }

    /// Appends the encoded head to `out`.
    #[inline]
    pub fn append_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.encode().as_ref());
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
