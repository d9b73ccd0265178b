//! The strict look at the raw bytes of a request's head, before a lenient parser sees them: its lines
//! (RFC 9112 §2.2), its request line (§3), its fields (§5), and what frames its content (§6.1, §6.3).
//!
//! The gate shows it the bytes that have come so far, each time more of them, and lets the parser
//! have a head only when it is whole and good. Two parsers that read one head in different ways see
//! different requests behind it: that is how requests are smuggled past a proxy. Each byte is looked
//! at once; nothing is kept but a few numbers.

use http::{StatusCode, Uri};
use memchr::memchr;

use super::content::Framing;
use super::fields::{is_token, is_value_byte};
use super::opening::{self, PlainOpening};
use super::plain::{self, Plain};
use super::response::{Refusal, Then};
use crate::limits;

/// Longer targets are left to the parser, which has a bound of its own.
const PLAIN_TARGET_BYTES: usize = 4 * 1024;

/// Looks at one head after the other.
#[derive(Clone, Debug)]
pub struct HeadScreen {
    most_bytes: usize,
    head: Looked,
}

/// A head that is whole and keeps the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its length, the empty line included.
    pub bytes: usize,
    /// What comes behind it.
    pub framing: Framing,
}

/// What is known of a head that is not whole yet.
#[derive(Clone, Debug, Default)]
struct Looked {
    /// Bytes that were looked at.
    bytes: usize,
    /// Where the line begins that has not ended yet.
    line_start: usize,
    /// Lines that have ended: the request line, and fields.
    lines: usize,
    /// Whether an empty line came before the request line: one is forgiven (RFC 9112 §2.2).
    has_begun_empty: bool,
    content_length: Option<u64>,
    is_chunked: bool,
}

impl HeadScreen {
    /// Heads may have so many bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self { most_bytes, head: Looked::default() }
    }

    /// Takes the head that these bytes begin with, if it is whole and has nothing unusual in it; then there is nothing
    /// more to [look](Self::look) at. `notes` are lines for its text.
    pub fn take(&self, bytes: &[u8], notes: &str) -> Option<Plain> {
        // A head that comes piece by piece would be gone through again and again.
        (self.head.bytes == 0).then(|| plain::take(bytes, self.most_bytes, notes)).flatten()
    }

    /// The same for a head that opens a WebSocket; it must be the first one of its connection, and not be begun.
    pub fn take_opening(&self, bytes: &[u8]) -> Option<PlainOpening> {
        opening::take(bytes, self.most_bytes)
    }

    /// Looks at what has come since the last head that was whole: the bytes of the last look, and more.
    /// `None`: so far it is good, but not whole.
    ///
    /// # Errors
    ///
    /// The refusal to answer with; where another request would begin is not known then.
    pub fn look(&mut self, bytes: &[u8]) -> Result<Option<Head>, Refusal> {
        let head = &mut self.head;
        let end = bytes.len().min(self.most_bytes);
        while head.bytes < end {
            let at = head.bytes;
            // Only at the beginning of a line: anywhere else it would go through the rest for each byte.
            if at == head.line_start
                && let Some(line) = good_line(&bytes[at..end])
            {
                head.bytes += line.len() + 2;
                head.line_start = head.bytes;
                if head.end_line(line)? {
                    return Ok(Some(self.whole()?));
                }
                continue;
            }
            let follows_cr = at > head.line_start && bytes[at - 1] == b'\r';
            head.bytes += 1;
            match (bytes[at], follows_cr) {
                (b'\n', true) => {
                    let line = &bytes[head.line_start..at - 1];
                    head.line_start = head.bytes;
                    if head.end_line(line)? {
                        return Ok(Some(self.whole()?));
                    }
                }
                (b'\n', false) => return Err(Refusal::bad_request("a line of the head ends without CR")),
                (_, true) => return Err(Refusal::bad_request("a CR in the head is not followed by LF")),
                (b'\r', false) => {}
                (byte, false) if is_value_byte(byte) => {}
                _ => return Err(Refusal::bad_request("the head has a control character")),
            }
        }
        match bytes.len() < self.most_bytes {
            true => Ok(None),
            false => Err(too_large("the head of the request is too long")),
        }
    }

    fn whole(&mut self) -> Result<Head, Refusal> {
        let Looked { bytes, content_length, is_chunked, .. } = std::mem::take(&mut self.head);
        // RFC 9112 §6.1 lets a server refuse it, and says why it should.
        if is_chunked && content_length.is_some() {
            return Err(Refusal::bad_request("Content-Length and Transfer-Encoding exclude each other"));
        }
        let framing = match content_length {
            _ if is_chunked => Framing::Chunked,
            Some(length @ 1..) => Framing::Sized(length),
            _ => Framing::None,
        };
        Ok(Head { bytes, framing })
    }
}

