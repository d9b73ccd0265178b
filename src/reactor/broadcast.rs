//! Bytes that several connections get, once in memory: payloads and frames of published messages.
//!
//! Made for a turn; what a slow peer does not take waits in its outbox, and in others. Their memory is counted when
//! they are made and when the last of those lets go of them, which is all on the reactor's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// See the module.
pub struct Broadcast {
    bytes: Vec<u8>,
    live: Arc<AtomicUsize>,
}

/// Makes them, and counts those that there are.
#[derive(Clone, Default)]
pub struct Broadcasts(Arc<AtomicUsize>);

impl Broadcasts {
    /// Bytes for all.
    pub fn add(&self, bytes: Vec<u8>) -> Arc<Broadcast> {
        // ORDERING: one thread counts.
        self.0.fetch_add(bytes.capacity(), Ordering::Relaxed);
        Arc::new(Broadcast { bytes, live: self.0.clone() })
    }

    /// Memory of those that there are.
    pub fn bytes(&self) -> usize {
        // ORDERING: as above.
        self.0.load(Ordering::Relaxed)
    }
}

impl std::ops::Deref for Broadcast {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Broadcast {
    fn drop(&mut self) {
        // ORDERING: as above.
        self.live.fetch_sub(self.bytes.capacity(), Ordering::Relaxed);
    }
}
