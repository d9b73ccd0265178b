//! A connection on its way from the gate that accepted it to that of another App.
//!
//! Nothing of it has been read. It waits in a queue of the other gate, until that takes it; if that ends
//! instead, the connection goes home, where another child gets it, or it is served.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use tokio::sync::mpsc;

use crate::bridge::{Census, Ticket};

/// A connection that nobody serves yet, and what counts it in where it is.
pub(super) struct Unserved {
    /// Non-blocking, with `TCP_NODELAY` set.
    pub(super) stream: TcpStream,
    pub(super) peer: Option<SocketAddr>,
    pub(super) ticket: Ticket,
}

/// The gate that connections go back to.
#[derive(Clone)]
pub(super) struct Home {
    returns: mpsc::UnboundedSender<Unserved>,
    census: Arc<Census>,
}

impl Home {
    /// A home, and where its gate finds what came back: no more than was on its way.
    pub(super) fn new(census: Arc<Census>) -> (Self, mpsc::UnboundedReceiver<Unserved>) {
        let (returns, returned) = mpsc::unbounded_channel();
        (Self { returns, census }, returned)
    }
}

/// A connection on its way. Dropped before it is [taken](Passed::take), it goes home; if there is none
/// any more, it is closed.
pub(super) struct Passed {
    connection: Option<Unserved>,
    home: Home,
}

impl Passed {
    /// The connection counts in where it goes.
    pub(super) fn new(connection: Unserved, home: Home) -> Self {
        Self { connection: Some(connection), home }
    }

    pub(super) fn take(mut self) -> Option<Unserved> {
        self.connection.take()
    }
}

impl Drop for Passed {
    fn drop(&mut self) {
        if let Some(Unserved { stream, peer, .. }) = self.connection.take() {
            let ticket = self.home.census.enter();
            // What cannot be sent is dropped, and closed by that.
            let _ = self.home.returns.send(Unserved { stream, peer, ticket });
        }
    }
}
