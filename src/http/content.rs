//! Follows the framing of a request's content while its bytes pass (RFC 9112 §6, §7.1), so that the gate
//! knows where the next head begins, and lets the lenient parser behind it see only what keeps the
//! rules.
//!
//! A value: bytes in, a count out. It keeps a few numbers, whatever the length of the content.

use super::fields::{is_token_byte, is_value_byte};
use super::response::Refusal;
use crate::limits;

/// What comes behind a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// The next request, or the bytes of another protocol.
    None,
    /// Content of so many bytes, at least one.
    Sized(u64),
    /// Content in chunks.
    Chunked,
}

/// Where in the content the bytes are that pass.
#[derive(Clone, Debug)]
pub struct Content {
    place: Place,
    /// Bytes of chunk extensions and trailer fields so far.
    extra_bytes: usize,
    /// Trailer fields so far.
    trailers: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In content of which so many bytes are left.
    Sized(u64),
    /// In the digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// Behind a `;`, in what nobody reads.
    Extension { size: u64 },
    /// Behind the CR of the line of the size.
    SizeEnd { size: u64 },
    /// In a chunk's data of which so many bytes are left.
    Data(u64),
    /// Behind the data.
    DataEnd,
    /// Behind the CR that is behind the data.
    DataEndCr,
    /// At the beginning of a line of the trailer section.
    Trailer,
    /// In such a line; whether its colon has come.
    TrailerLine { has_colon: bool },
    /// Behind the CR of such a line.
    TrailerLineEnd,
    /// Behind the CR of the empty line that ends everything.
    End,
    /// Behind the content.
    Over,
}

impl Content {
    /// Behind a head; `None` where no content follows.
    pub fn behind(framing: Framing) -> Option<Self> {
        let place = match framing {
            Framing::None => return None,
            Framing::Sized(length) => Place::Sized(length),
            Framing::Chunked => Place::Size { size: 0, digits: 0 },
        };
        Some(Self { place, extra_bytes: 0, trailers: 0 })
    }

    /// Whether all of it has passed.
    pub fn is_over(&self) -> bool {
        matches!(self.place, Place::Over | Place::Sized(0))
    }

    /// Goes on through bytes that have come, and tells how many of them belong to the content and its
    /// framing.
    ///
    /// # Errors
    ///
    /// The refusal to answer with; where another request would begin is not known then.
    pub fn follow(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut at = 0;
        while at < bytes.len() && !self.is_over() {
            let waiting = (bytes.len() - at) as u64;
            match &mut self.place {
                Place::Sized(left) | Place::Data(left) => {
                    let passed = (*left).min(waiting);
                    *left -= passed;
                    // At most the length of `bytes`.
                    at += passed as usize;
                    if self.place == Place::Data(0) {
                        self.place = Place::DataEnd;
                    }
                }
                _ => {
                    self.place = self.step(bytes[at])?;
                    at += 1;
                }
            }
        }
        Ok(at)
    }

    /// One byte of what is not data.
    fn step(&mut self, byte: u8) -> Result<Place, Refusal> {
        Ok(match (self.place, byte) {
            (Place::Size { size, digits }, byte) if byte.is_ascii_hexdigit() => {
                let digit = (byte as char).to_digit(16).unwrap_or_default();
                let size = size.checked_mul(16).map(|size| size + u64::from(digit));
                let size = size.ok_or(Refusal::bad_request("the size of a chunk is too large"))?;
                // Zeros before the size are digits, too: without end, they would be a line without end.
                Place::Size { size, digits: digits.checked_add(1).ok_or(BAD_SIZE)? }
            }
            (Place::Size { size, digits: 1.. }, b'\r') => Place::SizeEnd { size },
            (Place::Size { size, digits: 1.. }, b';') => Place::Extension { size },
            (Place::Size { .. }, _) => return Err(BAD_SIZE),
            (Place::Extension { size }, b'\r') => Place::SizeEnd { size },
            (Place::Extension { .. }, byte) if is_value_byte(byte) => {
                self.count_extra()?;
                self.place
            }
            (Place::SizeEnd { size: 0 }, b'\n') => Place::Trailer,
            (Place::SizeEnd { size }, b'\n') => Place::Data(size),
            (Place::DataEnd, b'\r') => Place::DataEndCr,
            (Place::DataEndCr, b'\n') => Place::Size { size: 0, digits: 0 },
            (Place::DataEnd | Place::DataEndCr, _) => {
                return Err(Refusal::bad_request("a chunk is longer than its size"));
            }
            (Place::Trailer, b'\r') => Place::End,
            (Place::Trailer, byte) if is_token_byte(byte) => {
                self.count_extra()?;
                self.trailers += 1;
                if self.trailers > limits::REQUEST_HEADER_LINES {
                    return Err(Refusal::bad_request("the trailer section has too many lines"));
                }
                Place::TrailerLine { has_colon: false }
            }
            (Place::TrailerLine { has_colon: false }, byte) if byte == b':' || is_token_byte(byte) => {
                self.count_extra()?;
                Place::TrailerLine { has_colon: byte == b':' }
            }
            (Place::TrailerLine { has_colon: true }, b'\r') => Place::TrailerLineEnd,
            (Place::TrailerLine { has_colon: true }, byte) if is_value_byte(byte) => {
                self.count_extra()?;
                self.place
            }
            (Place::TrailerLineEnd, b'\n') => Place::Trailer,
            (Place::End, b'\n') => Place::Over,
            (Place::Trailer | Place::TrailerLine { .. }, _) => return Err(BAD_TRAILER),
            _ => return Err(Refusal::bad_request("a line of chunked content does not end with CRLF")),
        })
    }

