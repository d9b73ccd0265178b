//! Mode `rtt`: one message in flight on one connection, while the others are idle: the round trip
//! without any queue. The client does not sleep meanwhile, so that only the server's wake-up is
//! part of what is measured: it needs a processor of its own.

use crate::args::Args;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::payload::{Kind, Payload};
use crate::report::{Outcome, Report};
use crate::span::Span;
use crate::swarm::{Pace, Swarm};
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};

/// Options, besides the target's and the span's: `--connections` (1, with the one that talks),
/// `--size` (20 bytes), and `--sleep` to let the client sleep until the answer comes.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 1, 1)?;
    let size = args.count("size", 20, 0)?;
    let sleeps = args.switch("sleep")?;
    let span = Span::from_args(&mut args)?;
    let target = Target::from_args(&mut args, connections.div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;

    let mut swarm = Swarm::new(target)?;
    swarm.open(connections, Pace { window: 64, per_second: None })?;
    if !sleeps {
        swarm.stay_awake();
    }
    let mut exchange = Exchange::new(Payload::new(Kind::Binary, size), 1, 1);
    let passed = span.pass(&mut swarm, &mut exchange, 1)?;

    let mut report = Report::new();
    report.text("mode", "rtt").count("connections", connections as u64).count("size", size as u64);
    passed.report(&mut report, &exchange);
    Ok(Outcome { report, verdict: exchange.faults().verdict() })
}
