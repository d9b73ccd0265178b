//! The hand-over of established connections to the reactors, each its turn.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::sync::Arc;

use super::ask::Reserved;
use super::stream::Stream;
use crate::bridge::Ticket;
use crate::protocol::Agreement;
use crate::reactor::{Adopter, Adoption, Failure, Route};

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
    /// What is gathered for each of them. Empty between two turns of the gate's keeper.
    gathered: RefCell<Vec<Vec<Adoption>>>,
}

/// Connections that are gathered for one reactor at most: it should not have to wait for the last of a storm.
const GATHERED: usize = 16;

impl Reactors {
    pub(super) fn new(adopters: Vec<Arc<dyn Adopter>>) -> Self {
        let gathered = RefCell::new(adopters.iter().map(|_| Vec::new()).collect());
        Self { adopters, next: Cell::new(0), gathered }
    }

    /// Whether one of them is: all wait for the same JavaScript thread.
    pub(super) fn is_full(&self) -> bool {
        self.adopters.iter().any(|adopter| adopter.is_full())
    }

    /// Has a reactor tell JavaScript of a panic: which one is all the same.
    pub(super) fn report(&self, failure: Failure) {
        if let Some(adopter) = self.adopters.first() {
            adopter.report(failure);
        }
    }

    /// The reactor whose turn it is.
    pub(super) fn next(&self) -> Option<Arc<dyn Adopter>> {
        self.adopters.get(self.turn()).cloned()
    }

    fn turn(&self) -> usize {
        let turn = self.next.get();
        self.next.set(if turn + 1 < self.adopters.len() { turn + 1 } else { 0 });
        turn
    }

    /// Keeps a connection for the reactor whose turn it is, until they are [sent](Self::send): at once, when there are
    /// enough. Others that have something to do and no processor of their own get this one then: in a storm this
    /// thread has always more to do, and those that are connected already would wait for it until the kernel finds that it has had its
    /// share, which is some milliseconds.
    pub(super) fn gather(&self, adoption: Adoption) {
        let turn = self.turn();
        let mut gathered = self.gathered.borrow_mut();
        let Some(adoptions) = gathered.get_mut(turn) else { return };
        adoptions.push(adoption);
        if adoptions.len() == GATHERED {
            self.adopters[turn].adopt(&mut adoptions.drain(..));
            drop(gathered);
            std::thread::yield_now();
        }
    }

    /// Hands over what is gathered: with one wake-up for each reactor.
    pub(super) fn send(&self) {
        for (adoptions, adopter) in self.gathered.borrow_mut().iter_mut().zip(&self.adopters) {
            if !adoptions.is_empty() {
                adopter.adopt(&mut adoptions.drain(..));
            }
        }
    }

    /// Lets go of memory, once there are no connections.
    pub(super) fn let_go(&self) {
        self.gathered.borrow_mut().iter_mut().for_each(Vec::shrink_to_fit);
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
            let adoption = Adoption { stream, session, route, agreement, early, peer, ticket, pass };
            adopter.adopt(&mut std::iter::once(adoption));
        }
    }
}
