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
use super::tally::Tally;
use crate::bridge::Ticket;
use crate::http::{Refusal, Then, request};
use crate::limits;
use crate::protocol::Opening;
use crate::reactor::Route;

/// What all connections of a gate share.
pub(super) struct Entrance {
    routes: Routes,
    reactors: Reactors,
    tally: Arc<Tally>,
    http: http1::Builder,
}

impl Entrance {
    pub(super) fn new(routes: Routes, reactors: Reactors, tally: Arc<Tally>) -> Self {
        let mut http = http1::Builder::new();
        // hyper's own deadline for a head is left out: `converse` has one that covers the writing,
        // too. A client that has finished sending still gets its answer.
        http.max_buf_size(limits::REQUEST_HEAD_BYTES)
            .max_header_size(limits::REQUEST_HEAD_BYTES)
            .max_headers(limits::REQUEST_HEADER_LINES)
            .half_close(true);
        Self { routes, reactors, tally, http }
    }
}

/// Serves a connection to its end, or until a reactor has it. It is counted at once, not when the
/// task is first polled.
pub(super) fn serve(
    entrance: Rc<Entrance>,
    stream: TcpStream,
    peer: SocketAddr,
    ticket: Ticket,
) -> impl Future<Output = ()> {
    let visit = entrance.tally.enter();
    async move {
        match converse(&entrance, stream).await {
            Outcome::Upgraded { stream, early, route } => {
                visit.upgrade();
                entrance.reactors.hand_over(stream, &early, route, peer, ticket);
            }
            Outcome::Ended(stream) => linger(&stream).await,
            Outcome::TimedOut => visit.time_out(),
        }
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
        (result, _) => {
            if let Some(status) = result.err().and_then(|error| answered_by_hyper(&error)) {
                entrance.tally.refuse(status);
            }
            Outcome::Ended(stream)
        }
    }
}

/// What hyper has answered a request with that is none, before this room saw it.
fn answered_by_hyper(error: &hyper::Error) -> Option<StatusCode> {
    match error {
        error if error.is_parse_too_large() => Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        error if error.is_parse_version_h2() => None,
        error => error.is_parse().then_some(StatusCode::BAD_REQUEST),
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
        let response = self.answer(&head, &content).unwrap_or_else(|refusal| {
            self.entrance.tally.refuse(refusal.status);
            refusal.into_response()
        });
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

/// Under a paused clock: it stands still while a blocking task, the client's, is at work, and jumps
/// to the next deadline when nothing is.
#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::net::TcpStream as Client;

    use tokio::net::TcpListener;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{JoinHandle, spawn_blocking, spawn_local};
    use tokio::time::advance;

    use super::*;
    use crate::bridge::Census;

    const NOWHERE: &[u8] = b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// Returns how many connections ran out of time.
    fn at_the_gate(test: impl AsyncFnOnce(JoinHandle<()>, Client)) -> u64 {
        let tally = Arc::new(Tally::default());
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = spawn_blocking(move || Client::connect(address).unwrap());
            let (stream, peer) = listener.accept().await.unwrap();
            socket2::SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
            let entrance = Rc::new(Entrance::new(Routes::new(), Reactors::new(Vec::new()), tally.clone()));
            let ticket = Census::new(|| {}).enter();
            let served = spawn_local(serve(entrance, stream, peer, ticket));
            test(served, client.await.unwrap()).await;
        });
        let counts = tally.counts();
        assert_eq!((counts.accepted, counts.handshakes, counts.upgraded), (1, 0, 0));
        counts.timed_out
    }

    /// Writes, and reads until the peer has sent these last bytes.
    async fn ask(mut client: Client, request: &'static [u8], last: &'static [u8]) -> Client {
        spawn_blocking(move || {
            client.write_all(request).unwrap();
            let mut answer = Vec::new();
            let mut byte = [0];
            while !answer.ends_with(last) {
                assert_eq!(client.read(&mut byte).unwrap(), 1);
                answer.push(byte[0]);
            }
            client
        })
        .await
        .unwrap()
    }

    #[test]
    fn a_head_that_does_not_come_ends_the_connection() {
        for beginning in [&b""[..], b"GET /none HTTP/1.1\r\nHost: local"] {
            let timed_out = at_the_gate(async move |served, mut client| {
                let began = Instant::now();
                client.write_all(beginning).unwrap();
                served.await.unwrap();
                assert_eq!(began.elapsed().as_secs(), limits::REQUEST_HEAD_SECONDS);
                assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
            });
            assert_eq!(timed_out, 1);
        }
    }

    #[test]
    fn each_request_has_the_whole_time() {
        let timed_out = at_the_gate(async |served, mut client| {
            let began = Instant::now();
            for _ in 0..3 {
                client = ask(client, NOWHERE, b"path").await;
                advance(Duration::from_secs(limits::REQUEST_HEAD_SECONDS - 2)).await;
            }
            assert!(!served.is_finished());
            served.await.unwrap();
            assert_eq!(began.elapsed().as_secs(), 3 * (limits::REQUEST_HEAD_SECONDS - 2) + 2);
            assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
        });
        assert_eq!(timed_out, 1);
    }

    #[test]
    fn a_refused_peer_that_does_not_close_is_left() {
        let timed_out = at_the_gate(async |served, client| {
            let client = ask(client, b"GET /none HTTP/1.0\r\n\r\n", b"HTTP/1.1").await;
            let began = Instant::now();
            served.await.unwrap();
            assert_eq!(began.elapsed().as_secs(), limits::CLOSING_SECONDS.into());
            drop(client);
        });
        assert_eq!(timed_out, 0);
    }

    #[test]
    fn a_peer_that_does_not_read_its_answers_is_left() {
        let timed_out = at_the_gate(async |served, mut client| {
            let client = spawn_blocking(move || {
                socket2::SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
                client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
                // Until neither side takes any more: at most 8 MB.
                let full = (0..200_000).find_map(|_| client.write_all(NOWHERE).err());
                assert_eq!(full.unwrap().kind(), ErrorKind::WouldBlock);
                client
            })
            .await
            .unwrap();
            assert!(!served.is_finished());
            served.await.unwrap();
            drop(client);
        });
        assert_eq!(timed_out, 1);
    }

    #[test]
    fn a_peer_that_sends_on_behind_a_refusal_is_left_after_a_while() {
        let timed_out = at_the_gate(async |served, mut client| {
            let client = spawn_blocking(move || {
                client.write_all(b"GET /none HTTP/1.0\r\n\r\n").unwrap();
                // Until the connection is reset: at most 64 MB.
                let reset = (0..64 * 1024).find_map(|_| client.write_all(&[0; 1024]).err());
                assert!(reset.is_some());
            });
            served.await.unwrap();
            client.await.unwrap();
        });
        assert_eq!(timed_out, 0);
    }
}
