//! What is said in the soak. A message begins with 25 bytes of ASCII: the CRC-32 of all that follows it (8 hexadecimal
//! digits), a letter that says what it is, and two numbers (8 hexadecimal digits each). `bench/soak/message.js` is the server's side of it.
//!
//! Kind, length, fragments and content of a message follow from its connection and its running number, so that
//! nothing of it is kept for its echo.

use std::fmt::Write as _;

use flate2::Crc;

use crate::deflate;
use crate::frame;

/// Of the checksum, the letter and the two numbers.
pub const HEAD_BYTES: usize = 25;

/// The longest message: 100 KiB.
pub const LONGEST_BYTES: usize = 100 * 1024;

/// Digits of the checksum, which it does not cover.
const SUM_BYTES: usize = 8;

/// From where in the pool a content begins: a cell is valid UTF-8 by itself.
const CELL_BYTES: usize = 16;
const CELLS: usize = 4_096;

/// The end of each cell of text: characters of two, three and four bytes.
const CHARACTERS: [&str; 4] = ["\u{fc}", "\u{20ac}", "\u{1f30a}", "."];

/// What a message is, by the letter in its head. `CLIENT` to server or `SERVER` to client, or both ways.
pub mod word {
    /// Both: a message of a connection, with its running number. The server echoes it.
    pub const MESSAGE: u8 = b'm';
    /// Client: a connection that is over, how many messages were written on it, and in the body how it ended.
    pub const NOTE: u8 = b'n';
    /// Client: a connection that asks for its receipt, and how many messages were written on it.
    pub const BYE: u8 = b'b';
    /// Client: likewise, and the server shall end it with status 4000.
    pub const END: u8 = b'e';
    /// Client: likewise, and the server shall cut it off.
    pub const CUT: u8 = b'c';
    /// Server: the topic that the connection is subscribed to, and the number of its next publication.
    pub const START: u8 = b's';
    /// Server: a topic, and the running number of this publication.
    pub const PUBLICATION: u8 = b'p';
    /// Server: the number of the topic's next publication, and how many messages came.
    pub const RECEIPT: u8 = b'r';
}

/// The head of a message whose checksum is right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// One of [`word`].
    pub word: u8,
    /// The connection or topic.
    pub of: u32,
    /// The running number or count.
    pub number: u32,
}

impl Head {
    /// Reads it; `None` if there is none or the checksum is another.
    pub fn read(message: &[u8]) -> Option<Self> {
        let summed = message.get(SUM_BYTES..)?;
        (message.len() >= HEAD_BYTES && digits(&message[..SUM_BYTES])? == sum(summed)).then_some(())?;
        Some(Self { word: summed[0], of: digits(&summed[1..9])?, number: digits(&summed[9..17])? })
    }

    /// A whole message with this head.
    pub fn message(self, body: &[u8]) -> Vec<u8> {
        let mut text = String::with_capacity(HEAD_BYTES + body.len());
        // Into a String it cannot fail.
        let _ = write!(text, "{:08x}{}{:08x}{:08x}", 0, char::from(self.word), self.of, self.number);
        let mut message = text.into_bytes();
        message.extend_from_slice(body);
        let sum = format!("{:08x}", sum(&message[SUM_BYTES..]));
        message[..SUM_BYTES].copy_from_slice(sum.as_bytes());
        message
    }
}

/// What a message of a connection looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Of the whole message; less than [`HEAD_BYTES`] are content without a head.
    pub bytes: usize,
    /// The frame's opcode: text or binary.
    pub opcode: u8,
    /// Frames that it is sent in.
    pub fragments: usize,
    /// Whether it goes compressed where that was negotiated.
    pub compressed: bool,
    /// Where a fragmented one has a ping inside.
    pub pings: bool,
    key: [u8; 4],
    cell: usize,
}

