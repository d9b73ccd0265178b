//! Serving one connection: its requests, until one of them upgrades or the connection ends.
//!
//! One task of the gate's runtime each. Until the first head is whole it holds no more than the bytes that
//! came; then hyper's buffers as well (8 KiB, up to the longest head), for as long as it lives. An idle
//! connection has its deadline, and an upgraded one leaves hyper and tokio behind.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::Service;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use super::ask::{self, NoResponse, Question, Reserved};
use super::closing::Closing;
use super::hand_over::{Admitted, Reactors};
use super::screened::Screened;
use super::tally::Tally;
use super::wire::{Watch, Wire};
use super::{Bounds, Endpoint, Routes};
use crate::bridge::Ticket;
use crate::http::{HeadScreen, Refusal, Then, request};
use crate::limits;
use crate::protocol::{self, Agreement, Opening, negotiate};
use crate::reactor::Answer;

/// hyper's smallest buffer.
const HYPER_BUFFER_BYTES: usize = 8 * 1024;

/// What all connections of a gate share.
pub(super) struct Entrance {
    routes: Routes,
    reactors: Reactors,
    tally: Arc<Tally>,
    closing: Closing,
    screen: HeadScreen,
    http: http1::Builder,
}

impl Entrance {
    pub(super) fn reactors(&self) -> &Reactors {
        &self.reactors
    }

    /// The App shuts down: connections end at which no request is under way, and others behind theirs.
    pub(super) fn close(&self) {
        self.closing.begin();
    }

    pub(super) fn new(routes: Routes, reactors: Reactors, tally: Arc<Tally>, bounds: Bounds) -> Self {
        let mut http = http1::Builder::new();
        // hyper's own deadline for a head is left out: `converse` has one that covers the writing,
        // too. Its bounds are above those of the screen, which has judged before, and answers with a
        // sentence. A client that has finished sending still gets its answer; with this setting hyper
        // reads nothing, either, while a request is being answered, so no frame is taken for a head.
        http.max_buf_size(bounds.request_head_bytes + HYPER_BUFFER_BYTES)
            .max_headers(limits::REQUEST_HEADER_LINES)
            .half_close(true);
        let closing = Closing::default();
        Self { routes, reactors, tally, closing, screen: HeadScreen::new(bounds.request_head_bytes), http }
    }
}

/// Serves a connection to its end, or until a reactor has it. It is counted at once, not when the
/// task is first polled.
pub(super) fn serve(
    entrance: Rc<Entrance>,
    stream: TcpStream,
    peer: Option<SocketAddr>,
    ticket: Ticket,
) -> impl Future<Output = ()> {
    let visit = entrance.tally.enter();
    async move {
        match converse(&entrance, stream, peer).await {
            Outcome::Upgraded { stream, early, admitted } => {
                visit.upgrade();
                entrance.reactors.hand_over(stream, early, admitted, peer, ticket);
            }
            Outcome::Ended(stream) => linger(&stream).await,
            Outcome::TimedOut => visit.time_out(),
            Outcome::Unanswered => {}
        }
    }
}

enum Outcome {
    /// The 101 is written; `early` is what the peer has sent behind its request.
    Upgraded { stream: TcpStream, early: Vec<u8>, admitted: Admitted },
    /// The last response is written, or the peer is gone.
    Ended(TcpStream),
    /// The peer did not send its request in time, or did not take the response.
    TimedOut,
    /// JavaScript was asked, and there is no response: it wants none, or the peer is gone.
    Unanswered,
}

