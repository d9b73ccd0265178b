//! What waits at a gate for slow clients, in bytes: heads that are not whole, and responses.
//!
//! Counted on the gate's thread, by whoever keeps them; a large content is counted where hyper has it, too, until that
//! has written it. The [`Desk`](super::desk::Desk) tells the App's memory budget, and JavaScript's thread reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;

/// Content of a whole response from so many bytes on is counted. What is less waits once for each connection.
pub(super) const COUNTED_BYTES: usize = 16 * 1024;

/// The bytes of one gate, or of one conversation. A clone is the same count.
#[derive(Clone, Debug, Default)]
pub(super) struct Stock(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    bytes: AtomicUsize,
    shed: AtomicU64,
}

impl Stock {
    /// Bytes that are there.
    pub(super) fn bytes(&self) -> usize {
        // ORDERING: a number of its own; whoever reads it on another thread only shows it.
        self.0.bytes.load(Ordering::Relaxed)
    }

    /// So many were there, so many are.
    pub(super) fn change(&self, before: usize, after: usize) {
        // ORDERING: as in `bytes`; it changes on the gate's thread alone.
        self.0.bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }

    /// Connections that were closed because there was too much.
    pub(super) fn shed(&self) -> u64 {
        // ORDERING: as in `bytes`.
        self.0.shed.load(Ordering::Relaxed)
    }

    /// One more was.
    pub(super) fn count_shed(&self) {
        // ORDERING: as in `bytes`.
        self.0.shed.fetch_add(1, Ordering::Relaxed);
    }

    /// Bytes that are in here, and in `own`, until the last part of them is dropped.
    pub(super) fn keep(&self, own: &Self, bytes: Vec<u8>) -> Bytes {
        let stocks = [self.clone(), own.clone()];
        stocks.iter().for_each(|stock| stock.change(0, bytes.capacity()));
        Bytes::from_owner(Kept { bytes, stocks })
    }
}

/// See [`Stock::keep`].
struct Kept {
    bytes: Vec<u8>,
    stocks: [Stock; 2],
}

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.stocks.iter().for_each(|stock| stock.change(self.bytes.capacity(), 0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there_until_its_last_part_is_dropped() {
        let (all, own) = (Stock::default(), Stock::default());
        all.change(0, 5);
        let mut bytes = all.keep(&own, vec![7; 100]);
        let part = bytes.split_to(10);
        drop(bytes);
        assert_eq!((all.bytes(), own.bytes()), (105, 100));
        drop(part);
        all.change(5, 2);
        assert_eq!((all.bytes(), own.bytes()), (2, 0));
    }
}
