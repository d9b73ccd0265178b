//! Bytes to an opening handshake, on the way that the gate goes: the screen of raw heads, hyper's
//! parser, the rules for a request, the judgement of the opening, the negotiation.
//!
//! The screen sees the same whatever the cuts are; hyper finds a request in each head that it passes,
//! with the fields that stand there. What is admitted meets each of RFC 6455 §4.2.1's conditions, by a
//! reading of the same bytes that shares no code with it.
//!
//! Input: what a client sends.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Ready, ready};

use http::{HeaderMap, Request, Response, header};
use hyper::body::Incoming;
use hyper::service::Service;
use tidewire::http::{HeadScreen, Refusal, request};
use tidewire::limits;
use tidewire::protocol::{Compression, Opening, negotiate};

use crate::served::serve;

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let Some(size) = screened(data) else {
        return;
    };
    let bytes = &data[..size];
    let head = Head::read(bytes).expect("the screen found a head");
    let seen = seen(bytes).unwrap_or_else(|| panic!("hyper finds no request in {:?}", String::from_utf8_lossy(bytes)));
    assert_eq!(seen.fields, head.fields.len(), "hyper and a plain reading differ");
    match seen.answer {
        Some(answer) => {
            head.assert_conditions();
            head.assert_answer(&answer);
        }
        None => assert!(!head.is_plainly_good(), "a plain opening handshake was refused"),
    }
}

/// The length of the first head, if the screen passes one.
fn screened(data: &[u8]) -> Option<usize> {
    let whole = HeadScreen::new(limits::REQUEST_HEAD_BYTES).look(data);
    let mut screen = HeadScreen::new(limits::REQUEST_HEAD_BYTES);
    let mut by_bytes = Ok(None);
    for end in 1..=data.len() {
        by_bytes = screen.look(&data[..end]);
        if !matches!(by_bytes, Ok(None)) {
            break;
        }
    }
    let head = |looked: Result<Option<tidewire::http::Head>, Refusal>| looked.map_err(|refusal| refusal.says);
    let whole = head(whole);
    assert_eq!(whole, head(by_bytes), "cuts change what the screen sees");
    let head = whole.ok().flatten()?;
    let bytes = &data[..head.bytes];
    assert!(bytes.ends_with(b"\r\n\r\n"), "a head without its end");
    // RFC 9112 §2.2: what else ends a line for one parser does not for another.
    let lines = String::from_utf8_lossy(bytes).replace("\r\n", "");
    assert!(!lines.contains(['\r', '\n', '\0']), "a stray CR, LF or NUL");
    Some(head.bytes)
}

/// What hyper and the rules behind it made of a request.
#[derive(Debug)]
struct Seen {
    fields: usize,
    /// The response's fields, if it is admitted.
    answer: Option<HeaderMap>,
}

/// `None` if hyper finds no request.
fn seen(data: &[u8]) -> Option<Seen> {
    let judge = Judge { first: Cell::new(None) };
    serve(data, data.len(), &judge);
    judge.first.take()
}

/// hyper's service: keeps what becomes of the first request, and ends the connection.
struct Judge {
    first: Cell<Option<Seen>>,
}

impl Service<Request<Incoming>> for &Judge {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let (head, _) = request.into_parts();
        let answer = request::check_host(&head.headers).and_then(|()| request::path(&head)).ok().and_then(|_| {
            let mut opening = Opening::judge(&head).ok()?;
            opening.extensions = negotiate(&head.headers, Compression::SHARED).ok()?.map(|(_, answer)| answer);
            Some(opening.headers())
        });
        let first = self.first.take().unwrap_or(Seen { fields: head.headers.len(), answer });
        self.first.set(Some(first));
        let mut response = Response::new(String::new());
        response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
        ready(Ok(response))
    }
}

/// A request's head, read line by line.
struct Head<'a> {
    method: &'a [u8],
    version: &'a [u8],
    fields: Vec<(String, &'a [u8])>,
}

impl<'a> Head<'a> {
    fn read(data: &'a [u8]) -> Option<Self> {
        let mut lines = data
            .split(|&byte| byte == b'\n')
            .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
            .skip_while(|line| line.is_empty());
        let first = lines.next()?;
        let method = first.split(|&byte| byte == b' ').next()?;
        let version = first.rsplit(|&byte| byte == b' ').next()?;
        let mut fields = Vec::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            let colon = line.iter().position(|&byte| byte == b':')?;
            fields.push((String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase(), line[colon + 1..].trim_ascii()));
        }
        Some(Self { method, version, fields })
    }

    fn values(&self, name: &str) -> Vec<&'a [u8]> {
        self.fields.iter().filter(|field| field.0 == name).map(|field| field.1).collect()
    }

    fn lists(&self, name: &str, wanted: &str) -> bool {
        let values = self.values(name);
        values
            .iter()
            .flat_map(|value| value.split(|&byte| byte == b','))
            .any(|element| String::from_utf8_lossy(element).trim_matches([' ', '\t']).to_ascii_lowercase() == wanted)
    }

    /// RFC 6455 §4.2.1, item by item.
    fn assert_conditions(&self) {
        assert_eq!(self.method, b"GET", "1: the method");
        assert_eq!(self.version, b"HTTP/1.1", "1: the version");
        assert_eq!(self.values("host").len(), 1, "2: Host");
        assert!(self.lists("upgrade", "websocket"), "3: Upgrade");
        assert!(self.lists("connection", "upgrade"), "4: Connection");
        let keys = self.values("sec-websocket-key");
        assert!(keys.len() == 1 && is_base64_of_16_bytes(keys[0]), "5: Sec-WebSocket-Key {keys:?}");
        assert_eq!(self.values("sec-websocket-version"), [b"13"], "6: Sec-WebSocket-Version");
    }

    /// The answer names nothing that was not offered (RFC 6455 §4.1, of the server's response).
    fn assert_answer(&self, answer: &HeaderMap) {
        let key = self.values("sec-websocket-key")[0];
        assert_eq!(answer[header::SEC_WEBSOCKET_ACCEPT], tungstenite::handshake::derive_accept_key(key));
        if let Some(chosen) = answer.get(header::SEC_WEBSOCKET_PROTOCOL) {
            let offered = self.values("sec-websocket-protocol");
            let mut offered = offered.iter().flat_map(|value| value.split(|&byte| byte == b','));
            assert!(offered.any(|token| token.trim_ascii() == chosen.as_bytes()), "{chosen:?} was not offered");
        }
        if answer.contains_key(header::SEC_WEBSOCKET_EXTENSIONS) {
            let offered = self.values("sec-websocket-extensions").concat();
            assert!(String::from_utf8_lossy(&offered).contains("permessage-deflate"), "no extension was offered");
        }
    }

    /// A handshake as browsers write it: no fields but those that every client sends.
    fn is_plainly_good(&self) -> bool {
        let wanted: [(&str, &[u8]); 4] = [
            ("host", b"localhost"),
            ("upgrade", b"websocket"),
            ("connection", b"Upgrade"),
            ("sec-websocket-version", b"13"),
        ];
        let keys = self.values("sec-websocket-key");
        self.method == b"GET"
            && self.version == b"HTTP/1.1"
            && self.fields.len() == wanted.len() + 1
            && wanted.iter().all(|(name, value)| self.values(name) == [*value])
            && keys.len() == 1
            && is_base64_of_16_bytes(keys[0])
    }
}

/// 22 digits and two pads. The last digit's spare bits may be anything, as other servers have it.
fn is_base64_of_16_bytes(key: &[u8]) -> bool {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(|&digit| DIGITS.contains(char::from(digit)))
}
