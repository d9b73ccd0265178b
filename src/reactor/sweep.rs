//! What is due at a tick: pings, timeouts, the end of closing connections, and of old ones.
//!
//! The sweep reads one byte for each place, in order, sixty-four at a time; a connection has no
//! timer. The columns hold the tick at which something is due (see [`clock`](super::clock)), 0 is never.

use super::clock::IdleTicks;
use super::network::Network;
use super::slot::Phase;
use super::turn::Reactor;
use crate::bridge::CloseCause;
use crate::limits::{CLOSING_SECONDS, TICK_SECONDS};
use crate::protocol::{ClosePayload, Opcode};

/// How long a closing connection may take for its next step: at least [`CLOSING_SECONDS`].
pub const CLOSING_TICKS: u32 = CLOSING_SECONDS.div_ceil(TICK_SECONDS) + 1;

/// Places looked at together.
const RUN: usize = 64;

/// Status code and reason of a connection that is as old as `maxLifetime` allows (RFC 6455 §7.4.1).
const OLD: (u16, &str) = (1000, "please reconnect");

impl<N: Network> Reactor<N> {
    /// Does what is due at this tick.
    pub(super) fn sweep(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        for (number, page) in self.slab.pages().enumerate() {
            find(&page.idle, self.clock.idle_now(), number * page.idle.len(), &mut due);
        }
        for &index in &due {
            self.idle_due(index);
        }
        due.clear();
        for (number, page) in self.slab.pages().enumerate() {
            find(&page.lifetime, self.clock.lifetime_now(), number * page.lifetime.len(), &mut due);
        }
        for &index in &due {
            self.lifetime_due(index);
        }
        due.clear();
        due.shrink_to(RUN);
        self.due = due;
    }

    /// Something came from the peer: its idle time begins anew.
    pub(super) fn heard(&mut self, index: u32) {
        let slot = self.slab.slot(index);
        slot.pinged = false;
        let quiet = self.routes.of(slot.route).idle.quiet;
        if quiet > 0 {
            let due = self.clock.idle_due(quiet);
            self.slab.set_idle(index, due);
        }
    }

    /// Draws when the connection is old enough: `maxLifetime`, give or take 10 %, so that those that
    /// came together do not go together.
    pub(super) fn limit_lifetime(&mut self, index: u32) {
        let minutes = self.routes.of(self.slab.slot(index).route).route.max_lifetime_minutes;
        if minutes == 0 {
            return;
        }
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        let ticks = minutes * 60 / TICK_SECONDS;
        let spread = ticks / 5;
        let drawn = ticks - spread / 2 + self.random % (spread + 1);
        let due = self.clock.lifetime_due(drawn);
        self.slab.set_lifetime(index, due);
    }

    fn idle_due(&mut self, index: u32) {
        self.slab.set_idle(index, 0);
        let full = self.intake.is_full();
        let slot = self.slab.slot(index);
        match slot.phase {
            Phase::Open => {
                let IdleTicks { pinged, .. } = self.routes.of(slot.route).idle;
                if pinged > 0 && !slot.pinged {
                    self.ping(index, pinged);
                } else if full || slot.unread {
                    // We do not read it, so its silence is ours.
                    self.heard(index);
                } else {
                    self.time_out(index);
                }
            }
            // JavaScript is busy; the peer has waited long enough for our close frame.
            Phase::Ending => {
                self.say_farewell(index, None);
                self.transmit(index, &[]);
                self.settle(index);
            }
            Phase::Lingering => self.close_socket(index),
            Phase::Vacant | Phase::Gone => {}
        }
    }

    /// Closes a connection from which nothing came. After a stall the poller tells of some sockets
    /// later than of others, so a last look is taken at this one.
    fn time_out(&mut self, index: u32) {
        self.slab.slot(index).pinged = true;
        self.read(index);
        let slot = self.slab.slot(index);
        match (slot.phase, slot.pinged, slot.unread) {
            (Phase::Open, true, false) => self.lose(index, CloseCause::Timeout),
            (Phase::Open, true, true) => self.heard(index),
            _ => {}
        }
    }

    fn ping(&mut self, index: u32, ticks: u32) {
        self.slab.slot(index).pinged = true;
        let due = self.clock.idle_due(ticks);
        self.slab.set_idle(index, due);
        self.gather.control(Opcode::Ping, b"");
        self.transmit(index, &[]);
    }

    fn lifetime_due(&mut self, index: u32) {
        let Some(connection) = self.slab.connection(index) else { return };
        self.slab.set_lifetime(index, 0);
        if self.slab.slot(index).phase == Phase::Open {
            self.intake.close(connection, CloseCause::Local, OLD.0, OLD.1.as_bytes());
            self.end(index, ClosePayload::new(OLD.0, OLD.1));
        }
    }
}

/// Appends the places of a column that hold `due`.
fn find<T: Copy + PartialEq>(column: &[T], due: T, first: usize, found: &mut Vec<u32>) {
    for (number, run) in column.chunks(RUN).enumerate() {
        // Without an early exit the comparison is vectorised.
        if run.iter().fold(false, |any, &value| any | (value == due)) {
            let start = first + number * RUN;
            found.extend((start..).zip(run).filter(|(_, value)| **value == due).map(|(index, _)| index as u32));
        }
    }
}
