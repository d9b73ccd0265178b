//! JavaScript's answers as text (see [`command`](crate::bridge::command)), made into responses.
//!
//! `lib/` has checked every part; what is none all the same is answered with 500. Pure functions.

use bytes::{Buf, Bytes};
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING, UPGRADE,
};
use http::{Method, Response, StatusCode};
use hyper::ext::ReasonPhrase;

use super::reply::{Reply, ReplyBody};
use crate::limits;

/// The fields of a 101 that the gate writes itself (RFC 6455 §4.2.2), and those that frame a body.
const OWN_FIELDS: [HeaderName; 6] =
    [UPGRADE, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, CONTENT_LENGTH, TRANSFER_ENCODING];

/// What stands behind the status line where a length is said.
const LENGTH: &[u8] = b":length:";

/// A whole response. A length is said instead of content only where none may follow: to HEAD, and in a 304
/// (RFC 9110 §8.6).
/// `fields` lend their memory. `keep` has the answer counted until its content is written.
pub(super) fn whole(answer: Vec<u8>, method: &Method, fields: HeaderMap, keep: impl FnOnce(Vec<u8>) -> Bytes) -> Reply {
    parse_whole(answer, method, fields, keep).unwrap_or_else(broken)
}

/// The head of a response whose content follows, and its length, if it was said. `None`: it is none.
pub(super) fn streamed(answer: &[u8]) -> Option<(Response<()>, Option<u64>)> {
    parse_head(answer.strip_suffix(b"\n\n").map(|_| &answer[..answer.len() - 1])?, HeaderMap::new())
}

