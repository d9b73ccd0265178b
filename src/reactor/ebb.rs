//! Notices when much traffic has turned into little, which is the time to give memory back.
//!
//! What a burst of messages took is freed on both sides of the bridge, but an allocator keeps it for
//! the next burst, and the JavaScript side frees its part only when it collects garbage, some time
//! later. So the memory is given back several times after the traffic has ebbed. Traffic that never ebbs has
//! its small bursts, too, each of which leaves what it took beyond the others: so once in a while it is given
//! back in the midst of traffic, and not more often, for that holds up the allocations of all threads for
//! a millisecond or two.

use crate::limits::TICK_SECONDS;

/// A burst of less than this, between two ticks, is not worth it.
const BURST_BYTES: usize = 4 * 1024 * 1024;

/// The traffic has ebbed when a tick brings less than this part of the highest one.
const EBB_PART: usize = 8;

/// Ticks after the ebb at which memory is given back: at once, after the settling of both sides, and
/// when an idle JavaScript thread may have collected its garbage.
const AT_TICKS: [u32; 5] = [0, 1, 2, 4, 15];

/// Ticks, after which memory is given back although the traffic goes on: two minutes.
const FLOOD_TICKS: u32 = 120 / TICK_SECONDS;

/// The traffic of one reactor, by ticks.
#[derive(Default)]
pub struct Ebb {
    now_bytes: usize,
    highest_bytes: usize,
    /// Ticks of traffic that were worth it since memory was given back.
    flood: u32,
    /// Ticks since the ebb.
    since: Option<u32>,
}

impl Ebb {
    /// Bytes came, or went.
    pub fn flow(&mut self, bytes: usize) {
        self.now_bytes = self.now_bytes.saturating_add(bytes);
    }

    /// Whether there is something to give back later, for which the clock must go on.
    pub fn is_pending(&self) -> bool {
        self.since.is_some() || self.now_bytes.max(self.highest_bytes) >= BURST_BYTES
    }

    /// A tick. Whether memory should be given back now.
    pub fn tick(&mut self) -> bool {
        let bytes = std::mem::take(&mut self.now_bytes);
        if bytes >= BURST_BYTES {
            self.since = None;
            self.flood += 1;
        }
        self.highest_bytes = self.highest_bytes.max(bytes);
        if self.highest_bytes >= BURST_BYTES && bytes < self.highest_bytes / EBB_PART {
            self.highest_bytes = bytes;
            self.since = Some(0);
        }
        let is_low = self.since.is_some_and(|since| AT_TICKS.contains(&since));
        self.since = self.since.filter(|&since| since < AT_TICKS[AT_TICKS.len() - 1]).map(|since| since + 1);
        let is_due = is_low || self.flood >= FLOOD_TICKS;
        if is_due {
            self.flood = 0;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(ebb: &mut Ebb, count: u32) -> Vec<u32> {
        (0..count).filter(|_| ebb.tick()).collect()
    }

    #[test]
    fn gives_back_some_times_after_a_burst() {
        let mut ebb = Ebb::default();
        ebb.flow(BURST_BYTES);
        assert!(ebb.is_pending() && !ebb.tick(), "the burst goes on");
        assert_eq!(ticks(&mut ebb, 40), AT_TICKS);
        assert!(!ebb.is_pending());
    }

    #[test]
    fn even_traffic_gives_nothing_back_at_once() {
        let mut ebb = Ebb::default();
        for _ in 0..10 {
            ebb.flow(10 * BURST_BYTES);
            assert!(!ebb.tick());
        }
        for _ in 11..FLOOD_TICKS {
            ebb.flow(BURST_BYTES * 2);
            assert!(!ebb.tick(), "less, but not an eighth");
        }
        let mut little = Ebb::default();
        little.flow(BURST_BYTES - 1);
        assert_eq!(ticks(&mut little, 40), []);
    }

    #[test]
    fn traffic_that_never_ebbs_gives_back_once_in_two_minutes() {
        let mut ebb = Ebb::default();
        let given: Vec<u32> = (1..=3 * FLOOD_TICKS)
            .filter(|_| {
                ebb.flow(BURST_BYTES);
                ebb.tick()
            })
            .collect();
        assert_eq!(given, [FLOOD_TICKS, 2 * FLOOD_TICKS, 3 * FLOOD_TICKS]);
    }

    #[test]
    fn a_low_tide_that_goes_on_gives_back_as_well() {
        let mut ebb = Ebb::default();
        ebb.flow(100 * BURST_BYTES);
        ebb.tick();
        let given: Vec<u32> = (0..40)
            .filter(|_| {
                ebb.flow(BURST_BYTES / 4);
                ebb.tick()
            })
            .collect();
        assert_eq!(given, AT_TICKS);
    }
}
