//! The messages of an echo run: numbered, so that loss and disorder show, and filled with a pattern
//! that depends on the number, so that a mix of two messages shows. Masked once at the start; a
//! message then costs two copies. Verifies answers piece by piece without keeping them.
//!
//! A payload is the first S bytes of: the message's number (8 bytes), its connection's number
//! (4 bytes), the pattern. In a text each byte of the numbers is an ASCII character of 6 bits.

use crate::deflate::{self, Deflated};
use crate::frame::{self, Piece};

/// Bytes of the two numbers in front of the pattern.
const HEAD_BYTES: usize = 12;
const NUMBER_BYTES: usize = 8;

/// Any key but zero: servers may take a shortcut for that one.
pub const MASKING_KEY: [u8; 4] = [0x9d, 0x3b, 0xe2, 0x57];

/// Messages in a row whose patterns differ.
const PHASES: u64 = 64;

/// Whether the messages are binary or text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Opcode 2.
    Binary,
    /// Opcode 1, all ASCII.
    Text,
}

/// The messages of one run: kind, length and content by number.
pub struct Payload {
    kind: Kind,
    bytes: usize,
    header: Vec<u8>,
    plain: Vec<u8>,
    masked: Vec<u8>,
    deflated: Option<Deflated>,
}

/// The part of an answer that must be remembered from piece to piece.
#[derive(Default)]
pub struct Incoming {
    head: [u8; HEAD_BYTES],
    is_spoilt: bool,
    /// Of a compressed answer.
    bytes: Vec<u8>,
}

/// What an answer turned out to be, when its last byte was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The content of the message with this number, which this connection may have sent.
    Number(u64),
    /// Not the content of any message of this connection.
    Corrupt,
}

impl Payload {
    /// Messages of `bytes` bytes.
    pub fn new(kind: Kind, bytes: usize) -> Self {
        let mut header = Vec::new();
        frame::put_masked_header(&mut header, opcode(kind), bytes, MASKING_KEY);
        let body_bytes = bytes.saturating_sub(HEAD_BYTES);
        let plain = pattern(kind, body_bytes + 4 * PHASES as usize);
        let masked = plain.iter().zip(MASKING_KEY.iter().cycle()).map(|(byte, key)| byte ^ key);
        Self { kind, bytes, header, masked: masked.collect(), plain, deflated: None }
    }

    /// Compressed messages of JSON-like text, of `bytes` bytes when they are not compressed.
    pub fn deflated(bytes: usize) -> Self {
        let mut payload = Self::new(Kind::Text, bytes);
        payload.plain = deflate::json(payload.plain.len());
        let bodies = (0..PHASES).map(|phase| payload.body(&payload.plain, phase));
        let deflated = Deflated::new(bytes.min(HEAD_BYTES), bodies);
        Self { deflated: Some(deflated), ..payload }
    }

    /// Length of a payload.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends the masked frame of one message.
    pub fn put(&self, out: &mut Vec<u8>, number: u64, connection: u32) {
        let mut head = self.head(number, connection);
        if let Some(deflated) = &self.deflated {
            let head = &head[..self.bytes.min(HEAD_BYTES)];
            return deflated.put(out, opcode(self.kind), head, (number % PHASES) as usize);
        }
        for (byte, key) in head.iter_mut().zip(MASKING_KEY.iter().cycle()) {
            *byte ^= key;
        }
        out.extend_from_slice(&self.header);
        out.extend_from_slice(&head[..self.bytes.min(HEAD_BYTES)]);
        out.extend_from_slice(self.body(&self.masked, number));
    }

    /// Takes the next piece of an answer for which `expected` is next in order. With the last piece
    /// comes the verdict.
    pub fn check(&self, incoming: &mut Incoming, piece: &Piece<'_>, expected: u64, connection: u32) -> Option<Answer> {
        // A server sends what would not get smaller, or is too short for it, as it is (RFC 7692 §6).
        if let Some(deflated) = &self.deflated
            && piece.compressed
        {
            incoming.bytes.extend_from_slice(piece.bytes);
            if !piece.is_last() {
                return None;
            }
            let mut answer = std::mem::take(&mut incoming.bytes);
            let plain = deflated.inflate(&mut answer, self.bytes).unwrap_or_default();
            let piece = Piece { payload_bytes: plain.len() as u64, at: 0, bytes: &plain, ..*piece };
            return self.check_plain(incoming, &piece, expected, connection);
        }
        self.check_plain(incoming, piece, expected, connection)
    }

