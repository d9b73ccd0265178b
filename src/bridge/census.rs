//! Counts what keeps the process alive: listeners, connections at the gate and established ones.
//!
//! A mutex and one number: it is touched when something opens or closes, never for a message. The
//! last one out calls `on_vacant`, so that the JavaScript thread can let the process end.

use std::sync::{Arc, PoisonError};

use super::sync::Mutex;

/// The shared count. One for each App.
pub struct Census {
    present: Mutex<usize>,
    on_vacant: Box<dyn Fn() + Send + Sync>,
}

impl Census {
    /// An empty census. `on_vacant` is called on whichever thread took the last one out, with no
    /// lock held.
    pub fn new(on_vacant: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self { present: Mutex::new(0), on_vacant: Box::new(on_vacant) })
    }

    /// Counts one more in, until the ticket is dropped.
    pub fn enter(self: &Arc<Self>) -> Ticket {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        Ticket { census: Some(self.clone()) }
    }

    /// Whether nothing is counted in.
    pub fn is_vacant(&self) -> bool {
        *self.present.lock().unwrap_or_else(PoisonError::into_inner) == 0
    }

    /// Counts one out whose ticket was [kept as a number](Ticket::forget).
    pub fn leave(&self) {
        let vacant = {
            let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
            *present -= 1;
            *present == 0
        };
        if vacant {
            (self.on_vacant)();
        }
    }
}

/// One that is counted in; dropping it counts it out.
pub struct Ticket {
    census: Option<Arc<Census>>,
}

impl Ticket {
    /// Keeps the count without the ticket: an established connection has no room for a pointer.
    /// Whoever forgets a ticket owes one [`Census::leave`].
    pub fn forget(mut self) {
        self.census = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(census) = self.census.take() {
            census.leave();
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
}
