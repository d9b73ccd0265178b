//! Mode `flood`: some connections are quiet, with a small message now and then, and the latency of these is told
//! apart: in calm, and while as many others flood the server.
//!
//! The client does not sleep. It looks after the quiet ones between any two steps of the flood, each of which writes
//! or reads a few KiB on one connection. `lookMicros` says how long before a look that found answers the look before
//! it had ended: so much at most was added by the client itself. It wants a processor of its own.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::measure::Interval;
use crate::payload::{Kind, Payload};
use crate::proc::Watch;
use crate::report::{Outcome, Report, micros};
use crate::swarm::{Pace, Swarm};
use crate::talk::Talk;
use crate::target::Target;
use crate::torrent::Torrent;

/// Before each of the two intervals.
const WARMUP: Duration = Duration::from_secs(1);

/// Options, besides the target's: `--live` (100 quiet connections), `--interval-millis` (20 between two messages of
/// each), `--connections` (100 that flood), `--size` (20 bytes), `--calm-seconds` (2), `--seconds` (5 of flood).
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let live = args.count("live", 100, 1)?;
    let interval = Duration::from_millis(args.count("interval-millis", 20, 1)? as u64);
    let connections = args.count("connections", 100, 1)?;
    let size = args.count("size", 20, 8)?;
    let calm = args.seconds("calm-seconds", 2.0)?;
    let flood = args.seconds("seconds", 5.0)?;
    let target = Target::from_args(&mut args, 1)?;
    args.finish()?;

    let process = target.required_process()?;
    let mut watch = Watch::new(process);
    let mut torrent = Torrent::open(target.clone(), Payload::new(Kind::Binary, size), connections)?;
    let mut swarm = Swarm::new(target)?;
    swarm.open(live, Pace { window: 64, per_second: None })?;
    let mut talk = Talk::new(Payload::new(Kind::Binary, size), live, interval);
    talk.go_on(&mut swarm, WARMUP)?;
    talk.latency.clear();
    talk.go_on(&mut swarm, calm)?;
    let calm = std::mem::take(&mut talk.latency);

    let mut looks = Histogram::new();
    let mut rage = |talk: &mut Talk, swarm: &mut Swarm, torrent: &mut Torrent, span: Duration| -> Result<(), Failure> {
        looks.clear();
        let began = Instant::now();
        let mut last = began;
        while began.elapsed() < span {
            // A look behind the writing, and one behind the reading.
            for is_writing in [true, false] {
                if is_writing {
                    torrent.pour()?;
                } else {
                    torrent.hear(Duration::ZERO)?;
                }
                let answers = talk.latency.count();
                talk.turn(swarm)?;
                let now = Instant::now();
                if talk.latency.count() > answers {
                    looks.record(now.saturating_duration_since(last));
                }
                last = now;
            }
            watch.look()?;
        }
        Ok(())
    };
    rage(&mut talk, &mut swarm, &mut torrent, WARMUP)?;
    talk.latency.clear();
    let answers = torrent.answers();
    let used = Interval::begin(Some(process))?;
    rage(&mut talk, &mut swarm, &mut torrent, flood)?;
    let used = used.end()?;
    let answers = torrent.answers() - answers;
    talk.finish(&mut swarm, || torrent.hear(Duration::ZERO))?;

    let mut report = Report::new();
    report
        .text("mode", "flood")
        .count("live", live as u64)
        .count("connections", connections as u64)
        .latency("calmMicros", &calm)
        .latency("floodMicros", &talk.latency)
        .number("p99Ratio", micros(talk.latency.percentile(0.99)) / micros(calm.percentile(0.99)))
        .number("answersPerSecond", answers as f64 / used.elapsed.as_secs_f64())
        .count("residentBytesMax", watch.most())
        .latency("lookMicros", &looks);
    used.report(&mut report, answers);
    Ok(Outcome { report, verdict: talk.verdict().and(torrent.verdict()) })
}
