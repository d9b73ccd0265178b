//! Counts what keeps the process alive: listeners, connections at the gate and established ones. And the
//! connections among them, which have a bound.
//!
//! A mutex and two numbers: it is touched when something opens or closes, never for a message. The
//! last one out calls `on_vacant`, so that the JavaScript thread can let the process end.

use std::sync::{Arc, PoisonError};

use super::addresses::Guest;
use super::sync::{Mutex, MutexGuard};
use crate::limits;

/// The shared count. One for each App.
pub struct Census {
    counts: Mutex<Counts>,
    most_connections: usize,
    on_vacant: Box<dyn Fn() + Send + Sync>,
}

#[derive(Default)]
struct Counts {
    /// All that is counted in.
    present: usize,
    /// Those that are connections with a socket.
    connections: usize,
}

impl Census {
    /// An empty census without a bound. `on_vacant` is called on whichever thread took the last one out, with no
    /// lock held.
    pub fn new(on_vacant: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Self::bounded(usize::MAX, on_vacant)
    }

    /// The same for so many connections at most.
    pub fn bounded(most_connections: usize, on_vacant: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { counts: Mutex::default(), most_connections, on_vacant: Box::new(on_vacant) })
    }

    /// The bound of connections of a process that may have so many descriptors, where nobody gives one: some of them are
    /// left for what is needed otherwise. `None`: the system does not tell how many it may have.
    pub fn default_bound(descriptors: Option<usize>) -> usize {
        descriptors.map_or(limits::CONNECTIONS, |most| {
            let spare = limits::SPARE_DESCRIPTORS.min(most / 2);
            (most - spare).clamp(1, limits::CONNECTIONS_MAX)
        })
    }

    /// Counts one more in, until the ticket is dropped.
    pub fn enter(self: &Arc<Self>) -> Ticket {
        self.counts().present += 1;
        Ticket { census: Some(self.clone()), is_connection: false, guest: None }
    }

    /// Whether nothing is counted in.
    pub fn is_vacant(&self) -> bool {
        self.counts().present == 0
    }

    /// Whether there are as many connections as there may be.
    pub fn is_crowded(&self) -> bool {
        self.counts().connections >= self.most_connections
    }

    /// The connections.
    #[cfg(test)]
    pub fn connections(&self) -> usize {
        self.counts().connections
    }

    /// The socket of a connection is closed whose ticket was [kept as a number](Ticket::forget).
    pub fn disconnect(&self) {
        self.counts().connections -= 1;
    }

    /// Counts one out whose ticket was kept as a number; a connection is [disconnected](Self::disconnect) before.
    pub fn leave(&self) {
        self.count_out(false);
    }

    fn count_out(&self, is_connection: bool) {
        let vacant = {
            let mut counts = self.counts();
            counts.present -= 1;
            counts.connections -= usize::from(is_connection);
            counts.present == 0
        };
        if vacant {
            (self.on_vacant)();
        }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One that is counted in; dropping it counts it out.
pub struct Ticket {
    census: Option<Arc<Census>>,
    is_connection: bool,
    guest: Option<Guest>,
}

impl Ticket {
    /// Counts it as a connection from now on. `false`: there are as many as there may be.
    pub fn connect(&mut self) -> bool {
        let Some(census) = self.census.as_ref().filter(|_| !self.is_connection) else { return true };
        let mut counts = census.counts();
        if counts.connections >= census.most_connections {
            return false;
        }
        counts.connections += 1;
        self.is_connection = true;
        true
    }

    /// Counts it as a connection no more.
    pub fn disconnect(&mut self) {
        if let Some(census) = self.census.as_ref().filter(|_| std::mem::take(&mut self.is_connection)) {
            census.disconnect();
        }
    }

    /// It counts for an address, too.
    pub fn set_guest(&mut self, guest: Option<Guest>) {
        self.guest = guest;
    }

    /// Keeps the count of a connection without the ticket: an established one has no room for a pointer.
    /// Whoever forgets a ticket owes one [`Census::disconnect`], and then one [`Census::leave`]. What counts for an
    /// address is given back.
    pub fn forget(mut self) -> Option<Guest> {
        self.census = None;
        self.guest.take()
    }

    /// The same where its place is counted in already: no [`Census::leave`] is owed.
    pub fn merge(mut self) -> Option<Guest> {
        self.is_connection = false;
        self.guest.take()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(census) = self.census.take() {
            census.count_out(self.is_connection);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_last_one_out_is_told() {
        let told = Arc::new(AtomicUsize::new(0));
        let census = Census::new({
            let told = told.clone();
            move || {
                // ORDERING: a test's counter on one thread.
                told.fetch_add(1, Ordering::Relaxed);
            }
        });
        let first = census.enter();
        let second = census.enter();
        second.forget();
        drop(first);
        assert!(!census.is_vacant());
        census.leave();
        assert!(census.is_vacant());
        // ORDERING: as above.
        assert_eq!(told.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn connections_have_a_bound_and_others_have_none() {
        let census = Census::bounded(2, || {});
        let _listener = census.enter();
        let mut tickets = [census.enter(), census.enter(), census.enter()];
        assert_eq!(tickets.each_mut().map(Ticket::connect), [true, true, false]);
        assert!(census.is_crowded());
        let [mut first, second, mut third] = tickets;
        assert!(first.connect(), "it is one already");
        drop(second);
        assert!(!census.is_crowded() && third.connect() && census.is_crowded());
        third.disconnect();
        assert!(!census.is_crowded() && third.connect() && census.is_crowded());
        first.forget();
        // Its socket is closed before its place is free.
        census.disconnect();
        assert!(!census.is_crowded());
        let place = census.enter();
        place.forget();
        third.merge();
        assert!(census.enter().connect());
        census.disconnect();
        census.leave();
        census.leave();
    }

    #[test]
    fn by_default_256_descriptors_are_spare_but_no_more_than_half() {
        let bounds = [1, 2, 120, 511, 512, 513, 1_024, 20_000].map(|most| Census::default_bound(Some(most)));
        assert_eq!(bounds, [1, 1, 60, 256, 256, 257, 768, 19_744]);
        assert_eq!(Census::default_bound(Some(usize::MAX)), limits::CONNECTIONS_MAX);
        assert_eq!(Census::default_bound(None), limits::CONNECTIONS);
    }

    #[test]
    fn the_count_is_exact_however_many_come_and_go_at_once() {
        const MOST: usize = if cfg!(miri) { 2 } else { 50 };
        const TURNS: usize = if cfg!(miri) { 30 } else { 2_000 };
        let census = Census::bounded(MOST, || {});
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for turn in 0..TURNS {
                        let mut ticket = census.enter();
                        if ticket.connect() && turn % 2 == 0 {
                            ticket.forget();
                            census.disconnect();
                            census.leave();
                        }
                    }
                });
            }
        });
        assert!(census.is_vacant());
        let mut tickets: Vec<Ticket> = (0..=MOST).map(|_| census.enter()).collect();
        assert_eq!(tickets.iter_mut().filter_map(|ticket| ticket.connect().then_some(())).count(), MOST);
    }
}
