//! What a gate has done and has under way: its part of `app.stats()`.
//!
//! Counted on the gate's thread and read on JavaScript's. Behind a mutex, which is taken a few times
//! for each opening handshake and never for a message: a handshake costs a thousand times as much.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use http::StatusCode;

use super::admission::Surplus;
use super::stock::Stock;
use crate::bridge::Excess;

/// The numbers of one gate. Totals count from the start of its thread.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections at the gate now: their request is awaited or answered, or they end behind an answer.
    /// HTTP clients are not counted.
    pub handshakes: u64,
    /// Connections now that a handler has had a request of: HTTP clients.
    pub http_connections: u64,
    /// Requests that were left to handlers.
    pub requests: u64,
    /// Connections that became WebSockets.
    pub upgraded: u64,
    /// Connections whose peer did not send its request in time, or did not take the answer.
    pub timed_out: u64,
    /// Requests that were answered with an error, by status code, from 400 to 599: handlers choose most of them.
    pub refused: BTreeMap<u16, u64>,
    /// Times that accepting paused for want of descriptors or memory; one failed attempt each.
    pub accept_pauses: u64,
    /// What was wanting at the last pause, by the name of the system's error.
    pub accept_pause_code: Option<&'static str>,
    /// Listeners that pause now.
    pub pausing_listeners: u64,
    /// Connections that were turned away.
    pub turned_away: TurnedAway,
    /// Bytes that wait for slow clients now: heads that are not whole, and responses.
    pub waiting_bytes: u64,
    /// Connections of HTTP that were closed for the App's memory budget.
    pub shed: u64,
    /// The handshakes of TLS; none where none is spoken.
    pub tls: TlsCounts,
}

/// Connections that were turned away, by the reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TurnedAway {
    /// The App had as many as it may have.
    pub app: u64,
    /// Their address had as many as it may have.
    pub address: u64,
    /// Their address made them too fast.
    pub rate: u64,
}

/// How handshakes of TLS have ended. A connection that the App drops meanwhile is in none of these.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsCounts {
    /// Handshakes that were completed.
    pub handshakes: u64,
    /// Those of them that resumed an earlier session (RFC 8446 §2.2).
    pub resumed: u64,
    /// Those that were not, by the reason: a fault's [name](crate::tls::Fault::name), `closed` by the peer, or `timedOut`.
    pub failed: BTreeMap<&'static str, u64>,
}

/// The counts, shared by the gate's thread and its handle.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counts>, Stock);

impl Tally {
    /// A copy of the counts.
    pub(super) fn counts(&self) -> Counts {
        Counts { waiting_bytes: self.1.bytes() as u64, shed: self.1.shed(), ..self.lock().clone() }
    }

    /// What waits for slow clients.
    pub(super) fn stock(&self) -> &Stock {
        &self.1
    }

    /// A connection was accepted; it is at the gate until the visit is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Visit {
        let mut counts = self.lock();
        counts.accepted += 1;
        counts.handshakes += 1;
        drop(counts);
        Visit { tally: self.clone(), is_settled: Cell::new(false) }
    }

    /// Connections whose opening handshake is under way.
    pub(super) fn handshakes(&self) -> usize {
        usize::try_from(self.lock().handshakes).unwrap_or(usize::MAX)
    }

    /// A request is answered with an error.
    pub(super) fn refuse(&self, status: StatusCode) {
        *self.lock().refused.entry(status.as_u16()).or_default() += 1;
    }

    /// A connection is turned away.
    pub(super) fn turn_away(&self, surplus: Surplus) {
        let counts = &mut self.lock().turned_away;
        match surplus {
            Surplus::App => counts.app += 1,
            Surplus::Address(Excess::Connections) => counts.address += 1,
            Surplus::Address(Excess::Rate { .. }) => counts.rate += 1,
        }
    }

    /// A handshake of TLS is done.
    pub(super) fn secure(&self, is_resumed: bool) {
        let mut counts = self.lock();
        counts.tls.handshakes += 1;
        counts.tls.resumed += u64::from(is_resumed);
    }

    /// A handshake of TLS has failed.
    pub(super) fn fail(&self, reason: &'static str) {
        *self.lock().tls.failed.entry(reason).or_default() += 1;
    }

    /// A listener pauses until what is returned is dropped.
    pub(super) fn pause(self: &Arc<Self>, code: &'static str) -> Pausing {
        let mut counts = self.lock();
        counts.accept_pauses += 1;
        counts.accept_pause_code = Some(code);
        counts.pausing_listeners += 1;
        drop(counts);
        Pausing(self.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection at the gate.
pub(super) struct Visit {
    tally: Arc<Tally>,
    /// Whether it is an HTTP client.
    is_settled: Cell<bool>,
}

impl Visit {
    /// A handler has a request of it: it may stay for as long as it likes, and leaves room for others.
    pub(super) fn settle(&self) {
        let mut counts = self.tally.lock();
        counts.requests += 1;
        if !self.is_settled.replace(true) {
            counts.handshakes -= 1;
            counts.http_connections += 1;
        }
    }

    /// It goes on as a WebSocket.
    pub(super) fn upgrade(self) {
        self.tally.lock().upgraded += 1;
    }

    /// Its time is over.
    pub(super) fn time_out(self) {
        self.tally.lock().timed_out += 1;
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut counts = self.tally.lock();
        match self.is_settled.get() {
            true => counts.http_connections -= 1,
            false => counts.handshakes -= 1,
        }
    }
}

/// A listener that pauses.
pub(super) struct Pausing(Arc<Tally>);

impl Drop for Pausing {
    fn drop(&mut self) {
        self.0.lock().pausing_listeners -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visit_is_counted_until_it_ends_however_it_ends() {
        let tally = Arc::new(Tally::default());
        let visits = [tally.enter(), tally.enter(), tally.enter()];
        assert_eq!((tally.counts().accepted, tally.counts().handshakes), (3, 3));
        let [first, second, third] = visits;
        first.upgrade();
        second.time_out();
        drop(third);
        let expected = Counts { accepted: 3, upgraded: 1, timed_out: 1, ..Counts::default() };
        assert_eq!(tally.counts(), expected);
    }

    #[test]
    fn the_last_pause_says_why_and_all_of_them_are_counted() {
        let tally = Arc::new(Tally::default());
        let first = tally.pause("EMFILE");
        let second = tally.pause("ENOBUFS");
        drop(first);
        let counts = tally.counts();
        assert_eq!((counts.accept_pauses, counts.accept_pause_code, counts.pausing_listeners), (2, Some("ENOBUFS"), 1));
        drop(second);
        assert_eq!(tally.counts().pausing_listeners, 0);
    }
}
