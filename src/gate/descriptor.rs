//! The descriptors of Apps: numbers by which an App in one JavaScript thread finds one in another.
//!
//! A number survives `postMessage`, and a wrong one is no pointer. One table for the process, behind a
//! mutex that is taken when a descriptor is offered, added or withdrawn, never for a connection.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::door::Door;

/// The name of one App in this process. No other App gets it, also after that one has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Descriptor(u64);

/// Where descriptors begin: such that no port, no thread's id and no small number is one. JavaScript's
/// numbers hold it exactly.
const FIRST: u64 = 0x7469_6465_0000;

static NEXT: AtomicU64 = AtomicU64::new(FIRST);

/// The doors that are open now.
static DOORS: Mutex<BTreeMap<Descriptor, Arc<Door>>> = Mutex::new(BTreeMap::new());

impl Descriptor {
    /// A new one.
    pub fn issue() -> Self {
        // ORDERING: only a number that is taken once; nothing is published with it.
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// The descriptor that JavaScript gives as this number; `None` if it was never issued.
    pub fn from_number(number: f64) -> Option<Self> {
        let bits = number as u64;
        // ORDERING: whoever has the number got it from the thread that issued it, which has published it.
        let issued = (FIRST..NEXT.load(Ordering::Relaxed)).contains(&bits);
        (issued && bits as f64 == number).then_some(Self(bits))
    }

    /// The number, as JavaScript has it.
    pub fn number(self) -> f64 {
        self.0 as f64
    }

    /// The door of that App, while it is open.
    pub(super) fn door(self) -> Option<Arc<Door>> {
        doors().get(&self).cloned()
    }
}

/// An open door that others find by its descriptor. Dropped, it is shut and found no more.
pub(super) struct Offer {
    descriptor: Descriptor,
    door: Arc<Door>,
}

impl Offer {
    pub(super) fn publish(descriptor: Descriptor, door: Arc<Door>) -> Self {
        doors().insert(descriptor, door.clone());
        Self { descriptor, door }
    }

    pub(super) fn door(&self) -> &Door {
        &self.door
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        doors().remove(&self.descriptor);
        self.door.shut();
    }
}

fn doors() -> MutexGuard<'static, BTreeMap<Descriptor, Arc<Door>>> {
    DOORS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_descriptor_only_if_it_was_issued() {
        let descriptor = Descriptor::issue();
        assert_ne!(Descriptor::issue(), descriptor);
        let number = descriptor.number();
        assert_eq!(Descriptor::from_number(number), Some(descriptor));
        for wrong in [number + 0.5, number + 1e9, 0.0, -1.0, -number, 1.0, f64::NAN, f64::INFINITY, f64::MAX] {
            assert_eq!(Descriptor::from_number(wrong), None, "{wrong}");
        }
        assert!(descriptor.door().is_none());
    }
}
