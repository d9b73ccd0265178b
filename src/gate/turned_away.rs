//! Connections that are turned away: what they are told, and how they end.
//!
//! Without TLS it is a whole response, by one write that does not wait; what the peer has sent is read once, and
//! thrown away, so that it does not reset the connection before the peer has read that. A peer that may send more is
//! waited for, while few are (`limits::TURNED_AWAY_LINGERING`). With TLS there is nothing that could be said before a
//! handshake, which would cost more than what it is to spare: the connection is closed.

use std::fmt::Write as _;
use std::future::Future;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use http::header::{CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, DATE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use tokio::time::timeout;

use super::admission::Surplus;
use super::linger::linger;
use super::stream::Stream;
use crate::bridge::{Excess, Ticket};
use crate::limits;

impl Surplus {
    /// The answer to a request of such a connection, which ends behind it.
    pub(super) fn response(self) -> Response<&'static str> {
        let (status, says, wait_seconds) = match self {
            Self::App => (
                StatusCode::SERVICE_UNAVAILABLE,
                "the server has as many connections as it takes",
                limits::RETRY_AFTER_SECONDS,
            ),
            Self::Address(Excess::Connections) => (
                StatusCode::TOO_MANY_REQUESTS,
                "this address has as many connections as it may have",
                limits::RETRY_AFTER_SECONDS,
            ),
            Self::Address(Excess::Rate { wait_seconds }) => {
                (StatusCode::TOO_MANY_REQUESTS, "this address makes connections too fast", wait_seconds)
            }
        };
        let mut response = Response::new(says);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        headers.insert(RETRY_AFTER, wait_seconds.into());
        response
    }

    /// The same as bytes, for a request that nobody parses.
    fn bytes(self) -> Vec<u8> {
        let (mut head, says) = self.response().into_parts();
        head.headers.insert(CONTENT_LENGTH, says.len().into());
        if let Ok(date) = HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::now())) {
            head.headers.insert(DATE, date);
        }
        let mut text = format!("HTTP/1.1 {}\r\n", head.status);
        for (name, value) in &head.headers {
            // All of them are ASCII, and memory does not fail.
            _ = write!(text, "{name}: {}\r\n", value.to_str().unwrap_or_default());
        }
        text.push_str("\r\n");
        text.push_str(says);
        text.into_bytes()
    }
}

/// Those whose end is waited for: as many as there are clones of this.
#[derive(Clone, Default)]
pub(super) struct Lingering(Rc<()>);

impl Lingering {
    fn is_full(&self) -> bool {
        Rc::strong_count(&self.0) > limits::TURNED_AWAY_LINGERING
    }
}

/// Tells a connection without TLS that it is turned away, and ends it. What comes back is its end, where that takes
/// longer; it is counted in until then.
pub(super) fn turn_away(
    mut stream: TcpStream,
    surplus: Surplus,
    ticket: Ticket,
    lingering: &Lingering,
    buffer: &mut [u8],
) -> Option<impl Future<Output = ()> + 'static> {
    let read = stream.read(buffer);
    // The first bytes that are written to a connection find room, or the peer is gone.
    let told = stream.write(&surplus.bytes()).and_then(|_| stream.shutdown(Shutdown::Write));
    let is_done = told.is_err() || read.is_ok_and(|read| read == 0 || is_whole(&buffer[..read]));
    if is_done || lingering.is_full() {
        return None;
    }
    let stream = tokio::net::TcpStream::from_std(stream).ok()?;
    let place = lingering.clone();
    Some(async move {
        const PATIENCE: Duration = Duration::from_secs(limits::TURNED_AWAY_SECONDS);
        // Who has not read it by then does not wait for it.
        let _ = timeout(PATIENCE, linger(Stream::Plain(stream))).await;
        drop((ticket, place));
    })
}

/// Whether a client has sent all that it sends before it has an answer: a request without content, as far as that can
/// be told without parsing it.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.starts_with(b"GET ") && bytes.ends_with(b"\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_told_why_and_when_to_come_again() {
        for (surplus, status, wait) in [
            (Surplus::App, "503 Service Unavailable", "10"),
            (Surplus::Address(Excess::Connections), "429 Too Many Requests", "10"),
            (Surplus::Address(Excess::Rate { wait_seconds: 7 }), "429 Too Many Requests", "7"),
        ] {
            let text = String::from_utf8(surplus.bytes()).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{text}");
            assert!(head.contains(&format!("\r\nretry-after: {wait}\r\n")), "{text}");
            assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{text}");
            assert!(head.contains("\r\nconnection: close\r\n") && head.contains("\r\ndate: "), "{text}");
        }
    }

    #[test]
    fn a_whole_request_needs_no_wait() {
        assert!(is_whole(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert!(!is_whole(b"GET / HTTP/1.1\r\nHost: a\r\n"));
        assert!(!is_whole(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n"));
    }
}
