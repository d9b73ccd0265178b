//! Mode `million-share`: one process's part of the million, started by [`crate::million`]. Opens its
//! connections at its pace, lets each speak in its turn, and tells what it counted when it is asked: by
//! a byte on standard input. Ends when that ends: when its parent says so, or is no more.

use std::io::{self, Read, Write};
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use crate::args::Args;
use crate::failure::Failure;
use crate::million::crowd::Crowd;
use crate::million::schedule::Schedule;
use crate::million::tally::Count;
use crate::proc::ProcessId;
use crate::target::Target;

/// Connections that are begun, and messages that are written, between two looks at the sockets.
const BEGUN_PER_TURN: usize = 16;
const MESSAGES_PER_TURN: usize = 64;

/// The longest sleep: so that a question is answered in time.
const WAIT: Duration = Duration::from_millis(10);

/// The shortest: messages that are due within it leave together.
const PULSE: Duration = Duration::from_millis(1);

/// Handshakes under way are given up when none was done for so long.
const HANDSHAKE_STALL: Duration = Duration::from_secs(30);

/// How long the last answers are waited for.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

/// What one process has to do.
struct Share {
    crowd: Crowd,
    schedule: Schedule,
    connections: usize,
    per_second: f64,
    window: u64,
    resident_before: u64,
    /// When a handshake was done last, and how many were then.
    progress: (Duration, u64),
}

/// Options, besides the target's: `--connections`, `--first`, `--pace`, `--window`,
/// `--interval-seconds`, `--size`, `--at-most-seconds`; the parent gives all of them.
pub fn run(mut args: Args) -> Result<(), Failure> {
    let connections = args.count("connections", 1, 1)?;
    let first = args.count("first", 0, 0)?;
    let per_second = args.value("pace", 1_000.0)?;
    let window = args.count("window", 64, 1)? as u64;
    let interval = args.seconds("interval-seconds", 50.0)?;
    let size = args.count("size", 20, 0)?;
    let at_most = Duration::from_secs(args.count("at-most-seconds", 86_400, 1)? as u64);
    let target = Target::from_args(&mut args, 1)?;
    args.finish()?;

    let questions = questions();
    let mut share = Share {
        crowd: Crowd::new(target, first, connections, size)?,
        schedule: Schedule::new(connections, interval),
        connections,
        per_second,
        window,
        resident_before: ProcessId::own().resident_pages_bytes()?,
        progress: (Duration::ZERO, 0),
    };
    while share.crowd.elapsed() < at_most {
        match questions.try_recv() {
            Ok(Question) => share.tell()?,
            Err(TryRecvError::Empty) => share.turn()?,
            Err(TryRecvError::Disconnected) => break,
        }
    }
    share.finish()
}

impl Share {
    fn turn(&mut self) -> Result<(), Failure> {
        let now = self.crowd.elapsed();
        self.begin_connections(now)?;
        for _ in 0..MESSAGES_PER_TURN {
            match self.schedule.next_due(now) {
                Some(index) => self.crowd.speak(index, now),
                None => break,
            }
        }
        self.crowd.turn(self.wait(now))
    }

    /// Begins connections that are due, while not too many handshakes are under way.
    fn begin_connections(&mut self, now: Duration) -> Result<(), Failure> {
        let tally = &self.crowd.tally;
        let (under_way, done) = (tally[Count::Connecting], self.crowd.begun() as u64 - tally[Count::Connecting]);
        if done > self.progress.1 || under_way == 0 {
            self.progress = (now, done);
        } else if now.saturating_sub(self.progress.0) > HANDSHAKE_STALL {
            self.crowd.give_up_connecting();
        }
        for _ in 0..BEGUN_PER_TURN {
            if !self.is_connection_due(now) || self.crowd.tally[Count::Connecting] >= self.window {
                break;
            }
            self.crowd.connect()?;
        }
        Ok(())
    }

    fn is_connection_due(&self, now: Duration) -> bool {
        let begun = self.crowd.begun();
        begun < self.connections && begun as f64 <= now.as_secs_f64() * self.per_second
    }

    fn wait(&self, now: Duration) -> Duration {
        if self.schedule.behind(now) > 0 {
            return Duration::ZERO;
        }
        let is_ramping = self.crowd.begun() < self.connections;
        let longest = if is_ramping { PULSE } else { WAIT };
        self.schedule.wait(now).clamp(PULSE, longest)
    }

    /// Writes the line, and forgets the latencies that it tells. A parent that is gone needs no line:
    /// with it standard input has ended, too.
    fn tell(&mut self) -> Result<(), Failure> {
        self.crowd.tally[Count::Behind] = self.schedule.behind(self.crowd.elapsed());
        let resident = ProcessId::own().resident_pages_bytes()?;
        self.crowd.tally[Count::ResidentBytes] = resident.saturating_sub(self.resident_before);
        let line = self.crowd.tally.to_line() + "\n";
        self.crowd.tally.latency.clear();
        let mut out = io::stdout().lock();
        match out.write_all(line.as_bytes()).and_then(|()| out.flush()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::io("the counters cannot be written", &error))
            }
            _ => Ok(()),
        }
    }

    /// Waits for the last answers, and tells the last line.
    fn finish(mut self) -> Result<(), Failure> {
        let since = self.crowd.elapsed();
        while self.crowd.tally[Count::Unanswered] > 0 && self.crowd.elapsed().saturating_sub(since) < LAST_ANSWERS {
            self.crowd.turn(WAIT)?;
        }
        self.tell()
    }
}

/// The parent wants to know how it stands.
struct Question;

/// The parent's questions; disconnected when standard input has ended.
fn questions() -> Receiver<Question> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut input = io::stdin().lock();
        let mut byte = [0];
        while matches!(input.read(&mut byte), Ok(1)) && sender.send(Question).is_ok() {}
    });
    receiver
}
