//! What the client counts in the soak, and the faults among it.

use crate::histogram::Histogram;
use crate::report::Report;
use crate::soak::roster::{ENDINGS, Ending};

/// Faults that are told in words; the others are only counted.
const TOLD: usize = 8;

/// What is wrong: each of them fails the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A message of the server that was owed and has not come.
    Lost,
    /// One that came twice.
    Doubled,
    /// One that came behind a later one. It counts as lost until then.
    Reordered,
    /// One with other content, of another kind, or for another connection.
    Corrupt,
    /// One that the server says it has not got, or got too often, when it was asked.
    Unconfirmed,
    /// A connection that could not be opened.
    Refused,
    /// A connection that ended, and nobody had asked for it; or otherwise than it was asked for.
    Broken,
    /// A connection whose end, once begun, took too long.
    Stuck,
    /// An idle connection without pings.
    Silent,
}

/// The names in reports, in the order of [`Fault`].
pub const NAMES: [&str; 9] =
    ["lost", "doubled", "reordered", "corrupt", "unconfirmed", "refused", "broken", "stuck", "silent"];

/// The names in reports, in the order of [`Ending`].
const ENDED: [&str; ENDINGS.len()] = ["closed", "reset", "halfClosed", "ended", "cutOff"];

/// Totals since the beginning, gauges of now, and latencies since the last line.
#[derive(Default)]
pub struct Tally {
    /// Gauge: connections that are open, those that are ending among them.
    pub open: u64,
    /// Gauge: connections that are being made.
    pub opening: u64,
    /// Connections that were opened.
    pub opened: u64,
    /// Messages that were written.
    pub sent: u64,
    /// Their bytes, without frames and compression.
    pub sent_bytes: u64,
    /// Messages that came back.
    pub echoes: u64,
    /// Publications that came.
    pub publications: u64,
    /// Publications that slow readers were spared.
    pub skipped: u64,
    /// Bytes of all messages that came, without frames and compression.
    pub heard_bytes: u64,
    /// Pings of the server to connections that have ended.
    pub pings: u64,
    /// Messages that are due and not written yet.
    pub behind: u64,
    /// From the write of a message to the read that brought its echo.
    pub latency: Histogram,
    ended: [u64; ENDINGS.len()],
    faults: [u64; NAMES.len()],
    told: Vec<String>,
}

impl Tally {
    /// Counts faults of one kind on one connection, and says what they were if there were few before.
    pub fn fault(&mut self, fault: Fault, count: u64, connection: u32, what: impl FnOnce() -> String) {
        if count == 0 {
            return;
        }
        self.faults[fault as usize] += count;
        if self.told.len() < TOLD {
            self.told.push(format!("connection {connection}: {}", what()));
        }
    }

    /// A message that had counted as lost was only late.
    pub fn found(&mut self) {
        let lost = &mut self.faults[Fault::Lost as usize];
        *lost = lost.saturating_sub(1);
    }

    /// How often there was this fault.
    pub fn count(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// Counts a connection that has ended as it was asked to.
    pub fn ended(&mut self, ending: Ending) {
        self.ended[ending as usize] += 1;
    }

    /// Faults of all kinds.
    pub fn all_faults(&self) -> u64 {
        self.faults.iter().sum()
    }

    /// The first faults, in words.
    pub fn told(&self) -> String {
        self.told.join("; ")
    }

    /// Adds all of it to a report.
    pub fn report(&self, report: &mut Report) {
        let mut ended = Report::new();
        for (name, count) in ENDED.iter().zip(self.ended) {
            ended.count(name, count);
        }
        let mut faults = Report::new();
        for (name, count) in NAMES.iter().zip(self.faults) {
            faults.count(name, count);
        }
        report
            .count("open", self.open)
            .count("opening", self.opening)
            .count("opened", self.opened)
            .count("sent", self.sent)
            .count("sentBytes", self.sent_bytes)
            .count("echoes", self.echoes)
            .count("publications", self.publications)
            .count("skipped", self.skipped)
            .count("heardBytes", self.heard_bytes)
            .count("pings", self.pings)
            .count("behind", self.behind)
            .group("endings", ended)
            .group("faults", faults)
            .text("told", self.told())
            .latency("latencyMicros", &self.latency);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_message_is_not_lost_and_few_faults_are_told() {
        let mut tally = Tally::default();
        for connection in 0..20 {
            tally.fault(Fault::Lost, 2, connection, || "a gap".to_owned());
        }
        tally.found();
        tally.fault(Fault::Reordered, 1, 1, || "late".to_owned());
        tally.fault(Fault::Stuck, 0, 1, || unreachable!());
        assert_eq!((tally.count(Fault::Lost), tally.all_faults()), (39, 40));
        assert_eq!(tally.told().split("; ").count(), TOLD);
        let mut report = Report::new();
        tally.report(&mut report);
        assert!(report.to_json().contains(r#""lost":39,"doubled":0,"reordered":1"#));
    }
}
