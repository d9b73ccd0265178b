//! Mode `storm`: a few connections talk, at a steady pace, while many others come all at once, and the latency of
//! those that talk is told apart: before the storm, and in it.
//!
//! Their messages are due on a clock, not upon an answer, so that a server that stands still is asked all the
//! while. The client does not sleep, and looks after those that talk between any two steps of the others, each
//! of which is a part of a handshake at most: it wants a processor of its own, and adds a quarter of a millisecond.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::client::{Client, End};
use crate::failure::Failure;
use crate::frame::Piece;
use crate::histogram::Histogram;
use crate::measure::Interval;
use crate::payload::{Answer, Incoming, Kind, Payload};
use crate::report::{Outcome, Report};
use crate::swarm::{ClientId, Conversation, Pace, Swarm};
use crate::target::Target;

/// Connections that come and go before, so that the server's code is there.
const WARMUP_CONNECTIONS: usize = 200;

/// A storm that is not over after this has failed, and so have answers that take as long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Of those that talk: one step of the others, then a look at these.
const EVENTS_PER_TURN: usize = 1;

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

    let mut crowd = Swarm::with_events(target.clone(), EVENTS_PER_TURN)?;
    let mut swarm = Swarm::new(target)?;
    let pace = Pace { window: 64, per_second: None };
    crowd.open(WARMUP_CONNECTIONS, pace)?;
    crowd.close()?;
    swarm.open(live, pace)?;

    let mut talk = Talk::new(Payload::new(Kind::Binary, size), live, interval / live as u32);
    talk.go_on(&mut swarm, calm)?;
    let calm = std::mem::take(&mut talk.latency);

    let used = Interval::begin(swarm.target().process)?;
    let mut arrivals = Arrivals::new(connections);
    while arrivals.opened + arrivals.failed < connections {
        if arrivals.began.len() < connections {
            crowd.connect(ClientId(arrivals.began.len()))?;
            arrivals.began.push(Instant::now());
        }
        crowd.turn(Duration::ZERO, &mut arrivals)?;
        talk.turn(&mut swarm)?;
        if used.elapsed() > PATIENCE {
            let open = arrivals.opened;
            return Err(Failure::new(format!("{open} of {connections} connections are open after {PATIENCE:?}")));
        }
    }
    let used = used.end()?;
    talk.finish(&mut swarm)?;

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
    let verdict = match talk.wrong {
        0 => Ok(()),
        wrong => Err(Failure::new(format!("the server's answers were wrong: {wrong}"))),
    };
    Ok(Outcome { report, verdict })
}

/// What one connection that talks waits for.
#[derive(Default)]
struct Lane {
    incoming: Incoming,
    expected: u64,
    /// When each message without an answer was written.
    written: VecDeque<Instant>,
}

/// Those that talk: each message has a time at which it is due.
struct Talk {
    payload: Payload,
    lanes: Vec<Lane>,
    step: Duration,
    began: Instant,
    sent: u32,
    frame: Vec<u8>,
    wrong: u64,
    latency: Histogram,
}

impl Talk {
    /// `step`: between two messages, of whichever connections.
    fn new(payload: Payload, connections: usize, step: Duration) -> Self {
        Self {
            payload,
            lanes: std::iter::repeat_with(Lane::default).take(connections).collect(),
            step,
            began: Instant::now(),
            sent: 0,
            frame: Vec::new(),
            wrong: 0,
            latency: Histogram::new(),
        }
    }

    /// Sends what is due and takes what has come.
    fn turn(&mut self, swarm: &mut Swarm) -> Result<(), Failure> {
        while self.began.elapsed() >= self.step * self.sent {
            let id = ClientId(self.sent as usize % self.lanes.len());
            let lane = &mut self.lanes[id.0];
            let number = lane.expected + lane.written.len() as u64;
            self.frame.clear();
            self.payload.put(&mut self.frame, number, id.0 as u32);
            lane.written.push_back(Instant::now());
            self.sent += 1;
            match swarm.client(id) {
                Some(client) => client.write(&self.frame),
                None => return Err(Failure::new(format!("connection {} has gone", id.0))),
            }
        }
        swarm.turn(Duration::ZERO, self)
    }

    fn go_on(&mut self, swarm: &mut Swarm, duration: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < duration {
            self.turn(swarm)?;
        }
        Ok(())
    }

    /// Waits for the answers that have not come.
    fn finish(&mut self, swarm: &mut Swarm) -> Result<(), Failure> {
        let began = Instant::now();
        while self.lanes.iter().any(|lane| !lane.written.is_empty()) {
            if began.elapsed() > PATIENCE {
                return Err(Failure::new(format!("an answer has not come after {PATIENCE:?}")));
            }
            swarm.turn(Duration::ZERO, self)?;
        }
        Ok(())
    }
}

impl Conversation for Talk {
    fn opened(&mut self, id: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Err(Failure::new(format!("connection {} opened in the middle of a storm", id.0)))
    }

    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, now: Instant) -> Result<(), Failure> {
        let lane = &mut self.lanes[id.0];
        let Some(answer) = self.payload.check(&mut lane.incoming, piece, lane.expected, id.0 as u32) else {
            return Ok(());
        };
        let Some(written) = lane.written.pop_front() else {
            return Err(Failure::new(format!("connection {} got a message that nobody asked for", id.0)));
        };
        self.wrong += u64::from(answer != Answer::Number(lane.expected));
        lane.expected += 1;
        self.latency.record(now.saturating_duration_since(written));
        Ok(())
    }

    fn rest(&mut self, _: ClientId, _: &mut Client, _: Instant) -> Result<(), Failure> {
        Ok(())
    }
}

/// Those that come at once.
struct Arrivals {
    /// When each began to connect.
    began: Vec<Instant>,
    opened: usize,
    failed: usize,
    /// From connect to the end of the opening handshake.
    opening: Histogram,
}

impl Arrivals {
    fn new(connections: usize) -> Self {
        Self { began: Vec::with_capacity(connections), opened: 0, failed: 0, opening: Histogram::new() }
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
