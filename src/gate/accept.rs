//! Accepting connections from one listening socket.
//!
//! Polled by the gate's thread. When the process has no descriptor or the kernel no memory left, it
//! pauses, longer each time, and recovers by itself: the connection stays ready in the kernel, so
//! trying at once would spin. What is open already is served meanwhile.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};
use tokio::time::{Sleep, sleep};

use super::Listener;
use super::tally::{Pausing, Tally};
#[cfg(unix)]
use super::unix::SocketFile;
use crate::bridge::{ListenerId, Ticket};
use crate::error::{HostFault, shortage};
use crate::limits;

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
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix {
        listener: UnixListener,
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
                let listener = TcpListener::from_std(listener).map_err(|error| HostFault::from_io(error, address))?;
                Ok(Self::Tcp(listener))
            }
            #[cfg(unix)]
            Listener::Unix(socket) => {
                let (listener, file) = socket.into_parts();
                let path = file.path();
                let listener =
                    UnixListener::from_std(listener).map_err(|error| HostFault::from_path_io(error, path))?;
                Ok(Self::Unix { listener, _file: file })
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, Option<SocketAddr>)>> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                // It fails only for a connection that is already gone; reading will tell.
                let _ = stream.set_nodelay(true);
                Poll::Ready(Ok((stream, Some(peer))))
            }
            #[cfg(unix)]
            Self::Unix { listener, .. } => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Poll::Ready(stream_of(stream).map(|stream| (stream, None)))
            }
        }
    }
}

/// A connection of a Unix domain socket as the rooms behind this one know connections. They read, write and
/// shut down, which is the same for all stream sockets; what is TCP's alone was done here.
#[cfg(unix)]
fn stream_of(stream: UnixStream) -> io::Result<TcpStream> {
    TcpStream::from_std(std::os::fd::OwnedFd::from(stream.into_std()?).into())
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
