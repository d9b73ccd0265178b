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
