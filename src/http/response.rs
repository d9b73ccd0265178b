//! The responses that the gate gives on its own: refusals, and the one that ends HTTP.
//!
//! Called by the gate and by [`super::request`]. Bodies are fixed sentences: nothing of the request
//! is shown in them, so nothing in a request can be reflected. `Date` and `Content-Length` are
//! hyper's.

use http::header::{
    CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, Response, StatusCode};

/// A request that is answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: StatusCode,
    /// The body: a sentence that says what was wrong.
    pub says: &'static str,
    /// What becomes of the connection.
    pub then: Then,
}

/// What becomes of a connection behind a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It may carry a next request.
    KeepAlive,
    /// It ends: where the next request would begin is not certain, or there can be none.
    Close,
}

impl Refusal {
    /// 404: no route matches.
    pub const NOT_FOUND: Self = Self {
        status: StatusCode::NOT_FOUND,
        says: "No route matches this path.\n",
        then: Then::KeepAlive,
    };

    /// 400, and the end of the connection.
    pub const fn bad_request(says: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, says, then: Then::Close }
    }

    /// The whole response.
    pub fn into_response(self) -> Response<&'static str> {
        self.with_headers(HeaderMap::with_capacity(4))
    }

    /// The whole response, with these header fields besides its own.
    pub fn with_headers(self, mut headers: HeaderMap) -> Response<&'static str> {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.then == Then::Close {
            headers.append(CONNECTION, HeaderValue::from_static("close"));
        }
        let mut response = Response::new(self.says);
        *response.status_mut() = self.status;
        *response.headers_mut() = headers;
        response
    }
}

/// 426: the path is a WebSocket's, but the request asks for no upgrade (RFC 9110 §15.5.22). The
/// version is sent, too, as for a refused one (RFC 6455 §4.2.2).
pub fn upgrade_required() -> Response<&'static str> {
    let refusal = Refusal {
        status: StatusCode::UPGRADE_REQUIRED,
        says: "This path takes WebSocket connections only.\n",
        then: Then::KeepAlive,
    };
    let mut headers = HeaderMap::with_capacity(6);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    refusal.with_headers(headers)
}

/// 101: the response that ends HTTP on a connection (RFC 6455 §4.2.2).
pub fn switching_protocols(
    accept_key: HeaderValue,
    subprotocol: Option<HeaderValue>,
) -> Response<&'static str> {
    let mut response = Response::new("");
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    // Room for the Date that hyper writes is not needed here: it never enters the map.
    let headers = response.headers_mut();
    headers.reserve(4);
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept_key);
    if let Some(subprotocol) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    response
}
