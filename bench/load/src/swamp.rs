//! Mode `swamp`: connections flood a server whose handler is slower than they are. What it answers in the first half
//! of the time is told apart from the second half, and how much memory it takes at most: a server that takes in
//! what it cannot serve grows, and slows down.

use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::Failure;
use crate::measure::Interval;
use crate::payload::{Kind, Payload};
use crate::proc::Watch;
use crate::report::{Outcome, Report};
use crate::target::Target;
use crate::torrent::Torrent;

/// How long the client sleeps at most while the server neither takes nor gives.
const WAIT: Duration = Duration::from_millis(10);

/// Options, besides the target's: `--connections` (100), `--size` (20 bytes), `--seconds` (6, both halves together),
/// `--warmup-seconds` (1).
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 100, 1)?;
    let size = args.count("size", 20, 8)?;
    let half = args.seconds("seconds", 6.0)? / 2;
    let warmup = args.seconds("warmup-seconds", 1.0)?;
    let target = Target::from_args(&mut args, 1)?;
    args.finish()?;

    let process = target.required_process()?;
    let mut watch = Watch::new(process);
    let before = process.resident_pages_bytes()?;
    let mut torrent = Torrent::open(target, Payload::new(Kind::Binary, size), connections)?;
    let mut rage = |torrent: &mut Torrent, span: Duration| -> Result<f64, Failure> {
        let before = torrent.answers();
        let began = Instant::now();
        while began.elapsed() < span {
            let wait = if torrent.pour()? { Duration::ZERO } else { WAIT };
            torrent.hear(wait)?;
            watch.look()?;
        }
        Ok((torrent.answers() - before) as f64 / began.elapsed().as_secs_f64())
    };
    rage(&mut torrent, warmup)?;
    let answers = torrent.answers();
    let used = Interval::begin(Some(process))?;
    let first = rage(&mut torrent, half)?;
    let second = rage(&mut torrent, half)?;
    let used = used.end()?;
    let answers = torrent.answers() - answers;

    let mut report = Report::new();
    report
        .text("mode", "swamp")
        .count("connections", connections as u64)
        .number("firstHalfPerSecond", first)
        .number("secondHalfPerSecond", second)
        .number("halves", second / first)
        .count("residentBytesBefore", before)
        .count("residentBytesMax", watch.most())
        .count("unanswered", torrent.sent() - torrent.answers());
    used.report(&mut report, answers);
    Ok(Outcome { report, verdict: torrent.verdict() })
}
