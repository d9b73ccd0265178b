//! The refusals that the gate answers with on its own.
//!
//! Called by the gate and by [`super::request`]. Bodies are fixed sentences: nothing of the request
//! is shown in them, so nothing in a request can be reflected. `Date` and `Content-Length` are
//! hyper's.

use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::{Response, StatusCode};

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
    pub const NOT_FOUND: Self =
        Self { status: StatusCode::NOT_FOUND, says: "no route matches this method and path", then: Then::KeepAlive };

    /// 403: the page that asks is of a site that the route's `origins` leave out. Frames may follow
    /// already, so the connection ends.
    pub const FORBIDDEN_ORIGIN: Self = Self {
        status: StatusCode::FORBIDDEN,
        says: "pages of this origin may not open a WebSocket here",
        then: Then::Close,
    };

    /// 413: the route takes no content of this length.
    pub const CONTENT_TOO_LARGE: Self = Self {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        says: "the content of the request is too long for this route",
        then: Then::Close,
    };

    /// 400, and the end of the connection.
    pub const fn bad_request(says: &'static str) -> Self {
        Self { status: StatusCode::BAD_REQUEST, says, then: Then::Close }
    }

    /// The whole response. A 426 names the protocol that would do, and its version (RFC 9110
    /// §15.5.22, RFC 6455 §4.2.2).
    pub fn into_response(self) -> Response<&'static str> {
        let mut response = Response::new(self.says);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        if self.status == StatusCode::UPGRADE_REQUIRED {
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        if self.then == Then::Close {
            headers.append(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