    fn check_plain(
        &self,
        incoming: &mut Incoming,
        piece: &Piece<'_>,
        expected: u64,
        connection: u32,
    ) -> Option<Answer> {
        if piece.opcode != opcode(self.kind) || piece.payload_bytes != self.bytes as u64 {
            incoming.is_spoilt = true;
        } else {
            let at = piece.at as usize;
            let head_left = HEAD_BYTES.saturating_sub(at).min(piece.bytes.len());
            let (head, body) = piece.bytes.split_at(head_left);
            incoming.head[at.min(HEAD_BYTES)..][..head_left].copy_from_slice(head);
            if !body.is_empty() {
                let number = self.number(&incoming.head, expected);
                let from = at.saturating_sub(HEAD_BYTES);
                incoming.is_spoilt |= self.body(&self.plain, number)[from..][..body.len()] != *body;
            }
        }
        if !piece.is_last() {
            return None;
        }
        let incoming = std::mem::take(incoming);
        let number = self.number(&incoming.head, expected);
        let compared = self.bytes.min(HEAD_BYTES);
        let is_ours = self.head(number, connection)[..compared] == incoming.head[..compared];
        Some(if is_ours && !incoming.is_spoilt { Answer::Number(number) } else { Answer::Corrupt })
    }

    fn head(&self, number: u64, connection: u32) -> [u8; HEAD_BYTES] {
        let mut head = [0; HEAD_BYTES];
        match self.kind {
            Kind::Binary => {
                head[..NUMBER_BYTES].copy_from_slice(&number.to_le_bytes());
                head[NUMBER_BYTES..].copy_from_slice(&connection.to_le_bytes());
            }
            Kind::Text => {
                let (number_digits, connection_digits) = head.split_at_mut(NUMBER_BYTES);
                put_digits(number_digits, number);
                put_digits(connection_digits, u64::from(connection));
            }
        }
        head
    }

    fn body<'a>(&self, pattern: &'a [u8], number: u64) -> &'a [u8] {
        // A multiple of four, so that the masked pattern keeps its alignment to the key.
        let from = 4 * (number % PHASES) as usize;
        &pattern[from..][..self.bytes.saturating_sub(HEAD_BYTES)]
    }

    /// The number in an answer's head. Short payloads hold its low bits only: of all numbers with
    /// these low bits, the one nearest to the expected.
    fn number(&self, head: &[u8; HEAD_BYTES], expected: u64) -> u64 {
        let digits = self.bytes.min(NUMBER_BYTES);
        let digit_bits = match self.kind {
            Kind::Binary => 8,
            Kind::Text => 6,
        };
        let low = head[..digits].iter().rev().fold(0, |number: u64, byte| match self.kind {
            Kind::Binary => number << 8 | u64::from(*byte),
            Kind::Text => number << 6 | u64::from(byte.wrapping_sub(b'0') & 63),
        });
        let mask = u64::MAX.checked_shr(64 - digit_bits * digits as u32).unwrap_or(0);
        let ahead = low.wrapping_sub(expected) & mask;
        if ahead <= mask / 2 {
            expected.wrapping_add(ahead)
        } else {
            expected.wrapping_sub(mask.wrapping_sub(ahead).wrapping_add(1))
        }
    }
}

fn opcode(kind: Kind) -> u8 {
    match kind {
        Kind::Binary => frame::BINARY,
        Kind::Text => frame::TEXT,
    }
}

/// Digits of 6 bits, lowest first, as the characters `0` to `o`.
fn put_digits(out: &mut [u8], mut number: u64) {
    for digit in out {
        *digit = b'0' + (number & 63) as u8;
        number >>= 6;
    }
}

