//! Serving one connection: its requests, until one of them upgrades or the connection ends.
//!
//! One task of the gate's runtime each. Until the first head is whole it holds no more than the bytes that
//! came; then hyper's buffers as well (8 KiB, up to the longest head), for as long as it lives. An idle
//! connection has its deadline, and an upgraded one leaves hyper and tokio behind.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::admission::Counting;
use super::desk::Desk;
use super::doorstep::Said;
use super::entrance::{Entrance, Terms};
use super::exchange::{Exchange, Owed};
use super::hand_over::Admitted;
use super::handshake::{Guest, Parting, Reception};
use super::linger::linger;
use super::screened::{Findings, Screened};
use super::stream::Stream;
use super::tally::Visit;
use super::wire::{Flow, Wire};
use crate::bridge::{EventKind, Ticket};
use crate::limits;

/// Serves a connection to its end, or until a reactor has it. It is counted at once, not when the
/// task is first polled. `first` was read of it already; where TLS is spoken, nothing was.
pub(super) fn serve(
    entrance: Rc<Entrance>,
    stream: TcpStream,
    first: Vec<u8>,
    peer: Option<SocketAddr>,
    mut ticket: Ticket,
) -> impl Future<Output = ()> {
    let (visit, accepted) = (entrance.tally.enter(), Instant::now());
    async move {
        let _presence = Presence::new(&entrance.desk, peer);
        let counting = entrance.admission.counting(peer);
        let outcome = match &entrance.reception {
            None => {
                if !first.is_empty() {
                    // tokio's poller is only about to tell that it may be written to, and hyper loses an answer that
                    // it cannot write at once, if what follows is broken. Whatever this says, a write says it again.
                    let _ = stream.writable().await;
                }
                converse(&entrance, &visit, &counting, Stream::Plain(stream), first, entrance.terms(peer)).await
            }
            Some(reception) => match welcome(&entrance, reception, stream, accepted, &counting).await {
                Ok(guest) => {
                    let terms = entrance.terms_for(reception, &guest, peer);
                    converse(&entrance, &visit, &counting, guest.stream, first, terms).await
                }
                Err(outcome) => outcome,
            },
        };
        match outcome {
            Outcome::Upgraded { stream, early, admitted } => {
                visit.upgrade();
                counting.hand_over(&mut ticket);
                entrance.reactors.hand_over(stream, early, admitted, peer, ticket);
            }
            Outcome::Ended(stream) => linger(stream).await,
            Outcome::TimedOut => visit.time_out(),
            Outcome::Unanswered => {}
        }
    }
}

/// Shakes hands, and counts how that has ended.
async fn welcome(
    entrance: &Entrance,
    reception: &Reception,
    stream: TcpStream,
    accepted: Instant,
    counting: &Counting<'_>,
) -> Result<Guest, Outcome> {
    // On the heap: what follows lives longer, and should not be larger for it.
    let shaking = reception.shake_hands(stream, accepted, &entrance.desk, &entrance.closing, counting);
    let parting = match Box::pin(shaking).await {
        Ok(guest) => {
            entrance.tally.secure(guest.is_resumed);
            return Ok(guest);
        }
        Err(parting) => parting,
    };
    let (reason, outcome) = match parting {
        Parting::Fault(fault, stream) => (fault.name(), Outcome::Ended(stream)),
        Parting::Closed => ("closed", Outcome::Unanswered),
        Parting::TimedOut => ("timedOut", Outcome::TimedOut),
        Parting::Leaving | Parting::TurnedAway => return Err(Outcome::Unanswered),
    };
    entrance.tally.fail(reason);
    Err(outcome)
}

/// A connection of which the filter is told when it comes and when it goes.
pub(super) struct Presence {
    desk: Rc<Desk>,
    peer: Option<SocketAddr>,
}

impl Presence {
    pub(super) fn new(desk: &Rc<Desk>, peer: Option<SocketAddr>) -> Self {
        desk.tell_connection(EventKind::Connected, peer);
        Self { desk: desk.clone(), peer }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        self.desk.tell_connection(EventKind::Disconnected, self.peer);
    }
}

enum Outcome {
    /// The 101 is written; `early` is what the peer has sent behind its request.
    Upgraded { stream: Stream, early: Vec<u8>, admitted: Admitted },
    /// The last response is written, or the peer is gone.
    Ended(Stream),
    /// The peer did not send its request in time, or did not take the response.
    TimedOut,
    /// There is no response: JavaScript wants none, or the peer is gone.
    Unanswered,
}

