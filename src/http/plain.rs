//! The short way of a head that has come whole and has nothing unusual in it, as nearly all have: one look
//! judges it, and writes what JavaScript gets of it and the little that a parser behind has to see.
//!
//! It decides nothing by itself. Whatever is odd, broken or repeated, or asks for another protocol, it leaves to
//! the [`HeadScreen`](super::HeadScreen) and the parser; what it takes it must take as they would, and a test holds
//! it to that. Memory: two buffers for each head that it takes.

use memchr::memchr;

use super::content::Framing;
use super::fields::{is_token, is_value_byte, lower_token_byte};
use super::head::{Head, content_length, is_plain_path};
use super::request::is_host;
use super::text::HeadText;
use crate::limits;

/// A head that was taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Plain {
    /// As the screen would have found it.
    pub head: Head,
    /// All of it, for JavaScript. It has one `Host`, and a good one.
    pub text: HeadText,
    /// The request line, and those fields that say how content is framed, whether the client waits to be asked
    /// for it, and what becomes of the connection.
    pub short: Vec<u8>,
}

/// Room for the fields of most heads: what is behind a head may be long, and the text is kept while JavaScript has
/// the request.
const FIELD_BYTES: usize = 1024;

/// What was seen in the fields.
#[derive(Default)]
struct Seen {
    has_host: bool,
    content_length: Option<u64>,
    is_chunked: bool,
}

/// Takes the head that these bytes begin with. `notes` are lines for its text. `None`: it is not for this.
pub(super) fn take(bytes: &[u8], most_bytes: usize, notes: &str) -> Option<Plain> {
    let bytes = &bytes[..bytes.len().min(most_bytes)];
    let line = line_at(bytes, 0)?;
    let (method, target) = request_line(line)?;
    let mut text = HeadText::new(method, target, notes, bytes.len().min(FIELD_BYTES));
    let mut short = Vec::with_capacity(2 * line.len());
    let mut at = line.len() + 2;
    short.extend_from_slice(&bytes[..at]);
    let mut seen = Seen::default();
    let mut marks = [0; limits::REQUEST_HEADER_LINES];
    let mut fields = 0;
    loop {
        let line = line_at(bytes, at)?;
        let end = at + line.len() + 2;
        if line.is_empty() {
            short.extend_from_slice(b"\r\n");
            let head = Head { bytes: end, framing: seen.framing()? };
            return is_clean(&bytes[..end], fields + 2).then_some(Plain { head, text, short });
        }
        let (name_bytes, mark) = name_of(line)?;
        if name_bytes == 0 || line[name_bytes] != b':' {
            return None;
        }
        let value = line[name_bytes + 1..].trim_ascii();
        let name = text.field(&line[..name_bytes], value);
        // No name stands twice. Two that differ may have one mark: then the long way is taken in vain.
        let (before, [this, ..]) = marks.split_at_mut_checked(fields)? else { return None };
        if before.contains(&mark) {
            return None;
        }
        *this = mark;
        fields += 1;
        if seen.field(name, value)? {
            short.extend_from_slice(&bytes[at..end]);
        }
        at = end;
    }
}

/// The line that begins here, without its CRLF.
pub(super) fn line_at(bytes: &[u8], at: usize) -> Option<&[u8]> {
    let rest = &bytes[at..];
    rest[..memchr(b'\n', rest)?].strip_suffix(b"\r")
}

/// Method and target.
pub(super) fn request_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let words = line.strip_suffix(b" HTTP/1.1")?;
    let (method, target) = words.split_at_checked(memchr(b' ', words)?)?;
    let target = &target[1..];
    (is_token(method) && method != b"CONNECT" && is_plain_path(target)).then_some((method, target))
}

/// Whether no control character is in a head besides those that end its lines, which are so many.
pub(super) fn is_clean(head: &[u8], lines: usize) -> bool {
    // In pieces whose count fits a byte, so that the compiler takes many bytes at a time.
    let count =
        |piece: &[u8]| piece.iter().fold(0, |count: u8, &byte| count.wrapping_add(u8::from(!is_value_byte(byte))));
    head.chunks(128).map(|piece| usize::from(count(piece))).sum::<usize>() == 2 * lines
}

/// How long the name is that a line begins with, and a number that names seldom have in common.
pub(super) fn name_of(line: &[u8]) -> Option<(usize, u16)> {
    let mut sum: u16 = 0;
    for (length, &byte) in line.iter().enumerate() {
        match lower_token_byte(byte) {
            0 => return Some((length, sum.wrapping_add((length as u16) << 11))),
            lower => sum = sum.wrapping_add(lower.into()),
        }
    }
    None
}

