//! Serving one connection: its requests, until one of them upgrades or the connection ends.
//!
//! One task of the gate's runtime each. It holds hyper's buffers (8 KiB, up to
//! `limits::REQUEST_HEAD_BYTES`) for as long as it lives; an idle connection has its deadline, and
//! an upgraded one leaves hyper and tokio behind.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, Ready, poll_fn, ready};
use std::net::{Shutdown, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::Routes;
use super::hand_over::Reactors;
use crate::bridge::Ticket;
use crate::http::{Refusal, Then, request};
use crate::limits;
use crate::protocol::Opening;
use crate::reactor::Route;

/// What all connections of a gate share.
pub(super) struct Entrance {
    routes: Routes,
    reactors: Reactors,
    http: http1::Builder,
}

impl Entrance {
    pub(super) fn new(routes: Routes, reactors: Reactors) -> Self {
        let mut http = http1::Builder::new();
        // hyper's own deadline for a head is left out: `converse` has one that covers the writing,
        // too. A client that has finished sending still gets its answer.
        http.max_buf_size(limits::REQUEST_HEAD_BYTES)
            .max_header_size(limits::REQUEST_HEAD_BYTES)
            .max_headers(limits::REQUEST_HEADER_LINES)
            .half_close(true);
        Self { routes, reactors, http }
    }
}

/// Serves a connection to its end, or until a reactor has it.
pub(super) async fn serve(entrance: Rc<Entrance>, stream: TcpStream, peer: SocketAddr, ticket: Ticket) {
    match converse(&entrance, stream).await {
        Outcome::Upgraded { stream, early, route } => {
            entrance.reactors.hand_over(stream, &early, route, peer, ticket);
        }
        Outcome::Ended(stream) => linger(&stream).await,
        Outcome::TimedOut => {}
    }
}

enum Outcome {
    /// The 101 is written; `early` is what the peer has sent behind its request.
    Upgraded { stream: TcpStream, early: Bytes, route: Arc<Route> },
    /// The last response is written, or the peer is gone.
    Ended(TcpStream),
    /// The peer did not send its request in time, or did not take the response.
    TimedOut,
}

/// Speaks HTTP. The deadline begins anew with each request that is answered, so it bounds the wait
/// for a whole head, the idle time between requests, and the time the peer takes to read.
async fn converse(entrance: &Entrance, stream: TcpStream) -> Outcome {
    const PATIENCE: Duration = Duration::from_secs(limits::REQUEST_HEAD_SECONDS);
    let exchange = Exchange { entrance, admitted: Cell::new(None), answered: Cell::new(false) };
    let mut connection = entrance.http.serve_connection(TokioIo::new(stream), &exchange);
    let mut deadline = pin!(sleep(PATIENCE));
    let ended = poll_fn(|cx| {
        if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
            return Poll::Ready(Some(result));
        }
        if exchange.answered.take() {
            deadline.as_mut().reset(Instant::now() + PATIENCE);
        }
        deadline.as_mut().poll(cx).map(|()| None)
    })
    .await;
    let Some(result) = ended else {
        return Outcome::TimedOut;
    };
    let parts = connection.into_parts();
    let stream = parts.io.into_inner();
    match (result, exchange.admitted.take()) {
        (Ok(()), Some(route)) => Outcome::Upgraded { stream, early: parts.read_buf, route },
        _ => Outcome::Ended(stream),
    }
}

/// Ends a connection such that the peer can read the last response: what it still sends would make
/// the kernel reset the connection, and the response with it (RFC 9112 §9.6).
async fn linger(stream: &TcpStream) {
    // It fails only for a connection that is gone; then the first read says so.
    let _ = socket2::SockRef::from(stream).shutdown(Shutdown::Write);
    let drained = async {
        let mut waste = [0; 1024];
        let mut left = limits::LINGER_BYTES;
        while stream.readable().await.is_ok() {
            match stream.try_read(&mut waste) {
                Ok(0) => break,
                Ok(read) if read < left => left -= read,
                Ok(_) => break,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => break,
            }
        }
    };
    // A peer that neither closes nor reads is left to its fate.
    let _ = timeout(Duration::from_secs(limits::CLOSING_SECONDS.into()), drained).await;
}

/// The requests of one connection, as hyper's service.
struct Exchange<'e> {
    entrance: &'e Entrance,
    /// The route of the request that was answered with 101.
    admitted: Cell<Option<Arc<Route>>>,
    /// Whether a request was answered since the deadline was last set.
    answered: Cell<bool>,
}

impl Service<Request<Incoming>> for Exchange<'_> {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.answered.set(true);
        let (head, content) = request.into_parts();
        let response = self.answer(&head, &content).unwrap_or_else(Refusal::into_response);
        ready(Ok(response.map(|says| Full::new(Bytes::from_static(says.as_bytes())))))
    }
}

impl Exchange<'_> {
    fn answer(&self, head: &Parts, content: &Incoming) -> Result<Response<&'static str>, Refusal> {
        let path = request::path(head)?;
        // A WebSocket's route is one for GET: for another method there is nothing at its path.
        let route = match head.method {
            Method::GET => self.entrance.routes.lookup(path),
            _ => None,
        };
        self.upgrade(head, content, route.ok_or(Refusal::NOT_FOUND)?)
    }

    fn upgrade(&self, head: &Parts, content: &Incoming, route: Arc<Route>) -> Result<Response<&'static str>, Refusal> {
        let opening = Opening::judge(head).map_err(|refusal| Refusal {
            status: refusal.status(),
            says: refusal.reason(),
            then: match refusal.status() {
                StatusCode::UPGRADE_REQUIRED => Then::KeepAlive,
                // Frames may follow already, and would be taken for requests.
                _ => Then::Close,
            },
        })?;
        // The content would be taken for frames (RFC 9110 §7.8: it comes before the new protocol).
        if !content.is_end_stream() {
            return Err(Refusal::bad_request("a request that opens a WebSocket has no content"));
        }
        let mut response = Response::new("");
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *response.headers_mut() = opening.headers();
        self.admitted.set(Some(route));
        Ok(response)
    }
}
