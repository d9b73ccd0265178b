//! A million connections without a descriptor: what they cost, and what a sweep does to them.

use std::cell::Cell;
use std::io::{self, ErrorKind, IoSlice};

use super::*;
use crate::bridge::event::DESCRIPTOR_WORDS;
use crate::bridge::{RouteId, command};
use crate::limits::{self, SWEEP_STEP};
use crate::reactor::network::{Network, Ready, Socket};

const CONNECTIONS: usize = 1_000_000;

/// Takes every write, and has nothing to say. As large as a descriptor.
struct Silent(u32);

thread_local! {
    static OPEN: Cell<usize> = const { Cell::new(0) };
    static WRITES: Cell<usize> = const { Cell::new(0) };
}

impl Silent {
    fn new(number: u32) -> Self {
        OPEN.set(OPEN.get() + 1);
        Self(number)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        OPEN.set(OPEN.get() - 1);
    }
}

impl Socket for Silent {
    const SHORT_READ_DRAINS: bool = true;

    fn receive(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        assert!(self.0 < CONNECTIONS as u32);
        WRITES.set(WRITES.get() + 1);
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn finish(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Nowhere;

impl Network for Nowhere {
    type Socket = Silent;

    fn register(&mut self, _: &mut Silent, _: u32) -> io::Result<()> {
        Ok(())
    }

    fn poll(&mut self, _: &mut Vec<Ready>, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }
}

/// Takes all events, and counts them by kind.
fn drain(shared: &Shared, counts: &mut [usize; 9], mut each: impl FnMut(ConnectionId)) {
    let mut descriptors = vec![0; limits::DRAIN_EVENTS * DESCRIPTOR_WORDS];
    let mut slab = vec![0; limits::DRAIN_PAYLOAD_BYTES];
    loop {
        let drained = shared.crossing.mailbox.drain(&mut descriptors, &mut slab, 0, &mut Default::default());
        for words in descriptors[..drained.events * DESCRIPTOR_WORDS].chunks_exact(DESCRIPTOR_WORDS) {
            counts[words[1] as usize & 0xff] += 1;
            each(ConnectionId { index: words[0], generation: (words[1] >> 16) as u16 });
        }
        if !drained.more {
            return;
        }
    }
}

/// Turns until the sweep of a tick is done, each with a bounded part of it.
fn sweep(reactor: &mut Reactor<Nowhere>, now: Instant, mut between: impl FnMut(&mut Reactor<Nowhere>)) {
    for turn in 0.. {
        let before = WRITES.get();
        reactor.turn(&[], now);
        assert!(WRITES.get() - before <= SWEEP_STEP + 128, "a turn pings a bounded number");
        between(reactor);
        if reactor.sweeping.is_none() {
            return;
        }
        assert_eq!(reactor.rest(now), Some(Duration::ZERO), "it goes on at once");
        assert!(turn <= CONNECTIONS / SWEEP_STEP + 1);
    }
}

/// A reactor with a million connections, of whose opening JavaScript was told.
fn crowd(route: &Arc<Route>, now: Instant, counts: &mut [usize; 9]) -> (Reactor<Nowhere>, Arc<Shared>) {
    let census = Census::new(|| {});
    let shared = Arc::new(Shared::new(
        census.clone(),
        Box::new(|| {}),
        Hooks { ring_javascript: Box::new(|| {}), give_back_memory: || {}, budget: Budget::new(0) },
    ));
    let mut reactor = Reactor::new(Nowhere, shared.clone(), now);
    for number in 0..CONNECTIONS {
        let socket = plain(Silent::new(number as u32), Vec::new());
        reactor.adopt(socket, connected(&census), route, None, None, now);
        if number % 10_000 == 0 {
            reactor.turn(&[], now);
            drain(&shared, counts, |_| {});
        }
    }
    reactor.turn(&[], now);
    drain(&shared, counts, |_| {});
    (reactor, shared)
}

#[test]
fn a_million_slots() {
    let mut now = Instant::now();
    let mut counts = [0; 9];
    let route = routed(|route| route.idle_timeout_seconds = 16);
    let (mut reactor, shared) = crowd(&route, now, &mut counts);
    assert_eq!((counts[EventKind::Open as usize], OPEN.get()), (CONNECTIONS, CONNECTIONS));

    // Nothing but slots: 64 bytes and three of columns for each, in pages that are full.
    let pages = reactor.slab.places() as usize / crate::reactor::slab::PAGE_SLOTS;
    assert_eq!(pages, CONNECTIONS.div_ceil(crate::reactor::slab::PAGE_SLOTS));
    assert!(size_of::<Slot<Silent>>() <= 64);
    let bare = |reactor: &mut Reactor<Nowhere>| {
        (0..CONNECTIONS as u32).all(|index| {
            let slot = reactor.slab.slot(index);
            slot.phase == Phase::Open && slot.rare.is_none() && slot.assembly.is_none()
        })
    };
    assert!(bare(&mut reactor));

    // Pings come to all, and leave nothing behind; then all time out, with one event each.
    for _ in 0..3 {
        now += TICK;
        sweep(&mut reactor, now, |_| {});
    }
    assert_eq!(WRITES.get(), CONNECTIONS);
    assert!(bare(&mut reactor));
    assert!(reactor.due.capacity() <= 4 * SWEEP_STEP);
    drain(&shared, &mut counts, |_| {});
    let mut released = Vec::new();
    for _ in 0..3 {
        now += TICK;
        sweep(&mut reactor, now, |_| {
            drain(&shared, &mut counts, |connection| {
                command::encode(&mut released, CommandKind::Release, 0, connection, b"");
            });
        });
    }
    assert_eq!((counts[EventKind::Close as usize], OPEN.get()), (CONNECTIONS, 0));
    for part in released.chunks(command::COMMAND_HEAD_BYTES * 10_000) {
        shared.crossing.inbox.push(part, None);
        reactor.collect();
        reactor.turn(&[], now);
    }
    assert!(reactor.slab.is_empty() && shared.census.is_vacant());
    // The clock goes on until the memory of the burst is given back.
    for _ in 0..20 {
        now += TICK;
        reactor.turn(&[], now);
    }
    assert_eq!(reactor.rest(now), None);
    assert!(reactor.unread.capacity() == 0 && reactor.parked.capacity() == 0);

    // The pages stay, and are used again before another is made.
    let again = reactor.slab.insert(Silent::new(0), RouteId(0)).unwrap();
    assert_eq!((again.generation, reactor.slab.places() as usize / crate::reactor::slab::PAGE_SLOTS), (2, pages));
}

/// Takes as long as it says beside the growing of the crowd: `cargo test --release --lib million -- --ignored`,
/// with the number changed, tells what one sweep costs.
#[test]
#[ignore = "to be timed in a release build"]
fn a_thousand_sweeps_of_a_million_slots_with_nothing_due() {
    const SWEEPS: usize = 1_000;
    let mut now = Instant::now();
    let route = routed(|route| route.idle_timeout_seconds = 0);
    let (mut reactor, shared) = crowd(&route, now, &mut [0; 9]);
    for _ in 0..SWEEPS {
        now += TICK;
        reactor.turn(&[], now);
        assert_eq!(reactor.sweeping, None, "with nothing due, one turn is enough");
    }
    assert_eq!((WRITES.get(), OPEN.get(), shared.tally().connections()), (0, CONNECTIONS, CONNECTIONS as u64));
}
