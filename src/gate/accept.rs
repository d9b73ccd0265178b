//! Accepting connections from one listening socket.
//!
//! Polled by the gate's thread. When the process has no descriptor or the kernel no memory left, it
//! pauses, longer each time, and recovers by itself: the connection stays ready in the kernel, so
//! trying at once would spin. What is open already is served meanwhile.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpStream};
#[cfg(unix)]
use std::os::fd::{AsFd, OwnedFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

#[cfg(unix)]
use socket2::SockRef;
#[cfg(unix)]
use tokio::io::Interest;
use tokio::time::{Sleep, sleep};

use super::Listener;
use super::tally::{Pausing, Tally};
#[cfg(unix)]
use super::unix::SocketFile;
use crate::bridge::{ListenerId, Ticket};
use crate::error::{HostFault, shortage};
use crate::limits;
#[cfg(unix)]
use crate::reactor::defer_accept;

/// A listening socket; dropping it closes it.
pub(super) struct Acceptor {
    pub(super) id: ListenerId,
    source: Source,
    pause: Option<Pause>,
    next_pause: Duration,
    tally: Arc<Tally>,
    _counted_in: Ticket,
}

/// Where connections come from.
pub(super) enum Source {
    #[cfg(unix)]
    Tcp(Watched<mio::net::TcpListener>),
    #[cfg(not(unix))]
    Tcp(tokio::net::TcpListener),
    #[cfg(unix)]
    Unix {
        listener: Watched<mio::net::UnixListener>,
        /// Lives as long as the listener.
        _file: SocketFile,
    },
}

struct Pause {
    over: Pin<Box<Sleep>>,
    _counted: Pausing,
}

const PAUSE_MIN: Duration = Duration::from_millis(limits::ACCEPT_PAUSE_MIN_MILLISECONDS);
const PAUSE_MAX: Duration = Duration::from_millis(limits::ACCEPT_PAUSE_MAX_MILLISECONDS);

impl Acceptor {
    pub(super) fn new(id: ListenerId, source: Source, tally: Arc<Tally>, ticket: Ticket) -> Self {
        Self { id, source, pause: None, next_pause: PAUSE_MIN, tally, _counted_in: ticket }
    }

    /// The next connection, and its peer's address, where it has one. tokio's budget for one turn ends a batch.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, Option<SocketAddr>)> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.over.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.source.poll_accept(cx)) {
                Ok(connection) => {
                    self.next_pause = PAUSE_MIN;
                    return Poll::Ready(connection);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    let counted = self.tally.pause(shortage(&error).unwrap_or("TIDEWIRE_ACCEPT_FAILED"));
                    self.pause = Some(Pause { over: Box::pin(sleep(self.next_pause)), _counted: counted });
                    self.next_pause = PAUSE_MAX.min(self.next_pause * 2);
                }
            }
        }
    }
}

impl Source {
    /// Has the runtime, whose context this is called in, wait for a listening socket.
    pub(super) fn watch(listener: Listener) -> Result<Self, HostFault> {
        match listener {
            Listener::Tcp(listener) => {
                let address = listener.local_addr().map_or_else(|error| error.to_string(), |a| a.to_string());
                Self::watch_tcp(listener).map_err(|error| HostFault::from_io(error, address))
            }
            #[cfg(unix)]
            Listener::Unix(socket) => {
                let (listener, file) = socket.into_parts();
                let path = file.path();
                let listener = Watched::new(mio::net::UnixListener::from_std(listener));
                let listener = listener.map_err(|error| HostFault::from_path_io(error, path))?;
                Ok(Self::Unix { listener, _file: file })
            }
        }
    }

    #[cfg(unix)]
    fn watch_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        if INHERITS_NO_DELAY {
            SockRef::from(&listener).set_tcp_nodelay(true)?;
        }
        defer_accept(&listener)?;
        Watched::new(mio::net::TcpListener::from_std(listener)).map(Self::Tcp)
    }

    #[cfg(not(unix))]
    fn watch_tcp(listener: std::net::TcpListener) -> io::Result<Self> {
        tokio::net::TcpListener::from_std(listener).map(Self::Tcp)
    }

    /// The connection is non-blocking, and no poller knows it: few of them stay long at the gate.
    #[cfg(unix)]
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Option<SocketAddr>)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll(cx, mio::net::TcpListener::accept))?;
                if !INHERITS_NO_DELAY {
                    // It fails only for a connection that is already gone; reading will tell.
                    let _ = stream.set_nodelay(true);
                }
                Poll::Ready(Ok((stream.into(), Some(peer))))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = ready!(listener.poll(cx, mio::net::UnixListener::accept))?;
                // The rooms behind this one read, write and shut down, which is the same for all stream sockets.
                Poll::Ready(Ok((OwnedFd::from(stream).into(), None)))
            }
        }
    }

    #[cfg(not(unix))]
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Option<SocketAddr>)>> {
        let Self::Tcp(listener) = self;
        let (stream, peer) = ready!(listener.poll_accept(cx))?;
        // It fails only for a connection that is already gone; reading will tell.
        let _ = stream.set_nodelay(true);
        Poll::Ready(stream.into_std().map(|stream| (stream, Some(peer))))
    }
}