impl Seen {
    /// A field, its name in lower case. Whether the parser has to see it.
    fn field(&mut self, name: &[u8], value: &[u8]) -> Option<bool> {
        match name {
            b"host" => {
                self.has_host = true;
                is_host(value).then_some(false)
            }
            b"content-length" => {
                self.content_length = Some(content_length(value).ok()?);
                Some(true)
            }
            b"transfer-encoding" => {
                self.is_chunked = true;
                value.eq_ignore_ascii_case(b"chunked").then_some(true)
            }
            // What HTTP/1.1 does anyway (RFC 9112 §9.3).
            b"connection" => Some(!value.eq_ignore_ascii_case(b"keep-alive")),
            b"expect" => Some(true),
            b"upgrade" => None,
            name => (!name.starts_with(b"sec-websocket-")).then_some(false),
        }
    }

    fn framing(&self) -> Option<Framing> {
        match (self.has_host, self.is_chunked, self.content_length) {
            (false, ..) | (_, true, Some(_)) => None,
            (_, true, None) => Some(Framing::Chunked),
            (_, false, Some(length @ 1..)) => Some(Framing::Sized(length)),
            (_, false, _) => Some(Framing::None),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use http::{HeaderName, HeaderValue, Method, Request, Uri};
    use proptest::prelude::*;

    use super::super::{HeadScreen, request};
    use super::*;

    pub const MOST: usize = 4096;
    const NOTES: &str = ":note:1\n";

    /// What the long way makes of some bytes: the head that the screen finds, and the parsed request. `None`: it is
    /// refused, or not whole.
    pub fn long_way(bytes: &[u8]) -> Option<(Head, http::request::Parts)> {
        let head = HeadScreen::new(MOST).look(bytes).ok().flatten()?;
        let mut fields = [httparse::EMPTY_HEADER; limits::REQUEST_HEADER_LINES];
        let mut parsed = httparse::Request::new(&mut fields);
        assert!(parsed.parse(&bytes[..head.bytes]).unwrap().is_complete());
        let method = Method::from_bytes(parsed.method.unwrap().as_bytes()).unwrap();
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = parsed.path.unwrap().parse::<Uri>().unwrap();
        for field in parsed.headers {
            let name = HeaderName::from_bytes(field.name.as_bytes()).unwrap();
            request.headers_mut().append(name, HeaderValue::from_bytes(field.value).unwrap());
        }
        let (parts, ()) = request.into_parts();
        request::check_host(&parts.headers).and_then(|()| request::path(&parts)).ok()?;
        Some((head, parts))
    }

    /// Takes a head, and holds what comes of it to what comes of it the long way. Whether it was taken.
    fn taken(bytes: &[u8]) -> bool {
        let Some(plain) = HeadScreen::new(MOST).take(bytes, NOTES) else { return false };
        let shown = bytes.escape_ascii();
        let Some((head, parts)) = long_way(bytes) else { panic!("{shown} is refused") };
        assert_eq!(plain.head, head, "{shown}");
        assert_eq!(plain.text, HeadText::of(&parts, NOTES), "{shown}");
        // The short one says the same of all that a parser acts on.
        let named = ["content-length", "transfer-encoding", "expect", "connection", "upgrade", "sec-websocket-key"];
        let with_host = plain.short.strip_suffix(b"\r\n").unwrap();
        let (short, less) = long_way(&[with_host, b"Host:\r\n\r\n"].concat()).unwrap();
        assert_eq!(short.framing, head.framing, "{shown}");
        assert_eq!((&less.method, &less.uri), (&parts.method, &parts.uri), "{shown}");
        for name in named {
            let value = parts.headers.get(name);
            let is_moot =
                name == "connection" && value.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"keep-alive"));
            assert_eq!(less.headers.get(name), value.filter(|_| !is_moot), "{shown}");
        }
        true
    }

    /// What a regular expression matches. It is read once, not for each value as where it stands bare.
    pub fn text(pattern: &str) -> impl Strategy<Value = String> {
        prop::string::string_regex(pattern).unwrap()
    }

    /// A head that begins so, with these fields; one byte of it may be another one.
    pub fn written(
        start: &str,
        names: &[String],
        values: &[String],
        end: &str,
        spoilt: Option<(prop::sample::Index, u8)>,
    ) -> Vec<u8> {
        let fields = names.iter().zip(values).map(|(name, value)| format!("{name}:{value}\r\n")).collect::<String>();
        let mut head = format!("{start}\r\n{fields}{end}").into_bytes();
        if let Some((index, byte)) = spoilt {
            let at = index.index(head.len());
            head[at] = byte;
        }
        head
    }

