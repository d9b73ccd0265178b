//! A gate's part in passing connections: to its children, and as the child of others.
//!
//! Polled by the gate's thread between its listeners and the tasks of its connections.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::sync::mpsc;

use super::Bounds;
use super::children::{Children, Vacancy};
use super::passed::{Home, Passed, Unserved};
use super::room::Room;
use super::tally::Tally;
use crate::bridge::{Budget, Census};

/// What passes through a gate.
pub(super) struct Passing {
    children: Arc<Children>,
    /// The room that the children have.
    room: Room,
    home: Home,
    returned: mpsc::UnboundedReceiver<Unserved>,
    /// The first of those, which waits for room.
    next_returned: Option<Unserved>,
    /// The inside of the gate's own door, while that is open.
    arrivals: Option<mpsc::Receiver<Passed>>,
}

impl Passing {
    pub(super) fn new(children: Arc<Children>, census: Arc<Census>, bounds: &Bounds, tally: Arc<Tally>) -> Self {
        let (home, returned) = Home::new(census);
        // What is passed on takes the child's memory.
        let room = Room::new(bounds, tally, Budget::new(0));
        Self { children, room, home, returned, next_returned: None, arrivals: None }
    }

    /// Opens the gate's door, or shuts it: those that wait behind it go home.
    pub(super) fn set_arrivals(&mut self, arrivals: Option<mpsc::Receiver<Passed>>) {
        self.arrivals = arrivals;
    }

    /// Whether connections may come from other gates.
    pub(super) fn is_open(&self) -> bool {
        self.arrivals.is_some()
    }

    /// The next connection that another gate has passed to this one.
    pub(super) fn poll_arrival(&mut self, cx: &mut Context<'_>) -> Poll<Unserved> {
        while let Some(arrivals) = &mut self.arrivals {
            match ready!(arrivals.poll_recv(cx)).map(Passed::take) {
                Some(Some(connection)) => return Poll::Ready(connection),
                Some(None) => {}
                None => self.arrivals = None,
            }
        }
        Poll::Pending
    }

    /// Whether a connection has come back that this gate had passed, since its child has ended.
    pub(super) fn poll_returned(&mut self, cx: &mut Context<'_>) -> bool {
        if self.next_returned.is_none()
            && let Poll::Ready(connection) = self.returned.poll_recv(cx)
        {
            self.next_returned = connection;
        }
        self.next_returned.is_some()
    }

    /// That connection.
    pub(super) fn take_returned(&mut self) -> Option<Unserved> {
        self.next_returned.take()
    }

    /// Ready when a child has room for a connection. `None`: there are no children.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Option<Poll<()>> {
        match self.children.vacancy() {
            Vacancy::Childless => {
                self.room.let_go();
                None
            }
            Vacancy::Full | Vacancy::Room => Some(self.room.poll(cx, 0, || self.children.vacancy() == Vacancy::Full)),
        }
    }

    /// Passes a connection to a child. It comes back if there is none.
    pub(super) fn pass(&self, stream: TcpStream, peer: Option<SocketAddr>) -> Option<(TcpStream, Option<SocketAddr>)> {
        self.children.pass(stream, peer, &self.home)
    }

    /// Nobody listens any more.
    pub(super) fn let_go(&mut self) {
        if self.next_returned.is_none() {
            self.room.let_go();
        }
    }
}
