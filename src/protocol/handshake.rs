//! The server's side of the opening handshake (RFC 6455 §4.2), as a judgement of a parsed request.
//!
//! The gate asks, on its own thread, and writes the answer. What holds for every HTTP request (one
//! Host, limits of the head) was checked before. Work and memory are linear in the request's head.

use std::collections::HashSet;

use http::header::{
    ALLOW, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use tungstenite::handshake::derive_accept_key;

/// A good opening handshake, not yet answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    accept_key: HeaderValue,
    /// The subprotocol to answer with: at first the one that the client offered first. Whoever sets
    /// another answers for the client having offered it (RFC 6455 §4.2.2).
    pub subprotocol: Option<HeaderValue>,
    /// The extensions to answer with: at first none. [`negotiate`](super::negotiate) gives them.
    pub extensions: Option<HeaderValue>,
}

impl Opening {
    /// Judges a request.
    ///
    /// # Errors
    /// The first of RFC 6455 §4.2.1's conditions that the request does not meet.
    pub fn judge(request: &Parts) -> Result<Self, Refusal> {
        let headers = &request.headers;
        if !lists(headers, UPGRADE, b"websocket") {
            return Err(Refusal::NotAnUpgrade);
        }
        if request.version != Version::HTTP_11 {
            return Err(Refusal::HttpVersion);
        }
        if request.method != Method::GET {
            return Err(Refusal::Method);
        }
        if !lists(headers, CONNECTION, b"upgrade") {
            return Err(Refusal::Connection);
        }
        if sole(headers, SEC_WEBSOCKET_VERSION) != Some(b"13") {
            return Err(Refusal::WebSocketVersion);
        }
        let key = sole(headers, SEC_WEBSOCKET_KEY).filter(|key| is_key(key)).ok_or(Refusal::Key)?;
        Ok(Self {
            accept_key: HeaderValue::try_from(derive_accept_key(key)).map_err(|_| Refusal::Key)?,
            subprotocol: first_subprotocol(headers)?,
            extensions: None,
        })
    }

    /// Whether a request asks for a WebSocket, be it in the wrong way. One that does not may be another
    /// route's, at the same path.
    pub fn is_wanted(request: &Parts) -> bool {
        lists(&request.headers, UPGRADE, b"websocket") || request.headers.contains_key(SEC_WEBSOCKET_KEY)
    }

    /// The header fields of the 101 response (RFC 6455 §4.2.2).
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(5);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept_key.clone());
        if let Some(subprotocol) = &self.subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol.clone());
        }
        if let Some(extensions) = &self.extensions {
            headers.insert(SEC_WEBSOCKET_EXTENSIONS, extensions.clone());
        }
        headers
    }

    /// The whole head of that response.
    pub fn response(&self) -> Vec<u8> {
        let mut response = Vec::with_capacity(RESPONSE_BYTES);
        response
            .extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n");
        let fields = [
            (SEC_WEBSOCKET_ACCEPT, Some(&self.accept_key)),
            (SEC_WEBSOCKET_PROTOCOL, self.subprotocol.as_ref()),
            (SEC_WEBSOCKET_EXTENSIONS, self.extensions.as_ref()),
        ];
        for (name, value) in fields {
            let Some(value) = value else { continue };
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                response.extend_from_slice(part);
            }
        }
        response.extend_from_slice(b"\r\n");
        response
    }
}

/// Room for a response with one field more than it must have.
const RESPONSE_BYTES: usize = 256;

/// Why a request does not open a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// It does not ask for one: no `Upgrade` field lists `websocket`.
    NotAnUpgrade,
    /// Not HTTP/1.1.
    HttpVersion,
    /// Not GET.
    Method,
    /// No `Connection` field lists `upgrade`.
    Connection,
    /// Not exactly one `Sec-WebSocket-Version`, or not 13.
    WebSocketVersion,
    /// Not exactly one `Sec-WebSocket-Key`, or not the base64 of 16 bytes.
    Key,
    /// `Sec-WebSocket-Protocol` is not a list of distinct tokens.
    Subprotocol,
    /// `Sec-WebSocket-Extensions` breaks its grammar (RFC 6455 §9.1).
    Extensions,
}