/// The first line of some bytes, without its CRLF, if it is there to its end and has nothing else in it that may
/// not be there. That is how lines mostly come; what is no such line is looked at byte by byte, to say why.
fn good_line(bytes: &[u8]) -> Option<&[u8]> {
    let line = bytes[..memchr(b'\n', bytes)?].strip_suffix(b"\r")?;
    // Without an early end, so that the compiler takes many bytes at a time.
    line.iter().fold(true, |is_good, &byte| is_good & is_value_byte(byte)).then_some(line)
}

impl Looked {
    /// A line, without its CRLF. Whether it was the one that ends the head.
    fn end_line(&mut self, line: &[u8]) -> Result<bool, Refusal> {
        match (self.lines, line) {
            (0, []) if !self.has_begun_empty => {
                self.has_begun_empty = true;
                return Ok(false);
            }
            (0, line) => judge_request_line(line)?,
            (_, []) => return Ok(true),
            (limits::REQUEST_HEADER_LINES.., _) if self.lines > limits::REQUEST_HEADER_LINES => {
                return Err(too_large("the head of the request has too many lines"));
            }
            (_, line) => self.field(line)?,
        }
        self.lines += 1;
        Ok(false)
    }

    fn field(&mut self, line: &[u8]) -> Result<(), Refusal> {
        if line[0] == b' ' || line[0] == b'\t' {
            return Err(Refusal::bad_request("a header line begins with white space"));
        }
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            return Err(Refusal::bad_request("a header line has no colon"));
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.ends_with(b" ") || name.ends_with(b"\t") {
            return Err(Refusal::bad_request("white space stands before the colon of a header line"));
        }
        if !is_token(name) {
            return Err(Refusal::bad_request("the name of a header field is not a token"));
        }
        if name.eq_ignore_ascii_case(b"content-length") {
            // RFC 9112 §6.3 would forgive equal ones; no client of today sends them.
            if self.content_length.replace(content_length(value)?).is_some() {
                return Err(Refusal::bad_request("Content-Length stands more than once"));
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // Others might stand before it (RFC 9112 §6.1), but none of them is in use.
            if self.is_chunked || !value.eq_ignore_ascii_case(b"chunked") {
                return Err(Refusal {
                    status: StatusCode::NOT_IMPLEMENTED,
                    says: "the only transfer coding here is chunked, once",
                    then: Then::Close,
                });
            }
            self.is_chunked = true;
        }
        Ok(())
    }
}

/// `method SP request-target SP HTTP-version` (RFC 9112 §3), each space once.
fn judge_request_line(line: &[u8]) -> Result<(), Refusal> {
    let mut parts = line.split(|&byte| byte == b' ');
    let (Some(method), Some(target), Some(version), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Refusal::bad_request("the request line is not a method, a target and a version"));
    };
    if !is_token(method) {
        return Err(Refusal::bad_request("the method is not a token"));
    }
    // The parser behind would refuse the same, but without a sentence.
    if !is_plain_path(target) && (!target.iter().all(u8::is_ascii_graphic) || Uri::try_from(target).is_err()) {
        return Err(Refusal::bad_request("the request target is not a URI"));
    }
    match version {
        b"HTTP/1.1" => Ok(()),
        [b'H', b'T', b'T', b'P', b'/', b'0'..=b'9', b'.', b'0'..=b'9'] => Err(Refusal {
            status: StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            says: "this server speaks HTTP/1.1",
            then: Then::Close,
        }),
        _ => Err(Refusal::bad_request("the request line does not end with a version of HTTP")),
    }
}

/// Whether a target is a path, perhaps with a query, such that no parser sees anything else in it.
pub(super) fn is_plain_path(target: &[u8]) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~?=&%+".contains(&byte);
    target.first() == Some(&b'/') && target.len() <= PLAIN_TARGET_BYTES && target.iter().all(|&byte| is_plain(byte))
}

