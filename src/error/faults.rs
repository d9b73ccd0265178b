//! Panics on demand, for the tests of what happens then.
//!
//! In a build without tests and without the feature `fault-injection`, which no release has, this is nothing.

#[cfg(any(test, feature = "fault-injection"))]
use std::sync::atomic::{AtomicU8, Ordering};

#[cfg(all(feature = "fault-injection", not(debug_assertions)))]
compile_error!("the feature `fault-injection` is for tests: a release build has no place for it");

/// Where a panic can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FaultPoint {
    /// A reactor has given a connection its place.
    Adoption = 1,
    /// A reactor carries out a command.
    Command = 2,
    /// A reactor has decoded what it read.
    Decoding = 3,
    /// A reactor has written, perhaps a part of a frame.
    Writing = 4,
    /// A reactor recovers from another panic.
    Recovery = 5,
    /// The gate's keeper has its turn.
    Keeping = 6,
    /// A task of the gate has read a request.
    Request = 7,
}

impl FaultPoint {
    /// Every point, in the order of their numbers, which begin with 1.
    pub const ALL: [Self; 7] =
        [Self::Adoption, Self::Command, Self::Decoding, Self::Writing, Self::Recovery, Self::Keeping, Self::Request];
}

/// The points of a thread at which it panics when it passes them next.
#[derive(Default)]
pub struct Faults {
    #[cfg(any(test, feature = "fault-injection"))]
    armed: AtomicU8,
}

impl Faults {
    /// The next one that passes this point panics, once.
    #[cfg(any(test, feature = "fault-injection"))]
    pub fn arm(&self, point: FaultPoint) {
        // ORDERING: a test's switch; nothing is published with it.
        self.armed.fetch_or(bit(point), Ordering::Relaxed);
    }

    /// Passes a point.
    #[cfg(any(test, feature = "fault-injection"))]
    pub fn pass(&self, point: FaultPoint) {
        // ORDERING: as above.
        let armed = self.armed.fetch_and(!bit(point), Ordering::Relaxed);
        assert!(armed & bit(point) == 0, "a fault was injected: {point:?}");
    }

    /// Passes a point.
    #[cfg(not(any(test, feature = "fault-injection")))]
    #[inline(always)]
    pub fn pass(&self, _: FaultPoint) {}
}

#[cfg(any(test, feature = "fault-injection"))]
fn bit(point: FaultPoint) -> u8 {
    1 << (point as u8 - 1)
}
