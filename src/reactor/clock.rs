//! The idle clock: deadlines of one byte, counted in sweeps.
//!
//! A tick is a sweep, not a moment: after a stall of the whole process the clock goes on where it
//! stood, and nobody is closed for our pause.

use std::time::{Duration, Instant};

use super::Route;
use crate::limits::TICK_SECONDS;

/// Deadlines wrap at this many ticks. More than the longest timeout (240) and its rounding, and
/// less than a byte.
const WRAP: u32 = 250;

/// One step of the clock.
pub const TICK: Duration = Duration::from_secs(TICK_SECONDS as u64);

/// Counts the sweeps of one reactor.
pub struct Clock {
    ticks: u32,
    next: Instant,
}

impl Clock {
    /// A clock whose first tick comes one step from `now`.
    pub fn new(now: Instant) -> Self {
        Self { ticks: 0, next: now + TICK }
    }

    /// Starts the step anew, when nobody was there to be swept.
    pub fn restart(&mut self, now: Instant) {
        self.next = now + TICK;
    }

    /// Time until the next tick.
    pub fn until_next(&self, now: Instant) -> Duration {
        self.next.saturating_duration_since(now)
    }

    /// Whether a tick is due; at most one is, however late it is.
    pub fn tick(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        self.ticks = self.ticks.wrapping_add(1);
        self.next = (self.next + TICK).max(now + TICK / 2);
        true
    }

    /// The value of a deadline so many ticks from now; at most 241. Never 0, which means none.
    pub fn idle_due(&self, ticks: u32) -> u8 {
        ((self.ticks.wrapping_add(ticks)) % WRAP + 1) as u8
    }

    /// The value that deadlines of this tick have.
    pub fn idle_now(&self) -> u8 {
        self.idle_due(0)
    }

    /// The value of an age limit so many ticks from now. Never 0, which means none.
    pub fn lifetime_due(&self, ticks: u32) -> u16 {
        (self.ticks.wrapping_add(ticks) % u32::from(u16::MAX) + 1) as u16
    }

    /// The value that age limits of this tick have.
    pub fn lifetime_now(&self) -> u16 {
        self.lifetime_due(0)
    }
}

/// After how many ticks a quiet connection is pinged and closed.
///
/// One tick more than the time says is waited, because the first may come at once: a timeout never
/// fires early, and at most one tick late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdleTicks {
    /// From the last byte to the ping; with pings off, to the end. 0: there is no timeout.
    pub quiet: u32,
    /// From the ping to the end; with pings off 0.
    pub pinged: u32,
}

impl IdleTicks {
    /// What a route's options ask for. The margin between ping and end is uWebSockets.js's: doubled
    /// from 4 s up to 16 s while at least as much time lies before the ping.
    pub fn of(route: &Route) -> Self {
        let timeout = route.idle_timeout_seconds;
        if timeout == 0 {
            return Self { quiet: 0, pinged: 0 };
        }
        let mut margin = 0;
        if route.send_pings_automatically {
            margin = 4;
            while timeout.saturating_sub(2 * margin) >= 2 * margin && margin < 16 {
                margin *= 2;
            }
        }
        let ticks = |seconds: u32| seconds.div_ceil(TICK_SECONDS);
        Self { quiet: ticks(timeout - margin) + 1, pinged: ticks(margin) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::route::tests::route;

    fn idle_ticks(idle_timeout_seconds: u32, send_pings_automatically: bool) -> (u32, u32) {
        let ticks = IdleTicks::of(&Route { idle_timeout_seconds, send_pings_automatically, ..route() });
        (ticks.quiet, ticks.pinged)
    }

    #[test]
    fn pings_come_a_margin_before_the_timeout() {
        assert_eq!(idle_ticks(120, true), (104 / 4 + 1, 4));
        assert_eq!(idle_ticks(32, true), (16 / 4 + 1, 4));
        assert_eq!(idle_ticks(31, true), (23u32.div_ceil(4) + 1, 2));
        assert_eq!(idle_ticks(16, true), (8 / 4 + 1, 2));
        assert_eq!(idle_ticks(15, true), (11u32.div_ceil(4) + 1, 1));
        assert_eq!(idle_ticks(8, true), (4 / 4 + 1, 1));
        assert_eq!(idle_ticks(960, true), (944 / 4 + 1, 4));
        assert_eq!(idle_ticks(10, true), (6u32.div_ceil(4) + 1, 1));
        assert_eq!(idle_ticks(8, false), (8 / 4 + 1, 0));
        assert_eq!(idle_ticks(960, false), (241, 0));
        assert_eq!(idle_ticks(0, true), (0, 0));
    }

    #[test]
    fn deadlines_come_when_due_and_not_before_whatever_the_wrap() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        for _ in 0..if cfg!(miri) { 2 } else { 600 } {
            for ticks in [1, 2, 240, 241] {
                let mut later = Clock { ticks: clock.ticks, next: clock.next };
                let due = clock.idle_due(ticks);
                for passed in 1..=ticks {
                    assert!(later.tick(later.next));
                    assert_eq!(later.idle_now() == due, passed == ticks);
                }
            }
            assert!(clock.tick(clock.next));
        }
    }

    #[test]
    fn a_stall_is_one_tick() {
        let start = Instant::now();
        let mut clock = Clock::new(start);
        let late = start + TICK * 100;
        assert!(clock.tick(late));
        assert!(!clock.tick(late));
        assert!(clock.until_next(late) > Duration::ZERO);
    }
}