impl Shape {
    /// Of the message with this running number.
    pub fn of(connection: u32, number: u32) -> Self {
        let bits = mix((u64::from(connection) << 32) | u64::from(number));
        let part = |shift: u32, below: u64| ((bits >> shift) % below) as usize;
        let bytes = match part(0, 64) {
            // The first message tells the server who speaks.
            0..4 if number > 0 => part(6, HEAD_BYTES as u64),
            0..44 => HEAD_BYTES + part(6, 300),
            44..59 => 300 + part(6, 3_700),
            59..63 => 4_000 + part(6, 12_000),
            _ => 16_000 + part(6, (LONGEST_BYTES - 16_000 + 1) as u64),
        };
        let fragments = if part(24, 8) == 0 { 2 + part(27, 4) } else { 1 };
        Self {
            bytes,
            opcode: if part(30, 2) == 0 { frame::TEXT } else { frame::BINARY },
            fragments,
            compressed: part(31, 4) != 0,
            pings: part(33, 2) == 0,
            key: ((bits >> 32) as u32 | 1).to_be_bytes(),
            cell: part(40, CELLS as u64),
        }
    }

    /// Whether it has no head.
    pub fn is_short(&self) -> bool {
        self.bytes < HEAD_BYTES
    }
}

/// The contents of all messages.
pub struct Contents {
    text: Vec<u8>,
    binary: Vec<u8>,
}

impl Default for Contents {
    fn default() -> Self {
        Self::new()
    }
}

impl Contents {
    /// Text of records with some characters beyond ASCII, and bytes that cannot be compressed.
    pub fn new() -> Self {
        let bytes = CELLS * CELL_BYTES + LONGEST_BYTES + CELL_BYTES;
        let mut text = Vec::with_capacity(bytes + CELL_BYTES);
        for (cell, records) in deflate::json(bytes).chunks(CELL_BYTES).enumerate() {
            let end = CHARACTERS[cell % CHARACTERS.len()].as_bytes();
            text.extend_from_slice(&records[..records.len().saturating_sub(end.len())]);
            text.extend_from_slice(end);
        }
        let binary = (0..bytes as u64).map(|at| (mix(at) >> 56) as u8).collect();
        Self { text, binary }
    }

    /// The whole message of a connection.
    pub fn message(&self, connection: u32, number: u32, shape: &Shape) -> Vec<u8> {
        let at = shape.cell * CELL_BYTES;
        let body_bytes = shape.bytes.checked_sub(HEAD_BYTES).unwrap_or(shape.bytes);
        let mut body = match shape.opcode {
            frame::TEXT => self.text[at..at + body_bytes].to_vec(),
            _ => self.binary[at..at + body_bytes].to_vec(),
        };
        if shape.opcode == frame::TEXT {
            end_at_a_character(&mut body);
        }
        if shape.is_short() {
            return body;
        }
        Head { word: word::MESSAGE, of: connection, number }.message(&body)
    }
}

/// Appends the masked frames of a message; `compressed` is what goes instead of it, if something does.
pub fn put(out: &mut Vec<u8>, shape: &Shape, message: &[u8], compressed: Option<&[u8]>) {
    let payload = compressed.unwrap_or(message);
    let opcode = if compressed.is_some() { shape.opcode | 0x40 } else { shape.opcode };
    if shape.fragments == 1 {
        return frame::put_masked(out, opcode, payload, shape.key);
    }
    let each = (payload.len() / shape.fragments).max(1);
    // The last one has the rest; a message that is shorter than its fragments has empty ones.
    let parts = (0..shape.fragments).map(|part| {
        let from = (part * each).min(payload.len());
        let to = if part + 1 == shape.fragments { payload.len() } else { (from + each).min(payload.len()) };
        &payload[from..to]
    });
    if !shape.pings {
        return frame::put_fragments(out, opcode, parts, shape.key);
    }
    let mut frames = Vec::with_capacity(payload.len() + 64);
    frame::put_fragments(&mut frames, opcode, parts, shape.key);
    // RFC 6455 §5.4: a control frame may stand between the fragments.
    let mut first = Vec::new();
    frame::put_masked_header(&mut first, opcode, each.min(payload.len()), shape.key);
    let cut = first.len() + each.min(payload.len());
    out.extend_from_slice(&frames[..cut]);
    frame::put_masked(out, frame::PING, b"between", shape.key);
    out.extend_from_slice(&frames[cut..]);
}