    fn count_extra(&mut self) -> Result<(), Refusal> {
        self.extra_bytes += 1;
        match self.extra_bytes <= limits::CHUNK_EXTRA_BYTES {
            true => Ok(()),
            false => Err(Refusal::bad_request("chunk extensions and trailer fields are too long")),
        }
    }
}

const BAD_SIZE: Refusal = Refusal::bad_request("the size of a chunk is not a hexadecimal number");

const BAD_TRAILER: Refusal = Refusal::bad_request("a line of the trailer section is not a field");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// How many bytes belong to chunked content, whole at once and byte by byte; `None`: more must come.
    fn chunked(bytes: &[u8]) -> Result<Option<usize>, &'static str> {
        let mut whole = Content::behind(Framing::Chunked).unwrap();
        let followed = whole.follow(bytes).map(|passed| whole.is_over().then_some(passed));
        let mut split = Content::behind(Framing::Chunked).unwrap();
        let mut passed = 0;
        let step = bytes.iter().find_map(|byte| match split.follow(&[*byte]) {
            Ok(count) => {
                passed += count;
                None
            }
            Err(refusal) => Some(refusal),
        });
        let bytewise = step.map_or_else(|| Ok(split.is_over().then_some(passed)), Err);
        assert_eq!(bytewise, followed, "{}", bytes.escape_ascii());
        followed.map_err(|refusal| {
            assert_eq!(refusal.status, 400);
            refusal.says
        })
    }

    #[test]
    fn content_of_a_length_is_that_long() {
        assert!(Content::behind(Framing::None).is_none());
        let mut content = Content::behind(Framing::Sized(10)).unwrap();
        assert_eq!(content.follow(b"1234"), Ok(4));
        assert!(!content.is_over());
        assert_eq!(content.follow(b"567890GET /"), Ok(6));
        assert!(content.is_over());
        assert_eq!(content.follow(b"GET /"), Ok(0));
        let mut content = Content::behind(Framing::Sized(u64::MAX)).unwrap();
        assert_eq!(content.follow(&[0; 100]), Ok(100));
        assert!(!content.is_over());
    }

    #[test]
    fn chunks_end_with_an_empty_one() {
        for whole in [
            "0\r\n\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
            "5;a=b\r\nhello\r\n00000;last\r\n\r\n",
            "5 \r\nhello\r\n0\r\n\r\n",
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n",
            "6;q=\"a;b\"\r\n\r\n\r\n\r\n\r\n0\r\n\r\n",
        ] {
            let expected = if whole.starts_with("5 ") { Err(BAD_SIZE.says) } else { Ok(Some(whole.len())) };
            assert_eq!(chunked(format!("{whole}GET / HTTP/1.1").as_bytes()), expected, "{whole:?}");
            if expected.is_ok() {
                assert_eq!(chunked(&whole.as_bytes()[..whole.len() - 1]), Ok(None), "{whole:?}");
            }
        }
    }

    #[test]
    fn what_breaks_the_framing_is_refused() {
        for bad in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\na\r\n",
            "1\na\r\n",
            "1\r\r\na",
            "1\rXa",
            "1\r\nab\r\n",
            "1\r\na\n0",
            "1\r\na\r0",
            "1;a\x00\r\n",
            "1;a\nb\r\n",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\n\rX",
            "0\r\nno colon\r\n",
            "0\r\n: a\r\n",
            "0\r\n a: b\r\n",
            "0\r\na : b\r\n",
            "0\r\n(a): b\r\n",
            "0\r\na: b\n",
            "0\r\na: \x01\r\n",
        ] {
            assert!(chunked(bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(chunked(&[b'0'; 300]).is_err());
        assert!(chunked(b"ffffffffffffffff\r\n").is_ok());
    }

    #[test]
    fn what_is_not_data_has_a_bound_over_all_chunks() {
        let chunk = format!("1;{}\r\na\r\n", "x".repeat(limits::CHUNK_EXTRA_BYTES / 2));
        assert_eq!(chunked(chunk.repeat(2).as_bytes()), Ok(None));
        assert!(chunked(chunk.repeat(3).as_bytes()).is_err());
        assert!(chunked(format!("0\r\n{}\r\n", "a:\r\n".repeat(limits::REQUEST_HEADER_LINES)).as_bytes()).is_ok());
        assert!(chunked(format!("0\r\n{}\r\n", "a:\r\n".repeat(limits::REQUEST_HEADER_LINES + 1)).as_bytes()).is_err());
        let trailer = format!("0\r\na:{}", "x".repeat(limits::CHUNK_EXTRA_BYTES));
        assert!(chunked(trailer.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_judged_alike_however_they_are_split(
            bytes in prop::collection::vec(prop::sample::select(&b"01aF;:\r\r\n\n x\0"[..]), 0..60),
        ) {
            let _ = chunked(&bytes);
        }

        #[test]
        fn encode_then_follow_ends_where_it_should(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8),
            rest in prop::collection::vec(any::<u8>(), 0..10),
        ) {
            let mut bytes = Vec::new();
            for chunk in &chunks {
                bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                bytes.extend_from_slice(chunk);
                bytes.extend_from_slice(b"\r\n");
            }
            bytes.extend_from_slice(b"0\r\n\r\n");
            let length = bytes.len();
            bytes.extend_from_slice(&rest);
            prop_assert_eq!(chunked(&bytes), Ok(Some(length)));
        }
    }
}
