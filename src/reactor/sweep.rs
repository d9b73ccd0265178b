//! What is due at a tick: pings, timeouts, the end of closing connections, and of old ones.
//!
//! The sweep reads one byte for each place, in order, sixty-four at a time; a connection has no
//! timer. The columns hold the tick at which something is due (see [`clock`](super::clock)), 0 is never.

use std::time::Instant;

use super::clock::IdleTicks;
use super::network::Network;
use super::slot::{Phase, Unread};
use super::turn::Reactor;
use crate::bridge::CloseCause;
use crate::limits::{self, CLOSING_SECONDS, SWEEP_STEP, TICK_SECONDS};
use crate::protocol::{ClosePayload, Opcode};

/// How long a closing connection may take for its next step: at least [`CLOSING_SECONDS`].
pub const CLOSING_TICKS: u32 = CLOSING_SECONDS.div_ceil(TICK_SECONDS) + 1;

/// Places looked at together.
const RUN: usize = 64;

/// Status code and reason of a connection that is as old as `maxLifetime` allows (RFC 6455 §7.4.1).
const OLD: (u16, &str) = (1000, "please reconnect");

impl<N: Network> Reactor<N> {
    /// Begins a sweep if a tick is due, and does a bounded part of what is due, so that a mass expiry
    /// does not keep those that are alive from being served.
    pub(super) fn sweep(&mut self, now: Instant) {
        if self.sweeping.is_none() && self.keeps_time() && self.clock.tick(now) {
            self.sweeping = Some(0);
            self.pace_shutdown();
            self.pace_relief();
            if self.ebb.tick() {
                self.give_back_memory();
            }
        }
        let Some(mut place) = self.sweeping else { return };
        let (idle_now, lifetime_now) = (self.clock.idle_now(), self.clock.lifetime_now());
        let mut due = std::mem::take(&mut self.due);
        while due.len() < SWEEP_STEP && place < self.slab.places() as usize {
            let (idle, lifetime) = self.slab.columns(place..place + RUN);
            find(idle, idle_now, place, &mut due);
            find(lifetime, lifetime_now, place, &mut due);
            place += RUN;
        }
        for &index in &due {
            if self.slab.idle(index) == idle_now {
                self.idle_due(index);
            }
            if self.slab.lifetime(index) == lifetime_now {
                self.lifetime_due(index);
            }
        }
        due.clear();
        self.due = due;
        self.sweeping = (place < self.slab.places() as usize).then_some(place);
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

    /// Moves the first ping of a connection forward, by up to half of the quiet time, so that those
    /// that came together are not pinged together for ever after.
    pub(super) fn spread_ping(&mut self, index: u32) {
        let IdleTicks { quiet, pinged } = self.routes.of(self.slab.slot(index).route).idle;
        if pinged > 0 {
            let due = self.clock.idle_due(quiet - scatter(index) % (quiet / 2));
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
                } else if full || slot.unread != Unread::None {
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
            // A shutdown gives a slow peer as long as it has itself.
            Phase::Lingering if self.shutdown.is_some() && slot.waiting_bytes() > 0 => {
                let due = self.clock.idle_due(CLOSING_TICKS);
                self.slab.set_idle(index, due);
            }
            Phase::Lingering => self.close_socket(index),
            Phase::Vacant | Phase::Asking | Phase::Arriving | Phase::Gone => {}
        }
    }

    /// Closes a connection from which nothing came. After a stall the poller tells of some sockets
    /// later than of others, so a last look is taken at this one.
    fn time_out(&mut self, index: u32) {
        self.slab.slot(index).pinged = true;
        self.read(index, limits::READ_BYTES);
        let slot = self.slab.slot(index);
        match (slot.phase, slot.pinged, slot.unread) {
            (Phase::Open, true, Unread::None) => self.lose(index, CloseCause::Timeout),
            (Phase::Open, true, _) => self.heard(index),
            _ => {}
        }
    }

    fn ping(&mut self, index: u32, ticks: u32) {
        self.slab.slot(index).pinged = true;
        self.intake.tally.pings_out += 1;
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

/// Appends the places of a run that hold `due`.
fn find<T: Copy + PartialEq>(run: &[T], due: T, first: usize, found: &mut Vec<u32>) {
    // Without an early exit the comparison is vectorised.
    if run.iter().fold(false, |any, &value| any | (value == due)) {
        found.extend((first..).zip(run).filter(|(_, value)| **value == due).map(|(place, _)| place as u32));
    }
}

/// A number that tells neighbouring places apart, and is 0 for the first (Knuth's multiplicative hash).
fn scatter(index: u32) -> u32 {
    index.wrapping_mul(2_654_435_761) >> 16
}