/// CRC-32 as zlib has it.
fn sum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

fn digits(text: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

/// A character that is cut off at the end gives way to dots.
fn end_at_a_character(text: &mut [u8]) {
    if let Err(error) = std::str::from_utf8(text) {
        text[error.valid_up_to()..].fill(b'.');
    }
}

/// A number that looks like chance: the finalizer of splitmix64.
pub fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_back_and_a_changed_byte_is_noticed() {
        let head = Head { word: word::MESSAGE, of: 0xdead_beef, number: 7 };
        let message = head.message(b"content");
        assert_eq!(Head::read(&message), Some(head));
        for at in 0..message.len() {
            let mut other = message.clone();
            other[at] ^= 0x10;
            assert_eq!(Head::read(&other), None, "byte {at}");
        }
        for cut in 0..HEAD_BYTES {
            assert_eq!(Head::read(&message[..cut]), None, "{cut} bytes");
        }
    }

    #[test]
    fn the_checksum_is_that_of_zlib() {
        assert_eq!(sum(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn messages_have_every_shape_and_text_is_utf_8() {
        let contents = Contents::new();
        let mut seen = [0; 6];
        for number in 0..4_000 {
            let shape = Shape::of(9, number);
            let message = contents.message(9, number, &shape);
            assert_eq!(message.len(), shape.bytes);
            if shape.opcode == frame::TEXT {
                assert!(std::str::from_utf8(&message).is_ok(), "message {number}");
            }
            let found = [
                shape.bytes == 0,
                shape.is_short(),
                shape.bytes > 64 * 1024,
                shape.opcode == frame::TEXT,
                shape.fragments > 1,
                shape.fragments > 1 && shape.pings,
            ];
            for (count, is) in seen.iter_mut().zip(found) {
                *count += u32::from(is);
            }
        }
        assert!(seen.iter().all(|count| (1..3_999).contains(count)), "{seen:?}");
        assert!(!Shape::of(1, 0).is_short());
    }

    /// Undoes the masks and puts the fragments together; how many frames and pings there were.
    fn unmask(mut bytes: &[u8]) -> (Vec<u8>, usize, usize) {
        let (mut message, mut frames, mut pings) = (Vec::new(), 0, 0);
        while let [first, second, ..] = *bytes {
            let (length, head) = match second & 0x7f {
                126 => (usize::from(u16::from_be_bytes([bytes[2], bytes[3]])), 4),
                127 => (u64::from_be_bytes(bytes[2..10].try_into().expect("eight bytes")) as usize, 10),
                short => (usize::from(short), 2),
            };
            let key = &bytes[head..head + 4];
            let payload = &bytes[head + 4..head + 4 + length];
            if first & 0x0f == frame::PING {
                pings += 1;
            } else {
                frames += 1;
                message.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
            }
            bytes = &bytes[head + 4 + length..];
        }
        (message, frames, pings)
    }

    #[test]
    fn frames_hold_the_whole_message_whatever_their_number() {
        let contents = Contents::new();
        for number in 0..600 {
            let shape = Shape::of(3, number);
            let message = contents.message(3, number, &shape);
            let mut out = Vec::new();
            put(&mut out, &shape, &message, None);
            let (found, frames, pings) = unmask(&out);
            assert!(found == message, "message {number}");
            assert_eq!(frames, shape.fragments);
            assert_eq!(pings, usize::from(shape.fragments > 1 && shape.pings));
        }
    }
}
