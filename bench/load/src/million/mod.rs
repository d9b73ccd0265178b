//! Mode `million`: holds very many connections for a while, each of which sends a message in every
//! interval and verifies the answer, and tells every second how they are. The connections live in
//! child processes ([`share`]), as many as the limit of descriptors requires; this process only adds
//! up. Memory: under 200 bytes for each connection, all processes together.

pub mod crowd;
pub mod family;
pub mod host;
pub mod schedule;
pub mod share;
pub mod tally;

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::million::family::Family;
use crate::million::tally::{Count, Tally};
use crate::report::{Outcome, Report};
use crate::target::Target;

/// What is tolerated besides the time that is planned, before a process ends by itself.
const GRACE: Duration = Duration::from_secs(120);

/// What the run shall be.
struct Plan {
    connections: usize,
    pace: f64,
    window: usize,
    interval_seconds: f64,
    steady: Duration,
    ramp_limit: Duration,
    size: usize,
    processes: usize,
    addresses: usize,
    port: u16,
    host: String,
    path: String,
    allows_remote: bool,
}

/// Options: `--port`, `--host` (127.0.0.1), `--path` (/), `--connections` (19000), `--pace` (2000 a
/// second), `--window` (256 handshakes at a time), `--interval-seconds` (50), `--minutes` (1) of steady
/// state, `--ramp-minutes` (120) at most before, `--size` (20), and, if the host's limits shall not
/// decide: `--processes`, `--addresses`.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let plan = Plan::from_args(&mut args)?;
    args.finish()?;
    let mut run = Run {
        family: Family::start(plan.shares())?,
        began: Instant::now(),
        lines: 0,
        steady_latency: Histogram::new(),
        resident_bytes: 0,
        plan,
    };
    let ramped = run.ramp()?;
    run.hold()?;
    run.family.stop()?;
    let last = run.tell("end")?;
    Ok(run.outcome(&last, ramped))
}

/// A run that is under way.
struct Run {
    plan: Plan,
    family: Family,
    began: Instant,
    lines: u32,
    steady_latency: Histogram,
    /// What all processes together take for their connections, in steady state.
    resident_bytes: u64,
}

impl Run {
    /// Until every connection is open or has failed; how long that took.
    fn ramp(&mut self) -> Result<Duration, Failure> {
        loop {
            let tally = self.second("ramp")?;
            let settled = tally[Count::Open] + tally[Count::Refused] + tally.lost();
            if settled >= self.plan.connections as u64 {
                return Ok(self.began.elapsed());
            }
            if self.began.elapsed() > self.plan.ramp_limit {
                return Err(Failure::new(format!(
                    "only {settled} of {} connections were made in {:.0} minutes: raise --ramp-minutes or --pace",
                    self.plan.connections,
                    self.plan.ramp_limit.as_secs_f64() / 60.0
                )));
            }
        }
    }

    /// The steady state.
    fn hold(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < self.plan.steady {
            let tally = self.second("steady")?;
            self.steady_latency.merge(&tally.latency);
            self.resident_bytes = tally[Count::ResidentBytes];
        }
        Ok(())
    }

    /// Lets a second pass and tells what all counted.
    fn second(&mut self, phase: &str) -> Result<Tally, Failure> {
        self.lines += 1;
        let until = self.began + Duration::from_secs(1) * self.lines;
        self.family.rest_until(until)?;
        self.family.ask()?;
        self.tell(phase)
    }

    /// Writes one JSON line.
    fn tell(&mut self, phase: &str) -> Result<Tally, Failure> {
        let tally = self.family.sum();
        let mut line = Report::new();
        line.number("second", self.began.elapsed().as_secs_f64()).text("phase", phase);
        tally.report(&mut line);
        line.latency("latencyMicros", &tally.latency);
        io::stdout()
            .write_all((line.to_json() + "\n").as_bytes())
            .map_err(|error| Failure::io("the counters cannot be written", &error))?;
        Ok(tally)
    }

    fn outcome(&self, last: &Tally, ramped: Duration) -> Outcome {
        let unopened = self.plan.connections as u64 - last[Count::Open].min(self.plan.connections as u64);
        let mut report = Report::new();
        report
            .text("mode", "million")
            .text("phase", "report")
            .count("connections", self.plan.connections as u64)
            .count("processes", self.plan.processes as u64)
            .count("addresses", self.plan.addresses as u64)
            .number("rampSeconds", ramped.as_secs_f64())
            .number("steadySeconds", self.plan.steady.as_secs_f64())
            .number("clientBytesPerConnection", self.resident_bytes as f64 / last[Count::Open].max(1) as f64);
        last.report(&mut report);
        report.latency("steadyLatencyMicros", &self.steady_latency);
        let verdict = match (unopened, last[Count::Unanswered], last[Count::Corrupt]) {
            (0, 0, 0) => Ok(()),
            (_, missing, corrupt) => Err(Failure::new(format!(
                "{} of {} connections are open at the end ({} refused, {} lost); {missing} answers missing, \
                 {corrupt} corrupt",
                last[Count::Open],
                self.plan.connections,
                last[Count::Refused],
                last.lost(),
            ))),
        };
        Outcome { report, verdict }
    }
}

