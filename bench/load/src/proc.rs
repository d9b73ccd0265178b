//! What Linux says of a process in `/proc`: CPU time of it and of each of its threads, and resident
//! memory. The modes read it before and after the measured interval; nothing is kept open between.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::Failure;

/// A process, by the id in `/proc`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProcessId(pub u32);

/// User and system time of a process or thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuTime {
    /// Time in user space.
    pub user: Duration,
    /// Time in the kernel on behalf of the process.
    pub system: Duration,
}

impl CpuTime {
    /// User and system time together.
    pub fn total(self) -> Duration {
        self.user + self.system
    }

    fn since(self, earlier: Self) -> Self {
        Self { user: self.user.saturating_sub(earlier.user), system: self.system.saturating_sub(earlier.system) }
    }
}

/// CPU time of one thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadTime {
    /// The kernel's id of the thread; the main thread has the process's.
    pub id: u32,
    /// The kernel's name of it, at most 15 bytes.
    pub name: String,
    /// What it used.
    pub time: CpuTime,
}

/// CPU time of a process at one moment, or between two.
#[derive(Clone, Debug, Default)]
pub struct ProcessTime {
    /// All threads, those that have ended as well.
    pub all: CpuTime,
    /// The thread that `main` runs on: in Node.js the JavaScript thread.
    pub main: CpuTime,
    /// The other threads that live.
    pub others: Vec<ThreadTime>,
}

impl ProcessTime {
    /// What was used since `earlier`. A thread born in between counts in full.
    pub fn since(&self, earlier: &Self) -> Self {
        let others = self.others.iter().map(|thread| {
            let before = earlier.others.iter().find(|other| other.id == thread.id);
            let before = before.map_or(CpuTime::default(), |other| other.time);
            ThreadTime { time: thread.time.since(before), ..thread.clone() }
        });
        Self { all: self.all.since(earlier.all), main: self.main.since(earlier.main), others: others.collect() }
    }
}

impl ProcessId {
    /// This process.
    pub fn own() -> Self {
        Self(std::process::id())
    }

    /// CPU time until now, in steps of the kernel's clock tick (10 ms).
    pub fn time(self) -> Result<ProcessTime, Failure> {
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        let (_, all) = parse_stat(&self.read("stat")?, ticks_per_second).ok_or_else(|| self.unreadable("stat"))?;
        let mut time = ProcessTime { all, ..ProcessTime::default() };
        let folder = format!("/proc/{}/task", self.0);
        let tasks = fs::read_dir(&folder).map_err(|error| self.gone(&error))?;
        for task in tasks.flatten() {
            let Some(id) = task.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A thread may end between the listing and the reading.
            let Ok(text) = fs::read_to_string(task.path().join("stat")) else {
                continue;
            };
            let (name, used) = parse_stat(&text, ticks_per_second).ok_or_else(|| self.unreadable("task/*/stat"))?;
            if id == self.0 {
                time.main = used;
            } else {
                time.others.push(ThreadTime { id, name, time: used });
            }
        }
        Ok(time)
    }

    /// What the main thread used until now, to the nanosecond: for work that is little beside a clock tick.
    pub fn main_thread_time(self) -> Result<Duration, Failure> {
        let text = self.read("schedstat")?;
        let nanos = text.split_ascii_whitespace().next().and_then(|nanos| nanos.parse().ok());
        nanos.map(Duration::from_nanos).ok_or_else(|| self.unreadable("schedstat"))
    }

    /// Resident bytes. `smaps_rollup` walks the page tables and is exact; `statm`, where that
    /// is not allowed, may be some hundred KiB off (the kernel adds it up for each CPU).
    pub fn resident_bytes(self) -> Result<u64, Failure> {
        if let Some(bytes) = self.read("smaps_rollup").ok().and_then(|text| parse_rollup(&text)) {
            return Ok(bytes);
        }
        self.resident_pages_bytes()
    }

    /// Resident bytes, cheaply: `statm` alone, which may be some hundred KiB off.
    pub fn resident_pages_bytes(self) -> Result<u64, Failure> {
        let pages = parse_statm(&self.read("statm")?).ok_or_else(|| self.unreadable("statm"))?;
        Ok(pages * rustix::param::page_size() as u64)
    }

    /// Sends SIGUSR2, upon which the bench's servers collect their garbage. It ends a process
    /// that does not listen for it.
    pub fn ask_to_collect(self) -> Result<(), Failure> {
        self.signal(Signal::USR2)
    }

    /// Sends SIGTERM, upon which a server is to close its connections and end.
    pub fn ask_to_end(self) -> Result<(), Failure> {
        self.signal(Signal::TERM)
    }

    fn signal(self, signal: Signal) -> Result<(), Failure> {
        let id = i32::try_from(self.0).ok().and_then(Pid::from_raw);
        let id = id.ok_or_else(|| Failure::new(format!("{} is not a process id", self.0)))?;
        kill_process(id, signal).map_err(|error| self.gone(&error.into()))
    }

    fn read(self, file: &str) -> Result<String, Failure> {
        fs::read_to_string(format!("/proc/{}/{file}", self.0)).map_err(|error| self.gone(&error))
    }

    fn gone(self, error: &io::Error) -> Failure {
        Failure::io(format_args!("the server's process {} cannot be read (did it end?)", self.0), error)
    }

    fn unreadable(self, file: &str) -> Failure {
        Failure::new(format!("/proc/{}/{file} has an unknown form", self.0))
    }
}

