//! One reactor: its connections, and one turn of its loop.
//!
//! A turn carries out JavaScript's commands, reads what became readable, writes what became
//! writable, looks at some of the ends, sweeps if a tick is due, and posts what happened as one batch. It never waits: waiting,
//! and the clock, are the caller's ([`thread`](super::thread), or a test with a scripted network).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::adoption::Transport;
use super::agenda::Agenda;
use super::broadcast::Broadcasts;
use super::clock::Clock;
use super::contexts::Contexts;
use super::ebb::Ebb;
use super::exits::Exits;
use super::gather::Gather;
use super::guests::Guests;
use super::intake::Intake;
use super::network::{Network, Ready};
use super::pace::Pace;
use super::publish::Published;
use super::relief::Stop;
use super::served::ServedRoutes;
use super::shared::Shared;
use super::shutdown::Shutdown;
use super::slab::Slab;
use super::slot::{Phase, Unread};
use super::tally::Memory;
use super::{Route, address};
use crate::bridge::{ConnectionId, EventKind, Member, Orders, Share, Ticket};
use crate::error::FaultPoint;
use crate::limits;
use crate::protocol::Agreement;
use crate::tls::Scratch;
use crate::topics::Index;

/// Memory that an opening handshake takes for a while, at the gate and in JavaScript: a rough figure,
/// for the [`Ebb`] of a storm of connections.
pub(super) const HANDSHAKE_BYTES: usize = 4 * 1024;

/// The state of one reactor thread.
pub struct Reactor<N: Network> {
    pub(super) network: N,
    pub(super) shared: Arc<Shared>,
    pub(super) slab: Slab<N::Socket>,
    pub(super) routes: ServedRoutes,
    pub(super) clock: Clock,
    pub(super) ebb: Ebb,
    pub(super) intake: Intake,
    pub(super) orders: Orders,
    /// Whether there are orders that the next turn carries out.
    pub(super) collected: bool,
    pub(super) agenda: Agenda,
    pub(super) gather: Gather,
    pub(super) contexts: Contexts,
    pub(super) guests: Guests,
    /// Who gets what is published.
    pub(super) topics: Index<ConnectionId>,
    /// What was published in this turn.
    pub(super) published: Published,
    /// What of it is in memory once for several connections, from earlier turns, too.
    pub(super) broadcasts: Broadcasts,
    /// The reactor's part in the App's memory budget, and what it holds of it.
    pub(super) member: Member,
    pub(super) share: Share,
    /// Whether the next turn goes on closing connections for the budget.
    pub(super) is_shedding: bool,
    /// What the ticks have seen of reading that the budget has stopped.
    pub(super) stop: Stop,
    /// What is read lies here until it is decoded; one for all connections.
    pub(super) buffer: Box<[u8]>,
    /// What is opened and sealed lies here; one for all secure connections.
    pub(super) scratch: Scratch,
    /// Connections whose sockets may have bytes that were not read.
    pub(super) unread: Vec<ConnectionId>,
    /// Those whose sockets have more than one read takes.
    pub(super) pace: Pace,
    /// Those whose peer has ended.
    pub(super) exits: Exits,
    /// Connections with bytes that were not decoded.
    pub(super) parked: Vec<ConnectionId>,
    /// Bytes of those.
    pub(super) parked_bytes: usize,
    /// Where the sweep of this tick goes on, until it is done.
    pub(super) sweeping: Option<usize>,
    /// Places found by a sweep.
    pub(super) due: Vec<u32>,
    /// From the order to shut down on.
    pub(super) shutdown: Option<Shutdown>,
    pub(super) random: u32,
    /// The connection whose peer may have got a part of what is being written to it.
    pub(super) writing: Option<u32>,
}

impl<N: Network> Reactor<N> {
    /// A reactor without connections.
    pub fn new(network: N, shared: Arc<Shared>, now: Instant) -> Self {
        let intake = Intake::new(shared.clone());
        Self::with(network, shared, intake, now)
    }

    /// The same with events that wait and numbers.
    pub(super) fn with(network: N, shared: Arc<Shared>, intake: Intake, now: Instant) -> Self {
        let (budget, crossing) = (shared.crossing.budget(), &shared.crossing);
        let mut reactor = Self {
            member: Member::join(budget, crossing),
            share: Share::of(budget),
            broadcasts: Broadcasts::default(),
            is_shedding: false,
            stop: Stop::default(),
            network,
            intake,
            shared,
            slab: Slab::new(),
            routes: ServedRoutes::default(),
            clock: Clock::new(now),
            ebb: Ebb::default(),
            orders: Orders::default(),
            collected: false,
            agenda: Agenda::default(),
            gather: Gather::default(),
            contexts: Contexts::default(),
            guests: Guests::default(),
            topics: Index::default(),
            published: Published::default(),
            buffer: vec![0; limits::READ_BUFFER_BYTES].into_boxed_slice(),
            scratch: Scratch::default(),
            unread: Vec::new(),
            pace: Pace::default(),
            exits: Exits::default(),
            parked: Vec::new(),
            parked_bytes: 0,
            sweeping: None,
            due: Vec::new(),
            shutdown: None,
            random: 0x9e37_79b9,
            writing: None,
        };
        reactor.intake.tally.memory = reactor.memory();
        reactor.intake.publish();
        reactor
    }

