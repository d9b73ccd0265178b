//! What a reactor thread shares with the JavaScript thread and the gate: letter boxes and bells.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Tally;
use super::adoption::Arrival;
use crate::bridge::{Census, Doorbell, Inbox, Mailbox};

/// Wakes a thread; called on any other.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// What a reactor calls outside of its room, on its own thread.
pub struct Hooks {
    /// Tells the JavaScript thread that something was posted.
    pub ring_javascript: Wake,
    /// Has the allocator give freed memory back to the system. May take milliseconds: it is called
    /// when a burst of traffic has ebbed.
    pub give_back_memory: fn(),
}

/// The shared side of one reactor.
pub struct Shared {
    /// Events, toward JavaScript.
    pub mailbox: Mailbox,
    /// Commands, from JavaScript.
    pub inbox: Inbox,
    /// Counts the App's connections.
    pub census: Arc<Census>,
    arrivals: Mutex<Vec<Arrival>>,
    tally: Mutex<Tally>,
    stopping: AtomicBool,
    doorbell: Doorbell,
    wake_reactor: Wake,
    hooks: Hooks,
}

impl Shared {
    /// `wake_reactor` ends the wait of the reactor's poller.
    pub fn new(census: Arc<Census>, wake_reactor: Wake, hooks: Hooks) -> Self {
        Self {
            mailbox: Mailbox::default(),
            inbox: Inbox::default(),
            census,
            arrivals: Mutex::default(),
            tally: Mutex::default(),
            stopping: AtomicBool::new(false),
            doorbell: Doorbell::awake(),
            wake_reactor,
            hooks,
        }
    }

    /// Tells the reactor that something was left for it. Any thread.
    pub fn ring(&self) {
        self.doorbell.ring(|| (self.wake_reactor)());
    }

    /// Leaves a connection for the reactor, or what becomes of one. Any thread.
    pub fn arrive(&self, arrival: Arrival) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push(arrival);
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

    /// The reactor begins a round. Its own thread, as the two below.
    pub(super) fn answer(&self) {
        self.doorbell.answer();
    }

    /// The reactor asks to sleep; see [`Doorbell::sleep`].
    pub(super) fn sleep(&self) -> bool {
        self.doorbell.sleep()
    }

    /// What was left since the last call.
    pub(super) fn arrivals(&self) -> Vec<Arrival> {
        std::mem::take(&mut self.arrivals.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows the reactor's numbers to other threads.
    pub(super) fn publish(&self, tally: &Tally) {
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) = *tally;
    }

    /// Tells JavaScript that something was posted.
    pub(super) fn ring_javascript(&self) {
        (self.hooks.ring_javascript)();
    }

    /// Has freed memory given back.
    pub(super) fn give_back_memory(&self) {
        self.mailbox.let_go();
        self.inbox.let_go();
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).shrink_to_fit();
        (self.hooks.give_back_memory)();
    }
}
