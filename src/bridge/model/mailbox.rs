//! Events on their way in: none is lost or changes its place, and a reactor that waits for room is told of it.

use std::collections::VecDeque;
use std::sync::Arc;

use loom::thread;

use super::{Lane, explore};
use crate::bridge::event::DESCRIPTOR_WORDS;
use crate::bridge::{Batch, ConnectionId, EventKind, Waiting};
use crate::limits;

/// The reactor's part: one event, which carries its number, in a batch of its own.
fn post(lane: &Lane, batch: &mut Batch, number: u32, large_bytes: usize) -> Waiting {
    let connection = ConnectionId { index: number, generation: 0 };
    match large_bytes {
        0 => batch.push(connection, EventKind::Message, 0, [b"payload", b""]),
        bytes => batch.push_large(connection, EventKind::Message, 0, vec![0; bytes]),
    }
    let waiting = lane.crossing.mailbox.post(batch);
    assert!(batch.is_empty());
    lane.crossing.ring_javascript();
    waiting
}

/// JavaScript's part: takes one event at a time until so many came. Returns their numbers, and how often it was
/// said that the reactor waits for the room that was made.
fn drain_all(lane: &Lane, expected: usize) -> (Vec<u32>, usize) {
    let mut numbers = Vec::new();
    let mut told = 0;
    lane.js.run(|| {
        loop {
            let (mut descriptors, mut slab) = ([0; DESCRIPTOR_WORDS], [0; 7]);
            let drained = lane.crossing.mailbox.drain(&mut descriptors, &mut slab, 0, &mut VecDeque::new());
            if drained.events == 1 {
                numbers.push(descriptors[0]);
            }
            if drained.made_room {
                told += 1;
                lane.crossing.ring();
            }
            if !drained.more {
                return numbers.len() == expected;
            }
        }
    });
    (numbers, told)
}

#[test]
fn events_come_all_and_in_order() {
    explore(3, || {
        let lane = Lane::new();
        let reactor = thread::spawn({
            let lane = lane.clone();
            move || {
                let mut batch = Batch::default();
                for number in 1..=3 {
                    post(&lane, &mut batch, number, 0);
                }
                lane.crossing.let_go();
            }
        });
        assert_eq!(drain_all(&lane, 3).0, [1, 2, 3]);
        reactor.join().unwrap();
        assert_eq!(lane.crossing.mailbox.waiting(), Waiting { drains: 3, ..Waiting::default() });
    });
}

/// Fills the mailbox, then waits for room by `ask` until `is_enough` is over. JavaScript says once for each time
/// it was asked that there is room, at most, and often enough for the wait to end.
fn waits_for_room(bytes: usize, ask: fn(&Lane) -> Waiting, is_enough: fn(Waiting) -> bool) {
    explore(3, move || {
        let lane = Lane::new();
        let reactor = thread::spawn({
            let lane: Arc<Lane> = lane.clone();
            move || {
                let mut batch = Batch::default();
                for number in 1..=2 {
                    post(&lane, &mut batch, number, bytes);
                }
                let mut asked = 0;
                let mut is_over = || {
                    asked += 1;
                    !is_enough(ask(&lane))
                };
                if !is_over() {
                    lane.run_engine(is_over);
                }
                asked
            }
        });
        let (numbers, told) = drain_all(&lane, 2);
        let asked = reactor.join().unwrap();
        assert_eq!(numbers, [1, 2]);
        let drain = || lane.crossing.mailbox.drain(&mut [], &mut [], 0, &mut VecDeque::new()).made_room;
        // The last time it was asked, there was room: who drains next says so, once.
        let told = told + usize::from(drain());
        assert!((1..=asked).contains(&told), "asked {asked} times, told {told} times");
        assert!(!drain());
    });
}

#[test]
fn a_starved_reactor_is_woken_when_there_is_room() {
    waits_for_room(
        limits::INTAKE_BYTES,
        |lane| lane.crossing.mailbox.starve(),
        |waiting| waiting.bytes >= limits::INTAKE_BYTES,
    );
}

#[test]
fn a_reactor_that_holds_is_woken_when_little_waits() {
    waits_for_room(limits::AHEAD_BYTES, |lane| lane.crossing.mailbox.hold(), |waiting| waiting.is_ahead());
}