impl Plan {
    fn from_args(args: &mut Args) -> Result<Self, Failure> {
        let connections = args.count("connections", 19_000, 1)?;
        let ports = host::local_ports();
        let by_limit = host::processes(connections, host::raise_descriptor_limit())?;
        let plan = Self {
            connections,
            pace: args.value("pace", 2_000.0)?,
            window: args.count("window", 256, 1)?,
            interval_seconds: args.value("interval-seconds", 50.0)?,
            steady: Duration::from_secs_f64(args.value("minutes", 1.0_f64)?.clamp(0.0, 10_080.0) * 60.0),
            ramp_limit: Duration::from_secs_f64(args.value("ramp-minutes", 120.0_f64)?.clamp(0.0, 10_080.0) * 60.0),
            size: args.count("size", 20, 0)?,
            processes: args.count("processes", by_limit, 1)?.min(connections),
            addresses: args.count("addresses", host::addresses(connections, ports)?, 1)?,
            port: args
                .optional("port")?
                .ok_or_else(|| Failure::new("--port is missing: where does the server listen?"))?,
            host: args.value("host", "127.0.0.1".to_owned())?,
            path: args.value("path", "/".to_owned())?,
            allows_remote: args.switch("allow-remote")?,
        };
        if !(plan.pace > 0.0 && plan.pace.is_finite()) {
            return Err(Failure::new(format!("--pace is {}, but must be more than 0", plan.pace)));
        }
        if !(0.1..=86_400.0).contains(&plan.interval_seconds) {
            let given = plan.interval_seconds;
            return Err(Failure::new(format!("--interval-seconds is {given}, but must be from 0.1 to 86400")));
        }
        plan.check_target()?;
        Ok(plan)
    }

    /// Lets the target be judged here, once, and not by each process.
    fn check_target(&self) -> Result<(), Failure> {
        let words = std::iter::once("million".to_owned()).chain(self.target_words());
        let (_, mut args) = Args::parse(words)?;
        Target::from_args(&mut args, 1).map(drop)
    }

    fn target_words(&self) -> Vec<String> {
        let mut words = vec![
            format!("--port={}", self.port),
            format!("--host={}", self.host),
            format!("--path={}", self.path),
            format!("--addresses={}", self.addresses),
        ];
        if self.allows_remote {
            words.push("--allow-remote".to_owned());
        }
        words
    }

    /// The arguments of each process: the connections divided as evenly as can be, the pace and the
    /// handshakes at a time in proportion.
    fn shares(&self) -> Vec<Vec<String>> {
        let at_most = self.ramp_limit + self.steady + GRACE;
        let mut first = 0;
        (0..self.processes)
            .map(|index| {
                let connections = (self.connections - first) / (self.processes - index);
                let part = connections as f64 / self.connections as f64;
                let mut words = vec![
                    "million-share".to_owned(),
                    format!("--connections={connections}"),
                    format!("--first={first}"),
                    format!("--pace={}", self.pace * part),
                    format!("--window={}", ((self.window as f64 * part) as usize).max(1)),
                    format!("--interval-seconds={}", self.interval_seconds),
                    format!("--size={}", self.size),
                    format!("--at-most-seconds={}", at_most.as_secs()),
                ];
                words.extend(self.target_words());
                first += connections;
                words
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(line: &str) -> Result<Plan, Failure> {
        let (_, mut args) = Args::parse(line.split(' ').map(str::to_owned))?;
        Plan::from_args(&mut args)
    }

    #[test]
    fn shares_are_even_and_without_a_gap() {
        let plan = plan("million --port 1 --connections 1000 --processes 7 --pace 700").expect("a plan");
        let mut next = 0;
        for words in plan.shares() {
            let number = |name: &str| -> f64 {
                let word = words.iter().find_map(|word| word.strip_prefix(name)).expect(name);
                word.parse().expect("a number")
            };
            assert_eq!(number("--first="), f64::from(next));
            let connections = number("--connections=");
            assert!((142.0..=143.0).contains(&connections));
            assert!((number("--pace=") - connections * 0.7).abs() < 1e-9);
            next += connections as i32;
        }
        assert_eq!(next, 1_000);
    }

    #[test]
    fn mistakes_are_named_before_a_process_is_started() {
        for (line, word) in [
            ("million", "--port"),
            ("million --port 1 --pace 0", "--pace"),
            ("million --port 1 --interval-seconds 0", "--interval-seconds"),
            ("million --port 1 --host 192.0.2.1", "--allow-remote"),
            ("million --port 1 --connections 0", "--connections"),
        ] {
            let sentence = plan(line).err().expect(line).to_string();
            assert!(sentence.contains(word), "{line}: {sentence}");
        }
    }
}
