//! The TLS handshake of a connection, before its first request.
//!
//! Who comes first is served first: a bounded number has its handshake under way, the others wait in line with
//! nothing but their ClientHello. One deadline covers all of it, from `accept` on, but for the time that JavaScript
//! takes when it is asked for a name. Memory: the future, boxed, and the session, which stays.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::futures::Notified;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until, timeout};

use super::admission::Counting;
use super::bench::Bench;
use super::closing::Closing;
use super::desk::Desk;
use super::greeting::Greeting;
use super::security::Security;
use super::stream::{Secure, Stream};
use super::wire::Look;
use crate::limits;
use crate::tls::{Fault, Found, Progress};

/// Where a gate's handshakes are made.
pub(super) struct Reception {
    pub(super) security: Security,
    bench: Bench,
    /// For handshakes under way, in the order in which they were asked for.
    permits: Semaphore,
    /// For the step that signs, likewise. One takes it at a time, and keeps it while all other tasks that are ready
    /// have their turn: a signature by an RSA key takes as long as a hundred requests.
    pen: Semaphore,
}

/// A client whose handshake is done.
pub(super) struct Guest {
    pub(super) stream: Stream,
    /// The name, as it was added, whose identity it got.
    pub(super) name: Option<std::sync::Arc<str>>,
    /// Whom a proxy speaks for.
    pub(super) proxied: Option<SocketAddr>,
    pub(super) is_resumed: bool,
}

/// Why there is none.
pub(super) enum Parting {
    /// The client was told; it may still read that.
    Fault(Fault, Stream),
    /// The client is gone.
    Closed,
    /// Its time is over.
    TimedOut,
    /// The App shuts down.
    Leaving,
    /// Whom it counts for has too many connections.
    TurnedAway,
}

const PATIENCE: Duration = Duration::from_secs(limits::TLS_HANDSHAKE_SECONDS);
const PERMIT_PATIENCE: Duration = Duration::from_millis(limits::TLS_PERMIT_MILLISECONDS);

impl Reception {
    pub(super) fn new(security: Security) -> Self {
        Self {
            security,
            bench: Bench::default(),
            permits: Semaphore::new(limits::TLS_HANDSHAKES),
            pen: Semaphore::new(1),
        }
    }

    /// Lets go of buffers, once there are no connections.
    pub(super) fn let_go(&self) {
        self.bench.let_go();
    }

