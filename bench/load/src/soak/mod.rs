//! Mode `soak`: many connections for long, of which half come and go in every way, and each message in both directions is
//! verified. Tells every few seconds how they are, and ends when all have closed. See [`roster`] for who does
//! what, [`message`] for what is said, and `bench/soak/server.js` for the other side.

pub mod codec;
pub mod crowd;
pub mod lane;
pub mod message;
pub mod roster;
mod seat;
pub mod sequence;
mod service;
pub mod tally;

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::args::Args;
use crate::failure::Failure;
use crate::histogram::Histogram;
use crate::million::host;
use crate::report::{Outcome, Report};
use crate::soak::crowd::Crowd;
use crate::soak::message::mix;
use crate::soak::roster::ENDINGS;
use crate::target::Target;
use crate::tls::Tls;

/// What is done between two looks at the sockets, at most: messages, connections and endings.
const MESSAGES_PER_TURN: u64 = 64;
const PER_TURN: usize = 16;

/// Opening handshakes that are under way together.
const WINDOW: u64 = 256;

/// The longest sleep.
const WAIT: Duration = Duration::from_millis(20);
/// The shortest: what is due within it leaves together.
const PULSE: Duration = Duration::from_millis(2);

/// Places that are looked at for one that can speak or end.
const TRIES: usize = 32;

/// Seconds for which the kernel keeps a closed connection's local port.
const TIME_WAIT_SECONDS: f64 = 60.0;

/// How long the end of the run may take, in each of its two steps.
const LAST_STEP: Duration = Duration::from_secs(120);

/// Options, besides the target's: `--tls-port` and `--certificate` (a PEM file), `--connections` (10000), `--minutes`
/// (60) from the first connection on, `--rate` (2000 messages a second), `--churn` (75 connections ended in a
/// second), `--pace` (500 begun in a second at the start), `--line-seconds` (5) between two lines, and
/// `--tethered`: the run ends when standard input does.
pub fn run(mut args: Args) -> Result<Outcome, Failure> {
    let connections = args.count("connections", 10_000, 2)?;
    let minutes = args.value("minutes", 60.0_f64)?.clamp(0.0, 10_080.0);
    let rate = positive_rate(&mut args, "rate", 2_000.0)?;
    let churn = any_rate(&mut args, "churn", 75.0)?;
    let pace = positive_rate(&mut args, "pace", 500.0)?;
    let line = args.seconds("line-seconds", 5.0)?.max(Duration::from_millis(100));
    let tls_port: u16 = args.optional("tls-port")?.ok_or_else(|| Failure::new("--tls-port is missing"))?;
    let certificate: String =
        args.optional("certificate")?.ok_or_else(|| Failure::new("--certificate is missing: whom is TLS to trust?"))?;
    let is_tethered = args.switch("tethered")?;
    let limit = host::raise_descriptor_limit();
    if host::processes(connections, limit)? > 1 {
        return Err(Failure::new(format!(
            "--connections is {connections}, but a process may hold {limit} descriptors: raise `ulimit -n`"
        )));
    }
    let ports = connections + (churn * TIME_WAIT_SECONDS) as usize;
    let target = Target::from_args(&mut args, host::addresses(ports, host::local_ports())?)?;
    args.finish()?;

    let tls = target.over_tls(tls_port, Tls::trusting(&certificate)?);
    let now = Instant::now();
    let mut run = Run {
        crowd: Crowd::new(target, tls, connections)?,
        rate,
        churn,
        pace,
        line,
        began: now,
        lines: 0,
        swept: now,
        due: Due::default(),
        latency: Histogram::new(),
    };
    let is_cut = if is_tethered { until_the_end_of_input() } else { Arc::default() };
    let until = now + Duration::from_secs_f64(minutes * 60.0);
    while Instant::now() < until && !is_cut.load(Ordering::Relaxed) {
        run.turn()?;
    }
    run.finish()?;
    Ok(run.outcome(is_cut.load(Ordering::Relaxed)))
}

/// What was done so far of what the clock asks for.
#[derive(Default)]
struct Due {
    begun: usize,
    messages: u64,
    endings: u64,
    /// The next place that is to end.
    place: usize,
}

/// A run that is under way.
struct Run {
    crowd: Crowd,
    rate: f64,
    churn: f64,
    pace: f64,
    line: Duration,
    began: Instant,
    lines: u32,
    swept: Instant,
    due: Due,
    /// Of the whole run.
    latency: Histogram,
}

impl Run {
    fn turn(&mut self) -> Result<(), Failure> {
        let now = Instant::now();
        let elapsed = now.saturating_duration_since(self.began).as_secs_f64();
        self.begin_connections(elapsed, now)?;
        let behind = self.speak(elapsed, now);
        let begun = (elapsed * self.churn) as u64;
        for _ in 0..begun.saturating_sub(self.due.endings).min(PER_TURN as u64) {
            self.leave(now);
        }
        self.crowd.turn(if behind { Duration::ZERO } else { self.wait() })?;
        self.rest("soak")
    }

