//! Asking JavaScript for the answer to a request, and carrying the answer out.
//!
//! A reactor passes the question on and gives the connection its place at once ([`Visit`]); the
//! request waits here, as long as JavaScript takes and the peer stays. Memory: the head, at most
//! `limits::REQUEST_HEAD_BYTES`, copied once, and one boxed future, until the answer.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING, UPGRADE,
};
use http::request::Parts;
use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;
use tokio::sync::oneshot;

use super::wire::Watch;
use crate::protocol::Agreement;
use crate::reactor::{Adopter, Answer, Pass, Route, Visit};

/// The fields of a 101 that the gate writes itself (RFC 6455 §4.2.2), and those that frame a body.
const OWN_FIELDS: [HeaderName; 6] =
    [UPGRADE, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, CONTENT_LENGTH, TRANSFER_ENCODING];

/// The service's error: the connection ends without a response. The peer is gone, or JavaScript wants it so.
#[derive(Debug)]
pub(super) struct NoResponse;

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends without a response")
    }
}

impl std::error::Error for NoResponse {}

/// A place that a reactor keeps for a connection which the gate still has. Dropped before
/// [`Reserved::take`], it tells the reactor that none will come.
pub(super) struct Reserved {
    adopter: Arc<dyn Adopter>,
    pass: Option<Pass>,
}

impl Reserved {
    /// The reactor, and the pass to be shown there with the socket.
    pub(super) fn take(mut self) -> (Arc<dyn Adopter>, Option<Pass>) {
        (self.adopter.clone(), self.pass.take())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.adopter.leave(pass);
        }
    }
}

/// A question that a reactor has.
pub(super) struct Question {
    reserved: Reserved,
    answer: oneshot::Receiver<Answer>,
}

impl Question {
    /// Leaves a request with a reactor.
    pub(super) fn put(
        adopter: Arc<dyn Adopter>,
        route: Arc<Route>,
        agreement: Option<Agreement>,
        head: Vec<u8>,
        peer: Option<SocketAddr>,
    ) -> Self {
        let (channel, answer) = oneshot::channel();
        let pass = Pass::default();
        let reserved = Reserved { adopter, pass: Some(pass.clone()) };
        // Nobody waits for the answer any more if the peer is gone.
        let channel = Box::new(move |answer| drop(channel.send(answer)));
        reserved.adopter.visit(Visit { route, agreement, head, peer, pass, answer: channel });
        Self { reserved, answer }
    }

    /// Waits for the answer. `None`: the peer is gone, or there will be no answer. The place is kept
    /// behind an upgrade only.
    pub(super) async fn answer(mut self, mut watch: Watch<'_>) -> Option<(Answer, Reserved)> {
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(cx) {
                return Poll::Ready(answer.ok());
            }
            watch.poll_gone(cx).map(|()| None)
        })
        .await?;
        if !matches!(answer, Answer::Upgrade { .. }) {
            // The reactor keeps no place behind such an answer.
            self.reserved.pass = None;
        }
        Some((answer, self.reserved))
    }
}

/// A request's head as JavaScript reads it (`lib/http_request.js`): method, target and header fields,
/// a line each. No part of a head that hyper has parsed has a line feed in it.
pub(super) fn head_text(head: &Parts) -> Vec<u8> {
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let fields = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 2);
    let mut text = Vec::with_capacity(head.method.as_str().len() + target.len() + 2 + fields.sum::<usize>());
    text.extend_from_slice(head.method.as_str().as_bytes());
    text.push(b'\n');
    text.extend_from_slice(target.as_bytes());
    text.push(b'\n');
    for (name, value) in &head.headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.push(b':');
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
    text
}

/// The response that JavaScript has written: see [`ANSWER_RESPONSE`](crate::bridge::command::ANSWER_RESPONSE).
/// It has checked every part; what is none all the same is answered with 500.
pub(super) fn response(answer: Vec<u8>) -> Response<Full<Bytes>> {
    parse_response(answer).unwrap_or_else(|| {
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    })
}

fn parse_response(answer: Vec<u8>) -> Option<Response<Full<Bytes>>> {
    let end = answer.windows(2).position(|pair| pair == b"\n\n")? + 1;
    let mut head = answer[..end].split(|&byte| byte == b'\n');
    let status_line = head.next()?;
    let status = StatusCode::from_bytes(status_line.get(..3)?).ok()?;
    if status.is_informational() {
        return None;
    }
    let fields = fields(head)?;
    let reason = status_line.get(4..).unwrap_or_default();
    let reason = ReasonPhrase::try_from(reason).ok()?;
    let body = Bytes::from(answer).slice(end + 1..);
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.extensions_mut().insert(reason);
    for (name, value) in fields {
        // The length is the body's; a second one would hide a response in it.
        if name != CONTENT_LENGTH && name != TRANSFER_ENCODING {
            response.headers_mut().append(name, value);
        }
    }
    Some(response)
}

/// What JavaScript adds to a 101: the subprotocol, and header fields. `None`: it is not what it says.
pub(super) fn upgrade(answer: &[u8]) -> Option<(Option<HeaderValue>, HeaderMap)> {
    let mut lines = answer.split(|&byte| byte == b'\n');
    let subprotocol = match lines.next()? {
        b"" => None,
        name => Some(HeaderValue::from_bytes(name).ok()?),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields(lines)? {
        // A subprotocol is chosen once (RFC 6455 §4.2.2).
        let chosen_twice = name == SEC_WEBSOCKET_PROTOCOL && subprotocol.is_some();
        if !OWN_FIELDS.contains(&name) && !chosen_twice {
            headers.append(name, value);
        }
    }
    Some((subprotocol, headers))
}

fn fields<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    lines
        .filter(|line| !line.is_empty())
        .map(|line| {
            let colon = line.iter().position(|&byte| byte == b':')?;
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            Some((name, value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_told_line_by_line() {
        let request = http::Request::get("http://host/a/b?c=d&e").header("Host", "x").header("a", "1, 2").body(());
        let (head, ()) = request.unwrap().into_parts();
        assert_eq!(head_text(&head), b"GET\n/a/b?c=d&e\nhost:x\na:1, 2\n");
    }

    #[test]
    fn a_response_is_what_javascript_wrote() {
        let response = response(b"418 I'm a teapot\nx-a: 1\nx-a: 2\ncontent-length: 9\n\nshort\n\nstout".to_vec());
        assert_eq!(response.status(), 418);
        assert_eq!(response.extensions().get::<ReasonPhrase>().unwrap().as_bytes(), b"I'm a teapot");
        assert_eq!(response.headers().get_all("x-a").iter().count(), 2);
        assert!(!response.headers().contains_key(CONTENT_LENGTH));
        assert_eq!(hyper::body::Body::size_hint(response.body()).exact(), Some(12));
        assert_eq!(super::response(b"204\n\n".to_vec()).status(), 204);
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
            assert_eq!(response(bytes.to_vec()).status(), 500, "{}", bytes.escape_ascii());
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
}