    fn with(fields: &str) -> bool {
        taken(format!("POST /a/b?c=%20d HTTP/1.1\r\nHost: a:80\r\n{fields}\r\nGET /").as_bytes())
    }

    #[test]
    fn what_clients_send_is_taken() {
        assert!(taken(b"GET / HTTP/1.1\r\nHost:\r\n\r\n"));
        let (names, values): (Vec<_>, Vec<_>) = BROWSER.iter().copied().unzip();
        assert_eq!(names.len(), values.len());
        let fields = BROWSER.map(|(name, value)| format!("{name}: {value}\r\n")).concat();
        assert!(with(&fields));
        for fields in [
            "X: a\tb \u{e4}\r\nY:\r\nZ:z\r\nz-0: \t \r\n",
            "Content-Length: 5\r\nExpect: 100-continue\r\n",
            "content-length: 0\r\nCONNECTION: close\r\n",
            "transfer-encoding: Chunked\r\nTrailer: x\r\nTE: trailers\r\n",
            "Connection: Keep-Alive\r\n",
            "Connection: keep-alive, x\r\nKeep-Alive: 5\r\n",
        ] {
            assert!(with(fields), "{fields}");
        }
        let most = (1..limits::REQUEST_HEADER_LINES).map(|at| format!("x-{at}: {at}\r\n"));
        // Some of these names have one mark, so they go the long way; so many fields may be too many there.
        with(&most.clone().collect::<String>());
        assert!(!with(&(most.collect::<String>() + "y: \r\n")));
    }

    #[test]
    fn what_is_not_plain_is_left() {
        for fields in [
            "Upgrade: h2c\r\n",
            "Sec-WebSocket-Key: a\r\n",
            "X: 1\r\nx: 2\r\n",
            "Host: b\r\n",
            "Content-Length: 5\r\ncontent-length: 5\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: +5\r\n",
            "Transfer-Encoding: gzip\r\n",
            "X : a\r\n",
            "X\r\n",
            ": a\r\n",
            " X: a\r\n",
            "X: a\r\n b\r\n",
            "X: a\rb\r\n",
            "X: a\0\r\n",
            "X: a\n",
            "\u{e4}: a\r\n",
        ] {
            assert!(!with(fields), "{fields:?}");
        }
        for head in [
            "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: a\r\n\r\n",
            "GET /#a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
            "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
            "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "GET / HTTP/1.1\r\n",
            "",
        ] {
            assert!(!taken(head.as_bytes()), "{head:?}");
        }
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(MOST));
        assert!(!taken(long.as_bytes()));
        // Whose beginning was looked at already.
        let mut screen = HeadScreen::new(MOST);
        let head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
        assert_eq!(screen.look(&head[..10]), Ok(None));
        assert_eq!(screen.take(head, ""), None);
    }

    const BROWSER: [(&str, &str); 14] = [
        ("Connection", "keep-alive"),
        ("sec-ch-ua", "\"Chromium\";v=\"130\", \"Not?A_Brand\";v=\"99\""),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", "\"Linux\""),
        ("Upgrade-Insecure-Requests", "1"),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"),
        ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("Sec-Fetch-Site", "none"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-User", "?1"),
        ("Sec-Fetch-Dest", "document"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", "en-GB,en;q=0.9"),
        ("Cookie", "session=0123456789abcdef; theme=dark"),
    ];

    proptest! {
        #[test]
        fn what_is_taken_comes_to_what_the_long_way_comes_to(
            method in prop::sample::select(vec!["GET", "HEAD", "POST", "OPTIONS", "get", "M-SEARCH", "CONNECT", "G(T"]),
            target in "(/[a-z%20?=&#+~.*]{0,12}|\\*|http://a/b)",
            names in prop::collection::vec(text("(?i)(host|expect|connection|content-length|transfer-encoding|upgrade|x|y-[a-d]|te|[!-~]{1,4})"), 0..6),
            values in prop::collection::vec(text("[ \t]{0,2}(|a:80|5|0|chunked|close|keep-alive|100-continue|[ -~\u{e4}\t]{0,9})[ \t]{0,2}"), 6),
            end in prop::sample::select(vec!["\r\n", "", "\n", "\r\nGET / HTTP/1.1\r\n"]),
            spoilt in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let head = written(&format!("{method} {target} HTTP/1.1\r\nHost: a"), &names, &values, end, spoilt);
            taken(&head);
        }
    }
}
