//! Mode `herd`: many connections are reset at once, as when a proxy before them dies, and all of them come back at once.
//! A few others talk at a steady pace all the while, and their latency is told apart: before, and from the first reset
//! until the last one is back. At the end each that came back sends a message and gets it back.
//!
//! The client does not sleep, and looks after those that talk between any two steps of the others.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::idle::one_message_each;
use crate::measure::{Interval, Used};
use crate::payload::{Kind, Payload};
use crate::report::{Outcome, Report};
use crate::storm::{Arrivals, STEP};
use crate::swarm::{ClientId, Pace, Swarm};
use crate::talk::Talk;
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};

/// Resets between two looks at those that talk: each is a system call or two.
const RESETS: usize = 8;

/// Between a herd that is back and the calm before the next: what the last one has left behind is no calm.
const SETTLING: Duration = Duration::from_millis(500);

/// Options, besides the target's: `--connections` (10000 that go and come back), `--live` (50 that talk),
/// `--interval-millis` (20 between two messages of each), `--size` (20 bytes), `--calm-seconds` (2 before), `--warmup`
/// (0 connections that come and are reset before all that, so that the server's code is there), `--rounds` (1: how often
/// it all happens; the latencies of all rounds are one set, since a herd is over in half a second, in which a single
/// pause of the machine decides its 99th percentile). Processor time is that of the last round.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 10_000, 1)?;
    let live = args.count("live", 50, 1)?;
    let interval = Duration::from_millis(args.count("interval-millis", 20, 1)? as u64);
    let size = args.count("size", 20, 8)?;
    let calm = args.seconds("calm-seconds", 2.0)?;
    let warmup = args.count("warmup", 0, 0)?;
    let rounds = args.count("rounds", 1, 1)?;
    let target = Target::from_args(&mut args, ((rounds + 1) * connections).div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;

    let pace = Pace { window: 64, per_second: None };
    let mut crowd = Swarm::bounded(target.clone(), STEP)?;
    let mut swarm = Swarm::new(target)?;
    crowd.open(warmup, pace)?;
    for id in (0..warmup).map(ClientId) {
        crowd.reset(id)?;
    }
    crowd.close()?;
    crowd.open(connections, pace)?;
    swarm.open(live, pace)?;
    let mut talk = Talk::new(Payload::new(Kind::Binary, size), live, interval);
    let mut found = Found::default();
    let mut used = found.round(&mut crowd, &mut swarm, &mut talk, connections, calm)?;
    for _ in 1..rounds {
        if found.failed > 0 {
            break;
        }
        talk.go_on(&mut swarm, SETTLING)?;
        talk.finish(&mut swarm, || Ok(()))?;
        talk.latency.clear();
        used = found.round(&mut crowd, &mut swarm, &mut talk, connections, calm)?;
    }
    let mut exchange = Exchange::new(Payload::new(Kind::Binary, size), connections, 1);
    if found.failed == 0 {
        one_message_each(&mut crowd, &mut exchange, connections)?;
    }

    let mut herd = Histogram::new();
    herd.merge(&found.resetting);
    herd.merge(&found.coming);
    let mut report = Report::new();
    report
        .text("mode", "herd")
        .count("connections", connections as u64)
        .count("live", live as u64)
        .count("rounds", found.rounds)
        .number("resetSeconds", found.reset.as_secs_f64() / found.rounds as f64)
        .number("backSeconds", found.back.as_secs_f64() / found.rounds as f64)
        .count("back", found.opened as u64)
        .count("failed", found.failed as u64)
        .latency("calmMicros", &found.calm)
        .latency("herdMicros", &herd)
        .latency("resetMicros", &found.resetting)
        .latency("backMicros", &found.coming)
        .latency("openMicros", &found.opening);
    exchange.faults().report(&mut report);
    used.report(&mut report, connections as u64);
    let verdict = match found.failed {
        0 => talk.verdict().and_then(|()| exchange.faults().verdict()),
        failed => Err(Failure::new(format!("{failed} of {connections} connections were refused when they came back"))),
    };
    Ok(Outcome { report, verdict })
}

/// Of all rounds so far.
#[derive(Default)]
struct Found {
    rounds: u64,
    opened: usize,
    failed: usize,
    reset: Duration,
    back: Duration,
    calm: Histogram,
    resetting: Histogram,
    coming: Histogram,
    opening: Histogram,
}

impl Found {
    /// A calm, and a herd.
    fn round(
        &mut self,
        crowd: &mut Swarm,
        swarm: &mut Swarm,
        talk: &mut Talk,
        connections: usize,
        calm: Duration,
    ) -> Result<Used, Failure> {
        talk.go_on(swarm, calm)?;
        self.calm.merge(&std::mem::take(&mut talk.latency));

        let used = Interval::begin(swarm.target().process)?;
        let began = Instant::now();
        for id in 0..connections {
            crowd.reset(ClientId(id))?;
            if id % RESETS == 0 {
                talk.turn(swarm)?;
            }
        }
        self.reset += began.elapsed();
        self.resetting.merge(&std::mem::take(&mut talk.latency));
        let mut arrivals = Arrivals::new(connections);
        arrivals.come(crowd, connections, || talk.turn(swarm))?;
        let used = used.end()?;
        talk.finish(swarm, || Ok(()))?;
        self.coming.merge(&std::mem::take(&mut talk.latency));
        self.opening.merge(&arrivals.opening);
        self.back += used.elapsed;
        self.opened += arrivals.opened;
        self.failed += arrivals.failed;
        self.rounds += 1;
        Ok(used)
    }
}