/// Digits alone: no sign, no list (RFC 9110 §8.6).
pub(super) fn content_length(value: &[u8]) -> Result<u64, Refusal> {
    let digits = Some(value).filter(|value| !value.is_empty() && value.iter().all(u8::is_ascii_digit));
    digits
        .and_then(|digits| str::from_utf8(digits).ok()?.parse().ok())
        .filter(|length| *length <= limits::CONTENT_LENGTH_MAX_BYTES)
        .ok_or(Refusal::bad_request("Content-Length is not a number that content can have"))
}

fn too_large(says: &'static str) -> Refusal {
    Refusal { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, says, then: Then::Close }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 1024;

    /// Whole at once, and byte by byte: both must say the same.
    fn look(head: &[u8]) -> Result<Option<Head>, u16> {
        let whole = HeadScreen::new(MOST).look(head);
        let mut screen = HeadScreen::new(MOST);
        let split = (1..=head.len()).map(|end| screen.look(&head[..end])).find(|seen| *seen != Ok(None));
        assert_eq!(split.unwrap_or(Ok(None)), whole, "{}", head.escape_ascii());
        whole.map_err(|refusal| {
            assert_eq!(refusal.then, Then::Close);
            refusal.status.as_u16()
        })
    }

    fn with(fields: &str) -> Result<Option<Framing>, u16> {
        let head = format!("GET /chat HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        look(head.as_bytes()).map(|whole| {
            whole.map(|whole| {
                assert_eq!(whole.bytes, head.len());
                whole.framing
            })
        })
    }

    #[test]
    fn a_good_head_is_found_and_what_is_behind_it_is_left() {
        assert_eq!(with("X: a\tb \u{e4}\r\nY:\r\nZ:z\r\n"), Ok(Some(Framing::None)));
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        let mut screen = HeadScreen::new(MOST);
        let two = [&head[..], head, b"\0\n"].concat();
        let expected = Head { bytes: head.len(), framing: Framing::None };
        assert_eq!(screen.look(&two), Ok(Some(expected)));
        assert_eq!(screen.look(&two[head.len()..]), Ok(Some(expected)));
        assert_eq!(screen.look(&two[2 * head.len()..]).unwrap_err().status, 400);
    }

    #[test]
    fn one_empty_line_before_the_request_line_is_forgiven() {
        let head = |empty: &str| look(format!("{empty}GET / HTTP/1.1\r\n\r\n").as_bytes());
        assert_eq!(head("\r\n").map(|head| head.map(|head| head.bytes)), Ok(Some(20)));
        assert_eq!(head("\r\n\r\n"), Err(400));
        assert_eq!(head("\n"), Err(400));
    }

    #[test]
    fn lines_end_with_crlf_and_have_no_control_characters() {
        for bad in ["X: a\n", "X: a\r", "X: a\rb\r\n", "X: a\r\r\n", "X: a\0\r\n", "X: a\x7f\r\n", "X: a\x0b\r\n", "\n"]
        {
            assert_eq!(with(bad), Err(400), "{bad:?}");
        }
        assert_eq!(look(b"GET / HTTP/1.1\n\n"), Err(400));
        assert_eq!(look(b"\x16\x03\x01\x02\0\x01"), Err(400));
    }

    #[test]
    fn a_field_is_a_token_a_colon_and_a_value() {
        for bad in [
            "X : a\r\n",
            "X\t: a\r\n",
            "X: a\r\n b\r\n",
            "X: a\r\n\tb\r\n",
            " X: a\r\n",
            "X\r\n",
            ": a\r\n",
            "X y: a\r\n",
            "(x): a\r\n",
        ] {
            assert_eq!(with(bad), Err(400), "{bad:?}");
        }
    }

    #[test]
    fn a_request_line_is_three_words() {
        for (line, expected) in [
            ("GET / HTTP/1.1", None),
            ("PURGE /a?b HTTP/1.1", None),
            ("CONNECT a:1 HTTP/1.1", None),
            ("OPTIONS * HTTP/1.1", None),
            ("GET http://a/b HTTP/1.1", None),
            ("GET / HTTP/1.0", Some(505)),
            ("GET / HTTP/1.2", Some(505)),
            ("PRI * HTTP/2.0", Some(505)),
            ("GET / HTTP/1.10", Some(400)),
            ("GET / http/1.1", Some(400)),
            ("GET / ICAP/1.0", Some(400)),
            ("GET  / HTTP/1.1", Some(400)),
            ("GET / HTTP/1.1 ", Some(400)),
            (" GET / HTTP/1.1", Some(400)),
            ("GET\t/ HTTP/1.1", Some(400)),
            ("GET /", Some(400)),
            ("GET", Some(400)),
            ("GE(T / HTTP/1.1", Some(400)),
            ("GET /\u{e4} HTTP/1.1", Some(400)),
            ("GET  HTTP/1.1", Some(400)),
        ] {
            assert_eq!(look(format!("{line}\r\n\r\n").as_bytes()).err(), expected, "{line}");
        }
    }

    #[test]
    fn content_is_framed_in_one_way_or_not_at_all() {
        for (fields, expected) in [
            ("Content-Length: 0\r\n", Ok(Some(Framing::None))),
            ("Content-Length: \t5 \r\n", Ok(Some(Framing::Sized(5)))),
            ("content-length: 9007199254740991\r\n", Ok(Some(Framing::Sized(limits::CONTENT_LENGTH_MAX_BYTES)))),
            ("content-length: 9007199254740992\r\n", Err(400)),
            ("content-length: 18446744073709551615\r\n", Err(400)),
            ("Transfer-Encoding: Chunked\r\n", Ok(Some(Framing::Chunked))),
            ("Content-Length: 18446744073709551616\r\n", Err(400)),
            ("Content-Length: +5\r\n", Err(400)),
            ("Content-Length: -5\r\n", Err(400)),
            ("Content-Length: 0x5\r\n", Err(400)),
            ("Content-Length: 5, 5\r\n", Err(400)),
            ("Content-Length: 5 5\r\n", Err(400)),
            ("Content-Length:\r\n", Err(400)),
            ("Content-Length: 5\r\nContent-Length: 5\r\n", Err(400)),
            ("Content-Length: 5\r\ncontent-length: 6\r\n", Err(400)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Err(400)),
            ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", Err(400)),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Err(501)),
            ("Transfer-Encoding: gzip\r\n", Err(501)),
            ("Transfer-Encoding: gzip, chunked\r\n", Err(501)),
            ("Transfer-Encoding: chunked, chunked\r\n", Err(501)),
            ("Transfer-Encoding: identity\r\n", Err(501)),
            ("Transfer-Encoding: xchunked\r\n", Err(501)),
            ("Transfer-Encoding: \"chunked\"\r\n", Err(501)),
            ("Transfer-Encoding:\r\n", Err(501)),
        ] {
            assert_eq!(with(fields), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_head_has_so_many_bytes_and_lines() {
        let sized = |bytes: usize| {
            let head = "GET / HTTP/1.1\r\nX: \r\n\r\n";
            look(head.replace("X: ", &format!("X: {}", "x".repeat(bytes - head.len()))).as_bytes())
        };
        assert_eq!(sized(MOST), Ok(Some(Head { bytes: MOST, framing: Framing::None })));
        assert_eq!(sized(MOST + 1), Err(431));
        assert_eq!(look(&[b'x'; MOST - 1]), Ok(None));
        assert_eq!(look(&[b'x'; MOST]), Err(431));
        let lined = |lines: usize| look(format!("GET / HTTP/1.1\r\n{}\r\n", "X:y\r\n".repeat(lines)).as_bytes()).err();
        assert_eq!(lined(limits::REQUEST_HEADER_LINES), None);
        assert_eq!(lined(limits::REQUEST_HEADER_LINES + 1), Some(431));
    }

    /// Who goes through the rest of such a line for each of its bytes takes hours.
    #[test]
    fn a_long_line_with_a_bad_end_is_gone_through_once() {
        let length = if cfg!(miri) { 1_000 } else { 4 << 20 };
        let line = [b"GET /", &*vec![b'x'; length], b"\0\r\n"].concat();
        for bytes in [&line[..length], &line] {
            let found = HeadScreen::new(2 * length).look(bytes).map_err(|refusal| refusal.status.as_u16());
            assert_eq!(found, if bytes.len() == length { Ok(None) } else { Err(400) });
        }
    }

    proptest! {
        #[test]
        fn hostile_bytes_are_judged_alike_however_they_are_split(
            bytes in prop::collection::vec(prop::sample::select(&b"GET / HTTP/1.1:,\r\n\t\0aX5\xff"[..]), 0..200),
            good in any::<bool>(),
        ) {
            let beginning: &[u8] = if good { b"GET / HTTP/1.1\r\n" } else { b"" };
            let _ = look(&[beginning, &bytes].concat());
        }
    }
}
