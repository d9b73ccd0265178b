//! Responses that are declared once and answered without JavaScript: an application's instructions, and what
//! comes of them for one request.
//!
//! `lib/declarative_response.js` writes the instructions, one record after the other: opcode (one byte), length
//! (two, little-endian), and as many bytes. Pure functions; the gate keeps one value for each route.

use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, StatusCode};
use percent_encoding::percent_decode_str;

use super::text::HeadText;
use crate::limits;

/// A declared response of one route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared {
    pattern: Box<str>,
    status: StatusCode,
    headers: HeaderMap,
    parts: Vec<Part>,
}

/// A part of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Bytes(Box<[u8]>),
    /// The decoded value of a query's parameter.
    Query(Box<str>),
    /// The value of a header field of the request.
    Header(HeaderName),
    /// The value of a parameter of the route's pattern.
    Parameter(Box<str>),
    /// The content of the request.
    Content,
}

/// Instructions that are none: they were not written by `lib/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidInstructions;

impl Declared {
    /// Reads the instructions of the route with this pattern.
    ///
    /// # Errors
    ///
    /// When a record is cut off, unknown, or not what it should be.
    pub fn parse(pattern: &str, mut instructions: &[u8]) -> Result<Self, InvalidInstructions> {
        let mut declared =
            Self { pattern: pattern.into(), status: StatusCode::OK, headers: HeaderMap::new(), parts: Vec::new() };
        while let Some((&[opcode, low, high], rest)) = instructions.split_first_chunk() {
            let length = usize::from(u16::from_le_bytes([low, high]));
            let (bytes, rest) = rest.split_at_checked(length).ok_or(InvalidInstructions)?;
            declared.record(opcode, bytes).ok_or(InvalidInstructions)?;
            instructions = rest;
        }
        if instructions.is_empty() { Ok(declared) } else { Err(InvalidInstructions) }
    }

    fn record(&mut self, opcode: u8, bytes: &[u8]) -> Option<()> {
        let text = || str::from_utf8(bytes).ok().map(Box::from);
        self.parts.push(match opcode {
            1 => {
                let end = bytes.iter().position(|&byte| byte == 0)?;
                let name = HeaderName::from_bytes(&bytes[..end]).ok()?;
                let value = HeaderValue::from_bytes(&bytes[end + 1..]).ok()?;
                if self.headers.len() == limits::RESPONSE_HEADER_LINES {
                    return None;
                }
                if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
                    self.headers.append(name, value);
                }
                return Some(());
            }
            2 => Part::Bytes(bytes.into()),
            3 => Part::Query(text()?),
            4 => Part::Header(HeaderName::from_bytes(bytes).ok()?),
            5 => Part::Parameter(text()?),
            6 => Part::Content,
            7 => {
                self.status =
                    StatusCode::from_bytes(bytes.get(..3)?).ok().filter(|status| !status.is_informational())?;
                return Some(());
            }
            _ => return None,
        });
        Some(())
    }

    /// The status of the response.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Its header fields; those that frame content are left out.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Whether the content of the request is wanted.
    pub fn wants_content(&self) -> bool {
        self.parts.contains(&Part::Content)
    }

    /// The body for a request. What the request does not have is empty.
    pub fn body(&self, request: &HeadText, content: &[u8]) -> Vec<u8> {
        let mut body = Vec::new();
        let (path, asked) = request.target().split_once('?').unwrap_or((request.target(), ""));
        for part in &self.parts {
            match part {
                Part::Bytes(bytes) => body.extend_from_slice(bytes),
                Part::Query(key) => body.extend(query(asked, key)),
                Part::Header(name) => {
                    body.extend_from_slice(request.value(name.as_str()).unwrap_or_default());
                }
                Part::Parameter(name) => {
                    body.extend_from_slice(parameter(&self.pattern, path, name).as_bytes());
                }
                Part::Content => body.extend_from_slice(content),
            }
        }
        body
    }
}

/// The decoded value of the first parameter of this name, as `HttpRequest.getQuery(key)` has it.
fn query(query: &str, key: &str) -> Vec<u8> {
    let named = query.split('&').find_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (name == key && !name.is_empty()).then_some(value)
    });
    percent_decode_str(&named.unwrap_or_default().replace('+', " ")).collect()
}

/// The segment of a path that stands where the pattern has this parameter.
fn parameter<'p>(pattern: &str, path: &'p str, name: &str) -> &'p str {
    let mut segments = pattern.split('/').zip(path.split('/'));
    let found = segments.find(|(segment, _)| segment.strip_prefix(':') == Some(name));
    found.map_or("", |(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(opcode: u8, bytes: &[u8]) -> Vec<u8> {
        [&[opcode], &(bytes.len() as u16).to_le_bytes()[..], bytes].concat()
    }

    #[test]
    fn the_parts_are_filled_from_the_request() {
        let records = [
            record(7, b"202 Taken"),
            record(1, b"x-a\x001"),
            record(1, b"x-a\x002"),
            record(1, b"content-length\x009"),
            record(2, b"<"),
            record(3, b"q"),
            record(2, b"|"),
            record(4, b"user-agent"),
            record(2, b"|"),
            record(5, b"id"),
            record(2, b"|"),
            record(6, b""),
            record(3, b"none"),
            record(5, b"none"),
        ];
        let declared = Declared::parse("/a/:id/*", &records.concat()).unwrap();
        assert!(declared.wants_content());
        assert_eq!((declared.status().as_u16(), declared.headers().len()), (202, 2));
        let request = http::Request::get("/a/b%20/c?x=1&q=1%2b+2&q=3").header("User-Agent", "me").body(()).unwrap();
        assert_eq!(declared.body(&HeadText::of(&request.into_parts().0, ""), b"content"), b"<1+ 2|me|b%20|content");
        let empty = Declared::parse("/", b"").unwrap();
        assert!(!empty.wants_content() && empty.status() == 200);
    }

    #[test]
    fn what_is_no_instruction_is_refused() {
        for bad in [
            &b"\x02"[..],
            b"\x02\x01\x00",
            b"\x02\xff\xffabc",
            b"\x09\x00\x00",
            b"\x01\x03\x00a:b",
            b"\x01\x04\x00a\x00b\n",
            b"\x04\x01\x00 ",
            b"\x03\x01\x00\xff",
            b"\x07\x03\x00100",
            b"\x07\x02\x0020",
        ] {
            assert_eq!(Declared::parse("/", bad), Err(InvalidInstructions), "{}", bad.escape_ascii());
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes minutes, and shows nothing that fewer fields do not")]
    fn more_fields_than_a_response_has_room_for_are_refused() {
        let fields = (0..40_000).flat_map(|at| record(1, format!("x-{at}\01").as_bytes())).collect::<Vec<_>>();
        assert_eq!(Declared::parse("/", &fields), Err(InvalidInstructions));
    }
}