    /// Shakes hands with a client that was accepted at this time.
    pub(super) async fn shake_hands(
        &self,
        mut stream: TcpStream,
        accepted: Instant,
        desk: &Desk,
        closing: &Closing,
        counting: &Counting<'_>,
    ) -> Result<Guest, Parting> {
        let mut bound = pin!(sleep_until(accepted + PATIENCE));
        let mut bound = Bound { deadline: bound.as_mut(), closing, watch: pin!(closing.watch()) };
        let mut greeting = Greeting::default();
        let server_name = match bound.by(|cx| self.poll_greeting(&mut stream, &mut greeting, cx)).await?? {
            Progress::Whole { server_name } => server_name,
            Progress::Failed { fault, answer } => {
                // As well as can be: what has not been sent before has room.
                let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut stream).poll_write(cx, &answer))).await;
                return Err(Parting::Fault(fault, Stream::Plain(stream)));
            }
            Progress::More => return Err(Parting::Closed),
        };
        if let Some(client) = greeting.proxied() {
            counting.set_proxied(client);
            counting.count(std::iter::empty()).map_err(|_| Parting::TurnedAway)?;
        }
        let mut stream = Stream::Plain(stream);
        let Found { identity, name } = self.identity_for(server_name.as_deref(), &mut stream, desk, &mut bound).await?;
        let mut place =
            Place { permit: Some(in_line(&self.permits, &mut stream, &mut bound).await?), left: PERMIT_PATIENCE };
        let mut pen = Some(in_line(&self.pen, &mut stream, &mut bound).await?);
        let Stream::Plain(socket) = stream else { return Err(Parting::Closed) };
        let mut secure = Secure::begin(socket, &identity, self.bench.clone()).ok_or(Parting::Closed)?;
        let (mut first, proxied) = greeting.into_parts();
        let mut step = poll_fn(|cx| Poll::Ready(secure.take(cx, &mut first).map(|()| true))).await;
        drop(first);
        loop {
            match step {
                Ok(true) => {}
                Ok(false) => return Err(Parting::Closed),
                Err(error) => {
                    let fault = Fault::inside(&error).ok_or(Parting::Closed)?;
                    return Err(Parting::Fault(fault, Stream::Secure(Box::new(secure))));
                }
            }
            yield_now().await;
            drop(pen.take());
            if !secure.is_shaking_hands() {
                break;
            }
            if matches!(place.held_for(bound.by(|cx| secure.poll_signs(cx))).await?, Ok(true)) {
                let mut next = pin!(self.pen.acquire());
                pen = bound.by(|cx| next.as_mut().poll(cx)).await?.ok();
            }
            step = place.held_for(bound.by(|cx| secure.poll_step(cx))).await?;
        }
        let is_resumed = secure.is_resumed();
        Ok(Guest { stream: Stream::Secure(Box::new(secure)), name, proxied, is_resumed })
    }

    /// Reads until it is known what the client wants.
    fn poll_greeting(
        &self,
        stream: &mut TcpStream,
        greeting: &mut Greeting,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Progress, Parting>> {
        loop {
            let mut tools = self.bench.tools();
            let mut buffer = ReadBuf::new(tools.behind(0).0);
            match ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {}
                _ => return Poll::Ready(Err(Parting::Closed)),
            }
            match greeting.take(buffer.filled()) {
                Progress::More => {}
                progress => return Poll::Ready(Ok(progress)),
            }
        }
    }

    /// The identity for a server name. JavaScript is asked if it has none, and if it wants to be.
    async fn identity_for(
        &self,
        server_name: Option<&str>,
        stream: &mut Stream,
        desk: &Desk,
        bound: &mut Bound<'_, '_>,
    ) -> Result<Found, Parting> {
        let Some(name) = server_name else { return Ok(self.security.default()) };
        if let Some(found) = self.security.find(name) {
            return Ok(found);
        }
        if self.security.asks() {
            let asked = Instant::now();
            let conversation = desk.ask_server_name(&name.to_ascii_lowercase());
            let mut look = Look::default();
            let answered = |cx: &mut Context<'_>| match conversation.poll_verdict(cx) {
                Poll::Ready(_) => Poll::Ready(Ok(())),
                Poll::Pending => look.poll_gone(stream, cx).map(|()| Err(Parting::Closed)),
            };
            bound.unhurried(answered).await??;
            bound.extend(asked.elapsed());
        }
        Ok(self.security.find(name).unwrap_or_else(|| self.security.default()))
    }
}

/// Place of a handshake under way: a client that is slow does not hold others up.
struct Place<'s> {
    permit: Option<SemaphorePermit<'s>>,
    /// So long it may still be waited for, in all: a byte now and then wins nothing.
    left: Duration,
}

impl Place<'_> {
    /// Waits for the client; without the place, once it has been waited for too long.
    async fn held_for<T>(&mut self, client: impl Future<Output = T>) -> T {
        let mut client = pin!(client);
        if self.permit.is_some() {
            let began = Instant::now();
            if let Ok(done) = timeout(self.left, client.as_mut()).await {
                self.left = self.left.saturating_sub(began.elapsed());
                return done;
            }
            self.permit = None;
        }
        client.await
    }
}

/// Waits in line. Who leaves it, or has no time left, costs the others nothing.
async fn in_line<'s>(
    semaphore: &'s Semaphore,
    stream: &mut Stream,
    bound: &mut Bound<'_, '_>,
) -> Result<SemaphorePermit<'s>, Parting> {
    let mut permit = pin!(semaphore.acquire());
    let mut look = Look::default();
    bound
        .by(|cx| match permit.as_mut().poll(cx) {
            Poll::Ready(permit) => Poll::Ready(permit.map_err(|_| Parting::Closed)),
            Poll::Pending => look.poll_gone(stream, cx).map(|()| Err(Parting::Closed)),
        })
        .await?
}

/// What bounds the steps of one handshake.
struct Bound<'a, 'n> {
    deadline: Pin<&'a mut Sleep>,
    closing: &'n Closing,
    watch: Pin<&'a mut Notified<'n>>,
}

impl Bound<'_, '_> {
    /// Waits for something within the deadline.
    async fn by<T>(&mut self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T, Parting> {
        poll_fn(|cx| match poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.closing.poll(self.watch.as_mut(), cx) => Poll::Ready(Err(Parting::Leaving)),
            Poll::Pending => self.deadline.as_mut().poll(cx).map(|()| Err(Parting::TimedOut)),
        })
        .await
    }