/// What is answered for an answer that is none.
pub(super) fn broken() -> Reply {
    let mut response = Response::new(ReplyBody::none());
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

fn parse_whole(
    answer: Vec<u8>,
    method: &Method,
    fields: HeaderMap,
    keep: impl FnOnce(Vec<u8>) -> Bytes,
) -> Option<Reply> {
    let end = answer.windows(2).position(|pair| pair == b"\n\n")? + 1;
    let (mut response, length) = parse_head(&answer[..end], fields)?;
    let mut body = keep(answer);
    body.advance(end + 1);
    let has_content = method != Method::HEAD && response.status() != StatusCode::NOT_MODIFIED;
    if let (Some(length), true, false) = (length, body.is_empty(), has_content) {
        response.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    Some(response.map(|()| ReplyBody::whole(body)))
}

/// A status line and header lines, each with its line feed.
fn parse_head(head: &[u8], mut fields: HeaderMap) -> Option<(Response<()>, Option<u64>)> {
    fields.clear();
    let mut lines = head.split(|&byte| byte == b'\n').peekable();
    let status_line = lines.next()?;
    let status = StatusCode::from_bytes(status_line.get(..3)?).ok()?;
    if status.is_informational() {
        return None;
    }
    let length = match lines.next_if(|line| line.starts_with(LENGTH)) {
        Some(line) => Some(str::from_utf8(&line[LENGTH.len()..]).ok()?.parse().ok()?),
        None => None,
    };
    let mut response = Response::new(());
    *response.status_mut() = status;
    let reason = status_line.get(4..).unwrap_or_default();
    if status.canonical_reason().is_none_or(|usual| usual.as_bytes() != reason) {
        response.extensions_mut().insert(ReasonPhrase::try_from(reason).ok()?);
    }
    for field in fields_of(lines) {
        let (name, value) = field?;
        // The length is the body's; a second one would hide a response in it.
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            append(&mut fields, name, value)?;
        }
    }
    *response.headers_mut() = fields;
    Some((response, length))
}

/// What JavaScript adds to a 101: the subprotocol, and header fields. `None`: it is not what it says.
pub(super) fn upgrade(answer: &[u8]) -> Option<(Option<HeaderValue>, HeaderMap)> {
    let mut lines = answer.split(|&byte| byte == b'\n');
    let subprotocol = match lines.next()? {
        b"" => None,
        name => Some(HeaderValue::from_bytes(name).ok()?),
    };
    let mut headers = HeaderMap::new();
    for field in fields_of(lines) {
        let (name, value) = field?;
        // A subprotocol is chosen once (RFC 6455 §4.2.2).
        let chosen_twice = name == SEC_WEBSOCKET_PROTOCOL && subprotocol.is_some();
        if !OWN_FIELDS.contains(&name) && !chosen_twice {
            append(&mut headers, name, value)?;
        }
    }
    Some((subprotocol, headers))
}

/// One field more; `None`: they are too many.
fn append(fields: &mut HeaderMap, name: HeaderName, value: HeaderValue) -> Option<()> {
    (fields.len() < limits::RESPONSE_HEADER_LINES).then(|| _ = fields.append(name, value))
}

/// The fields of header lines; `None` in the place of one that is none.
fn fields_of<'a>(lines: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = Option<(HeaderName, HeaderValue)>> {
    lines.filter(|line| !line.is_empty()).map(|line| {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(answer: Vec<u8>) -> Reply {
        super::whole(answer, &Method::GET, HeaderMap::new(), Bytes::from)
    }

    #[test]
    fn a_response_is_what_javascript_wrote() {
        let response = whole(b"418 I'm a cup\nx-a: 1\nx-a: 2\ncontent-length: 9\n\nshort\n\nstout".to_vec());
        assert_eq!(response.status(), 418);
        assert_eq!(response.extensions().get::<ReasonPhrase>().unwrap().as_bytes(), b"I'm a cup");
        assert_eq!(response.headers().get_all("x-a").iter().count(), 2);
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(hyper::body::Body::size_hint(response.body()).exact(), Some(12));
        assert_eq!(whole(b"204\n\n".to_vec()).status(), 204);
        assert!(whole(b"200 OK\n\nok".to_vec()).extensions().is_empty());
    }

    #[test]
    fn what_is_no_response_is_an_error_of_the_server() {
        for bytes in [
            &b""[..],
            b"200 OK\n",
            b"20\n\n",
            b"101 Switching Protocols\n\n",
            b"200 OK\nno colon\n\n",
            b"200 OK\na b: c\n\n",
            b"200 OK\na: \x00\n\n",
            b"200 O\rK\n\n",
        ] {
            assert_eq!(whole(bytes.to_vec()).status(), 500, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn fields_without_end_are_no_response() {
        let fields = |count: usize| (0..count).fold(String::new(), |fields, at| fields + &format!("x-{at}: 1\n"));
        let most = limits::RESPONSE_HEADER_LINES;
        assert_eq!(whole(format!("200 OK\n{}\n", fields(most)).into_bytes()).headers().len(), most);
        for count in [most + 1, 40_000] {
            assert_eq!(whole(format!("200 OK\n{}\n", fields(count)).into_bytes()).status(), 500);
            assert!(streamed(format!("200 OK\n{}\n", fields(count)).as_bytes()).is_none());
            assert!(upgrade(format!("\n{}", fields(count)).as_bytes()).is_none());
        }
    }

    #[test]
    fn an_upgrade_adds_fields_but_not_those_of_the_handshake() {
        let answer = b"chat\nset-cookie: a=1\nset-cookie: b=2\nConnection: close\nsec-websocket-protocol: other\n";
        let (subprotocol, headers) = upgrade(answer).unwrap();
        assert_eq!(subprotocol, Some(HeaderValue::from_static("chat")));
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(headers.len(), 2);
        let (none, headers) = upgrade(b"\nsec-websocket-protocol: other\n").unwrap();
        assert_eq!((none, headers.len()), (None, 1));
        assert!(upgrade(b"").is_some_and(|(none, headers)| none.is_none() && headers.is_empty()));
        assert!(upgrade(b"a\x00b\n").is_none());
    }

    #[test]
    fn a_length_is_said_for_what_has_no_body_or_follows() {
        let answer = b"200 OK\n:length:1234\nx: y\n\n".to_vec();
        assert!(!whole(answer.clone()).headers().contains_key(CONTENT_LENGTH));
        let reported = super::whole(answer, &Method::HEAD, HeaderMap::new(), Bytes::from);
        assert_eq!(reported.headers()[CONTENT_LENGTH], "1234");
        assert_eq!(reported.headers().len(), 2);
        assert_eq!(whole(b"200 OK\n:length:4\n\nbody".to_vec()).headers().len(), 0);
        assert_eq!(whole(b"200 OK\n:length:-4\n\n".to_vec()).status(), 500);
        let (head, length) = streamed(b"206 Partial Content\n:length:5\nx: y\n\n").unwrap();
        assert_eq!((head.status().as_u16(), head.headers().len(), length), (206, 1, Some(5)));
        let (head, length) = streamed(b"200 OK\n\n").unwrap();
        assert_eq!((head.status().as_u16(), length), (200, None));
        assert!(streamed(b"200 OK\n").is_none());
        assert!(streamed(b"100 Continue\n\n").is_none());
    }
}
