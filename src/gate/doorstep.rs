//! The short way of an opening handshake that comes whole and ordinary as the first bytes of a connection: it is
//! judged and answered without hyper; and, if it is there when the connection is accepted, without a task and before
//! tokio knows of the socket.
//!
//! Called by the gate's keeper for each connection that it accepts, and by its task for one that had nothing to say
//! then. Whatever else comes goes the long way ([`serve`](super::serve)), and tests hold both ways to the same
//! outcome. Memory: the request and the response, for as long as they are judged and written.

use std::future::{Future, poll_fn};
use std::io::{Read, Write};
use std::pin::Pin;
use std::task::Poll;

use tokio::io::AsyncWrite;
use tokio::time::Sleep;

use super::Routes;
use super::entrance::Entrance;
use super::hand_over::Admitted;
use super::passed::Unserved;
use super::search::{Candidate, Next, Search};
use super::serve::Presence;
use super::stream::Stream;
use crate::reactor::Adoption;

/// A connection that is to become a WebSocket as soon as it has the response.
pub(super) struct Welcome {
    /// The 101, whole.
    pub(super) response: Vec<u8>,
    pub(super) admitted: Admitted,
    /// What came behind the request.
    pub(super) early: Vec<u8>,
}

/// What became of the response.
pub(super) enum Said {
    /// It is written.
    Whole { admitted: Admitted, early: Vec<u8> },
    /// The peer is gone.
    Failed,
    /// The peer did not take it in time.
    TimedOut,
}

impl Welcome {
    /// What follows from the first bytes of a connection, if they ask for a WebSocket as they should, and JavaScript
    /// need not be asked.
    pub(super) fn to(bytes: &[u8], entrance: &Entrance, routes: &Routes) -> Option<Self> {
        let opening = entrance.screen.take_opening(bytes)?;
        let Next::WebSocket(candidate) = Search::default().next(routes, &opening.parts, false) else { return None };
        let Candidate { endpoint, opening: answer, agreement } = candidate;
        if endpoint.route.asks {
            return None;
        }
        let admitted = Admitted { route: endpoint.route.clone(), agreement, reserved: None };
        Some(Self { response: answer.response(), admitted, early: bytes[opening.bytes..].to_vec() })
    }

    /// Writes the response, until the deadline.
    pub(super) async fn say(self, stream: &mut Stream, mut deadline: Pin<&mut Sleep>) -> Said {
        let Self { response, admitted, early } = self;
        let mut written = 0;
        let is_whole = poll_fn(|cx| {
            while written < response.len() {
                match Pin::new(&mut *stream).poll_write(cx, &response[written..]) {
                    Poll::Ready(Ok(count @ 1..)) => written += count,
                    Poll::Ready(_) => return Poll::Ready(Some(false)),
                    Poll::Pending => return deadline.as_mut().poll(cx).map(|()| None),
                }
            }
            Poll::Ready(Some(true))
        });
        match is_whole.await {
            Some(true) => Said::Whole { admitted, early },
            Some(false) => Said::Failed,
            None => Said::TimedOut,
        }
    }
}

/// Reads a connection once, and upgrades it if it asks for that. Otherwise it comes back with what was read: it is to
/// go the long way. Nothing is read in TLS, nor of a proxy whose head says for whom the connection counts.
pub(super) fn receive(entrance: &Entrance, connection: Unserved) -> Option<(Unserved, Vec<u8>)> {
    if entrance.reception.is_some() || entrance.admission.awaits(connection.peer) {
        return Some((connection, Vec::new()));
    }
    let mut buffer = entrance.buffer.borrow_mut();
    // An end comes again to the next who reads, and so does an error, at least as an end.
    let read = (&connection.stream).read(&mut buffer[..]).unwrap_or(0);
    let bytes = &buffer[..read];
    match Welcome::to(bytes, entrance, &entrance.routes) {
        Some(welcome) => admit(entrance, connection, welcome),
        None => return Some((connection, bytes.to_vec())),
    }
    None
}

fn admit(entrance: &Entrance, Unserved { stream, peer, ticket }: Unserved, welcome: Welcome) {
    let Welcome { response, admitted: Admitted { route, agreement, .. }, early } = welcome;
    let (visit, _presence) = (entrance.tally.enter(), Presence::new(&entrance.desk, peer));
    match (&stream).write(&response) {
        Ok(written) if written == response.len() => {}
        // The first bytes that are written to a connection find room. If they do not, the host is out of memory, or
        // the peer is gone.
        _ => return,
    }
    visit.upgrade();
    entrance.reactors.gather(Adoption { stream, session: None, route, agreement, early, peer, ticket, pass: None });
}