    /// Waits for JavaScript.
    async fn unhurried<T>(&mut self, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Result<T, Parting> {
        poll_fn(|cx| match poll(cx) {
            Poll::Ready(value) => Poll::Ready(Ok(value)),
            Poll::Pending if self.closing.poll(self.watch.as_mut(), cx) => Poll::Ready(Err(Parting::Leaving)),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// This time does not count.
    fn extend(&mut self, time: Duration) {
        let due = self.deadline.deadline() + time;
        self.deadline.as_mut().reset(due);
    }
}

/// Under a paused clock, as the tests of [`serve`](super::serve).
#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpStream as Client;
    use std::rc::Rc;
    use std::sync::Arc;

    use rustls::ClientConnection;
    use tokio::net::TcpListener;
    use tokio::runtime::{Builder, LocalOptions};
    use tokio::task::{JoinHandle, spawn_blocking, spawn_local};
    use tokio::time::sleep;

    use super::super::Bounds;
    use super::super::admission::Admission;
    use super::super::desk::crossing;
    use super::super::tests::client::{Issued, TLS12, TLS13, connection, said};
    use super::*;
    use crate::bridge::command::encode;
    use crate::bridge::{Budget, CommandKind, ConnectionId, Crossing};

    /// Handshakes under way at most.
    const PERMITS: usize = 1;

    struct Door {
        reception: Rc<Reception>,
        desk: Rc<Desk>,
        crossing: Arc<Crossing>,
        listener: TcpListener,
        issued: Issued,
    }

    type Shaking = JoinHandle<Result<Guest, Parting>>;

    fn at_the_reception(test: impl AsyncFnOnce(Door)) {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build_local(LocalOptions::default()).unwrap();
        runtime.block_on(async {
            let issued = Issued::new("localhost");
            let mut reception = Reception::new(Security::new(issued.identity()));
            reception.permits = Semaphore::new(PERMITS);
            let (crossing, bell) = crossing(&Budget::new(0), Box::new(|| {}));
            let desk = Rc::new(Desk::new(crossing.clone(), bell, Default::default()));
            let keeper = spawn_local({
                let desk = desk.clone();
                poll_fn(move |cx| {
                    desk.turn(cx);
                    Poll::<()>::Pending
                })
            });
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            test(Door { reception: Rc::new(reception), desk, crossing, listener, issued }).await;
            keeper.abort();
        });
    }

    impl Door {
        /// A client, and the other side of it.
        async fn meet(&self) -> (Client, Shaking) {
            let address = self.listener.local_addr().unwrap();
            let client = spawn_blocking(move || Client::connect(address).unwrap());
            let (stream, _) = self.listener.accept().await.unwrap();
            let (reception, desk) = (self.reception.clone(), self.desk.clone());
            let accepted = Instant::now();
            let shaking = spawn_local(async move {
                let (closing, admission) = (Closing::default(), Admission::new(&Bounds::default(), Arc::default()));
                let counting = admission.counting(None);
                reception.shake_hands(stream, accepted, &desk, &closing, &counting).await
            });
            let client = client.await.unwrap();
            client.set_read_timeout(Some(PATIENCE)).unwrap();
            (client, shaking)
        }

        fn says(&self) -> ClientConnection {
            connection(&self.issued.trusted(&TLS13, None), "localhost")
        }
    }

    /// Waits for what the gate says, and answers that.
    async fn reply(mut client: Client, mut connection: ClientConnection) -> (Client, ClientConnection) {
        spawn_blocking(move || {
            while connection.is_handshaking() {
                connection.read_tls(&mut client).unwrap();
                connection.process_new_packets().unwrap();
            }
            client.write_all(&said(&mut connection)).unwrap();
            (client, connection)
        })
        .await
        .unwrap()
    }

    async fn is_timed_out(shaking: Shaking) -> bool {
        matches!(shaking.await.unwrap(), Err(Parting::TimedOut))
    }

    #[test]
    fn a_handshake_that_does_not_go_on_ends_in_time() {
        at_the_reception(async |place| {
            for version in [&TLS12, &TLS13] {
                let hello = said(&mut connection(&place.issued.trusted(version, None), "localhost"));
                for length in [0, 1, hello.len() - 1, hello.len()] {
                    let (mut client, shaking) = place.meet().await;
                    let began = Instant::now();
                    client.write_all(&hello[..length]).unwrap();
                    assert!(is_timed_out(shaking).await);
                    assert_eq!(began.elapsed().as_secs(), limits::TLS_HANDSHAKE_SECONDS);
                }
            }
        });
    }

    #[test]
    fn bytes_that_drip_win_no_time() {
        at_the_reception(async |place| {
            let hello = said(&mut place.says());
            let (mut client, shaking) = place.meet().await;
            let began = Instant::now();
            for byte in &hello[..9] {
                client.write_all(&[*byte]).unwrap();
                sleep(Duration::from_secs(1)).await;
            }
            assert!(!shaking.is_finished());
            assert!(is_timed_out(shaking).await);
            assert_eq!(began.elapsed().as_secs(), limits::TLS_HANDSHAKE_SECONDS);
        });
    }

    #[test]
    fn the_time_that_javascript_takes_does_not_count() {
        at_the_reception(async |place| {
            place.reception.security.ask(true);
            let (mut client, shaking) = place.meet().await;
            let began = Instant::now();
            client.write_all(&said(&mut place.says())).unwrap();
            sleep(Duration::from_secs(3600)).await;
            assert!(!shaking.is_finished());
            let mut looked = Vec::new();
            let asked = ConnectionId { index: 0, generation: 0 };
            encode(&mut looked, CommandKind::ServerNameLooked, 0, asked, b"");
            place.crossing.inbox.push(&looked, None);
            place.crossing.ring();
            assert!(is_timed_out(shaking).await);
            assert_eq!(began.elapsed().as_secs(), 3600 + limits::TLS_HANDSHAKE_SECONDS);
        });
    }

    #[test]
    fn who_rests_lets_the_next_in_line_go_first_and_loses_nothing() {
        at_the_reception(async |place| {
            let began = Instant::now();
            let mut line = Vec::new();
            for _ in 0..4 {
                let (mut client, shaking) = place.meet().await;
                let mut connection = place.says();
                client.write_all(&said(&mut connection)).unwrap();
                // The kernel's word of it has to come first.
                spawn_blocking(|| std::thread::sleep(Duration::from_millis(20))).await.unwrap();
                line.push((client, connection, shaking));
            }
            assert_eq!(place.reception.permits.available_permits(), 0);
            // The third has gone before its turn.
            let (gone, _, shaking) = line.remove(2);
            drop(gone);
            assert!(matches!(shaking.await.unwrap(), Err(Parting::Closed)));
            let [first, second, last] = line.try_into().ok().unwrap();
            assert!(began.elapsed() < PERMIT_PATIENCE);

            sleep(PERMIT_PATIENCE).await;
            let (_client, _connection) = reply(second.0, second.1).await;
            assert!(second.2.await.unwrap().is_ok());
            // Its permit is the next one's at once.
            let (_client, _connection) = reply(last.0, last.1).await;
            assert!(last.2.await.unwrap().is_ok());
            assert!(began.elapsed() < 2 * PERMIT_PATIENCE);
            let (_client, _connection) = reply(first.0, first.1).await;
            assert!(first.2.await.unwrap().is_ok());
            assert_eq!(place.reception.permits.available_permits(), PERMITS);
        });
    }

    #[test]
    fn who_drips_or_was_asked_to_begin_anew_rests_as_well() {
        at_the_reception(async |place| {
            let began = Instant::now();
            let mut hello = said(&mut place.says());
            // Its key is of a group that is not served.
            let share = hello.windows(4).position(|bytes| bytes == [0, 0x1d, 0, 32]).unwrap();
            hello[share + 1] = 0x19;
            let (mut renewed, _shaking) = place.meet().await;
            renewed.write_all(&hello).unwrap();
            spawn_blocking(|| std::thread::sleep(Duration::from_millis(20))).await.unwrap();
            assert_eq!(place.reception.permits.available_permits(), 0);

            let (mut dripping, _shaking) = place.meet().await;
            dripping.write_all(&said(&mut place.says())).unwrap();
            spawn_blocking(|| std::thread::sleep(Duration::from_millis(20))).await.unwrap();
            let (mut client, shaking) = place.meet().await;
            let mut connection = place.says();
            client.write_all(&said(&mut connection)).unwrap();
            sleep(PERMIT_PATIENCE).await;
            for byte in [23, 3, 3] {
                dripping.write_all(&[byte]).unwrap();
                sleep(PERMIT_PATIENCE / 2).await;
            }
            let (_client, _connection) = reply(client, connection).await;
            assert!(shaking.await.unwrap().is_ok());
            assert!(began.elapsed() < 3 * PERMIT_PATIENCE);
        });
    }
}