impl Refusal {
    /// The status of the answer. A request that is [not an upgrade](Self::NotAnUpgrade) may deserve
    /// another one, where its URL serves more than WebSockets.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::NotAnUpgrade | Self::WebSocketVersion => StatusCode::UPGRADE_REQUIRED,
            Self::HttpVersion => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Connection | Self::Key | Self::Subprotocol | Self::Extensions => StatusCode::BAD_REQUEST,
        }
    }

    /// The header field that the status asks for: which version, method or protocol would do
    /// (RFC 6455 §4.2.2, RFC 9110 §15.5.6 and §15.5.22).
    pub const fn header(self) -> Option<(HeaderName, HeaderValue)> {
        match self {
            Self::NotAnUpgrade => Some((UPGRADE, HeaderValue::from_static("websocket"))),
            Self::Method => Some((ALLOW, HeaderValue::from_static("GET"))),
            Self::WebSocketVersion => Some((SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))),
            Self::HttpVersion | Self::Connection | Self::Key | Self::Subprotocol | Self::Extensions => None,
        }
    }

    /// The body of the answer: what was wrong, in one line.
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NotAnUpgrade => "Upgrade: websocket is missing",
            Self::HttpVersion => "a WebSocket opens over HTTP/1.1",
            Self::Method => "a WebSocket opens with GET",
            Self::Connection => "Connection: Upgrade is missing",
            Self::WebSocketVersion => "Sec-WebSocket-Version must be 13",
            Self::Key => "Sec-WebSocket-Key must be one base64 value of 16 bytes",
            Self::Subprotocol => "Sec-WebSocket-Protocol must be a list of distinct tokens",
            Self::Extensions => "Sec-WebSocket-Extensions must be a list of extensions with their parameters",
        }
    }
}

/// The elements of a list field over all of its lines; empty ones are skipped (RFC 9110 §5.6.1).
fn elements(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(name)
        .into_iter()
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|element| !element.is_empty())
}

/// Whether a list field has an element, in whatever case.
fn lists(headers: &HeaderMap, name: HeaderName, element: &[u8]) -> bool {
    elements(headers, name).any(|listed| listed.eq_ignore_ascii_case(element))
}

/// The value of a field that stands in exactly one line.
fn sole(headers: &HeaderMap, name: HeaderName) -> Option<&[u8]> {
    let mut lines = headers.get_all(name).into_iter();
    let line = lines.next()?;
    lines.next().is_none().then(|| line.as_bytes().trim_ascii())
}

/// Whether a key is the base64 of 16 bytes. Like other servers, it forgives pad bits that are not
/// zero: the key is hashed as it stands, not decoded.
fn is_key(key: &[u8]) -> bool {
    key.len() == 24
        && key.strip_suffix(b"==").is_some_and(|digits| {
            digits.iter().all(|&digit| digit.is_ascii_alphanumeric() || matches!(digit, b'+' | b'/'))
        })
}

/// The first offered subprotocol, once the whole offer was found to be distinct tokens (RFC 6455
/// §4.1, item 10 of the request).
fn first_subprotocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, Refusal> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    let mut offered = HashSet::new();
    let mut first = None;
    for token in elements(headers, SEC_WEBSOCKET_PROTOCOL) {
        if !token.iter().all(|&byte| is_token_byte(byte)) || !offered.insert(token) {
            return Err(Refusal::Subprotocol);
        }
        first = first.or(Some(token));
    }
    let first = first.ok_or(Refusal::Subprotocol)?;
    HeaderValue::from_bytes(first).map(Some).map_err(|_| Refusal::Subprotocol)
}