/// Speaks HTTP. The deadline begins anew with each request that is answered, so it bounds the wait
/// for a whole head, the idle time between requests, and the time the peer takes to read. It does not
/// bound the time that JavaScript takes.
async fn converse(entrance: &Entrance, stream: TcpStream, peer: Option<SocketAddr>) -> Outcome {
    const PATIENCE: Duration = Duration::from_secs(limits::REQUEST_HEAD_SECONDS);
    let stream = RefCell::new(stream);
    let exchange = Exchange {
        entrance,
        stream: &stream,
        peer,
        refused: Cell::new(None),
        admitted: Cell::new(None),
        answered: Cell::new(false),
        asking: Cell::new(false),
    };
    let mut screened = Screened::new(Wire(&stream), entrance.screen.clone(), &exchange.refused);
    let mut deadline = pin!(sleep(PATIENCE));
    let mut closing = pin!(entrance.closing.watch());
    // hyper would take its buffers at once: a peer that is silent or slow is not worth them.
    let first_head = poll_fn(|cx| match screened.poll_cleared(cx) {
        Poll::Pending if entrance.closing.poll(closing.as_mut(), cx) => Poll::Ready(Some(Ok(false))),
        Poll::Pending => deadline.as_mut().poll(cx).map(|()| None),
        Poll::Ready(result) => Poll::Ready(Some(result)),
    });
    match first_head.await {
        None => return Outcome::TimedOut,
        Some(Ok(true)) => {}
        Some(_) => return Outcome::Ended(stream.into_inner()),
    }
    let mut connection = entrance.http.serve_connection(screened, &exchange);
    let ended = poll_fn(|cx| {
        if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
            return Poll::Ready(Some(result));
        }
        if exchange.asking.get() {
            return Poll::Pending;
        }
        if entrance.closing.poll(closing.as_mut(), cx) {
            Pin::new(&mut connection).graceful_shutdown();
            if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(Some(result));
            }
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
    let early = [&parts.read_buf[..], &parts.io.into_waiting()].concat();
    let admitted = exchange.admitted.take();
    let stream = stream.into_inner();
    match (result, admitted) {
        (Ok(()), Some(admitted)) => Outcome::Upgraded { stream, early, admitted },
        (Err(error), _) if error.is_user() => Outcome::Unanswered,
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
    stream: &'e RefCell<TcpStream>,
    peer: Option<SocketAddr>,
    /// Why a head was refused that hyper did not see, once its stand-in comes.
    refused: Cell<Option<Refusal>>,
    /// What follows from the request that was answered with 101.
    admitted: Cell<Option<Admitted>>,
    /// Whether a request was answered since the deadline was last set.
    answered: Cell<bool>,
    /// Whether JavaScript is to answer a request.
    asking: Cell<bool>,
}

/// A request that opens a WebSocket as it should.
struct Candidate {
    endpoint: Arc<Endpoint>,
    opening: Opening,
    /// What is agreed on with the client, if it is compression.
    agreement: Option<Agreement>,
}

type Reply = Response<Full<Bytes>>;

/// The answer to a request: mostly there at once.
enum Answering<'e> {
    Now(Option<Reply>),
    Later(Pin<Box<dyn Future<Output = Result<Reply, NoResponse>> + 'e>>),
}

impl Future for Answering<'_> {
    type Output = Result<Reply, NoResponse>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Now(reply) => Poll::Ready(reply.take().ok_or(NoResponse)),
            Self::Later(later) => later.as_mut().poll(cx),
        }
    }
}

impl<'e> Service<Request<Incoming>> for &'e Exchange<'e> {
    type Response = Reply;
    type Error = NoResponse;
    type Future = Answering<'e>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.answered.set(true);
        let (head, content) = request.into_parts();
        match self.refused.take().map_or_else(|| self.judge(&head, &content), Err) {
            Ok(candidate) if candidate.endpoint.route.asks => Answering::Later(Box::pin(self.ask(head, candidate))),
            Ok(candidate) => Answering::Now(Some(self.admit(&candidate, None))),
            Err(mut refusal) => {
                if !content.is_end_stream() {
                    // Nobody takes content, so no request is looked for behind it.
                    refusal.then = Then::Close;
                }
                Answering::Now(Some(self.refuse(refusal)))
            }
        }
    }
}

