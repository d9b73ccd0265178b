//! The short way of a head that opens a WebSocket and has come whole, with nothing unusual in it: one look judges
//! its syntax, and makes a request of the fields that say anything about the opening.
//!
//! It decides nothing by itself, as [`plain`](super::plain) does not: what is odd, broken or repeated it leaves to the
//! [`HeadScreen`](super::HeadScreen) and the parser, and whether the opening is a good one to whoever judges such a
//! request. A test holds it to what comes of the long way. Memory: the request.

use http::header::{CONNECTION, HOST, ORIGIN, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};

use super::plain::{is_clean, line_at, name_of, request_line};
use super::request::is_host;
use crate::limits;

/// A head that was taken.
#[derive(Debug)]
pub struct PlainOpening {
    /// Its length, the empty line included. No content comes behind it.
    pub bytes: usize,
    /// A GET with one `Host`, a good one. Of its other fields it has `Upgrade`, `Connection`, `Origin` and those whose
    /// names begin with `Sec-WebSocket-`.
    pub parts: Parts,
}

/// Fields of such a request, most often: the four of a client that is no browser, one more of each, and `Host`.
const FIELDS: usize = 8;

/// Takes the head that these bytes begin with. `None`: it is not for this.
pub(super) fn take(bytes: &[u8], most_bytes: usize) -> Option<PlainOpening> {
    let bytes = &bytes[..bytes.len().min(most_bytes)];
    let line = line_at(bytes, 0)?;
    let (b"GET", target) = request_line(line)? else { return None };
    let mut headers = HeaderMap::with_capacity(FIELDS);
    let mut at = line.len() + 2;
    let mut marks = [0; limits::REQUEST_HEADER_LINES];
    let mut fields = 0;
    loop {
        let line = line_at(bytes, at)?;
        let end = at + line.len() + 2;
        if line.is_empty() {
            let is_whole = headers.contains_key(HOST) && headers.contains_key(UPGRADE);
            if !is_whole || !is_clean(&bytes[..end], fields + 2) {
                return None;
            }
            return Some(PlainOpening { bytes: end, parts: parts(target, headers)? });
        }
        let (name_bytes, mark) = name_of(line)?;
        if name_bytes == 0 || line[name_bytes] != b':' {
            return None;
        }
        let (before, [this, ..]) = marks.split_at_mut_checked(fields)? else { return None };
        if before.contains(&mark) {
            return None;
        }
        *this = mark;
        fields += 1;
        let (name, value) = (&line[..name_bytes], line[name_bytes + 1..].trim_ascii());
        if let Some(name) = wanted(name, value)? {
            headers.insert(name, HeaderValue::from_bytes(value).ok()?);
        }
        at = end;
    }
}

/// The name of a field that has to be in the request; `Some(None)` if it need not. `None`: the head is not for this.
fn wanted(name: &[u8], value: &[u8]) -> Option<Option<HeaderName>> {
    let is = |other: &[u8]| name.eq_ignore_ascii_case(other);
    match name.len() {
        4 if is(b"host") => is_host(value).then_some(Some(HOST)),
        6 if is(b"origin") => Some(Some(ORIGIN)),
        6 if is(b"expect") => None,
        7 if is(b"upgrade") => Some(Some(UPGRADE)),
        10 if is(b"connection") => Some(Some(CONNECTION)),
        14 if is(b"content-length") => None,
        17 if is(b"transfer-encoding") => None,
        14.. if name[..14].eq_ignore_ascii_case(b"sec-websocket-") => HeaderName::from_bytes(name).ok().map(Some),
        _ => Some(None),
    }
}

