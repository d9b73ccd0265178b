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
use tokio::time::{Sleep, sleep};

use super::tally::{Pausing, Tally};
use crate::bridge::{ListenerId, Ticket};
use crate::error::shortage;
use crate::limits;

/// A listening socket; dropping it closes it.
pub(super) struct Acceptor {
    pub(super) id: ListenerId,
    listener: TcpListener,
    pause: Option<Pause>,
    next_pause: Duration,
    tally: Arc<Tally>,
    _counted_in: Ticket,
}

struct Pause {
    over: Pin<Box<Sleep>>,
    _counted: Pausing,
}

const PAUSE_MIN: Duration = Duration::from_millis(limits::ACCEPT_PAUSE_MIN_MILLISECONDS);
const PAUSE_MAX: Duration = Duration::from_millis(limits::ACCEPT_PAUSE_MAX_MILLISECONDS);

impl Acceptor {
    pub(super) fn new(id: ListenerId, listener: TcpListener, tally: Arc<Tally>, ticket: Ticket) -> Self {
        Self { id, listener, pause: None, next_pause: PAUSE_MIN, tally, _counted_in: ticket }
    }

    /// The next connection, with `TCP_NODELAY` set. tokio's budget for one turn ends a batch.
    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<(TcpStream, SocketAddr)> {
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.over.as_mut().poll(cx));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(cx)) {
                Ok((stream, peer)) => {
                    self.next_pause = PAUSE_MIN;
                    // It fails only for a connection that is already gone; reading will tell.
                    let _ = stream.set_nodelay(true);
                    return Poll::Ready((stream, peer));
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
