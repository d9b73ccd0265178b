//! What one process of the million counts, and the line in which it tells its parent, who adds the
//! lines of all up. Counters run from the start; gauges say how it is now; both may be added over
//! processes. The latencies are those since the last line.

use std::ops::{Index, IndexMut};
use std::time::Duration;

use crate::histogram::Histogram;
use crate::report::Report;

/// What is counted. The order is that of [`NAMES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Gauge: handshakes under way.
    Connecting,
    /// Gauge: connections that are open.
    Open,
    /// Connections that never opened.
    Refused,
    /// Lost: the server sent a close frame.
    Closed,
    /// Lost: the server ended the TCP connection without one.
    Ended,
    /// Lost: reset, timed out, or the kernel took no more.
    Reset,
    /// Lost: given up, since the server sent a bad frame.
    Spoilt,
    /// Messages written.
    Sent,
    /// Answers that came, right or wrong.
    Answers,
    /// Answers that took more than a second.
    Late,
    /// Answers with other content than was sent, and messages that nobody asked for.
    Corrupt,
    /// Messages that were not written since the one before had no answer yet.
    Withheld,
    /// Gauge: messages that are written and wait for their answer on an open connection.
    Unanswered,
    /// Gauge: messages that are due and not written yet: the client itself is too slow.
    Behind,
    /// Pings of the server that were answered.
    Pings,
    /// Gauge: the client's resident memory.
    ResidentBytes,
}

/// The names in reports, in the order of [`Count`].
pub const NAMES: [&str; 16] = [
    "connecting",
    "open",
    "refused",
    "closed",
    "ended",
    "reset",
    "spoilt",
    "sent",
    "answers",
    "late",
    "corrupt",
    "withheld",
    "unanswered",
    "behind",
    "pings",
    "clientResidentBytes",
];

/// The counts and latencies of a process, or the sum of several.
#[derive(Default)]
pub struct Tally {
    counts: [u64; NAMES.len()],
    /// From the write of a message to the wake-up that brought its answer.
    pub latency: Histogram,
}

impl Index<Count> for Tally {
    type Output = u64;

    fn index(&self, count: Count) -> &u64 {
        &self.counts[count as usize]
    }
}

impl IndexMut<Count> for Tally {
    fn index_mut(&mut self, count: Count) -> &mut u64 {
        &mut self.counts[count as usize]
    }
}

impl Tally {
    /// Connections that were open and are not any more, whatever the reason.
    pub fn lost(&self) -> u64 {
        [Count::Closed, Count::Ended, Count::Reset, Count::Spoilt].map(|count| self[count]).iter().sum()
    }

    /// Adds the counts, not the latencies.
    pub fn add_counts(&mut self, other: &Self) {
        for (sum, count) in self.counts.iter_mut().zip(other.counts) {
            *sum = sum.saturating_add(count);
        }
    }

    /// Adds all counts to a report, and `lost`, their sum of lost ones.
    pub fn report(&self, report: &mut Report) {
        for (name, count) in NAMES.iter().zip(self.counts) {
            report.count(name, count);
        }
        report.count("lost", self.lost());
    }

    /// One line: the counts, then each filled bucket of the histogram as `index:count`.
    pub fn to_line(&self) -> String {
        let counts = self.counts.iter().map(u64::to_string);
        let buckets = self.latency.filled().map(|(index, count)| format!("{index}:{count}"));
        counts.chain(buckets).collect::<Vec<_>>().join(" ")
    }

    /// Reads a line of [`Tally::to_line`].
    pub fn from_line(line: &str) -> Option<Self> {
        let mut tally = Self::default();
        let mut words = line.split_ascii_whitespace();
        for count in &mut tally.counts {
            *count = words.next()?.parse().ok()?;
        }
        for word in words {
            let (index, count) = word.split_once(':')?;
            tally.latency.add(index.parse().ok()?, count.parse().ok()?)?;
        }
        Some(tally)
    }

    /// Counts an answer and how long it took.
    pub fn answered(&mut self, took: Duration) {
        self[Count::Answers] += 1;
        self[Count::Late] += u64::from(took > LATE);
        self.latency.record(took);
    }
}

/// An answer that takes longer is late.
pub const LATE: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_all_that_was_counted() {
        let mut tally = Tally::default();
        tally[Count::Open] = 19_000;
        tally[Count::ResidentBytes] = u64::MAX;
        for micros in [90, 90, 1_100_000] {
            tally.answered(Duration::from_micros(micros));
        }
        let read = Tally::from_line(&tally.to_line()).expect("a line");
        assert_eq!(read.counts, tally.counts);
        assert_eq!((read[Count::Answers], read[Count::Late]), (3, 1));
        assert_eq!(read.latency.count(), 3);
        let slowest = read.latency.max().as_micros();
        assert!((1_100_000..1_110_000).contains(&slowest), "{slowest}");
    }

    #[test]
    fn foreign_lines_are_refused() {
        let good = Tally::default().to_line();
        assert!(Tally::from_line(&good).is_some());
        for line in ["", "1 2 3", "hello", &format!("{good} 5"), &format!("{good} 5:x"), &format!("{good} 999999:1")] {
            assert!(Tally::from_line(line).is_none(), "{line}");
        }
    }

    #[test]
    fn sums_add_counts_and_gauges_over_processes() {
        let mut one = Tally::default();
        one[Count::Open] = 7;
        one[Count::Closed] = 1;
        one[Count::Reset] = 2;
        let mut sum = Tally::default();
        sum.add_counts(&one);
        sum.add_counts(&one);
        assert_eq!((sum[Count::Open], sum.lost()), (14, 6));
        let mut report = Report::new();
        sum.report(&mut report);
        let json = report.to_json();
        assert!(json.contains(r#""open":14,"#) && json.ends_with(r#""lost":6}"#), "{json}");
    }
}
