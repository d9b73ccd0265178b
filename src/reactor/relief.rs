//! The reactor's part in the App's memory budget: what it holds, and whom it closes when there is no more.
//!
//! What is held is told at the end of a turn, and behind a read that has left part of a message. At the end of the
//! budget every place is looked at, once in a turn, and those who have the most go first. No memory but the list of those.

use super::network::Network;
use super::slot::Phase;
use super::turn::Reactor;
use crate::bridge::{CloseCause, Held, Ruling};
use crate::limits::{BUDGET_STEP, BUDGET_STOPPED_SECONDS, TICK_SECONDS};
use crate::protocol::ClosePayload;

/// Status code and reason of a connection that is closed for the budget: Try Again Later, as IANA's registry of
/// WebSocket close codes has it.
const SHED: (u16, &str) = (1013, "the server is short of memory");

/// Ticks in a row that may find reading stopped. Up to one tick more has gone by since it was.
const STOPPED_TICKS: u32 = BUDGET_STOPPED_SECONDS.div_ceil(TICK_SECONDS);

/// What a reactor has seen of a stop of reading.
#[derive(Default)]
pub(super) struct Stop {
    /// Ticks in a row that have found reading stopped. One that went on in between for less than a tick counts as
    /// stopped: there was hardly any room.
    ticks: u32,
    /// What all of the App held at the last of them.
    held_bytes: usize,
}

impl<N: Network> Reactor<N> {
    /// Tells the budget what is held, if that has changed by much.
    pub(super) fn account(&mut self) {
        let tally = &mut self.intake.tally;
        tally.session_bytes = self.scratch.held_bytes as u64;
        tally.outbox_memory_bytes =
            tally.outbox_bytes.saturating_sub(tally.outbox_shared_bytes) + self.broadcasts.bytes() as u64;
        let outside = tally.outbox_memory_bytes + tally.assembly_bytes + tally.session_bytes;
        if self.share.hold(Held { inside_bytes: self.parked_bytes, outside_bytes: outside as usize }) {
            self.intake.look_at_budget();
        }
    }

    /// Closes connections as long as the budget wants it and this reactor has the heaviest, a bounded number in a turn.
    pub(super) fn shed(&mut self) {
        self.is_shedding = false;
        if !self.member.budget().level().closes() {
            return;
        }
        let mut heaviest = self.heaviest();
        for _ in 0..BUDGET_STEP {
            if self.member.bid(heaviest.last().map_or(0, |(bytes, _)| *bytes)) != Ruling::Close {
                return;
            }
            let Some((_, index)) = heaviest.pop() else { return };
            self.close_for_memory(index);
            self.account();
        }
        self.is_shedding = true;
    }

    /// A tick: has connections closed if reading is stopped, and what is held has not become less since the last tick,
    /// or not enough of it for too long.
    pub(super) fn pace_relief(&mut self) {
        if !self.member.budget().level().stops_reading() {
            self.stop = Stop::default();
            return;
        }
        let held_bytes = self.member.held_bytes();
        let Stop { ticks, held_bytes: before } = self.stop;
        let is_due = ticks >= STOPPED_TICKS || ticks > 0 && held_bytes >= before;
        if is_due {
            self.member.relieve();
        }
        self.stop = Stop { ticks: if is_due { 1 } else { ticks + 1 }, held_bytes };
    }

    /// Those that hold the most, in ascending order: as many as a turn closes.
    fn heaviest(&mut self) -> Vec<(usize, u32)> {
        let mut found = Vec::new();
        for index in 0..self.slab.places() {
            let bytes = self.weight(index);
            if bytes > 0 {
                found.push((bytes, index));
            }
            if found.len() == 2 * BUDGET_STEP {
                found.select_nth_unstable_by(BUDGET_STEP, |one, other| other.cmp(one));
                found.truncate(BUDGET_STEP);
            }
        }
        found.sort_unstable();
        found
    }

    /// Bytes that go with a connection.
    fn weight(&mut self, index: u32) -> usize {
        let (slot, session) = self.slab.slot_and_session(index);
        let assembly = slot.assembly.as_ref().map_or(0, |assembly| assembly.held_bytes());
        slot.load().bytes + assembly + session.map_or(0, |session| session.held_bytes())
    }

    /// Closes a connection with [`SHED`]. A peer for which bytes wait is cut off: a close frame would be behind them.
    fn close_for_memory(&mut self, index: u32) {
        let Some(connection) = self.slab.connection(index) else { return };
        self.intake.tally.shed += 1;
        let waits = self.slab.waits(index) || self.slab.slot(index).load().bytes > 0;
        let phase = self.slab.slot(index).phase;
        if phase.is_open() {
            let (code, reason) = SHED;
            self.intake.close(connection, CloseCause::Memory, code, reason.as_bytes());
            if phase == Phase::Open && !waits {
                self.slab.set_lifetime(index, 0);
                return self.end(index, ClosePayload::new(code, reason));
            }
        }
        self.close_socket(index);
    }

    /// What has come of a message is forgotten.
    pub(super) fn drop_assembly(&mut self, index: u32) {
        let assembly = self.slab.slot(index).assembly.take();
        let bytes = assembly.map_or(0, |assembly| assembly.held_bytes());
        self.intake.tally.assembly_bytes = self.intake.tally.assembly_bytes.saturating_sub(bytes as u64);
    }
}
