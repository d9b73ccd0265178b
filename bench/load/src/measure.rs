//! The measured interval: the clock and the CPU time of the server and of the client itself,
//! before and after. Used by every mode that has a rate.

use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::proc::{ProcessId, ProcessTime, machine_time};
use crate::report::{Report, micros};

/// An interval that has begun.
pub struct Interval {
    process: Option<ProcessId>,
    server: Option<ProcessTime>,
    client: ProcessTime,
    machine: Duration,
    began: Instant,
}

/// What an interval took.
pub struct Used {
    /// On the clock.
    pub elapsed: Duration,
    server: Option<ProcessTime>,
    client: ProcessTime,
    machine: Duration,
}

impl Interval {
    /// Begins now.
    pub fn begin(process: Option<ProcessId>) -> Result<Self, Failure> {
        Ok(Self {
            process,
            server: process.map(ProcessId::time).transpose()?,
            client: ProcessId::own().time()?,
            machine: machine_time()?,
            began: Instant::now(),
        })
    }

    /// On the clock, so far.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Ends now.
    pub fn end(self) -> Result<Used, Failure> {
        let elapsed = self.began.elapsed();
        let server = match (self.process, &self.server) {
            (Some(process), Some(before)) => Some(process.time()?.since(before)),
            _ => None,
        };
        let machine = machine_time()?.saturating_sub(self.machine);
        Ok(Used { elapsed, server, client: ProcessId::own().time()?.since(&self.client), machine })
    }
}

impl Used {
    /// Adds `serverCpu` (if the process is known) and `clientCpu`: microseconds for each of `count`
    /// things, and `busy`, the processors in use (1 is one of them all the time). `otherWork` is what
    /// the rest of the machine used meanwhile, in the same measure.
    pub fn report(&self, report: &mut Report, count: u64) {
        let each = |time: Duration| micros(time) / count.max(1) as f64;
        let busy = |time: Duration| time.as_secs_f64() / self.elapsed.as_secs_f64();
        if let Some(server) = &self.server {
            let mut threads = Report::new();
            for (name, time) in by_name(server) {
                threads.number(&name, each(time));
            }
            let mut cpu = Report::new();
            cpu.number("micros", each(server.all.total()))
                .number("userMicros", each(server.all.user))
                .number("systemMicros", each(server.all.system))
                .number("mainThreadMicros", each(server.main.total()))
                .number("busy", busy(server.all.total()))
                .group("otherThreads", threads);
            report.group("serverCpu", cpu);
            let ours = server.all.total() + self.client.all.total();
            report.number("otherWork", busy(self.machine.saturating_sub(ours)));
        }
        let mut cpu = Report::new();
        cpu.number("micros", each(self.client.all.total())).number("busy", busy(self.client.all.total()));
        report.group("clientCpu", cpu);
    }
}

/// Threads with the same name together, those that did nothing left out.
fn by_name(server: &ProcessTime) -> Vec<(String, Duration)> {
    let mut sums: Vec<(String, Duration)> = Vec::new();
    for thread in server.others.iter().filter(|thread| !thread.time.total().is_zero()) {
        match sums.iter_mut().find(|(name, _)| *name == thread.name) {
            Some((_, sum)) => *sum += thread.time.total(),
            None => sums.push((thread.name.clone(), thread.time.total())),
        }
    }
    sums
}