    /// Places an established connection; its census entry becomes the slab's.
    pub fn adopt(
        &mut self,
        transport: Transport<N::Socket>,
        ticket: Ticket,
        route: &Arc<Route>,
        agreement: Option<Agreement>,
        peer: Option<SocketAddr>,
        now: Instant,
    ) {
        let Transport { socket, session, mut early } = transport;
        if self.slab.is_empty() {
            self.clock.restart(now);
        }
        self.ebb.flow(HANDSHAKE_BYTES);
        self.routes.serve(route);
        let Some(connection) = self.slab.insert(socket, route.id) else { return };
        let index = connection.index;
        self.guests.receive(index, ticket.forget());
        self.slab.slot(index).agreement = agreement;
        self.secure(index, session);
        self.intake.tally.opened += 1;
        self.intake.tally.bytes_in += early.len() as u64;
        let (family, place) = address::encode(route.id, peer);
        self.intake.tell(connection, EventKind::Open, family, [&place, b""]);
        self.shared.crossing.faults.pass(FaultPoint::Adoption);
        let Some(socket) = self.slab.slot(index).socket.as_mut() else { return };
        if self.network.register(socket, index).is_err() {
            return self.lose_to_error(index);
        }
        self.heard(index);
        self.spread_ping(index);
        self.limit_lifetime(index);
        if !early.is_empty() {
            self.decode(index, &mut early);
        }
        self.end_session(index);
        self.turn_away(index);
    }

    /// One turn over what became ready, and the commands that were [collected](Self::collect).
    pub fn turn(&mut self, ready: &[Ready], now: Instant) {
        self.obey();
        self.intake.look_again();
        self.read_on();
        for ready in ready {
            if self.slab.connection(ready.index).is_none() {
                continue;
            }
            if ready.readable && ready.ended && self.put_off(ready) {
                continue;
            }
            if self.slab.slot(ready.index).phase == Phase::Open {
                self.exits.beside();
            }
            if ready.readable {
                // A greedy one has its turn behind the others.
                if self.slab.slot(ready.index).unread != Unread::Much {
                    self.read(ready.index, limits::READ_BYTES);
                }
            }
            if ready.writable {
                self.write_on(ready.index);
            }
        }
        self.see_out(now);
        self.read_greedy(now);
        self.sweep(now);
        self.shut_down();
        self.intake.tally.parked_bytes = self.parked_bytes as u64;
        self.account();
        self.shed();
        self.intake.post();
        self.intake.tally.memory = self.memory();
        self.intake.publish();
        self.intake.look_again();
    }

    /// Whether something is to be done at ticks.
    pub(super) fn keeps_time(&self) -> bool {
        // What keeps reading stopped may be all at the gate, and no reactor have a connection.
        !self.slab.is_empty() || self.ebb.is_pending() || self.member.budget().level().stops_reading()
    }

    fn memory(&self) -> Memory {
        let buffers =
            self.buffer.len() + self.scratch.capacity_bytes() + self.orders.capacity_bytes() + self.intake.open_bytes();
        Memory {
            connections: self.slab.bytes() as u64,
            subscriptions: self.topics.bytes() as u64,
            contexts: self.contexts.kept_bytes() as u64,
            buffers: buffers as u64,
        }
    }

    /// Lets go of what the last burst used and the next one can make again, and has the allocator give
    /// all that is free back to the system.
    pub(super) fn give_back_memory(&mut self) {
        // A new one is not touched, and so takes no memory, until something is read into it.
        self.buffer = vec![0; self.buffer.len()].into_boxed_slice();
        self.scratch.let_go();
        self.orders = Orders::default();
        self.agenda = Agenda::default();
        self.gather = Gather::default();
        self.published = Published::default();
        self.contexts.let_go();
        self.unread.shrink_to_fit();
        self.pace.let_go();
        self.exits.let_go();
        self.parked.shrink_to_fit();
        self.due = Vec::new();
        self.intake.let_go();
        self.shared.give_back_memory();
    }

    /// How long the next wait for the network may be, now that a turn has ended; `None` is for ever.
    pub fn rest(&mut self, now: Instant) -> Option<Duration> {
        self.exits.turned(now);
        let left_over = !self.unread.is_empty() || !self.parked.is_empty();
        let is_busy = self.sweeping.is_some() || self.is_shedding || self.is_shutting();
        if is_busy || left_over && !self.intake.is_full() {
            return Some(Duration::ZERO);
        }
        let exits = self.exits.rest(&self.shared.crossing.mailbox, now);
        let tick = self.keeps_time().then(|| self.clock.until_next(now));
        // While the intake is full, the drain that makes room wakes this.
        let greedy = if self.intake.is_full() { None } else { self.pace.rest(now) };
        tick.into_iter().chain(greedy).chain(exits).min()
    }
}
