//! The reactor over a scripted network: no descriptor, no thread, and the time that the test says.
//!
//! [`Rig`] runs the loop of [`thread`](super::thread), with one difference: where the thread would
//! sleep, it returns to the test. So a wake-up that is lost shows, and a loop that never rests too.

mod asking;
mod backpressure;
mod budget;
mod chaos;
mod client;
mod closing;
mod compression;
mod echo;
mod ending;
mod exits;
mod failure;
mod fairness;
mod frames;
mod idle;
mod intake;
mod javascript;
mod loopback;
mod million;
#[cfg(feature = "loom")]
mod model;
mod pace;
mod secure;
mod secure_ends;
mod secure_waiting;
mod shutdown;
mod tally;
mod topics;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::adoption::Transport;
use super::clock::TICK;
use super::route::tests::route;
use super::scripted::{Peer, Scripted, ScriptedSocket, connection};
use super::slot::{Phase, Slot, Unread};
use super::turn::Reactor;
use super::{Hooks, Route, Shared};
use crate::bridge::{Budget, Census, CommandKind, ConnectionId, EventKind, Ticket};
use crate::limits;
use crate::protocol::{Agreement, MessageKind, Payload};
use frames::Frame;
use javascript::{Event, JavaScript};

/// Turns without a rest that are taken for a busy loop.
const TURNS: usize = 20_000;

/// A reactor, the network it runs over, and the JavaScript thread it serves.
struct Rig<const SHORT_READ_DRAINS: bool = true> {
    reactor: Reactor<Scripted<SHORT_READ_DRAINS>>,
    shared: Arc<Shared>,
    census: Arc<Census>,
    js: JavaScript,
    now: Instant,
    asleep: bool,
    woken: Arc<AtomicBool>,
    adoptions: Vec<(Transport<ScriptedSocket<SHORT_READ_DRAINS>>, Ticket, Arc<Route>)>,
    /// What was agreed on with all clients.
    agreement: Option<Agreement>,
}

impl Rig {
    fn new() -> Self {
        Self::of_host()
    }

    fn with_budget(bytes: usize) -> Self {
        Self::of_budget(&Budget::new(bytes))
    }
}

fn hooks(budget: &Arc<Budget>) -> Hooks {
    Hooks { ring_javascript: Box::new(|| {}), give_back_memory: || {}, budget: budget.clone() }
}

impl<const SHORT_READ_DRAINS: bool> Rig<SHORT_READ_DRAINS> {
    fn of_host() -> Self {
        Self::of_budget(&Budget::new(0))
    }

    fn of_budget(budget: &Arc<Budget>) -> Self {
        let census = Census::new(|| {});
        let woken = Arc::new(AtomicBool::new(false));
        let wake = woken.clone();
        // ORDERING: one thread.
        let wake = Box::new(move || wake.store(true, Ordering::Relaxed));
        let shared = Arc::new(Shared::new(census.clone(), wake, hooks(budget)));
        let now = Instant::now();
        Self {
            reactor: Reactor::new(Scripted::default(), shared.clone(), now),
            js: JavaScript::new(shared.clone()),
            shared,
            census,
            now,
            asleep: false,
            woken,
            adoptions: Vec::new(),
            agreement: None,
        }
    }

    /// Hands a connection over, as the gate does, and runs.
    fn adopt(&mut self, route: &Arc<Route>, early: &[u8]) -> Peer {
        let (socket, peer) = connection();
        self.hand_over(plain(socket, early.to_vec()), route);
        peer
    }

    fn hand_over(&mut self, transport: Transport<ScriptedSocket<SHORT_READ_DRAINS>>, route: &Arc<Route>) {
        self.adoptions.push((transport, connected(&self.census), route.clone()));
        self.shared.ring();
        self.run();
    }

    /// The same, and takes the Open event.
    fn open(&mut self, route: &Arc<Route>) -> (Peer, ConnectionId) {
        let peer = self.adopt(route, b"");
        let events = self.js.drain();
        let [Event { kind: EventKind::Open, connection, .. }] = &events[..] else { panic!("{events:?}") };
        (peer, *connection)
    }

