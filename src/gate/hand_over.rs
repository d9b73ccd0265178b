//! The hand-over of established connections to the reactors, each its turn.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

use super::ask::Reserved;
use super::stream::Stream;
use crate::bridge::Ticket;
use crate::protocol::Agreement;
use crate::reactor::{Adopter, Adoption, Route};

/// Where a connection belongs, and how it speaks.
pub(super) struct Admitted {
    /// The route that its request matched.
    pub(super) route: Arc<Route>,
    /// What was agreed on with the client, if it is compression.
    pub(super) agreement: Option<Agreement>,
    /// Its place in a reactor, if it has one already.
    pub(super) reserved: Option<Reserved>,
}

/// The reactors of one App, in turn.
pub(super) struct Reactors {
    adopters: Vec<Arc<dyn Adopter>>,
    next: Cell<usize>,
}

impl Reactors {
    pub(super) fn new(adopters: Vec<Arc<dyn Adopter>>) -> Self {
        Self { adopters, next: Cell::new(0) }
    }

    /// Whether one of them is: all wait for the same JavaScript thread.
    pub(super) fn is_full(&self) -> bool {
        self.adopters.iter().any(|adopter| adopter.is_full())
    }

    /// The reactor whose turn it is.
    pub(super) fn next(&self) -> Option<Arc<dyn Adopter>> {
        let turn = self.next.get();
        self.next.set(if turn + 1 < self.adopters.len() { turn + 1 } else { 0 });
        self.adopters.get(turn).cloned()
    }

    /// Hands a connection over, once its 101 is written: to the reactor that keeps a place for it, or
    /// the next. `early` is what came behind the request, as far as it was read.
    pub(super) fn hand_over(
        &self,
        stream: Stream,
        mut early: Vec<u8>,
        mut admitted: Admitted,
        peer: Option<SocketAddr>,
        ticket: Ticket,
    ) {
        let (stream, session, waiting) = stream.into_parts();
        early.extend_from_slice(&waiting);
        // Leaving tokio fails only if the poller does not know the descriptor: there is nothing to
        // hand over then, and the connection ends here.
        let Ok(stream) = stream.into_std() else { return };
        let place = admitted.reserved.take().map(Reserved::take).or_else(|| self.next().map(|adopter| (adopter, None)));
        if let Some((adopter, pass)) = place {
            let Admitted { route, agreement, .. } = admitted;
            adopter.adopt(Adoption { stream, session, route, agreement, early, peer, ticket, pass });
        }
    }
}
