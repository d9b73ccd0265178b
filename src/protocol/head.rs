//! The head of a frame that a client sends (RFC 6455 §5.2).
//!
//! [`receive`](super::receive()) parses one in front of each frame. Every rule is checked at the
//! earliest byte that shows it broken, in the order of the bytes, so that a stream fails in the same
//! way however its reads are cut. Allocates nothing.

use super::frame::{Opcode, RSV1};
use crate::error::Violation;
use crate::limits::{DEFLATE_GROWTH_BYTES, DEFLATE_GROWTH_PART};

/// RSV1, RSV2 and RSV3: each needs an extension that gives it a meaning.
const RESERVED_BITS: u8 = 0x70;

/// The longest head from a client: two bytes, a 64-bit length, a masking key.
pub(super) const HEAD_BYTES_MAX: usize = 14;

/// What the frames before it leave a frame to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// Whether a fragmented message waits for its next fragment.
    pub(super) message_open: bool,
    /// Whether that message may have one more fragment.
    pub(super) fragments_left: bool,
    /// Whether a message that begins may be compressed: whether the client has agreed on it.
    pub(super) may_be_compressed: bool,
    /// How much longer the message may become.
    pub(super) room_bytes: usize,
}

/// How long a compressed message may be, where a plain one may have `max_payload_bytes`.
pub(super) fn compressed_room_bytes(max_payload_bytes: usize) -> usize {
    max_payload_bytes.saturating_add(max_payload_bytes / DEFLATE_GROWTH_PART).saturating_add(DEFLATE_GROWTH_BYTES)
}

/// A client's frame without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    /// Of a message's first frame.
    pub(super) compressed: bool,
    pub(super) masking_key: [u8; 4],
    /// Within the room that the context left.
    pub(super) payload_bytes: usize,
    /// Length of the head itself.
    pub(super) size: usize,
}

impl Head {
    /// Parses the head at the front of `bytes`; `Ok(None)` if it goes on behind their end, and what
    /// there is of it breaks no rule.
    #[inline]
    pub(super) fn parse(bytes: &[u8], context: Context) -> Result<Option<Self>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        let (opcode, fin) = judge_first_byte(first, context)?;
        // Elsewhere it was refused.
        let compressed = first & RSV1 != 0;
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        if second & 0x80 == 0 {
            return Err(Violation::UnmaskedFrame);
        }
        let short_length = second & 0x7F;
        if opcode.is_control() && short_length > 125 {
            return Err(Violation::OversizedControlFrame);
        }
        let (length, length_size) = match short_length {
            0..=125 => (u64::from(short_length), 0),
            126 => match rest.first_chunk() {
                Some(length) => (u64::from(u16::from_be_bytes(*length)), 2),
                None => return Ok(None),
            },
            _ => {
                if rest.first().is_some_and(|byte| byte & 0x80 != 0) {
                    return Err(Violation::LengthTopBit);
                }
                match rest.first_chunk() {
                    Some(length) => (u64::from_be_bytes(*length), 8),
                    None => return Ok(None),
                }
            }
        };
        if length_size == 2 && length <= 125 || length_size == 8 && length <= u64::from(u16::MAX) {
            return Err(Violation::NonMinimalLength);
        }
        let payload_bytes = if opcode.is_control() {
            usize::from(short_length)
        } else {
            // A message that begins has all of its room yet.
            let room_bytes = if compressed { compressed_room_bytes(context.room_bytes) } else { context.room_bytes };
            match usize::try_from(length) {
                Ok(length) if length <= room_bytes => length,
                _ => return Err(Violation::MessageTooBig),
            }
        };
        Ok(rest[length_size..].first_chunk().map(|&masking_key| Self {
            opcode,
            fin,
            compressed,
            masking_key,
            payload_bytes,
            size: 2 + length_size + 4,
        }))
    }
}

/// The opcode and FIN, unless the first byte alone breaks a rule.
#[inline]
fn judge_first_byte(byte: u8, context: Context) -> Result<(Opcode, bool), Violation> {
    if byte & RESERVED_BITS != 0 && !(context.may_be_compressed && begins_compressed(byte)) {
        return Err(Violation::ReservedBits);
    }
    let fin = byte & 0x80 != 0;
    let opcode = Opcode::from_low_bits(byte).ok_or(Violation::ReservedOpcode)?;
    match opcode {
        Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => Err(Violation::FragmentedControlFrame),
        Opcode::Continuation if !context.message_open => Err(Violation::UnexpectedContinuation),
        Opcode::Continuation if !context.fragments_left => Err(Violation::TooManyFragments),
        Opcode::Text | Opcode::Binary if context.message_open => Err(Violation::ExpectedContinuation),
        _ => Ok((opcode, fin)),
    }
}

