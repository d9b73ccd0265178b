//! When which connection speaks: each once in every interval, the whole evenly spread over it, from
//! the first second of the ramp on. A value without a clock: [`crate::million::crowd`] asks it.
//!
//! Neighbours in time are far apart among the connections (the stride is near the golden section), so
//! that the open ones, which are the first so many during a ramp, are hit in proportion at all times.

use std::time::Duration;

/// The order and the times of one process's messages. Memory: this value.
pub struct Schedule {
    connections: u64,
    stride: u64,
    interval_nanos: u128,
    next_slot: u64,
}

impl Schedule {
    /// For so many connections, each of which speaks once in every interval. Both are more than zero.
    pub fn new(connections: usize, interval: Duration) -> Self {
        let connections = connections.max(1) as u64;
        Self {
            connections,
            stride: golden_stride(connections),
            interval_nanos: interval.as_nanos().max(1),
            next_slot: 0,
        }
    }

    /// The connection whose turn has come, if one's has.
    pub fn next_due(&mut self, elapsed: Duration) -> Option<usize> {
        if self.next_slot >= self.slots_until(elapsed) {
            return None;
        }
        let connection = self.connection(self.next_slot);
        self.next_slot += 1;
        Some(connection)
    }

    /// Turns that have come and were not taken.
    pub fn behind(&self, elapsed: Duration) -> u64 {
        self.slots_until(elapsed).saturating_sub(self.next_slot)
    }

    /// How long until a turn comes.
    pub fn wait(&self, elapsed: Duration) -> Duration {
        let at = u128::from(self.next_slot) * self.interval_nanos / u128::from(self.connections);
        Duration::from_nanos(u64::try_from(at).unwrap_or(u64::MAX)).saturating_sub(elapsed)
    }

    /// Slots that begin at `elapsed` or earlier; the first begins at once.
    fn slots_until(&self, elapsed: Duration) -> u64 {
        let slots = elapsed.as_nanos() * u128::from(self.connections) / self.interval_nanos;
        u64::try_from(slots).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn connection(&self, slot: u64) -> usize {
        ((slot % self.connections) * self.stride % self.connections) as usize
    }
}

/// A step near 0.618 of `count` that visits all of them before it comes back.
fn golden_stride(count: u64) -> u64 {
    let golden = (count as f64 * 0.618_033_988_75) as u64;
    (golden.max(1)..=count).find(|stride| greatest_common_divisor(*stride, count) == 1).unwrap_or(1)
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The connections whose turn comes until then.
    fn turns(schedule: &mut Schedule, elapsed: Duration) -> Vec<usize> {
        std::iter::from_fn(|| schedule.next_due(elapsed)).collect()
    }

    #[test]
    fn each_connection_speaks_once_in_every_interval() {
        for connections in [1, 2, 3, 10, 97, 1_000, 19_000, 25_000] {
            let interval = Duration::from_secs(50);
            let mut schedule = Schedule::new(connections, interval);
            for round in 1..=3 {
                let mut found = turns(&mut schedule, interval * round - Duration::from_nanos(1));
                found.sort_unstable();
                assert!(found.iter().copied().eq(0..connections), "{connections} connections, round {round}");
            }
        }
    }

    #[test]
    fn the_time_between_two_messages_of_a_connection_is_the_interval() {
        let schedule = Schedule::new(360, Duration::from_secs(36));
        assert_eq!(schedule.connection(17), schedule.connection(17 + 360));
        assert_eq!(schedule.connection(359), schedule.connection(359 + 360 * 1_000));
    }

    #[test]
    fn messages_are_spread_evenly_over_the_interval() {
        let mut schedule = Schedule::new(1_000, Duration::from_secs(10));
        for second in 0..30 {
            let until = Duration::from_secs(second + 1) - Duration::from_nanos(1);
            assert_eq!(turns(&mut schedule, until).len(), 100, "second {second}");
        }
    }

    #[test]
    fn during_the_ramp_the_open_connections_speak_in_proportion() {
        let connections = 10_000;
        let mut schedule = Schedule::new(connections, Duration::from_secs(50));
        for second in 0..50 {
            let until = Duration::from_secs(second + 1) - Duration::from_nanos(1);
            let found = turns(&mut schedule, until);
            for share in [0.1, 0.25, 0.5, 0.9] {
                let open = (connections as f64 * share) as usize;
                let speak = found.iter().filter(|connection| **connection < open).count() as f64;
                let wanted = found.len() as f64 * share;
                assert!((speak - wanted).abs() <= 4.0, "second {second}, {open} open: {speak} instead of {wanted}");
            }
        }
    }

    #[test]
    fn a_client_that_sleeps_is_behind_and_catches_up_in_order() {
        let mut schedule = Schedule::new(100, Duration::from_secs(1));
        let first = schedule.next_due(Duration::ZERO);
        assert_eq!(first, Some(0));
        assert_eq!(schedule.next_due(Duration::ZERO), None);
        assert_eq!(schedule.wait(Duration::ZERO), Duration::from_millis(10));
        let later = Duration::from_millis(100);
        assert_eq!(schedule.wait(later), Duration::ZERO);
        assert_eq!(schedule.behind(later), 10);
        assert_eq!(turns(&mut schedule, later).len(), 10);
        assert_eq!(schedule.behind(later), 0);
    }

    #[test]
    fn a_month_of_a_million_does_not_overflow() {
        let mut schedule = Schedule::new(1_000_000, Duration::from_secs(50));
        schedule.next_slot = schedule.slots_until(Duration::from_secs(30 * 86_400));
        assert!(schedule.wait(Duration::from_secs(30 * 86_400)) > Duration::ZERO);
        assert_eq!(schedule.next_due(Duration::from_secs(30 * 86_400)), None);
    }
}
