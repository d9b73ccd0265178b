//! Shutting down: every connection gets a close frame, some in each turn, so that those that are still
//! open are served meanwhile.
//!
//! It goes on until the reactor's thread ends: who arrives later is turned away at once. How long to
//! wait for slow peers is JavaScript's to say, which cuts off the rest. Memory: the reason, once; for each
//! connection that is closing, what a closing one takes in any case.

use std::ops::AddAssign;

use super::network::Network;
use super::slot::Phase;
use super::turn::Reactor;
use crate::bridge::CloseCause;
use crate::limits::{DRAIN_EVENTS, SHUTDOWN_STEP};
use crate::protocol::ClosePayload;

/// A shutdown that was ordered.
pub struct Shutdown {
    code: u16,
    reason: String,
    /// Where it goes on; `None` once every place was looked at.
    place: Option<u32>,
    /// Events that JavaScript had taken at the last tick.
    taken: u64,
    /// Whether JavaScript takes nothing: nobody waits for it then.
    blocked: bool,
    /// Whether the time is over: who arrives now is cut off.
    over: bool,
}

/// What became of the connections that were there, or came, during a shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Departed {
    /// They got all that was for them and the close frame, and closed their side.
    pub closed: u64,
    /// They were cut off, or lost.
    pub forced: u64,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parting {
    /// By a closing handshake, behind all that was sent (RFC 6455 §7.1.2).
    Whole,
    /// Otherwise.
    Cut,
}

impl AddAssign for Departed {
    fn add_assign(&mut self, other: Self) {
        self.closed += other.closed;
        self.forced += other.forced;
    }
}

impl Departed {
    /// Counts one connection.
    pub(super) fn count(&mut self, parting: Parting) {
        match parting {
            Parting::Whole => self.closed += 1,
            Parting::Cut => self.forced += 1,
        }
    }
}

impl<N: Network> Reactor<N> {
    /// JavaScript orders the shutdown. The second order changes nothing.
    pub(super) fn begin_shutdown(&mut self, payload: &[u8]) {
        let Some((code, reason)) = payload.split_first_chunk() else { return };
        // `lib/` has checked both; were the reason no text, the code alone is said.
        let reason = str::from_utf8(reason).unwrap_or_default().to_owned();
        let code = u16::from_le_bytes(*code);
        let shutdown = Shutdown { code, reason, place: Some(0), taken: u64::MAX, blocked: false, over: false };
        self.shutdown.get_or_insert(shutdown);
    }

    /// The time is over: no connection is waited for.
    pub(super) fn end_shutdown(&mut self) {
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.place = None;
            shutdown.over = true;
        }
    }

    /// Whether the next turn has something to close. While JavaScript is behind with what was closed
    /// already, that waits, so that messages come to it between the closings.
    pub(super) fn is_shutting(&self) -> bool {
        let Some(Shutdown { place: Some(_), blocked, .. }) = &self.shutdown else { return false };
        !self.intake.is_backed_up() && (*blocked || self.shared.crossing.mailbox.waiting().events < DRAIN_EVENTS)
    }

    /// Closes a bounded number of connections.
    pub(super) fn shut_down(&mut self) {
        let Some(Shutdown { place: Some(first), .. }) = self.shutdown else { return };
        if !self.is_shutting() {
            // What JavaScript takes next wakes this.
            self.shared.crossing.mailbox.starve();
            return;
        }
        let mut closed = 0;
        let mut place = first;
        while closed < SHUTDOWN_STEP && place < self.slab.places() {
            closed += usize::from(self.say_goodbye(place));
            place += 1;
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.place = (place < self.slab.places()).then_some(place);
        }
    }

    /// A connection that has just come: a shutdown closes it behind its opening.
    pub(super) fn turn_away(&mut self, index: u32) {
        match &self.shutdown {
            Some(Shutdown { over: true, .. }) => self.lose(index, CloseCause::Shutdown),
            Some(_) => _ = self.say_goodbye(index),
            None => {}
        }
    }

    /// A tick: looks whether JavaScript has taken anything since the last one.
    pub(super) fn pace_shutdown(&mut self) {
        let Some(shutdown) = &mut self.shutdown else { return };
        let taken = self.intake.tally.events.saturating_sub(self.shared.crossing.mailbox.waiting().events as u64);
        shutdown.blocked = shutdown.taken == taken;
        shutdown.taken = taken;
    }

    /// Closes an open connection, as far as it is here: what JavaScript sends before it hears of it is
    /// written, then the close frame. `false`: it is not open.
    fn say_goodbye(&mut self, index: u32) -> bool {
        let Some(connection) = self.slab.connection(index) else { return false };
        if self.slab.slot(index).phase != Phase::Open {
            return false;
        }
        let Some(Shutdown { code, reason, .. }) = &self.shutdown else { return false };
        let farewell = ClosePayload::new(*code, reason);
        self.intake.close(connection, CloseCause::Shutdown, *code, reason.as_bytes());
        self.slab.set_lifetime(index, 0);
        self.end(index, farewell);
        true
    }
}
