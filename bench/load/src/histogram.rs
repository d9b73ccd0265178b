//! Durations counted in logarithmic buckets, so that a percentile of millions of samples costs a
//! fixed 58 KB and no sorting. Every mode records into one; nothing is allocated after `new`.

use std::time::Duration;

/// Buckets in each power of two: a percentile is at most 1/128 (0.8 %) above the true value.
const STEPS: u64 = 128;
const STEP_BITS: u32 = STEPS.trailing_zeros();
const BUCKETS: usize = ((64 - STEP_BITS as usize) + 1) * STEPS as usize;

/// Counts of durations in nanoseconds.
pub struct Histogram {
    counts: Box<[u64]>,
    total: u64,
    sum_nanos: u128,
    max_nanos: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self::new()
    }
}

impl Histogram {
    /// An empty histogram.
    pub fn new() -> Self {
        Self { counts: vec![0; BUCKETS].into_boxed_slice(), total: 0, sum_nanos: 0, max_nanos: 0 }
    }

    /// Counts one duration. More than 584 years counts as 584 years.
    pub fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanos)] += 1;
        self.total += 1;
        self.sum_nanos += u128::from(nanos);
        self.max_nanos = self.max_nanos.max(nanos);
    }

    /// Forgets all that was counted.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        self.total = 0;
        self.sum_nanos = 0;
        self.max_nanos = 0;
    }

    /// The buckets that are not empty, with their counts: what [`Histogram::add`] takes in another
    /// process.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        self.counts.iter().copied().enumerate().filter(|(_, count)| *count > 0)
    }

    /// Counts `count` durations of a bucket, each as its upper edge. `None` if there is no such bucket.
    pub fn add(&mut self, index: usize, count: u64) -> Option<()> {
        let sum = self.counts.get_mut(index)?;
        let edge = upper_edge(index);
        *sum = sum.saturating_add(count);
        self.total = self.total.saturating_add(count);
        self.sum_nanos = self.sum_nanos.saturating_add(u128::from(edge) * u128::from(count));
        if count > 0 {
            self.max_nanos = self.max_nanos.max(edge);
        }
        Some(())
    }

    /// Counts all that another histogram has counted.
    pub fn merge(&mut self, other: &Self) {
        for (index, count) in other.filled() {
            self.add(index, count);
        }
    }

    /// How many durations were counted.
    pub fn count(&self) -> u64 {
        self.total
    }

    /// The longest, exactly. Zero when empty.
    pub fn max(&self) -> Duration {
        Duration::from_nanos(self.max_nanos)
    }

    /// The mean. Zero when empty.
    pub fn mean(&self) -> Duration {
        let nanos = self.sum_nanos.checked_div(u128::from(self.total)).unwrap_or(0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The smallest bucket edge that at least `share` (0 to 1) of the durations do not exceed.
    pub fn percentile(&self, share: f64) -> Duration {
        let rank = ((share * self.total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_nanos(upper_edge(index).min(self.max_nanos));
            }
        }
        self.max()
    }
}

/// Below `STEPS` a bucket for each nanosecond; above, `STEPS` buckets for each power of two.
fn bucket(nanos: u64) -> usize {
    let exponent = (63 - (nanos | 1).leading_zeros()).saturating_sub(STEP_BITS);
    let step = nanos >> exponent;
    (u64::from(exponent) * STEPS + step) as usize
}

/// The largest value that falls into the bucket.
fn upper_edge(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * STEPS {
        return index;
    }
    let exponent = index / STEPS - 1;
    let step = index % STEPS + STEPS;
    (step << exponent) + ((1 << exponent) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bucket_whose_edge_is_close_above_it() {
        let values = (0..64).flat_map(|bit| {
            let power = 1u64 << bit;
            [power - 1, power, power + power / 3, power + (power - 1)]
        });
        for value in values {
            let edge = upper_edge(bucket(value));
            assert!(edge >= value, "{value} has edge {edge}");
            assert!(edge - value <= value / STEPS, "{value} has edge {edge}");
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn buckets_follow_each_other_without_a_gap() {
        for index in 0..20 * STEPS as usize {
            assert_eq!(bucket(upper_edge(index)), index);
            assert_eq!(bucket(upper_edge(index) + 1), index + 1);
        }
    }

    #[test]
    fn percentiles_of_a_known_series() {
        let mut histogram = Histogram::new();
        for micros in 1..=1_000 {
            histogram.record(Duration::from_micros(micros));
        }
        let near = |share: f64, micros: f64| {
            let found = histogram.percentile(share).as_nanos() as f64 / 1e3;
            assert!(found >= micros && found <= micros * 1.01, "{share} is {found}");
        };
        near(0.5, 500.0);
        near(0.9, 900.0);
        near(0.99, 990.0);
        assert_eq!(histogram.percentile(1.0), Duration::from_micros(1_000));
        assert_eq!(histogram.max(), Duration::from_micros(1_000));
        assert_eq!(histogram.mean(), Duration::from_nanos(500_500));
        assert_eq!(histogram.count(), 1_000);
    }

    #[test]
    fn merged_histograms_count_as_one() {
        let mut sum = Histogram::new();
        for micros in [100, 900] {
            let mut one = Histogram::new();
            one.record(Duration::from_micros(micros));
            sum.merge(&one);
        }
        assert_eq!(sum.count(), 2);
        assert!(sum.percentile(0.5) >= Duration::from_micros(100) && sum.percentile(0.5) < Duration::from_micros(102));
        assert!(sum.max() >= Duration::from_micros(900) && sum.max() < Duration::from_micros(910));
        assert_eq!(sum.add(BUCKETS, 1), None);
    }

    #[test]
    fn an_empty_histogram_is_all_zero() {
        let mut histogram = Histogram::new();
        histogram.record(Duration::from_millis(3));
        histogram.clear();
        assert_eq!(histogram.percentile(0.99), Duration::ZERO);
        assert_eq!(histogram.mean(), Duration::ZERO);
        assert_eq!(histogram.count(), 0);
    }
}
