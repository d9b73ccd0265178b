//! Mode `idle`: opens many connections that say nothing and reports what each one costs the
//! server in resident memory: (after − before) / connections, and the same for the second half
//! of them alone, which leaves out what a server pays once. Before means after a warm-up of five
//! times 200 connections, each with a message. Then, if asked, every connection sends one large message and
//! gets it back, and the memory is read again: a buffer that is kept shows here.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::measure::Interval;
use crate::payload::{Kind, Payload};
use crate::proc::ProcessId;
use crate::report::{Outcome, Report};
use crate::swarm::{ClientId, Pace, Swarm};
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};

const WARMUP_CONNECTIONS: usize = 200;

/// A server's first thousands of connections cost once what the next ones do not: code that is
/// compiled and paged in, and the young generation of a garbage collector growing.
const WARMUP_ROUNDS: usize = 5;

/// Connections that have their message under way together.
const TALKING: usize = 32;

/// How the server's memory is read.
struct Scale {
    process: ProcessId,
    settle: Duration,
    collects: bool,
}

/// Options, besides the target's: `--connections` (18000), `--window` (64 handshakes at a time),
/// `--per-second` (no bound), `--settle-seconds` (5), `--message-bytes` (none), and `--collect`
/// to send SIGUSR2 before each reading, upon which the bench's servers collect garbage.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 18_000, 1)?;
    let pace = Pace { window: args.count("window", 64, 1)?, per_second: args.optional("per-second")? };
    let settle = args.seconds("settle-seconds", 5.0)?;
    let collects = args.switch("collect")?;
    let message_bytes: Option<usize> = args.optional("message-bytes")?;
    let target = Target::from_args(&mut args, connections.div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;

    let scale = Scale { process: target.required_process()?, settle, collects };
    let mut swarm = Swarm::new(target)?;
    warm_up(&mut swarm, pace)?;
    let before = scale.resident_bytes(&mut swarm)?;

    swarm.open(connections / 2, pace)?;
    let half = scale.resident_bytes(&mut swarm)?;
    let further = connections - connections / 2;
    let interval = Interval::begin(None)?;
    swarm.open(further, pace)?;
    let ramp = interval.end()?.elapsed;
    let idle = scale.resident_bytes(&mut swarm)?;

    let each = |bytes: u64| (bytes as f64 - before as f64) / connections as f64;
    let mut report = Report::new();
    report
        .text("mode", "idle")
        .count("connections", connections as u64)
        .number("connectionsPerSecond", further as f64 / ramp.as_secs_f64())
        .count("residentBytesBefore", before)
        .count("residentBytesIdle", idle)
        .number("bytesPerConnection", each(idle))
        .number("bytesPerFurtherConnection", (idle as f64 - half as f64) / further as f64);
    let mut verdict = Ok(());
    if let Some(bytes) = message_bytes {
        let mut exchange = Exchange::new(Payload::new(Kind::Binary, bytes), connections, 1);
        one_message_each(&mut swarm, &mut exchange, connections)?;
        let spoken = scale.resident_bytes(&mut swarm)?;
        report
            .count("messageBytes", bytes as u64)
            .count("residentBytesAfterMessage", spoken)
            .number("bytesPerConnectionAfterMessage", each(spoken));
        exchange.faults().report(&mut report);
        verdict = exchange.faults().verdict();
    }
    report.count("livingAtTheEnd", swarm.living() as u64);
    Ok(Outcome { report, verdict })
}

impl Scale {
    /// Lets the server settle, have its garbage collected if it can, and settle again.
    fn resident_bytes(&self, swarm: &mut Swarm) -> Result<u64, Failure> {
        swarm.rest(self.settle)?;
        if self.collects {
            self.process.ask_to_collect()?;
            swarm.rest(self.settle)?;
        }
        self.process.resident_bytes()
    }
}

/// Opens and closes some connections that speak once, so that code and pools are there before.
fn warm_up(swarm: &mut Swarm, pace: Pace) -> Result<(), Failure> {
    for _ in 0..WARMUP_ROUNDS {
        swarm.open(WARMUP_CONNECTIONS, pace)?;
        let payload = Payload::new(Kind::Binary, 1024);
        let mut exchange = Exchange::new(payload, WARMUP_CONNECTIONS, 1);
        one_message_each(swarm, &mut exchange, WARMUP_CONNECTIONS)?;
        exchange.faults().verdict()?;
        swarm.close()?;
    }
    Ok(())
}

/// Every connection sends one message and gets it back, some of them at a time.
pub(crate) fn one_message_each(swarm: &mut Swarm, exchange: &mut Exchange, connections: usize) -> Result<(), Failure> {
    exchange.stop();
    let began = Instant::now();
    for id in (0..connections).map(ClientId) {
        while exchange.unanswered() >= TALKING as u64 {
            swarm.turn_expecting(exchange)?;
        }
        match swarm.client(id) {
            Some(client) => exchange.begin(id, client),
            None => return Err(Failure::new(format!("connection {} has gone", id.0))),
        }
        if began.elapsed() > Duration::from_secs(600) {
            return Err(Failure::new("one message on each connection took more than ten minutes"));
        }
    }
    exchange.finish(swarm)
}
