//! What a reactor thread shares with the JavaScript thread and the gate: letter boxes and bells.

use std::sync::{Arc, PoisonError};

use super::Tally;
use super::adoption::Arrival;
use crate::bridge::sync::{AtomicBool, Mutex, Ordering};
use crate::bridge::{Budget, Census, Crossing, Wake};

/// What a reactor has outside of its room, and calls on its own thread.
pub struct Hooks {
    /// Tells the JavaScript thread that something was posted.
    pub ring_javascript: Wake,
    /// Has the allocator give freed memory back to the system. May take milliseconds: it is called
    /// when a burst of traffic has ebbed.
    pub give_back_memory: fn(),
    /// The App's: what the reactor holds counts in it.
    pub budget: Arc<Budget>,
}

/// The shared side of one reactor.
pub struct Shared {
    /// The way to JavaScript and from it.
    pub crossing: Arc<Crossing>,
    /// Counts the App's connections.
    pub census: Arc<Census>,
    arrivals: Mutex<Vec<Arrival>>,
    tally: Mutex<Tally>,
    stopping: AtomicBool,
    give_back_memory: fn(),
}

impl Shared {
    /// `wake_reactor` ends the wait of the reactor's poller.
    pub fn new(census: Arc<Census>, wake_reactor: Wake, hooks: Hooks) -> Self {
        Self {
            crossing: Arc::new(Crossing::new(&hooks.budget, wake_reactor, hooks.ring_javascript)),
            census,
            arrivals: Mutex::default(),
            tally: Mutex::default(),
            stopping: AtomicBool::new(false),
            give_back_memory: hooks.give_back_memory,
        }
    }

    /// Tells the reactor that something was left for it. Any thread.
    pub fn ring(&self) {
        self.crossing.ring();
    }

    /// Leaves connections for the reactor, or what becomes of some. Any thread.
    pub fn arrive(&self, arrivals: impl IntoIterator<Item = Arrival>) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).extend(arrivals);
        self.ring();
    }

    /// How many the gate has left that the reactor has not taken. Any thread.
    pub fn waiting_arrivals(&self) -> usize {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The reactor's numbers as it last published them. Any thread.
    pub fn tally(&self) -> Tally {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the reactor to end. Any thread.
    pub fn stop(&self) {
        // ORDERING: release, so that what was left before is seen by the reactor's last round.
        self.stopping.store(true, Ordering::Release);
        self.ring();
    }

    /// Whether the reactor is to end. The reactor's thread.
    pub fn is_stopping(&self) -> bool {
        // ORDERING: acquire, as in `stop`.
        self.stopping.load(Ordering::Acquire)
    }

    /// What was left since the last call.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows the reactor's numbers to other threads.
    pub(super) fn publish(&self, tally: &Tally) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = *tally;
    }

    /// Has freed memory given back.
    pub(super) fn give_back_memory(&self) {
        self.crossing.let_go();
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).shrink_to_fit();
        (self.give_back_memory)();
    }
}