impl Exchange<'_> {
    fn judge(&self, head: &Parts, content: &Incoming) -> Result<Candidate, Refusal> {
        let path = request::path(head)?;
        // A WebSocket's route is one for GET: for another method there is nothing at its path.
        let endpoint = match head.method {
            Method::GET => self.entrance.routes.lookup(path, 0),
            _ => None,
        };
        let endpoint = endpoint.ok_or(Refusal::NOT_FOUND)?;
        let opening = Opening::judge(head).map_err(no_opening)?;
        // The content would be taken for frames (RFC 9110 §7.8: it comes before the new protocol).
        if !content.is_end_stream() {
            return Err(Refusal::bad_request("a request that opens a WebSocket has no content"));
        }
        Candidate::new(head, endpoint, opening)
    }

    /// Has JavaScript answer, until a route of those that match does not yield.
    async fn ask(&self, head: Parts, mut candidate: Candidate) -> Result<Reply, NoResponse> {
        let text = ask::head_text(&head);
        if text.len() > limits::ASKED_HEAD_BYTES {
            return Ok(self.refuse(Refusal {
                status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
                says: "the head is too long for this route",
                then: Then::Close,
            }));
        }
        for skips in 1.. {
            let Candidate { endpoint, agreement, .. } = &candidate;
            if !endpoint.route.asks {
                return Ok(self.admit(&candidate, None));
            }
            let adopter = self.entrance.reactors.next().ok_or(NoResponse)?;
            let question = Question::put(adopter, endpoint.route.clone(), *agreement, text.clone(), self.peer);
            self.asking.set(true);
            let answer = question.answer(Watch::new(self.stream)).await;
            self.asking.set(false);
            self.answered.set(true);
            match answer.ok_or(NoResponse)? {
                (Answer::Close, _) => break,
                (Answer::Response(bytes), _) => {
                    let reply = ask::response(bytes);
                    if reply.status().is_client_error() || reply.status().is_server_error() {
                        self.entrance.tally.refuse(reply.status());
                    }
                    return Ok(reply);
                }
                (Answer::Upgrade { lines, agreement }, reserved) => {
                    let (subprotocol, headers) = ask::upgrade(&lines).ok_or(NoResponse)?;
                    candidate.opening.subprotocol = subprotocol;
                    if agreement.is_none() {
                        candidate.opening.extensions = None;
                    }
                    let mut reply = self.admit(&candidate, Some(reserved));
                    reply.headers_mut().extend(headers);
                    return Ok(reply);
                }
                (Answer::Yield, _) => {
                    let next = self.entrance.routes.lookup(head.uri.path(), skips).ok_or(Refusal::NOT_FOUND);
                    match next.and_then(|endpoint| Candidate::new(&head, endpoint, candidate.opening)) {
                        Ok(next) => candidate = next,
                        Err(refusal) => return Ok(self.refuse(refusal)),
                    }
                }
            }
        }
        Err(NoResponse)
    }

    /// The 101.
    fn admit(&self, candidate: &Candidate, reserved: Option<Reserved>) -> Reply {
        let mut reply = Response::new(Full::default());
        *reply.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        *reply.headers_mut() = candidate.opening.headers();
        let Candidate { endpoint, agreement, .. } = candidate;
        self.admitted.set(Some(Admitted { route: endpoint.route.clone(), agreement: *agreement, reserved }));
        reply
    }

    fn refuse(&self, refusal: Refusal) -> Reply {
        self.entrance.tally.refuse(refusal.status);
        refusal.into_response().map(|says| Full::new(Bytes::from_static(says.as_bytes())))
    }
}

impl Candidate {
    /// A good opening handshake at an endpoint, if that lets its origin in and understands what it offers.
    fn new(head: &Parts, endpoint: Arc<Endpoint>, mut opening: Opening) -> Result<Self, Refusal> {
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
            let entrance =
                Rc::new(Entrance::new(Routes::new(), Reactors::new(Vec::new()), tally.clone(), Bounds::default()));
            let ticket = Census::new(|| {}).enter();
            let served = spawn_local(serve(entrance, stream, Some(peer), ticket));
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
