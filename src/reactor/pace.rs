//! Whose bytes are read next, and how many, so that who sends much does not delay who sends little.
//!
//! A connection whose read was full may have more: it is *greedy*, and is read again only when little waits
//! for JavaScript, in turn with the others of its kind. All others are read when the poller tells of them,
//! first in each turn, so that what they send lies in front of a drain's worth of other events at most.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::network::Network;
use super::slot::Unread;
use super::turn::Reactor;
use crate::bridge::ConnectionId;
use crate::limits;

/// How long greedy connections wait, in all or for a JavaScript thread that takes nothing.
const PATIENCE: Duration = Duration::from_millis(limits::AHEAD_MILLISECONDS);

/// The greedy connections of a reactor.
#[derive(Default)]
pub struct Pace {
    pub(super) greedy: VecDeque<ConnectionId>,
    /// While enough waits for JavaScript.
    held: Option<Held>,
}

/// What greedy connections wait for.
struct Held {
    /// Since when they do.
    since: Instant,
    /// When JavaScript was last seen to have taken some, and how often it had by then.
    taken: (Instant, u64),
}

impl Pace {
    /// Appends a connection that has more than was read.
    pub fn add(&mut self, connection: ConnectionId) {
        self.greedy.push_back(connection);
    }

    /// How long the reactor may rest: for ever if nobody is greedy.
    pub fn rest(&self, now: Instant) -> Option<Duration> {
        if self.greedy.is_empty() {
            return None;
        }
        let waited = self.held.as_ref().map_or(PATIENCE, |held| now.saturating_duration_since(held.taken.0));
        Some(PATIENCE.saturating_sub(waited))
    }

    /// Gives memory back.
    pub fn let_go(&mut self) {
        self.greedy.shrink_to_fit();
    }
}

impl<N: Network> Reactor<N> {
    /// Reads greedy connections, each once at most, until enough waits for JavaScript.
    pub(super) fn read_greedy(&mut self, now: Instant) {
        for _ in 0..self.pace.greedy.len() {
            if self.intake.is_full() {
                // Who waits for room does not wait for less than that: nothing would wake it.
                self.pace.held = None;
                return;
            }
            if !self.keeps_up(now) {
                return;
            }
            let Some(connection) = self.pace.greedy.pop_front() else { return };
            if let Some(slot) = self.slab.find(connection)
                && slot.unread == Unread::Much
            {
                slot.unread = Unread::None;
                self.read(connection.index, limits::READ_ON_BYTES);
            }
        }
    }

    /// Whether JavaScript has little to do, or has not taken anything for so long that it is not for us to
    /// spread its time. Where others alone keep it busy for so long, one greedy connection is read behind
    /// whatever it takes: who sends much gets less then, but not nothing.
    fn keeps_up(&mut self, now: Instant) -> bool {
        if !self.intake.is_ahead() {
            self.pace.held = None;
            return true;
        }
        let drains = self.intake.hold();
        if !self.intake.is_ahead() {
            self.pace.held = None;
            return true;
        }
        let Some(held) = &mut self.pace.held else {
            self.pace.held = Some(Held { since: now, taken: (now, drains) });
            return false;
        };
        if held.taken.1 == drains {
            return now.saturating_duration_since(held.taken.0) >= PATIENCE;
        }
        held.taken = (now, drains);
        now.saturating_duration_since(held.since) >= PATIENCE
    }
}