    fn begin_connections(&mut self, elapsed: f64, now: Instant) -> Result<(), Failure> {
        let window = WINDOW.saturating_sub(self.crowd.tally.opening) as usize;
        self.crowd.connect_again(window.min(PER_TURN), now)?;
        let due = ((elapsed * self.pace) as usize).min(self.crowd.places());
        for index in (self.due.begun..due).take(window.min(PER_TURN)) {
            self.crowd.connect(index, now)?;
            self.due.begun += 1;
        }
        Ok(())
    }

    /// Writes the messages that are due; whether some are left for the next turn.
    fn speak(&mut self, elapsed: f64, now: Instant) -> bool {
        let due = (elapsed * self.rate) as u64;
        for _ in 0..due.saturating_sub(self.due.messages).min(MESSAGES_PER_TURN) {
            self.due.messages += 1;
            let places = self.crowd.places() as u64;
            let chance = |attempt| mix(self.due.messages * TRIES as u64 + attempt) % places;
            for place in (0..TRIES as u64).map(chance) {
                if self.crowd.speak(place as usize, now) {
                    break;
                }
            }
        }
        self.crowd.tally.behind = due.saturating_sub(self.due.messages);
        self.crowd.tally.behind > 0
    }

    /// Ends the next connection that can end, in the way whose turn it is.
    fn leave(&mut self, now: Instant) {
        let ending = ENDINGS[(self.due.endings % ENDINGS.len() as u64) as usize];
        self.due.endings += 1;
        for _ in 0..TRIES {
            let place = self.due.place;
            self.due.place = (place + 1) % self.crowd.places();
            if self.crowd.leave(place, ending, now) {
                break;
            }
        }
    }

    fn wait(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate).clamp(PULSE, WAIT)
    }

    /// What is done now and then.
    fn rest(&mut self, phase: &str) -> Result<(), Failure> {
        let now = Instant::now();
        if now.saturating_duration_since(self.swept) >= Duration::from_secs(1) {
            self.swept = now;
            self.crowd.sweep(now);
        }
        if now >= self.began + self.line * (self.lines + 1) {
            self.lines += 1;
            self.tell(phase)?;
        }
        Ok(())
    }

    /// Writes one JSON line.
    fn tell(&mut self, phase: &str) -> Result<(), Failure> {
        let mut line = Report::new();
        line.number("second", self.began.elapsed().as_secs_f64()).text("phase", phase);
        self.crowd.tally.report(&mut line);
        self.latency.merge(&self.crowd.tally.latency);
        self.crowd.tally.latency.clear();
        let mut out = io::stdout().lock();
        match out.write_all((line.to_json() + "\n").as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::io("the counters cannot be written", &error))
            }
            _ => Ok(()),
        }
    }

    /// Nobody leaves any more: once all are back, each says goodbye, and hears that all has come.
    fn finish(&mut self) -> Result<(), Failure> {
        let began = Instant::now();
        while !self.crowd.all_open() && began.elapsed() < LAST_STEP {
            let elapsed = self.began.elapsed().as_secs_f64();
            self.begin_connections(elapsed, Instant::now())?;
            self.crowd.turn(PULSE)?;
            self.rest("end")?;
        }
        let (began, mut from) = (Instant::now(), 0);
        let mut all_said = false;
        while !(all_said && self.crowd.is_empty()) && began.elapsed() < LAST_STEP {
            all_said = all_said || self.crowd.say_goodbye(&mut from, PER_TURN, Instant::now());
            self.crowd.turn(PULSE)?;
            self.rest("end")?;
        }
        self.crowd.give_up(Instant::now());
        self.tell("end")
    }

    fn outcome(&self, is_cut: bool) -> Outcome {
        let tally = &self.crowd.tally;
        let mut report = Report::new();
        report.text("mode", "soak").text("phase", "report").count("connections", self.crowd.places() as u64);
        report.number("seconds", self.began.elapsed().as_secs_f64()).count("cutShort", u64::from(is_cut));
        tally.report(&mut report);
        report.latency("wholeLatencyMicros", &self.latency);
        let verdict = match tally.all_faults() {
            0 => Ok(()),
            faults => Err(Failure::new(format!("{faults} faults; the first: {}", tally.told()))),
        };
        Outcome { report, verdict }
    }
}

/// True once standard input has ended: a parent that is gone or says so.
fn until_the_end_of_input() -> Arc<AtomicBool> {
    let has_ended = Arc::new(AtomicBool::new(false));
    let told = has_ended.clone();
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut byte = [0];
        while matches!(input.read(&mut byte), Ok(1)) {}
        told.store(true, Ordering::Relaxed);
    });
    has_ended
}

fn positive_rate(args: &mut Args, name: &str, default: f64) -> Result<f64, Failure> {
    match any_rate(args, name, default)? {
        0.0 => Err(Failure::new(format!("--{name} is 0, but must be more"))),
        rate => Ok(rate),
    }
}

fn any_rate(args: &mut Args, name: &str, default: f64) -> Result<f64, Failure> {
    let rate = args.value(name, default)?;
    if (0.0..=1e6).contains(&rate) {
        return Ok(rate);
    }
    Err(Failure::new(format!("--{name} is {rate}, but must be from 0 to 1000000")))
}