/// Speaks HTTP. The deadline begins anew with each request that is answered, with each window of content
/// that comes, and with what the peer takes of a response; it does not bound the time that JavaScript
/// takes.
async fn converse(
    entrance: &Entrance,
    visit: &Visit,
    counting: &Counting<'_>,
    stream: Stream,
    first: Vec<u8>,
    terms: Terms,
) -> Outcome {
    const PATIENCE: Duration = Duration::from_secs(limits::REQUEST_HEAD_SECONDS);
    let stream = RefCell::new(stream);
    let (flow, findings) = (Flow::default(), Findings::new(&terms.notes, counting.is_awaited()));
    let exchange = Exchange::new(entrance, &terms, &stream, &flow, visit, counting, &findings);
    let wire = Wire { stream: &stream, flow: &flow };
    let mut screened = Screened::new(wire, entrance, &terms.routes, &findings, first);
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
        Some(_) => {
            drop(exchange);
            let mut stream = stream.into_inner();
            return match findings.welcome.take() {
                None => Outcome::Ended(stream),
                Some(welcome) => match welcome.say(&mut stream, deadline).await {
                    Said::Whole { admitted, early } => Outcome::Upgraded { stream, early, admitted },
                    Said::Failed => Outcome::Ended(stream),
                    Said::TimedOut => Outcome::TimedOut,
                },
            };
        }
    }
    let mut owed = exchange.owed();
    // Moved with each request: the timer itself is only when it goes off before that.
    let mut due = deadline.deadline();
    let mut connection = entrance.http.serve_connection(screened, &exchange);
    let ended = poll_fn(|cx| {
        exchange.heed_last();
        if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
            return Poll::Ready(Ended::Over(result));
        }
        if exchange.poll_javascript(cx).is_ready() {
            return Poll::Ready(Ended::Left);
        }
        // A response that is awaited or under way is the last then, and says so if its head is not written.
        if !exchange.may_upgrade() && entrance.closing.poll(closing.as_mut(), cx) {
            Pin::new(&mut connection).graceful_shutdown();
            if let Poll::Ready(result) = connection.poll_without_shutdown(cx) {
                return Poll::Ready(Ended::Over(result));
            }
        }
        let before = std::mem::replace(&mut owed, exchange.owed());
        match owed {
            Owed::Nothing => return Poll::Pending,
            owed if owed == before => {}
            _ => due = Instant::now() + PATIENCE,
        }
        while deadline.as_mut().poll(cx).is_ready() {
            if due <= deadline.deadline() {
                return Poll::Ready(Ended::TimedOut);
            }
            deadline.as_mut().reset(due);
        }
        Poll::Pending
    })
    .await;
    let result = match ended {
        Ended::Over(result) => result,
        Ended::Left => return Outcome::Unanswered,
        Ended::TimedOut => return Outcome::TimedOut,
    };
    let parts = connection.into_parts();
    let early = [&parts.read_buf[..], &parts.io.into_waiting()].concat();
    let admitted = exchange.admitted.take();
    drop(exchange);
    let stream = stream.into_inner();
    match (result, admitted) {
        (Ok(()), Some(admitted)) => Outcome::Upgraded { stream, early, admitted },
        (Err(error), _) if error.is_user() => Outcome::Unanswered,
        _ => Outcome::Ended(stream),
    }
}

/// How a connection's conversation in HTTP ended.
enum Ended {
    /// hyper is done with it.
    Over(hyper::Result<()>),
    /// The peer is gone while JavaScript is asked.
    Left,
    /// The peer did not do in time what it owed.
    TimedOut,
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

    use std::sync::Arc;

    use super::super::desk::crossing;
    use super::super::hand_over::Reactors;
    use super::super::tally::Tally;
    use super::super::tests::client::{Issued, TLS13, connection};
    use super::super::{Bounds, Counts, Handler, Routes, Security};
    use super::*;
    use crate::bridge::command::{FLAG_FIN, encode};
    use crate::bridge::{Budget, Census, CommandKind, ConnectionId, Crossing, RouteId};

    const NOWHERE: &[u8] = b"GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n";

    /// Returns how many connections ran out of time.
    fn at_the_gate(test: impl AsyncFnOnce(JoinHandle<()>, Client)) -> u64 {
        with_javascript(async |served, client, _| test(served, client).await)
    }

    /// The same, with a handler at `/handled`, and the lane on which it is asked.
    fn with_javascript(test: impl AsyncFnOnce(JoinHandle<()>, Client, Arc<Crossing>)) -> u64 {
        counted(None, test).timed_out
    }

