//! Mode `storm`: a few connections talk, at a steady pace, while many others come all at once, and the latency of
//! those that talk is told apart: before the storm, and in it.
//!
//! The client does not sleep, and looks after those that talk between any two steps of the others, each
//! of which is a part of a handshake at most: it wants a processor of its own, and adds a quarter of a millisecond.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::client::{Client, End};
use crate::failure::Failure;
use crate::frame::Piece;
use crate::histogram::Histogram;
use crate::measure::Interval;
use crate::payload::{Kind, Payload};
use crate::report::{Outcome, Report};
use crate::stream::READ_BYTES;
use crate::swarm::{Bounds, ClientId, Conversation, Pace, Swarm};
use crate::talk::Talk;
use crate::target::Target;

/// Connections that come and go before, so that the server's code is there.
const WARMUP_CONNECTIONS: usize = 200;

/// A storm that is not over after this has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One step of those that come, then a look at those that talk.
pub(crate) const STEP: Bounds = Bounds { events: 1, reads: 16, read_bytes: READ_BYTES };

/// Options, besides the target's: `--connections` (2000 that come at once), `--live` (50 that talk),
/// `--interval-millis` (20 between two messages of each), `--size` (20 bytes), `--calm-seconds` (2 before the storm).
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 2_000, 1)?;
    let live = args.count("live", 50, 1)?;
    let interval = Duration::from_millis(args.count("interval-millis", 20, 1)? as u64);
    let size = args.count("size", 20, 8)?;
    let calm = args.seconds("calm-seconds", 2.0)?;
    let target = Target::from_args(&mut args, 1)?;
    args.finish()?;

    let mut crowd = Swarm::bounded(target.clone(), STEP)?;
    let mut swarm = Swarm::new(target)?;
    let pace = Pace { window: 64, per_second: None };
    crowd.open(WARMUP_CONNECTIONS, pace)?;
    crowd.close()?;
    swarm.open(live, pace)?;

    let mut talk = Talk::new(Payload::new(Kind::Binary, size), live, interval);
    talk.go_on(&mut swarm, calm)?;
    let calm = std::mem::take(&mut talk.latency);

    let used = Interval::begin(swarm.target().process)?;
    let mut arrivals = Arrivals::new(connections);
    arrivals.come(&mut crowd, connections, || talk.turn(&mut swarm))?;
    let used = used.end()?;
    talk.finish(&mut swarm, || Ok(()))?;

    let mut report = Report::new();
    report
        .text("mode", "storm")
        .count("connections", connections as u64)
        .count("live", live as u64)
        .number("stormSeconds", used.elapsed.as_secs_f64())
        .number("connectionsPerSecond", arrivals.opened as f64 / used.elapsed.as_secs_f64())
        .count("failed", arrivals.failed as u64)
        .latency("calmMicros", &calm)
        .latency("stormMicros", &talk.latency)
        .latency("openMicros", &arrivals.opening);
    used.report(&mut report, connections as u64);
    Ok(Outcome { report, verdict: talk.verdict() })
}

/// Those that come at once.
pub(crate) struct Arrivals {
    /// When each began to connect.
    pub(crate) began: Vec<Instant>,
    pub(crate) opened: usize,
    pub(crate) failed: usize,
    /// From connect to the end of the opening handshake.
    pub(crate) opening: Histogram,
}

impl Arrivals {
    pub(crate) fn new(connections: usize) -> Self {
        Self { began: Vec::with_capacity(connections), opened: 0, failed: 0, opening: Histogram::new() }
    }

    /// Lets so many come, and looks after others in `between` any two steps of theirs.
    pub(crate) fn come(
        &mut self,
        crowd: &mut Swarm,
        connections: usize,
        mut between: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let began = Instant::now();
        while self.opened + self.failed < connections {
            if self.began.len() < connections {
                crowd.connect(ClientId(self.began.len()))?;
                self.began.push(Instant::now());
            }
            crowd.turn(Duration::ZERO, self)?;
            between()?;
            if began.elapsed() > PATIENCE {
                let open = self.opened;
                return Err(Failure::new(format!("{open} of {connections} connections are open after {PATIENCE:?}")));
            }
        }
        Ok(())
    }
}

impl Conversation for Arrivals {
    fn opened(&mut self, id: ClientId, _: &mut Client, now: Instant) -> Result<(), Failure> {
        self.opened += 1;
        self.opening.record(now.saturating_duration_since(self.began[id.0]));
        Ok(())
    }

    fn heard(&mut self, id: ClientId, _: &Piece<'_>, _: Instant) -> Result<(), Failure> {
        Err(Failure::new(format!("connection {} got a message that nobody asked for", id.0)))
    }

    fn rest(&mut self, _: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Ok(())
    }

    fn ended(&mut self, _: ClientId, _: End) -> Result<(), Failure> {
        self.failed += 1;
        Ok(())
    }
}