/// Whether an accepted connection has `TCP_NODELAY` from its listener: that saves a system call for each.
#[cfg(unix)]
const INHERITS_NO_DELAY: bool = cfg!(target_os = "linux");

/// A listening socket that accepts what tokio is not to know of. tokio's own would register each connection.
#[cfg(unix)]
pub(super) struct Watched<L> {
    listener: L,
    /// The same socket, in a guise in which tokio tells its readiness and does nothing else with it.
    readiness: tokio::net::TcpStream,
}

#[cfg(unix)]
impl<L: AsFd> Watched<L> {
    fn new(listener: L) -> io::Result<Self> {
        let readiness = tokio::net::TcpStream::from_std(listener.as_fd().try_clone_to_owned()?.into())?;
        Ok(Self { listener, readiness })
    }

    /// Does something with the listener when it is ready, until that would block.
    fn poll<T>(&self, cx: &mut Context<'_>, accept: impl Fn(&L) -> io::Result<T>) -> Poll<io::Result<T>> {
        loop {
            ready!(self.readiness.poll_read_ready(cx))?;
            match self.readiness.try_io(Interest::READABLE, || accept(&self.listener)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }
}

/// Whether the error belongs to the connection that was to be accepted, not to the listener.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_os = "linux")]
    use crate::bridge::Census;
    #[cfg(target_os = "linux")]
    use socket2::Socket;
    #[cfg(target_os = "linux")]
    use std::{future::poll_fn, io::Write, net::Shutdown};
    #[cfg(target_os = "linux")]
    use tokio::{runtime::Builder, time::Instant};

    /// The pauses that follow from so many failures, in ms.
    #[cfg(target_os = "linux")]
    async fn pauses(acceptor: &mut Acceptor, failures: usize) -> Vec<u128> {
        let mut pauses = Vec::new();
        while pauses.len() < failures {
            let known = acceptor.tally.counts().accept_pauses;
            poll_fn(|cx| {
                assert!(acceptor.poll_accept(cx).is_pending());
                if acceptor.tally.counts().accept_pauses == known { Poll::Pending } else { Poll::Ready(()) }
            })
            .await;
            let over = acceptor.pause.as_ref().unwrap().over.deadline();
            pauses.push((over - Instant::now()).as_millis());
        }
        pauses
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn pauses_double_up_to_a_second_until_a_connection_comes() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let socket = Socket::from(listener.try_clone().unwrap());
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let source = Source::watch(Listener::Tcp(listener)).unwrap();
            let mut acceptor = Acceptor::new(ListenerId(0), source, Arc::default(), Census::new(|| {}).enter());
            // It does not listen any more, so accepting fails, and not because of one connection.
            socket.shutdown(Shutdown::Both).unwrap();
            let doubling = [10, 20, 40, 80, 160, 320, 640, 1_000, 1_000];
            assert_eq!(pauses(&mut acceptor, doubling.len()).await, doubling);
            socket.listen(1).unwrap();
            // The port is another one.
            let address = socket.local_addr().unwrap().as_socket().unwrap();
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(b"?").unwrap();
            poll_fn(|cx| acceptor.poll_accept(cx)).await;
            socket.shutdown(Shutdown::Both).unwrap();
            assert_eq!(pauses(&mut acceptor, 3).await, [10, 20, 40]);
        });
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_shortage_is_not_of_one_connection() {
        for code in [24, 23, 105, 12, 22] {
            assert!(!is_of_one_connection(&io::Error::from_raw_os_error(code)));
        }
    }

    #[test]
    fn a_connection_that_is_gone_before_it_is_accepted_is_no_shortage() {
        assert!(is_of_one_connection(&io::ErrorKind::ConnectionAborted.into()));
    }
}
