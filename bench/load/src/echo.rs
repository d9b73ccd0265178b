//! Mode `echo`: every connection keeps the same number of messages in flight, and the server sends
//! each one back. The answers of one read are followed by as many new messages in one write.

use crate::args::Args;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::payload::{Kind, Payload};
use crate::report::{Outcome, Report};
use crate::span::Span;
use crate::swarm::{Pace, Swarm};
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};

/// Options, besides the target's and the span's: `--connections` (100), `--in-flight` (1), `--size`
/// (20 bytes) and `--text` for text messages. With the target's `--deflate`, JSON-like text of 1,024 bytes,
/// compressed; the report tells which part of the answers was, too.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 100, 1)?;
    let in_flight = args.count("in-flight", 1, 1)?;
    let size: Option<usize> = args.optional("size")?;
    let kind = if args.switch("text")? { Kind::Text } else { Kind::Binary };
    let span = Span::from_args(&mut args)?;
    let target = Target::from_args(&mut args, connections.div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;
    let deflate = target.deflate;
    let size = size.unwrap_or(if deflate { 1024 } else { 20 });
    let payload = if deflate { Payload::deflated(size) } else { Payload::new(kind, size) };

    let mut swarm = Swarm::new(target)?;
    swarm.open(connections, Pace { window: 64, per_second: None })?;
    let mut exchange = Exchange::new(payload, connections, in_flight);
    let passed = span.pass(&mut swarm, &mut exchange, connections)?;

    let mut report = Report::new();
    report
        .text("mode", "echo")
        .count("connections", connections as u64)
        .count("inFlight", in_flight as u64)
        .count("size", size as u64);
    if deflate {
        report.number("compressedPart", exchange.compressed() as f64 / exchange.answers().max(1) as f64);
    }
    passed.report(&mut report, &exchange);
    let verdict = exchange.faults().verdict();
    if verdict.is_ok() {
        report.count("closedUncleanly", swarm.close()? as u64);
    }
    Ok(Outcome { report, verdict })
}
