//! Notices when much traffic has turned into little, which is the time to give memory back.
//!
//! What a burst of messages took is freed on both sides of the bridge, but an allocator keeps it for
//! the next burst, and the JavaScript side frees its part only when it collects garbage, some time
//! later. So the memory is given back several times after the traffic has ebbed, and never during it.

/// A burst of less than this, between two ticks, is not worth it.
const BURST_BYTES: usize = 4 * 1024 * 1024;

/// The traffic has ebbed when a tick brings less than this part of the highest one.
const EBB_PART: usize = 8;

/// Ticks after the ebb at which memory is given back: at once, after the settling of both sides, and
/// when an idle JavaScript thread may have collected its garbage.
const AT_TICKS: [u32; 5] = [0, 1, 2, 4, 15];

/// The traffic of one reactor, by ticks.
#[derive(Default)]
pub struct Ebb {
    now_bytes: usize,
    highest_bytes: usize,
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
        }
        self.highest_bytes = self.highest_bytes.max(bytes);
        if self.highest_bytes >= BURST_BYTES && bytes < self.highest_bytes / EBB_PART {
            self.highest_bytes = bytes;
            self.since = Some(0);
        }
        let Some(since) = self.since else { return false };
        self.since = (since < AT_TICKS[AT_TICKS.len() - 1]).then_some(since + 1);
        AT_TICKS.contains(&since)
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
    fn even_traffic_gives_nothing_back() {
        let mut ebb = Ebb::default();
        for _ in 0..100 {
            ebb.flow(10 * BURST_BYTES);
            assert!(!ebb.tick());
        }
        for _ in 0..100 {
            ebb.flow(BURST_BYTES * 2);
            assert!(!ebb.tick(), "less, but not an eighth");
        }
        let mut little = Ebb::default();
        little.flow(BURST_BYTES - 1);
        assert_eq!(ticks(&mut little, 40), []);
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