/// Whether a byte may stand in a token (RFC 9110 §5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handshake of RFC 6455 §1.3, with each named field's lines replaced by those given.
    fn request(changes: &[(&str, &[&str])]) -> Parts {
        let (mut parts, ()) = http::Request::builder().uri("/chat").body(()).expect("a good request").into_parts();
        let lines = [
            ("upgrade", "websocket"),
            ("connection", "Upgrade"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("sec-websocket-version", "13"),
        ];
        for (name, value) in lines {
            parts.headers.insert(name, HeaderValue::from_static(value));
        }
        for (name, values) in changes {
            parts.headers.remove(*name);
            for value in *values {
                let name = HeaderName::try_from(*name).expect("a good name");
                parts.headers.append(name, HeaderValue::try_from(*value).expect("a good value"));
            }
        }
        parts
    }

    fn refusal(changes: &[(&str, &[&str])]) -> Option<Refusal> {
        Opening::judge(&request(changes)).err()
    }

    #[test]
    fn the_handshake_of_the_rfc() {
        let opening = Opening::judge(&request(&[])).expect("a good handshake");
        let headers = opening.headers();
        assert_eq!(headers[SEC_WEBSOCKET_ACCEPT], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(headers[UPGRADE], "websocket");
        assert_eq!(headers[CONNECTION], "Upgrade");
        assert_eq!(headers.len(), 3);
    }

    #[test]
    fn the_response_has_the_fields_and_no_others() {
        let mut opening = Opening::judge(&request(&[("sec-websocket-protocol", &["chat"])])).expect("a good handshake");
        for extensions in [None, Some(HeaderValue::from_static("permessage-deflate"))] {
            opening.extensions = extensions;
            let fields = opening.headers();
            let fields = fields.iter().map(|(name, value)| format!("{name}: {}\r\n", value.to_str().expect("ASCII")));
            let expected = format!("HTTP/1.1 101 Switching Protocols\r\n{}\r\n", fields.collect::<String>());
            assert_eq!(String::from_utf8(opening.response()), Ok(expected));
        }
    }

    #[test]
    fn lists_may_have_cases_blanks_and_several_lines() {
        assert_eq!(refusal(&[("upgrade", &["h2c, WebSocket"])]), None);
        assert_eq!(refusal(&[("upgrade", &["h2c", "websocket"])]), None);
        assert_eq!(refusal(&[("connection", &["keep-alive,\tUPGRADE ,"])]), None);
        assert_eq!(refusal(&[("connection", &["keep-alive", "Upgrade"])]), None);
    }

    #[test]
    fn what_does_not_ask_is_told_apart() {
        for lines in [&[][..], &["h2c"], &["websockets"], &["web socket"], &["websocket/13"]] {
            assert_eq!(refusal(&[("upgrade", lines)]), Some(Refusal::NotAnUpgrade), "{lines:?}");
        }
        assert_eq!(refusal(&[("connection", &[])]), Some(Refusal::Connection));
        assert_eq!(refusal(&[("connection", &["keep-alive, not-upgrade"])]), Some(Refusal::Connection));
    }

    #[test]
    fn method_and_version() {
        let mut parts = request(&[]);
        parts.method = Method::POST;
        assert_eq!(Opening::judge(&parts), Err(Refusal::Method));
        assert_eq!(Refusal::Method.status(), 405);
        for version in [Version::HTTP_10, Version::HTTP_2] {
            let mut parts = request(&[]);
            parts.version = version;
            assert_eq!(Opening::judge(&parts), Err(Refusal::HttpVersion));
        }
    }

    #[test]
    fn only_websocket_version_13() {
        for lines in [&[][..], &["8"], &["13", "13"], &["13, 8"], &["013"], &[""]] {
            let refusal = refusal(&[("sec-websocket-version", lines)]);
            assert_eq!(refusal, Some(Refusal::WebSocketVersion), "{lines:?}");
        }
        assert_eq!(Refusal::WebSocketVersion.status(), 426);
        let header = Refusal::WebSocketVersion.header();
        assert_eq!(header, Some((SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))));
    }

    #[test]
    fn one_key_of_sixteen_bytes() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        let bad = [
            &[][..],
            &[key, key],
            &[""],
            &["dGhlIHNhbXBsZSBub25jZQ"],
            &["dGhlIHNhbXBsZSBub25jZQ="],
            &["dGhlIHNhbXBsZSBub25jZSE="],
            &["dGhlIHNhbXBsZSBub25jZSEh"],
            &["dGhl-HNhbXBsZSBub25jZQ=="],
            &["dGhlIHNhbXBsZSBub25jZ==="],
        ];
        for lines in bad {
            assert_eq!(refusal(&[("sec-websocket-key", lines)]), Some(Refusal::Key), "{lines:?}");
        }
        assert_eq!(Refusal::Key.status(), 400);
        assert_eq!(refusal(&[("sec-websocket-key", &["AQIDBAUGBwgJCgsMDQ4P+/=="])]), None);
    }

    #[test]
    fn the_first_offered_subprotocol_is_chosen() {
        let chosen = |lines: &[&str]| {
            let opening = Opening::judge(&request(&[("sec-websocket-protocol", lines)])).expect("a good offer");
            opening.headers().get(SEC_WEBSOCKET_PROTOCOL).cloned()
        };
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&["chat"]), Some(HeaderValue::from_static("chat")));
        assert_eq!(chosen(&["v2.chat , chat"]), Some(HeaderValue::from_static("v2.chat")));
        assert_eq!(chosen(&["", ", b", "a"]), Some(HeaderValue::from_static("b")));
    }

    #[test]
    fn an_offer_is_a_list_of_distinct_tokens() {
        for lines in [&[""][..], &[","], &["a b"], &["a, b\"c"], &["a;q=1"], &["a, a"], &["a", "b,a"], &["ä"]] {
            let refusal = refusal(&[("sec-websocket-protocol", lines)]);
            assert_eq!(refusal, Some(Refusal::Subprotocol), "{lines:?}");
        }
        assert_eq!(refusal(&[("sec-websocket-protocol", &["a, A"])]), None);
    }

    #[test]
    fn a_refusal_says_what_would_do() {
        assert_eq!(Refusal::NotAnUpgrade.header(), Some((UPGRADE, HeaderValue::from_static("websocket"))));
        assert_eq!(Refusal::Method.header(), Some((ALLOW, HeaderValue::from_static("GET"))));
        assert_eq!(Refusal::HttpVersion.status(), 505);
        assert_eq!(Refusal::Connection.header(), None);
    }
}