/// Whether the first byte is that of a compressed message. Control frames and later fragments have no
/// RSV1 (RFC 7692 §6.1).
fn begins_compressed(byte: u8) -> bool {
    byte & RESERVED_BITS == RSV1 && matches!(Opcode::from_low_bits(byte), Some(Opcode::Text | Opcode::Binary))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::script::hex;

    const OUTSIDE: Context =
        Context { message_open: false, fragments_left: true, may_be_compressed: false, room_bytes: 70_000 };
    const INSIDE: Context = Context { message_open: true, room_bytes: 100, ..OUTSIDE };
    const LAST: Context = Context { fragments_left: false, ..INSIDE };
    const AGREED: Context = Context { may_be_compressed: true, ..OUTSIDE };
    const AGREED_INSIDE: Context = Context { may_be_compressed: true, ..INSIDE };

    /// Each violation shows at the last byte of its line: with one byte less the head is only cut.
    #[test]
    fn violations_show_at_the_earliest_byte() {
        let cases = [
            (OUTSIDE, "c1", Violation::ReservedBits),
            (OUTSIDE, "a1", Violation::ReservedBits),
            (OUTSIDE, "91", Violation::ReservedBits),
            (AGREED, "e1", Violation::ReservedBits),
            (AGREED, "d2", Violation::ReservedBits),
            (AGREED, "a1", Violation::ReservedBits),
            (AGREED, "c0", Violation::ReservedBits),
            (AGREED, "c3", Violation::ReservedBits),
            (AGREED, "c8", Violation::ReservedBits),
            (AGREED, "c9", Violation::ReservedBits),
            (AGREED, "ca", Violation::ReservedBits),
            (AGREED_INSIDE, "c0", Violation::ReservedBits),
            (AGREED_INSIDE, "40", Violation::ReservedBits),
            (AGREED_INSIDE, "c1", Violation::ExpectedContinuation),
            (OUTSIDE, "83", Violation::ReservedOpcode),
            (OUTSIDE, "87", Violation::ReservedOpcode),
            (OUTSIDE, "8b", Violation::ReservedOpcode),
            (OUTSIDE, "8f", Violation::ReservedOpcode),
            (OUTSIDE, "08", Violation::FragmentedControlFrame),
            (OUTSIDE, "09", Violation::FragmentedControlFrame),
            (OUTSIDE, "0a", Violation::FragmentedControlFrame),
            (OUTSIDE, "80", Violation::UnexpectedContinuation),
            (OUTSIDE, "00", Violation::UnexpectedContinuation),
            (INSIDE, "81", Violation::ExpectedContinuation),
            (INSIDE, "02", Violation::ExpectedContinuation),
            (LAST, "80", Violation::TooManyFragments),
            (LAST, "00", Violation::TooManyFragments),
            (OUTSIDE, "8105", Violation::UnmaskedFrame),
            (OUTSIDE, "8900", Violation::UnmaskedFrame),
            (OUTSIDE, "89fe", Violation::OversizedControlFrame),
            (OUTSIDE, "88ff", Violation::OversizedControlFrame),
            (INSIDE, "80e5", Violation::MessageTooBig),
            (OUTSIDE, "82fe007d", Violation::NonMinimalLength),
            (INSIDE, "80fe007e", Violation::MessageTooBig),
            (OUTSIDE, "82ff80", Violation::LengthTopBit),
            (OUTSIDE, "82ff000000000000ffff", Violation::NonMinimalLength),
            (OUTSIDE, "82ff0000000000011171", Violation::MessageTooBig),
            (OUTSIDE, "82ff7fffffffffffffff", Violation::MessageTooBig),
            // 70,000 and an eighth of it, and 64.
            (AGREED, "c2ff00000000000133df", Violation::MessageTooBig),
        ];
        for (context, dump, violation) in cases {
            let bytes = hex(dump);
            assert_eq!(Head::parse(&bytes, context), Err(violation), "{dump}");
            assert_eq!(Head::parse(&bytes[..bytes.len() - 1], context), Ok(None), "{dump} less one byte");
        }
    }

    #[test]
    fn whole_heads() {
        let cases = [
            (OUTSIDE, "818537fa213d", Opcode::Text, true, 5, 6),
            (OUTSIDE, "028037fa213d", Opcode::Binary, false, 0, 6),
            (INSIDE, "80e437fa213d", Opcode::Continuation, true, 100, 6),
            (AGREED, "c18537fa213d", Opcode::Text, true, 5, 6),
            (AGREED, "428537fa213d", Opcode::Binary, false, 5, 6),
            (AGREED, "c2ff00000000000133de37fa213d", Opcode::Binary, true, 78_814, 14),
            (LAST, "89fd37fa213d", Opcode::Ping, true, 125, 6),
            (OUTSIDE, "82fe007e37fa213d", Opcode::Binary, true, 126, 8),
            (OUTSIDE, "82feffff37fa213d", Opcode::Binary, true, 65_535, 8),
            (OUTSIDE, "82ff000000000001117037fa213d", Opcode::Binary, true, 70_000, 14),
        ];
        for (context, dump, opcode, fin, payload_bytes, size) in cases {
            let bytes = hex(dump);
            let compressed = matches!(bytes[0] >> 4, 0xc | 0x4);
            let head = Head { opcode, fin, compressed, masking_key: [0x37, 0xfa, 0x21, 0x3d], payload_bytes, size };
            assert_eq!(Head::parse(&bytes, context), Ok(Some(head)), "{dump}");
            for end in 0..bytes.len() {
                assert_eq!(Head::parse(&bytes[..end], context), Ok(None), "{dump} cut at {end}");
            }
        }
    }
}
