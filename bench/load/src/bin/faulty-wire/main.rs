//! `faulty-wire LEFT RIGHT`: a cable that loses, delays, reorders and doubles packets, between two tap devices (files
//! like `/dev/tap7` of Linux, which a macvtap interface has). It passes whole frames on, each with the header that the device
//! gave it. Made for kernels without `netem`, and for faults that change while it runs.
//!
//! Each line of standard input says how it is from then on, both ways, such as `loss=0.01 delay=20 jitter=10
//! doubled=0.001`: a probability, milliseconds, milliseconds more at random (which reorders), a probability. What a line does
//! not name is 0; `cut` loses everything. Each line is answered by one with what was done until then. It ends with its input.
//!
//! `window=1` is of TCP connections over IPv4 that begin while it holds: the side that began one grants the other no more than
//! so many bytes of window, whatever it says itself, until the connection ends or a line names another number. That is done
//! in its packets, from which the window's scale is taken as well. The answer says how many segments with data went to such
//! sides, how many bytes the largest had, and how many one packet acknowledged at most.

mod segment;
mod windows;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::windows::Windows;

/// More than a frame with the device's header: 64 KiB where the kernel leaves segments together.
const FRAME_BYTES: usize = 128 * 1024;

/// Frames that may be under way: beyond it they are lost, as in a router.
const UNDER_WAY: usize = 50_000;

/// Always the same faults.
const SEED: u64 = 0x9e37_79b9_7f4a_7c15;

/// How the cable is.
#[derive(Clone, Copy, Default)]
struct Faults {
    loss: f64,
    doubled: f64,
    delay: Duration,
    jitter: Duration,
    /// Bytes; 0 leaves it.
    window: u16,
}

impl Faults {
    fn parse(line: &str) -> Result<Self, Box<dyn Error>> {
        let mut faults = Self::default();
        for word in line.split_ascii_whitespace() {
            if word == "cut" {
                faults.loss = 1.0;
                continue;
            }
            let (name, text) = word.split_once('=').ok_or_else(|| format!("`{word}` is no `name=value`"))?;
            let value: f64 = text.parse()?;
            let milliseconds = || Duration::try_from_secs_f64(value / 1000.0);
            match name {
                "loss" => faults.loss = value,
                "doubled" => faults.doubled = value,
                "delay" => faults.delay = milliseconds()?,
                "jitter" => faults.jitter = milliseconds()?,
                "window" => faults.window = text.parse()?,
                _ => {
                    return Err(
                        format!("`{name}` is no fault: there are loss, doubled, delay, jitter and window").into()
                    );
                }
            }
        }
        Ok(faults)
    }
}

/// What was done.
#[derive(Default)]
struct Counts {
    passed: AtomicU64,
    lost: AtomicU64,
    doubled: AtomicU64,
    overtaken: AtomicU64,
    windows: Windows,
}

impl Counts {
    fn json(&self) -> String {
        let Self { passed, lost, doubled, overtaken, windows } = self;
        let Windows { segments, largest_segment, largest_step, .. } = windows;
        let [passed, lost, doubled, overtaken, segments, largest_segment, largest_step] =
            [passed, lost, doubled, overtaken, segments, largest_segment, largest_step]
                .map(|count| count.load(Ordering::Relaxed));
        let narrow = format!(
            r#"{{"segments":{segments},"largestSegment":{largest_segment},"largestAcknowledged":{largest_step}}}"#
        );
        format!(r#"{{"passed":{passed},"lost":{lost},"doubled":{doubled},"overtaken":{overtaken},"narrow":{narrow}}}"#)
    }
}

/// When a frame is due, its number, and its bytes: ordered by the first.
type Due = Reverse<(Instant, u64, Vec<u8>)>;

/// Frames under way in one direction.
#[derive(Default)]
struct Cable {
    frames: Mutex<BinaryHeap<Due>>,
    came: Condvar,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(left), Some(right), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("two tap devices are needed: faulty-wire LEFT RIGHT".into());
    };
    let open = |path: &str| OpenOptions::new().read(true).write(true).open(path);
    let (left, right) = (Arc::new(open(&left)?), Arc::new(open(&right)?));
    let faults = Arc::new(Mutex::new(Faults::default()));
    let counts = Arc::new(Counts::default());
    for (number, (from, to)) in [(left.clone(), right.clone()), (right, left)].into_iter().enumerate() {
        let cable = Arc::new(Cable::default());
        let (faults, counts) = (faults.clone(), counts.clone());
        let entrance = cable.clone();
        let seed = SEED >> number;
        thread::spawn(move || take_in(&from, &entrance, &faults, &counts, seed));
        thread::spawn(move || give_out(&to, &cable));
    }
    for line in io::stdin().lock().lines() {
        let wanted = Faults::parse(&line?)?;
        let answer = counts.json();
        if wanted.window > 0 {
            counts.windows.limit(wanted.window);
        }
        *faults.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
        writeln!(io::stdout(), "{answer}")?;
    }
    Ok(())
}

/// Takes what comes, and has it under way, or lost.
fn take_in(from: &File, cable: &Cable, faults: &Mutex<Faults>, counts: &Counts, mut random: u64) {
    let mut room = vec![0; FRAME_BYTES];
    let mut number = 0;
    let mut last_due = Instant::now();
    let mut reader = from;
    loop {
        // An interface that is down: as a cable that is not plugged in.
        let Ok(read) = reader.read(&mut room) else {
            thread::sleep(Duration::from_millis(10));
            continue;
        };
        let Faults { loss, doubled, delay, jitter, window } = *faults.lock().unwrap_or_else(PoisonError::into_inner);
        if chance(&mut random) < loss {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        counts.windows.pass(&mut room[..read], window > 0);
        let copies = if chance(&mut random) < doubled { 2 } else { 1 };
        for copy in 0..copies {
            let due = Instant::now() + delay + jitter.mul_f64(chance(&mut random));
            let mut frames = cable.frames.lock().unwrap_or_else(PoisonError::into_inner);
            if frames.len() >= UNDER_WAY {
                counts.lost.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            frames.push(Reverse((due, number, room[..read].to_vec())));
            drop(frames);
            cable.came.notify_one();
            number += 1;
            counts.passed.fetch_add(1, Ordering::Relaxed);
            counts.doubled.fetch_add(copy, Ordering::Relaxed);
            counts.overtaken.fetch_add(u64::from(due < last_due), Ordering::Relaxed);
            last_due = last_due.max(due);
        }
    }
}

/// Gives each frame out when it is due.
fn give_out(to: &File, cable: &Cable) {
    let mut writer = to;
    let mut frames = cable.frames.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let wait = frames.peek().map(|Reverse((due, ..))| due.saturating_duration_since(Instant::now()));
        frames = match wait {
            None => cable.came.wait(frames).unwrap_or_else(PoisonError::into_inner),
            Some(wait) if !wait.is_zero() => {
                cable.came.wait_timeout(frames, wait).unwrap_or_else(PoisonError::into_inner).0
            }
            Some(_) => {
                let frame = frames.pop();
                drop(frames);
                if let Some(Reverse((_, _, bytes))) = frame {
                    // What the other side cannot take is lost.
                    let _ = writer.write(&bytes);
                }
                cable.frames.lock().unwrap_or_else(PoisonError::into_inner)
            }
        };
    }
}

/// From 0 to 1 (xorshift64).
fn chance(state: &mut u64) -> f64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    (*state >> 11) as f64 / (1u64 << 53) as f64
}
