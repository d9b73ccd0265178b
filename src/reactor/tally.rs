//! What one reactor has done and holds, in plain numbers: its part of `app.stats()`.
//!
//! The reactor's thread counts in a tally of its own, without a lock, and publishes a copy
//! ([`Shared::publish`](super::Shared)) before each batch of events and at the end of a turn that
//! changed it. So what JavaScript was told of is counted already when it asks.

use super::outbox::Load;
use super::shutdown::Departed;
use crate::bridge::CloseCause;

/// One reactor's numbers. Totals count from the start of its thread and never shrink.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Connections that were taken over from the gate.
    pub opened: u64,
    /// Whole messages that were received.
    pub messages_in: u64,
    /// Messages that were framed for a peer, written or waiting.
    pub messages_out: u64,
    /// Bytes that were read from sockets, with the heads of frames; of secure connections, what is in the records.
    pub bytes_in: u64,
    /// Bytes that the kernel has taken, likewise.
    pub bytes_out: u64,
    /// Messages that were dropped by the backpressure limit.
    pub dropped: u64,
    /// Pings that came.
    pub pings_in: u64,
    /// Pings that were sent, by the idle clock or by JavaScript.
    pub pings_out: u64,
    /// Pongs that came.
    pub pongs_in: u64,
    /// Batches of events that were posted.
    pub batches: u64,
    /// Events in them.
    pub events: u64,
    /// Events in the largest of them.
    pub largest_batch: u64,
    /// Bytes that wait for slow peers now, in all outboxes.
    pub outbox_bytes: u64,
    /// Those of them that lie in memory once for several connections, as often as they wait.
    pub outbox_shared_bytes: u64,
    /// Memory of the outboxes now, with what several connections wait for counted once.
    pub outbox_memory_bytes: u64,
    /// Memory of messages and frames of which a part is still to come.
    pub assembly_bytes: u64,
    /// Memory of TLS records that wait: of those that are not whole, and of those that a slow peer does not take.
    pub session_bytes: u64,
    /// Connections that were closed for the App's memory budget, those counted that were closing already.
    pub shed: u64,
    /// Bytes that were read and wait undecoded now, because JavaScript is busy.
    pub parked_bytes: u64,
    /// What the reactor's memory is now.
    pub memory: Memory,
    /// What became of the connections that a shutdown found.
    pub departed: Departed,
    closes: [u64; CloseCause::ALL.len()],
}

/// Memory of one reactor in bytes, but for what waits ([`Tally::outbox_bytes`] and so on).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Places of connections, vacant ones as well. What TLS sessions own is not in it.
    pub connections: u64,
    /// Subscriptions, and the topics' chains of them.
    pub subscriptions: u64,
    /// What compression keeps for connections with context takeover.
    pub contexts: u64,
    /// The read buffer, those for the commands and events of a turn, and those for TLS.
    pub buffers: u64,
}

impl Tally {
    /// A connection has ended: once for each, when its end is known.
    pub fn close(&mut self, cause: CloseCause) {
        self.closes[place(cause)] += 1;
    }

    /// Connections that ended for this cause.
    pub fn closes(&self, cause: CloseCause) -> u64 {
        self.closes[place(cause)]
    }

    /// Connections that are open: those whose closing has begun are not.
    pub fn connections(&self) -> u64 {
        self.opened.saturating_sub(self.closes.iter().sum())
    }

    /// All connections have ended by a panic, and nothing is known to wait any more. Tells how many they were.
    pub(super) fn fail(&mut self) -> u64 {
        let lost = self.connections();
        self.closes[place(CloseCause::Failure)] += lost;
        (self.outbox_bytes, self.outbox_shared_bytes, self.parked_bytes) = (0, 0, 0);
        (self.assembly_bytes, self.session_bytes) = (0, 0);
        lost
    }

    /// More waits in an outbox, or less: it was written or thrown away.
    pub fn outbox_changes(&mut self, before: Load, after: Load) {
        self.outbox_bytes = (self.outbox_bytes + after.bytes as u64).saturating_sub(before.bytes as u64);
        let shared = self.outbox_shared_bytes + after.shared_bytes as u64;
        self.outbox_shared_bytes = shared.saturating_sub(before.shared_bytes as u64);
    }
}

/// The causes are numbered from 1.
fn place(cause: CloseCause) -> usize {
    cause as usize - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_a_place_of_its_own() {
        let mut tally = Tally { opened: 100, ..Tally::default() };
        for (number, cause) in CloseCause::ALL.into_iter().enumerate() {
            (0..=number).for_each(|_| tally.close(cause));
        }
        for (number, cause) in CloseCause::ALL.into_iter().enumerate() {
            assert_eq!(tally.closes(cause), number as u64 + 1);
        }
        assert_eq!(tally.connections(), 100 - (1..=CloseCause::ALL.len() as u64).sum::<u64>());
    }
}