/// Looks at the resident memory of a process now and then, and keeps the highest.
pub struct Watch {
    process: ProcessId,
    last: Option<Instant>,
    most: u64,
}

/// Between two looks: a look takes some 20 µs.
const LOOK: Duration = Duration::from_millis(100);

impl Watch {
    /// Of a process that has not been looked at.
    pub fn new(process: ProcessId) -> Self {
        Self { process, last: None, most: 0 }
    }

    /// Looks, if the last time is long enough ago.
    pub fn look(&mut self) -> Result<(), Failure> {
        if self.last.is_none_or(|last| last.elapsed() >= LOOK) {
            self.last = Some(Instant::now());
            self.most = self.most.max(self.process.resident_pages_bytes()?);
        }
        Ok(())
    }

    /// The most resident bytes that were seen.
    pub fn most(&self) -> u64 {
        self.most
    }
}

/// Time that all processes of this machine used until now, on all processors, and what a hypervisor took.
pub fn machine_time() -> Result<Duration, Failure> {
    let text = fs::read_to_string("/proc/stat").map_err(|error| Failure::io("/proc/stat cannot be read", &error))?;
    parse_machine(&text, rustix::param::clock_ticks_per_second())
        .ok_or_else(|| Failure::new("/proc/stat has an unknown form"))
}

/// User, nice, system and stolen time of the `cpu` line: its 1st, 2nd, 3rd and 8th number.
fn parse_machine(text: &str, ticks_per_second: u64) -> Option<Duration> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, _idle, _waiting, _irq, _softirq, stolen, ..] = ticks[..] else { return None };
    Some(Duration::from_secs_f64((user + nice + system + stolen) as f64 / ticks_per_second as f64))
}

/// Name, user and system time from a `stat` line. The name stands in parentheses and may hold any
/// character, parentheses too; `utime` and `stime` are the 12th and 13th fields after it.
fn parse_stat(text: &str, ticks_per_second: u64) -> Option<(String, CpuTime)> {
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let name = text.get(open + 1..close)?.to_owned();
    let mut fields = text.get(close + 1..)?.split_ascii_whitespace().skip(11);
    let mut ticks = || {
        let ticks: u64 = fields.next()?.parse().ok()?;
        Some(Duration::from_secs_f64(ticks as f64 / ticks_per_second as f64))
    };
    Some((name, CpuTime { user: ticks()?, system: ticks()? }))
}

/// Bytes of the `Rss:` line of `smaps_rollup`.
fn parse_rollup(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("Rss:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Resident pages: the second field of `statm`.
fn parse_statm(text: &str) -> Option<u64> {
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_with_a_name_that_holds_spaces_and_parentheses() {
        let line = "4242 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 1 0 99";
        let (name, time) = parse_stat(line, 100).expect("a stat line");
        assert_eq!(name, "a) b (c");
        assert_eq!(time.user, Duration::from_millis(2_500));
        assert_eq!(time.system, Duration::from_millis(500));
        assert_eq!(time.total(), Duration::from_secs(3));
    }

    #[test]
    fn cut_or_foreign_text_is_no_stat_line() {
        for line in ["", "12 (node", "12 (node) S 1 2", "12 (n) S 1 2 3 4 5 6 7 8 9 10 x 50"] {
            assert_eq!(parse_stat(line, 100), None, "{line:?}");
        }
    }

    #[test]
    fn resident_memory_in_both_forms() {
        let rollup = "5600-7ffd ---p 00000000 00:00 0 [rollup]\nRss:            1234 kB\nPss: 9 kB\n";
        assert_eq!(parse_rollup(rollup), Some(1234 * 1024));
        assert_eq!(parse_rollup("Pss: 9 kB\n"), None);
        assert_eq!(parse_statm("2000 321 10 1 0 99 0\n"), Some(321));
        assert_eq!(parse_statm("2000"), None);
    }

    #[test]
    fn machine_time_leaves_idle_and_waiting_out() {
        let text = "cpu  100 20 300 9000 70 5 6 80 0 0\ncpu0 1 1 1 1 1 1 1 1 0 0\n";
        assert_eq!(parse_machine(text, 100), Some(Duration::from_secs(5)));
        assert_eq!(parse_machine("cpu  1 2 3\n", 100), None);
        assert_eq!(parse_machine("cpu0 1 1 1 1 1 1 1 1 0 0\n", 100), None);
    }

    #[test]
    fn the_difference_counts_a_new_thread_in_full() {
        let second = |seconds| CpuTime { user: Duration::from_secs(seconds), system: Duration::ZERO };
        let thread = |id, seconds| ThreadTime { id, name: "reactor".to_owned(), time: second(seconds) };
        let before = ProcessTime { all: second(3), main: second(1), others: vec![thread(2, 2)] };
        let after = ProcessTime { all: second(10), main: second(2), others: vec![thread(2, 5), thread(3, 1)] };
        let used = after.since(&before);
        assert_eq!(used.all, second(7));
        assert_eq!(used.main, second(1));
        assert_eq!(used.others, vec![thread(2, 3), thread(3, 1)]);
    }

    #[test]
    fn this_process_can_be_read() {
        let own = ProcessId::own();
        assert!(own.resident_bytes().expect("own memory") > 100 * 1024);
        assert!(own.main_thread_time().is_ok());
        let time = own.time().expect("own time");
        let mut watch = Watch::new(own);
        watch.look().expect("own memory");
        assert!(watch.most() > 100 * 1024);
        assert!(!time.others.is_empty(), "the test harness runs this on a thread of its own");
    }
}
