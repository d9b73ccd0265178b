//! Mode `churn`: connect, upgrade, one echo if asked, close with the closing handshake, and again, in
//! a given number of places at a time. The server sends its FIN first (RFC 6455 §7.1.1), and the
//! connections go to many loopback addresses, so that no run is out of ports.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::client::{Client, End};
use crate::failure::Failure;
use crate::frame::Piece;
use crate::histogram::Histogram;
use crate::measure::Interval;
use crate::payload::{Answer, Incoming, Kind, MASKING_KEY, Payload};
use crate::report::{Outcome, Report};
use crate::swarm::{ClientId, Conversation, Swarm, unexpected};
use crate::target::Target;

/// Addresses by default: at 28,000 ports each, a minute of TIME_WAIT holds 1.8 million connections.
const ADDRESSES: usize = 64;

/// Options, besides the target's: `--concurrency` (16), `--seconds` (5), `--warmup-seconds` (1),
/// and `--echo` for one message of `--size` (20) bytes on each connection.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let concurrency = args.count("concurrency", 16, 1)?;
    let measured = args.seconds("seconds", 5.0)?;
    let warmup = args.seconds("warmup-seconds", 1.0)?;
    let size = args.count("size", 20, 0)?;
    let payload = args.switch("echo")?.then(|| Payload::new(Kind::Binary, size));
    let target = Target::from_args(&mut args, ADDRESSES)?;
    args.finish()?;

    let mut swarm = Swarm::new(target)?;
    let mut rounds = Rounds::new(payload, concurrency);
    rounds.run_for(&mut swarm, warmup)?;
    rounds.forget();
    let interval = Interval::begin(swarm.target().process)?;
    rounds.run_for(&mut swarm, measured)?;
    let used = interval.end()?;
    if rounds.completed == 0 {
        return Err(Failure::new("no connection was opened and closed in the measured interval"));
    }

    let seconds = used.elapsed.as_secs_f64();
    let mut report = Report::new();
    report
        .text("mode", "churn")
        .count("concurrency", concurrency as u64)
        .number("seconds", seconds)
        .count("connections", rounds.completed)
        .number("connectionsPerSecond", rounds.completed as f64 / seconds)
        .latency("upgradeMicros", &rounds.upgrade)
        .latency("wholeMicros", &rounds.whole);
    used.report(&mut report, rounds.completed);
    report
        .count("resetInsteadOfFin", rounds.resets)
        .count("corrupt", rounds.corrupt)
        .count("closedUncleanly", swarm.close()? as u64);
    let verdict = match rounds.corrupt {
        0 => Ok(()),
        corrupt => Err(Failure::new(format!("the server's answers were wrong: {corrupt} corrupt"))),
    };
    Ok(Outcome { report, verdict })
}

/// Connections that come and go, in a fixed number of places.
struct Rounds {
    payload: Option<Payload>,
    began: Vec<Instant>,
    incoming: Vec<Incoming>,
    is_answered: Vec<bool>,
    vacant: Vec<ClientId>,
    completed: u64,
    resets: u64,
    corrupt: u64,
    upgrade: Histogram,
    whole: Histogram,
}

impl Rounds {
    fn new(payload: Option<Payload>, places: usize) -> Self {
        Self {
            payload,
            began: vec![Instant::now(); places],
            incoming: std::iter::repeat_with(Incoming::default).take(places).collect(),
            is_answered: vec![false; places],
            vacant: (0..places).map(ClientId).collect(),
            completed: 0,
            resets: 0,
            corrupt: 0,
            upgrade: Histogram::new(),
            whole: Histogram::new(),
        }
    }

    fn run_for(&mut self, swarm: &mut Swarm, duration: Duration) -> Result<(), Failure> {
        let began = Instant::now();
        while began.elapsed() < duration {
            for id in std::mem::take(&mut self.vacant) {
                self.began[id.0] = Instant::now();
                swarm.connect(id)?;
            }
            swarm.turn_expecting(self)?;
        }
        Ok(())
    }

    fn forget(&mut self) {
        self.completed = 0;
        self.resets = 0;
        self.upgrade.clear();
        self.whole.clear();
    }
}

impl Conversation for Rounds {
    fn opened(&mut self, id: ClientId, client: &mut Client, now: Instant) -> Result<(), Failure> {
        self.upgrade.record(now.saturating_duration_since(self.began[id.0]));
        match &self.payload {
            None => client.close(),
            Some(payload) => {
                let mut frame = Vec::with_capacity(payload.bytes() + MASKING_KEY.len() + 10);
                payload.put(&mut frame, 0, id.0 as u32);
                client.write(&frame);
            }
        }
        Ok(())
    }

    fn heard(&mut self, id: ClientId, piece: &Piece<'_>, _: Instant) -> Result<(), Failure> {
        let Some(payload) = &self.payload else {
            return Err(Failure::new(format!("connection {} got an unasked message", id.0)));
        };
        let Some(answer) = payload.check(&mut self.incoming[id.0], piece, 0, id.0 as u32) else {
            return Ok(());
        };
        self.corrupt += u64::from(answer != Answer::Number(0));
        self.is_answered[id.0] = true;
        Ok(())
    }

    fn rest(&mut self, id: ClientId, client: &mut Client, _: Instant) -> Result<(), Failure> {
        if std::mem::take(&mut self.is_answered[id.0]) {
            client.close();
        }
        Ok(())
    }

    fn ended(&mut self, id: ClientId, end: End) -> Result<(), Failure> {
        match end {
            End::Clean => {}
            End::CleanThenReset => self.resets += 1,
            other => return Err(unexpected(id, &other)),
        }
        self.completed += 1;
        self.whole.record(self.began[id.0].elapsed());
        self.vacant.push(id);
        Ok(())
    }
}
