//! Models of what crosses threads: `loom` runs them in every order that a few preemptions allow, over
//! the code that the product runs. `npm run verify -- loom`; the figures are in docs/verification.md.
//!
//! A thread that waits for what never comes is a deadlock, which loom reports: so a model that ends has
//! lost no wake-up. Waits have no time limit here, so none of them is saved by one.

mod budget;
mod census;
mod inbox;
mod mailbox;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::sync::{Condvar, Mutex};
use super::{Budget, Crossing, Doorbell};

/// Orders of which a model has more, or else its threads have not met.
const ORDERS: usize = 20;

/// Runs `model` in every order of its threads, with at most `preemptions` points at which a thread that could go
/// on must not.
pub(crate) fn explore(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let orders = Arc::new(AtomicUsize::new(0));
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check({
        let orders = orders.clone();
        move || {
            // ORDERING: a counter of the test's; loom runs one order after the other.
            orders.fetch_add(1, Ordering::Relaxed);
            model();
        }
    });
    // ORDERING: as above.
    assert!(orders.load(Ordering::Relaxed) > ORDERS);
}

/// A thread's sleep, which one wake-up ends, be it before or after the thread has fallen asleep: as a poller's
/// with its waker, and libuv's with a threadsafe function.
#[derive(Default)]
pub(crate) struct Sleeper {
    woken: Mutex<bool>,
    condition: Condvar,
}

impl Sleeper {
    pub(crate) fn wake(&self) {
        *self.woken.lock().unwrap() = true;
        self.condition.notify_one();
    }

    pub(crate) fn sleep(&self) {
        let mut woken = self.woken.lock().unwrap();
        while !*woken {
            woken = self.condition.wait(woken).unwrap();
        }
        *woken = false;
    }
}

/// A JavaScript thread with its bell, as `node::bell` and `lib/engine.js` make one.
pub(crate) struct JavaScript {
    doorbell: Doorbell,
    sleeper: Sleeper,
}

impl JavaScript {
    /// One that sleeps.
    pub(crate) fn asleep() -> Arc<Self> {
        Arc::new(Self { doorbell: Doorbell::asleep(), sleeper: Sleeper::default() })
    }

    pub(crate) fn ring(&self) {
        self.doorbell.ring(|| self.sleeper.wake());
    }

    /// Calls `turn` each time the thread is woken or may not rest yet, until it returns `true`.
    pub(crate) fn run(&self, mut turn: impl FnMut() -> bool) {
        loop {
            self.sleeper.sleep();
            self.doorbell.answer();
            loop {
                if turn() {
                    return;
                }
                if self.doorbell.sleep() {
                    break;
                }
                self.doorbell.answer();
            }
        }
    }
}

/// A lane between JavaScript and a thread of the engine that sleeps when it has nothing to do.
pub(crate) struct Lane {
    pub(crate) crossing: Arc<Crossing>,
    pub(crate) js: Arc<JavaScript>,
    sleeper: Arc<Sleeper>,
}

impl Lane {
    pub(crate) fn new() -> Arc<Self> {
        Self::of(&Budget::new(0))
    }

    /// One whose App has a memory budget.
    pub(crate) fn of(budget: &Arc<Budget>) -> Arc<Self> {
        let (js, sleeper) = (JavaScript::asleep(), Arc::new(Sleeper::default()));
        let (rung, woken) = (js.clone(), sleeper.clone());
        let crossing = Crossing::new(budget, Box::new(move || woken.wake()), Box::new(move || rung.ring()));
        Arc::new(Self { crossing: Arc::new(crossing), js, sleeper })
    }

    /// Calls `round` until it returns `true`, as the loop of a reactor's thread does.
    pub(crate) fn run_engine(&self, mut round: impl FnMut() -> bool) {
        loop {
            if self.crossing.sleep() {
                self.sleeper.sleep();
            }
            self.crossing.answer();
            if round() {
                return;
            }
        }
    }
}
