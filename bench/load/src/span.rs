//! Warm-up and measured interval of an exchange: what `echo` and `rtt` have in common.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::measure::{Interval, Used};
use crate::report::{Report, micros};
use crate::swarm::{ClientId, Swarm};

/// How long to measure, and how long to let the server get warm before.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    warmup: Duration,
    measured: Duration,
    /// Ends the measuring earlier.
    messages: Option<u64>,
}

/// What a span brought.
pub struct Passed {
    /// Answers in the measured interval.
    pub messages: u64,
    /// Its length and CPU time.
    pub used: Used,
}

impl Span {
    /// Reads `--seconds` (5; 60 with a number of messages), `--warmup-seconds` (1) and `--messages`.
    pub fn from_args(args: &mut Args) -> Result<Self, Failure> {
        let messages: Option<u64> = args.optional("messages")?;
        Ok(Self {
            warmup: args.seconds("warmup-seconds", 1.0)?,
            measured: args.seconds("seconds", if messages.is_some() { 60.0 } else { 5.0 })?,
            messages,
        })
    }

    /// Runs the exchange on the first `active` connections, and ends it with all answers there or
    /// counted as lost.
    pub fn pass(&self, swarm: &mut Swarm, exchange: &mut Exchange, active: usize) -> Result<Passed, Failure> {
        for id in (0..active).map(ClientId) {
            match swarm.client(id) {
                Some(client) => exchange.begin(id, client),
                None => return Err(Failure::new(format!("connection {} has gone", id.0))),
            }
        }
        let warm = Instant::now();
        while warm.elapsed() < self.warmup {
            swarm.turn_expecting(exchange)?;
        }
        exchange.latency.clear();
        let answers = exchange.answers();
        let most = self.messages.unwrap_or(u64::MAX);
        let interval = Interval::begin(swarm.target().process)?;
        while interval.elapsed() < self.measured && exchange.answers() - answers < most {
            swarm.turn_expecting(exchange)?;
        }
        let used = interval.end()?;
        let messages = exchange.answers() - answers;
        if messages == 0 {
            return Err(Failure::new("the server answered no message in the measured interval"));
        }
        exchange.finish(swarm)?;
        Ok(Passed { messages, used })
    }
}

impl Passed {
    /// Adds rate, latency, CPU time and faults.
    pub fn report(&self, report: &mut Report, exchange: &Exchange) {
        let seconds = self.used.elapsed.as_secs_f64();
        report
            .number("seconds", seconds)
            .count("messages", self.messages)
            .number("messagesPerSecond", self.messages as f64 / seconds)
            .number("microsPerMessage", micros(self.used.elapsed) / self.messages as f64)
            .number("payloadBytesPerSecond", self.messages as f64 * exchange.payload_bytes() as f64 / seconds)
            .latency("latencyMicros", &exchange.latency);
        self.used.report(report, self.messages);
        exchange.faults().report(report);
    }
}
