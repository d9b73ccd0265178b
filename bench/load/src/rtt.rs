//! Mode `rtt`: one message in flight on one connection, while the others are idle: the round trip
//! without any queue.

use crate::args::Args;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::payload::{Kind, Payload};
use crate::report::{Outcome, Report};
use crate::span::Span;
use crate::swarm::{Pace, Swarm};
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};

/// Options, besides the target's and the span's: `--connections` (1, with the one that talks) and
/// `--size` (20 bytes).
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 1, 1)?;
    let size = args.count("size", 20, 0)?;
    let span = Span::from_args(&mut args)?;
    let target = Target::from_args(&mut args, connections.div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;

    let mut swarm = Swarm::new(target)?;
    swarm.open(connections, Pace { window: 64, per_second: None })?;
    let mut exchange = Exchange::new(Payload::new(Kind::Binary, size), 1, 1);
    let passed = span.pass(&mut swarm, &mut exchange, 1)?;

    let mut report = Report::new();
    report.text("mode", "rtt").count("connections", connections as u64).count("size", size as u64);
    passed.report(&mut report, &exchange);
    Ok(Outcome { report, verdict: exchange.faults().verdict() })
}
