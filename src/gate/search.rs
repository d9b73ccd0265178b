//! Which route a request comes to, one after the other, until one answers it.

use std::sync::Arc;

use http::StatusCode;
use http::request::Parts;

use super::Endpoint;
use super::routes::{Handler, Routes, Target};
use crate::http::{Refusal, Then, request};
use crate::protocol::{self, Agreement, Opening, negotiate};

/// How far the routes of one request were gone through.
#[derive(Default)]
pub(super) struct Search {
    skips: usize,
    /// Whether a WebSocket's route was left out, since the request wants none.
    passed_by: bool,
}

/// What a request comes to.
pub(super) enum Next {
    /// A WebSocket, if its route lets it in.
    WebSocket(Candidate),
    /// A handler.
    Http(Handler),
    /// The end of its way.
    Refused(Refusal),
}

/// A request that opens a WebSocket as it should.
pub(super) struct Candidate {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) opening: Opening,
    /// What is agreed on with the client, if it is compression.
    pub(super) agreement: Option<Agreement>,
}

impl Search {
    /// The next route. `has_content`: whether content follows the head.
    pub(super) fn next(&mut self, routes: &Routes, head: &Parts, has_content: bool) -> Next {
        let path = match request::path(head) {
            Ok(path) => path,
            Err(refusal) => return Next::Refused(refusal),
        };
        loop {
            let target = routes.lookup(&head.method, path, self.skips);
            self.skips += 1;
            match target {
                Some(Target::Http(handler)) => return Next::Http(handler),
                Some(Target::WebSocket(endpoint)) if Opening::is_wanted(head) => {
                    let candidate = Candidate::judge(head, has_content, endpoint);
                    return candidate.map_or_else(Next::Refused, Next::WebSocket);
                }
                Some(Target::WebSocket(_)) => self.passed_by = true,
                None => return Next::Refused(self.nothing(head)),
            }
        }
    }

    /// The refusal where no route is left.
    fn nothing(&self, head: &Parts) -> Refusal {
        match Opening::judge(head) {
            Err(refusal) if self.passed_by => no_opening(refusal),
            _ => Refusal::NOT_FOUND,
        }
    }
}

impl Candidate {
    /// A good opening handshake at an endpoint, if that lets its origin in and understands what it offers.
    fn judge(head: &Parts, has_content: bool, endpoint: Arc<Endpoint>) -> Result<Self, Refusal> {
        let mut opening = Opening::judge(head).map_err(no_opening)?;
        // The content would be taken for frames (RFC 9110 §7.8: it comes before the new protocol).
        if has_content {
            return Err(Refusal::bad_request("a request that opens a WebSocket has no content"));
        }
        let agreed = negotiate(&head.headers, endpoint.route.compression).map_err(no_opening)?;
        if !endpoint.origins.admit(head) {
            return Err(Refusal::FORBIDDEN_ORIGIN);
        }
        let (agreement, extensions) = agreed.unzip();
        opening.extensions = extensions;
        Ok(Self { endpoint, opening, agreement })
    }
}

/// The answer to a request that asks for a WebSocket and does not get one.
fn no_opening(refusal: protocol::Refusal) -> Refusal {
    Refusal {
        status: refusal.status(),
        says: refusal.reason(),
        then: match refusal.status() {
            StatusCode::UPGRADE_REQUIRED => Then::KeepAlive,
            // Frames may follow already, and would be taken for requests.
            _ => Then::Close,
        },
    }
}
