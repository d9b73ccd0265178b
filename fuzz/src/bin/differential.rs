//! `differential [FRAMES [SEED]]`: reads so many random frames, a million unless it is said, with
//! the engine and with tungstenite, and prints what was compared.

use std::time::Instant;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|value| value.parse().expect("FRAMES and SEED are whole numbers"));
    let frames = numbers.next().unwrap_or(1_000_000);
    let seed = numbers.next().unwrap_or(1);
    let began = Instant::now();
    let counts = tidewire_fuzz::differential::run(frames, seed);
    let seconds = began.elapsed().as_secs_f64();
    println!("{} frames in {} streams, {} bytes, {seconds:.1} s", counts.frames, counts.streams, counts.bytes);
    let [open, closed, failed] = counts.endings;
    println!("{} events are the same; {open} streams open to the end, {closed} closed, {failed} failed", counts.events);
    for (difference, streams) in counts.differences {
        println!("{difference:?}: {streams} streams");
    }
    println!("no other difference");
}
