//! Mode `shutdown`: many connections, some of which talk, and the server's process gets SIGTERM, upon which it is to
//! close all of them. Each answers its close frame and waits for the FIN (RFC 6455 §7.1.1). The report tells how long
//! that took, and how many answers each that talks has got before its close frame, for who knows how many messages
//! the server has taken.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::client::{Client, End};
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::frame::Piece;
use crate::histogram::Histogram;
use crate::payload::{Kind, Payload};
use crate::report::{Outcome, Report};
use crate::swarm::{ClientId, Conversation, Pace, Swarm, unexpected};
use crate::target::{CONNECTIONS_PER_ADDRESS, Target};

/// Who has not closed all connections after this has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a single wait may be, so that the clock is looked at.
const WAIT: Duration = Duration::from_millis(100);

/// Options, besides the target's: `--connections` (10000), `--talking` (500 of them), `--in-flight` (20 messages of
/// each), `--size` (20 bytes), `--seconds` (1 of talk before SIGTERM), `--status` (1001, which each close frame is
/// to have).
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 10_000, 1)?;
    let talking = args.count("talking", 500, 0)?.min(connections);
    let in_flight = args.count("in-flight", 20, 1)?;
    let size = args.count("size", 20, 12)?;
    let talk = args.seconds("seconds", 1.0)?;
    let status = args.value("status", 1001)?;
    let target = Target::from_args(&mut args, connections.div_ceil(CONNECTIONS_PER_ADDRESS))?;
    args.finish()?;

    let process = target.required_process()?;
    let mut swarm = Swarm::new(target)?;
    swarm.open(connections, Pace { window: 64, per_second: None })?;
    let exchange = Exchange::new(Payload::new(Kind::Binary, size), talking, in_flight);
    let mut departure = Departure { exchange, status, told: None, closed: 0, reset: 0, closing: Histogram::new() };
    for id in (0..connections).map(ClientId) {
        let client = swarm.client(id).ok_or_else(|| Failure::new(format!("connection {} has gone", id.0)))?;
        client.await_fin();
        if id.0 < talking {
            departure.exchange.begin(id, client);
        }
    }
    let began = Instant::now();
    while began.elapsed() < talk {
        swarm.turn(WAIT, &mut departure)?;
    }

    let answers = departure.exchange.answers();
    process.ask_to_end()?;
    let began = Instant::now();
    departure.told = Some(began);
    while departure.closed + departure.reset < connections {
        swarm.turn(WAIT, &mut departure)?;
        if began.elapsed() > PATIENCE {
            let left = swarm.living();
            return Err(Failure::new(format!("{left} of {connections} connections are not closed after {PATIENCE:?}")));
        }
    }
    let closed_after = began.elapsed();

    let Departure { exchange, closed, reset, closing, .. } = departure;
    let mut report = Report::new();
    report
        .text("mode", "shutdown")
        .count("connections", connections as u64)
        .count("talking", talking as u64)
        .count("answersBefore", answers)
        .count("answers", exchange.answers())
        .number("closedSeconds", closed_after.as_secs_f64())
        .count("closed", closed as u64)
        .count("reset", reset as u64)
        .latency("closedMicros", &closing);
    exchange.faults().report(&mut report);
    let answered: Vec<String> = (0..talking).map(|id| exchange.answered(ClientId(id)).to_string()).collect();
    report.text("answered", answered.join(" "));
    Ok(Outcome { report, verdict: exchange.faults().verdict() })
}

/// Connections that talk until the server closes them.
struct Departure {
    exchange: Exchange,
    /// What each close frame is to say.
    status: u16,
    /// When the server was told to end.
    told: Option<Instant>,
    /// With a close frame, and a FIN behind the answer to it.
    closed: usize,
    /// With a close frame, and a reset instead.
    reset: usize,
    /// From SIGTERM to the end.
    closing: Histogram,
}

impl Conversation for Departure {
    fn opened(&mut self, id: ClientId, client: &mut Client, now: Instant) -> Result<(), Failure> {
        self.exchange.opened(id, client, now)
    }

    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, now: Instant) -> Result<(), Failure> {
        if id.0 >= self.exchange.lanes() {
            return Err(Failure::new(format!("connection {} got a message that nobody asked for", id.0)));
        }
        self.exchange.heard(id, piece, now)
    }

    fn rest(&mut self, id: ClientId, client: &mut Client, now: Instant) -> Result<(), Failure> {
        // Nothing is sent behind a close frame (RFC 6455 §5.5.1).
        if client.is_open() && id.0 < self.exchange.lanes() { self.exchange.rest(id, client, now) } else { Ok(()) }
    }

    fn ended(&mut self, id: ClientId, end: End) -> Result<(), Failure> {
        let Some(told) = self.told else { return Err(unexpected(id, &end)) };
        match end {
            End::CloseFrame(Some(status)) if status == self.status => self.closed += 1,
            End::CloseFrameThenReset(Some(status)) if status == self.status => self.reset += 1,
            end => return Err(unexpected(id, &end)),
        }
        self.closing.record(told.elapsed());
        Ok(())
    }
}