    /// Turns until the thread would sleep.
    fn run(&mut self) {
        let mut ready = Vec::new();
        for _ in 0..TURNS {
            let rest = self.reactor.rest(self.now);
            if !self.asleep && rest != Some(Duration::ZERO) {
                self.asleep = self.shared.crossing.sleep();
            }
            ready.clear();
            super::network::Network::poll(&mut self.reactor.network, &mut ready, rest).unwrap();
            // ORDERING: one thread.
            let woken = self.woken.swap(false, Ordering::Relaxed);
            if self.asleep && rest != Some(Duration::ZERO) && ready.is_empty() && !woken {
                return;
            }
            self.asleep = false;
            self.shared.crossing.answer();
            self.reactor.collect();
            let agreement = self.agreement;
            for (transport, ticket, route) in std::mem::take(&mut self.adoptions) {
                self.reactor.adopt(transport, ticket, &route, agreement, None, self.now);
            }
            self.reactor.turn(&ready, self.now);
        }
        panic!("the reactor does not come to rest");
    }

    /// Flushes JavaScript's commands and runs.
    fn obey(&mut self) {
        self.js.flush();
        self.run();
    }

    /// Runs, and takes the events.
    fn events(&mut self) -> Vec<Event> {
        self.obey();
        self.js.drain()
    }

    /// Lets time pass, a tick at a time.
    fn ticks(&mut self, count: u32) {
        for _ in 0..count {
            self.now += TICK;
            self.run();
        }
    }

    /// Lets so much time pass without a drain that greedy connections are read again, and runs.
    fn stand_still(&mut self) {
        for _ in 0..2 {
            self.now += Duration::from_millis(limits::AHEAD_MILLISECONDS);
            self.run();
        }
    }

    /// Releases a connection, and runs.
    fn release(&mut self, connection: ConnectionId) {
        self.js.command(CommandKind::Release, connection, b"");
        self.obey();
    }

    fn slot(&mut self, connection: ConnectionId) -> &mut Slot<ScriptedSocket<SHORT_READ_DRAINS>> {
        self.reactor.slab.slot(connection.index)
    }

    fn phase(&mut self, connection: ConnectionId) -> Phase {
        self.slot(connection).phase
    }

    /// An open connection that nothing hangs off.
    fn assert_idle(&mut self, connection: ConnectionId) {
        let slot = self.slot(connection);
        assert_eq!(slot.phase, Phase::Open);
        assert!(slot.assembly.is_none() && slot.rare.is_none() && slot.unread == Unread::None);
    }

    /// Nothing is left of any connection.
    fn assert_vacant(&mut self) {
        assert!(self.reactor.slab.is_empty());
        assert!(self.census.is_vacant());
        assert_eq!(self.census.connections(), 0);
        assert_eq!(self.reactor.parked_bytes, 0);
        let tally = self.shared.tally();
        assert_eq!((tally.connections(), tally.outbox_bytes, tally.parked_bytes), (0, 0, 0));
        assert_eq!((tally.outbox_shared_bytes, tally.assembly_bytes, self.reactor.scratch.held_bytes), (0, 0, 0));
        assert_eq!(self.reactor.broadcasts.bytes(), 0);
        assert_eq!(self.reactor.gather.bytes(), 0);
        assert_eq!(self.reactor.contexts.len(), 0);
        assert!((0..self.reactor.slab.places()).all(|index| self.reactor.slab.session(index).is_none()));
        assert_eq!(self.reactor.rest(self.now), None);
    }
}

/// What a connection without TLS is spoken over.
fn plain<S>(socket: S, early: Vec<u8>) -> Transport<S> {
    Transport { socket, session: None, early }
}

/// What a connection is counted in by.
fn connected(census: &Arc<Census>) -> Ticket {
    let mut ticket = census.enter();
    assert!(ticket.connect());
    ticket
}

/// What a peer has read since it last looked.
fn heard(peer: &Peer) -> Vec<Frame> {
    frames::decode(&peer.take())
}

/// A route of these options.
fn routed(options: impl FnOnce(&mut Route)) -> Arc<Route> {
    let mut route = route();
    options(&mut route);
    Arc::new(route)
}

/// The kinds of events.
fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

/// A full intake: as if other connections had sent a lot.
fn full(rig: &mut Rig, connection: ConnectionId) {
    let ballast = Payload::Owned(vec![0; limits::INTAKE_BYTES]);
    rig.reactor.intake.message(connection, MessageKind::Binary, ballast);
    rig.js.command(CommandKind::WatchDrain, ConnectionId { index: 0, generation: 0 }, b"");
    rig.obey();
    assert!(rig.reactor.intake.is_full());
}

/// The events without the ballast, after as many turns as it takes.
fn drained(rig: &mut Rig) -> Vec<Event> {
    let mut events = Vec::new();
    for _ in 0..100 {
        let more = rig.js.drain();
        if more.is_empty() {
            events.retain(|event: &Event| event.payload.len() < limits::INTAKE_BYTES);
            return events;
        }
        events.extend(more);
        rig.run();
    }
    panic!("it does not end");
}
