//! One lane between a thread of the engine and JavaScript's: a letter box for each direction, and a
//! bell for each end.
//!
//! Each reactor has one, and the gate. Whoever leaves something rings; whoever takes begins with
//! [`answer`](Crossing::answer) and ends with [`sleep`](Crossing::sleep), as the [`Doorbell`] wants it.

use std::sync::Arc;

use super::{Budget, Doorbell, Inbox, Mailbox};
use crate::error::Faults;
use crate::limits;

/// Wakes a thread; called on any other.
pub type Wake = Box<dyn Fn() + Send + Sync>;

/// The shared side of one lane.
pub struct Crossing {
    /// Events, toward JavaScript.
    pub mailbox: Mailbox,
    /// Commands, from JavaScript.
    pub inbox: Inbox,
    /// Those of the engine's thread.
    pub faults: Faults,
    budget: Arc<Budget>,
    doorbell: Doorbell,
    wake_engine: Wake,
    ring_javascript: Wake,
}

impl Crossing {
    /// What waits in it counts in the budget. `wake_engine` ends the wait of the engine's thread, which is awake
    /// now; `ring_javascript` tells the JavaScript thread that something was posted.
    pub fn new(budget: &Arc<Budget>, wake_engine: Wake, ring_javascript: Wake) -> Self {
        Self {
            mailbox: Mailbox::of(budget),
            inbox: Inbox::of(budget),
            faults: Faults::default(),
            budget: budget.clone(),
            doorbell: Doorbell::awake(),
            wake_engine,
            ring_javascript,
        }
    }

    /// Tells the engine's thread that something was left for it. Any thread.
    pub fn ring(&self) {
        self.doorbell.ring(|| (self.wake_engine)());
    }

    /// The engine's thread begins a round. Its own thread, as the two below.
    pub fn answer(&self) {
        self.doorbell.answer();
    }

    /// The engine's thread asks to sleep; see [`Doorbell::sleep`].
    #[must_use]
    pub fn sleep(&self) -> bool {
        self.doorbell.sleep()
    }

    /// Tells JavaScript that something was posted.
    pub fn ring_javascript(&self) {
        (self.ring_javascript)();
    }

    /// The App's.
    pub fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    /// Whether so much waits for JavaScript that no more may be taken from the wire.
    pub fn is_full(&self) -> bool {
        self.mailbox.waiting().bytes >= limits::INTAKE_BYTES
    }

    /// The same, or the App's budget is nearly spent.
    pub fn stops_reading(&self) -> bool {
        self.budget.level().stops_reading() || self.is_full()
    }

    /// Lets go of buffers that nothing is in.
    pub fn let_go(&self) {
        self.mailbox.let_go();
        self.inbox.let_go();
    }
}