    fn counted(security: Option<Security>, test: impl AsyncFnOnce(JoinHandle<()>, Client, Arc<Crossing>)) -> Counts {
        let tally = Arc::new(Tally::default());
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let client = spawn_blocking(move || Client::connect(address).unwrap());
            let (stream, peer) = listener.accept().await.unwrap();
            socket2::SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
            let (crossing, bell) = crossing(&Budget::new(0), Box::new(|| {}));
            let (reactors, desk) =
                (Reactors::new(Vec::new()), Desk::new(crossing.clone(), bell, tally.stock().clone()));
            let routes = Routes::new();
            routes.set_handler("ANY", "/handled", Some(Handler::Asked(RouteId(0)))).unwrap();
            let entrance = Rc::new(Entrance::new(routes, reactors, desk, tally.clone(), &Bounds::default(), security));
            let ticket = Census::new(|| {}).enter();
            let served = spawn_local(serve(entrance.clone(), stream, Vec::new(), Some(peer), ticket));
            let keeper = spawn_local(poll_fn(move |cx| {
                entrance.desk().turn(cx);
                Poll::<()>::Pending
            }));
            test(served, client.await.unwrap(), crossing).await;
            keeper.abort();
        });
        let counts = tally.counts();
        assert_eq!((counts.accepted, counts.handshakes, counts.upgraded, counts.http_connections), (1, 0, 0, 0));
        counts
    }

    /// What JavaScript says in the first conversation of a desk.
    fn say(crossing: &Crossing, commands: &[(CommandKind, u8, &[u8])]) {
        let mut buffer = Vec::new();
        for (kind, flags, payload) in commands {
            encode(&mut buffer, *kind, *flags, ConnectionId { index: 0, generation: 0 }, payload);
        }
        crossing.inbox.push(&buffer, None);
        crossing.ring();
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
    fn a_handshake_and_the_first_request_have_a_time_each() {
        let issued = Issued::new("localhost");
        for shakes in [false, true] {
            let mut tls = connection(&issued.trusted(&TLS13, None), "localhost");
            let counts = counted(Some(Security::new(issued.identity())), async move |served, client, _| {
                let began = Instant::now();
                sleep(Duration::from_secs(limits::TLS_HANDSHAKE_SECONDS - 1)).await;
                let mut shake = client.try_clone().unwrap();
                if shakes {
                    spawn_blocking(move || tls.complete_io(&mut shake).unwrap()).await.unwrap();
                }
                served.await.unwrap();
                assert_eq!(began.elapsed().as_secs(), limits::TLS_HANDSHAKE_SECONDS + if shakes { 9 } else { 0 });
                drop(client);
            });
            assert_eq!((counts.timed_out, counts.tls.handshakes), (1, u64::from(shakes)));
            assert_eq!(counts.tls.failed.get("timedOut"), (!shakes).then_some(&1));
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

    #[test]
    fn javascript_may_think_for_as_long_as_it_likes() {
        let timed_out = with_javascript(async |served, mut client, crossing| {
            client.write_all(b"POST /handled HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsome").unwrap();
            // Nobody has asked for its content.
            sleep(Duration::from_secs(3600)).await;
            assert!(!served.is_finished());
            say(&crossing, &[(CommandKind::Begin, 0, b"200 OK\n\n"), (CommandKind::Content, 0, b"so far")]);
            let client = ask(client, b"", b"so far\r\n").await;
            sleep(Duration::from_secs(3600)).await;
            assert!(!served.is_finished());
            drop(client);
            served.await.unwrap();
        });
        assert_eq!(timed_out, 0);
    }

    #[test]
    fn content_that_is_wanted_must_come_in_time() {
        for (pieces, seconds) in [(0, 10), (3, 9 + 9 + 10)] {
            let timed_out = with_javascript(async move |served, mut client, crossing| {
                client.write_all(b"POST /handled HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n").unwrap();
                sleep(Duration::from_secs(1)).await;
                say(&crossing, &[(CommandKind::Grant, 0, &10_000_000u32.to_le_bytes())]);
                let began = Instant::now();
                for _ in 0..pieces {
                    client = spawn_blocking(move || {
                        client.write_all(&[b'x'; limits::CONTENT_WINDOW_BYTES as usize]).unwrap();
                        client
                    })
                    .await
                    .unwrap();
                    sleep(Duration::from_secs(9)).await;
                }
                // Too little to count.
                client.write_all(b"y").unwrap();
                served.await.unwrap();
                assert!(began.elapsed() <= Duration::from_secs(seconds), "{:?}", began.elapsed());
                assert!(began.elapsed() > Duration::from_secs(seconds - 2), "{:?}", began.elapsed());
            });
            assert_eq!(timed_out, 1);
        }
    }

    #[test]
    fn a_peer_that_does_not_read_a_response_is_left_and_one_that_reads_is_not() {
        for reads in [false, true] {
            let timed_out = with_javascript(async move |served, mut client, crossing| {
                socket2::SockRef::from(&client).set_recv_buffer_size(4096).unwrap();
                client.write_all(b"GET /handled HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
                sleep(Duration::from_secs(1)).await;
                let content = vec![b'x'; 1_000_000];
                say(&crossing, &[(CommandKind::Begin, 0, b"200 OK\n\n"), (CommandKind::Content, FLAG_FIN, &content)]);
                if reads {
                    for _ in 0..4 {
                        client = spawn_blocking(move || {
                            client.read_exact(&mut [0; 60_000]).unwrap();
                            // The kernel's word of it has to come before the clock jumps.
                            std::thread::sleep(Duration::from_millis(100));
                            client
                        })
                        .await
                        .unwrap();
                        sleep(Duration::from_secs(9)).await;
                        assert!(!served.is_finished());
                    }
                    drop(client);
                    served.await.unwrap();
                } else {
                    served.await.unwrap();
                    drop(client);
                }
            });
            assert_eq!(timed_out, u64::from(!reads));
        }
    }
}