fn parts(target: &[u8], headers: HeaderMap) -> Option<Parts> {
    let (mut parts, ()) = Request::new(()).into_parts();
    parts.uri = Uri::try_from(target).ok()?;
    parts.headers = headers;
    Some(parts)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::HeadScreen;
    use super::super::content::Framing;
    use super::super::plain::tests::{MOST, long_way, text, written};
    use super::*;

    /// Takes a head, and holds what comes of it to what comes of it the long way. Whether it was taken.
    fn taken(bytes: &[u8]) -> bool {
        let Some(opening) = HeadScreen::new(MOST).take_opening(bytes) else { return false };
        let shown = bytes.escape_ascii();
        let Some((head, parts)) = long_way(bytes) else { panic!("{shown} is refused") };
        assert_eq!((opening.bytes, Framing::None), (head.bytes, head.framing), "{shown}");
        assert_eq!(opening.parts.method, parts.method, "{shown}");
        assert_eq!(opening.parts.uri, parts.uri, "{shown}");
        assert_eq!(opening.parts.version, parts.version, "{shown}");
        // All that is judged of an opening, in the same number of lines.
        let is_judged = |name: &HeaderName| {
            [HOST, UPGRADE, CONNECTION, ORIGIN].contains(name) || name.as_str().starts_with("sec-websocket-")
        };
        for name in parts.headers.keys().filter(|name| is_judged(name)) {
            let [less, all] =
                [&opening.parts, &parts].map(|parts| parts.headers.get_all(name).iter().collect::<Vec<_>>());
            assert_eq!(less, all, "{shown}");
        }
        assert!(opening.parts.headers.keys().all(is_judged), "{shown}");
        true
    }

    fn with(fields: &str) -> bool {
        taken(format!("GET /a/b?c=%20d HTTP/1.1\r\nHost: a:80\r\n{fields}\r\n\u{1}\u{0}").as_bytes())
    }

    #[test]
    fn what_clients_send_is_taken() {
        assert!(with(
            "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        ));
        assert!(with(
            "Connection: Upgrade\r\nPragma: no-cache\r\nCache-Control: no-cache\r\nUser-Agent: Mozilla/5.0 (X11)\r\n\
             Upgrade: websocket\r\nOrigin: https://example.org\r\nSec-WebSocket-Version: 13\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\nCookie: a=b; c=\u{e4}\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat, v2\r\n\
             Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        ));
        // Whether these open anything is not for this to say.
        assert!(with("UPGRADE:h2c\r\n"));
        assert!(with("Upgrade: \t websocket \r\nConnection: close\r\nSec-WebSocket-Foo:\r\n"));
    }

    #[test]
    fn what_is_not_ordinary_is_left() {
        for fields in [
            "",
            "Connection: Upgrade\r\n",
            "Upgrade: websocket\r\nupgrade: websocket\r\n",
            "Upgrade: websocket\r\nHost: b\r\n",
            "Upgrade: websocket\r\nOrigin: http://a\r\nOrigin: http://a\r\n",
            "Upgrade: websocket\r\nX: 1\r\nX: 2\r\n",
            "Upgrade: websocket\r\nContent-Length: 0\r\n",
            "Upgrade: websocket\r\ntransfer-encoding: chunked\r\n",
            "Upgrade: websocket\r\nExpect: 100-continue\r\n",
            "Upgrade: websocket\r\nX : a\r\n",
            "Upgrade: websocket\r\n X: a\r\n",
            "Upgrade: websocket\r\nX: a\r\n b\r\n",
            "Upgrade: websocket\r\nX: a\rb\r\n",
            "Upgrade: web\0socket\r\n",
            "Upgrade: websocket\n",
            "Upgrade: websocket\r\n: a\r\n",
            "Upgrade: websocket\r\nX\r\n",
        ] {
            assert!(!with(fields), "{fields:?}");
        }
        for start in [
            "POST /a HTTP/1.1\r\nHost: a",
            "get /a HTTP/1.1\r\nHost: a",
            "GET /a HTTP/1.0\r\nHost: a",
            "GET /a HTTP/1.1\r\nHost: a b",
            "GET /a HTTP/1.1\r\nX: a",
            "GET http://a/ HTTP/1.1\r\nHost: a",
            "GET /#a HTTP/1.1\r\nHost: a",
            "\r\nGET /a HTTP/1.1\r\nHost: a",
            "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /a HTTP/1.1\r\nHost: a",
        ] {
            let head = format!("{start}\r\nUpgrade: websocket\r\n\r\n");
            assert!(!taken(head.as_bytes()), "{head:?}");
            assert!(!taken(&head.as_bytes()[..head.len() - 1]), "{head:?}");
        }
        let long = format!("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nX: {}\r\n\r\n", "x".repeat(MOST));
        assert!(!taken(long.as_bytes()));
        // Names that have no mark in common.
        let lines = |count: usize| (1..=count).map(|at| format!("{}: 1\r\n", "x".repeat(at))).collect::<String>();
        let head = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n{}\r\n", lines(count));
        assert!(taken(head(20).as_bytes()));
        let many: String = (0..limits::REQUEST_HEADER_LINES).map(|at| format!("x-{at}: 1\r\n")).collect();
        assert!(!with(&format!("Upgrade: websocket\r\n{many}")));
    }

    proptest! {
        #[test]
        fn what_is_taken_comes_to_what_the_long_way_comes_to(
            method in prop::sample::select(vec!["GET", "GET", "GET", "GET", "POST", "get"]),
            target in "(/[a-z%20?=&#+~.*]{0,12}|\\*|http://a/b)",
            names in prop::collection::vec(text("(?i)(host|expect|connection|content-length|transfer-encoding|origin|sec-websocket-(key|version|protocol|extensions|[a-c])|x|y-[a-d]|[!-~]{1,4})"), 0..7),
            values in prop::collection::vec(text("[ \t]{0,2}(|a:80|13|0|chunked|upgrade|keep-alive, Upgrade|websocket|[ -~\u{e4}\t]{0,9})[ \t]{0,2}"), 7),
            end in prop::sample::select(vec!["\r\n", "", "\n", "\r\nGET / HTTP/1.1\r\n"]),
            spoilt in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let start = format!("{method} {target} HTTP/1.1\r\nHost: a\r\nUpgrade: websocket");
            let head = written(&start, &names, &values, end, spoilt);
            taken(&head);
        }
    }
}