/// Bytes without a short period (xorshift64), in a text all of them printable.
fn pattern(kind: Kind, bytes: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    let byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let byte = (state >> 32) as u8;
        match kind {
            Kind::Binary => byte,
            Kind::Text => b'0' + (byte & 63),
        }
    };
    std::iter::repeat_with(byte).take(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The payload that a server sees: the frame's, unmasked.
    fn unmasked(payload: &Payload, number: u64, connection: u32) -> Vec<u8> {
        let mut frame = Vec::new();
        payload.put(&mut frame, number, connection);
        let body = frame.split_off(payload.header.len());
        assert_eq!(body.len(), payload.bytes);
        body.iter().zip(MASKING_KEY.iter().cycle()).map(|(byte, key)| byte ^ key).collect()
    }

    /// The verdict on an answer that arrives in pieces of `step` bytes.
    fn verdict(payload: &Payload, answer: &[u8], step: usize, expected: u64) -> Answer {
        let mut incoming = Incoming::default();
        let compressed = payload.deflated.is_some();
        let piece = |at, bytes| Piece {
            opcode: opcode(payload.kind),
            compressed,
            payload_bytes: answer.len() as u64,
            at,
            bytes,
        };
        if answer.is_empty() {
            return payload.check(&mut incoming, &piece(0, &[]), expected, 7).expect("one piece");
        }
        let mut found = None;
        for (index, bytes) in answer.chunks(step).enumerate() {
            assert_eq!(found, None, "a verdict before the end");
            found = payload.check(&mut incoming, &piece((index * step) as u64, bytes), expected, 7);
        }
        found.expect("a verdict at the end")
    }

    #[test]
    fn an_echo_is_recognised_whole_or_in_pieces() {
        for kind in [Kind::Binary, Kind::Text] {
            for bytes in [0, 1, 3, 8, 11, 12, 13, 20, 300, 16_384] {
                let payload = Payload::new(kind, bytes);
                for number in [0, 1, 63, 64, 255, 256, 1 << 40] {
                    let answer = unmasked(&payload, number, 7);
                    for step in [1, 5, 12, 13, 20_000] {
                        let found = verdict(&payload, &answer, step, number);
                        assert_eq!(found, Answer::Number(number), "{kind:?} {bytes} {number} {step}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_compressed_echo_is_recognised_and_a_plain_one_too() {
        let payload = Payload::deflated(1024);
        for number in [0, 1, 63, 64, 1 << 40] {
            let mut frame = Vec::new();
            payload.put(&mut frame, number, 7);
            assert_eq!((frame[0], frame[1]), (0xc1, 0xfe));
            let mut answer = frame.split_off(8);
            assert!(answer.len() < 600, "{}", answer.len());
            answer.iter_mut().zip(MASKING_KEY.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
            for step in [1, 13, 20_000] {
                assert_eq!(verdict(&payload, &answer, step, number), Answer::Number(number));
            }
            answer[8] ^= 1;
            assert_ne!(verdict(&payload, &answer, 64, number), Answer::Number(number));
        }
        for size in [8, 64, 1024] {
            let payload = Payload::deflated(size);
            let mut plain = payload.head(65, 7)[..size.min(HEAD_BYTES)].to_vec();
            plain.extend_from_slice(payload.body(&payload.plain, 65));
            let verdict = |bytes: &[u8]| {
                let piece = Piece { opcode: frame::TEXT, compressed: false, payload_bytes: size as u64, at: 0, bytes };
                payload.check(&mut Incoming::default(), &piece, 65, 7)
            };
            assert_eq!(verdict(&plain), Some(Answer::Number(65)));
            plain[size - 1] ^= 1;
            assert_ne!(verdict(&plain), Some(Answer::Number(65)));
        }
    }

    #[test]
    fn a_number_out_of_order_is_told_in_both_directions() {
        for (kind, bytes) in [(Kind::Binary, 1), (Kind::Binary, 20), (Kind::Text, 2), (Kind::Text, 20)] {
            let payload = Payload::new(kind, bytes);
            for number in [990, 999, 1_001, 1_015] {
                let answer = unmasked(&payload, number, 7);
                assert_eq!(verdict(&payload, &answer, 64, 1_000), Answer::Number(number));
            }
        }
    }

    #[test]
    fn one_changed_byte_anywhere_is_noticed() {
        let payload = Payload::new(Kind::Binary, 40);
        let good = unmasked(&payload, 5, 7);
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert_ne!(verdict(&payload, &bad, 64, 5), Answer::Number(5), "byte {at}");
        }
    }

    #[test]
    fn another_length_kind_connection_or_pattern_is_corrupt() {
        let payload = Payload::new(Kind::Binary, 40);
        let good = unmasked(&payload, 5, 7);
        assert_eq!(verdict(&payload, &good[..39], 64, 5), Answer::Corrupt);
        assert_eq!(verdict(&payload, &unmasked(&payload, 5, 8), 64, 5), Answer::Corrupt);
        let mut mixed = good.clone();
        mixed[HEAD_BYTES..].copy_from_slice(&unmasked(&payload, 6, 7)[HEAD_BYTES..]);
        assert_eq!(verdict(&payload, &mixed, 64, 5), Answer::Corrupt);
        let text = Piece { opcode: frame::TEXT, compressed: false, payload_bytes: 40, at: 0, bytes: &good };
        let found = payload.check(&mut Incoming::default(), &text, 5, 7);
        assert_eq!(found, Some(Answer::Corrupt));
    }

    #[test]
    fn a_text_is_ascii() {
        assert!(unmasked(&Payload::new(Kind::Text, 500), u64::MAX, u32::MAX).is_ascii());
    }
}
