//! What becomes of a reactor that has panicked: another one takes its place, on the same thread.
//!
//! Nothing is taken over that the panic may have left half done, but for what cannot be done without: the places,
//! whose numbers JavaScript knows; the events that it was to get; and the sockets, to say goodbye. The peers get what
//! waited for them, a close frame with 1011 (RFC 6455 §7.4.1) and FIN, and are waited for as after any other. To
//! JavaScript it is one event, behind which it knows none of the old connections: it closes all that it has by itself,
//! each once. What it has still written for them names generations that are past.

use std::time::Instant;

use super::Failure;
use super::network::Network;
use super::outbox::Load;
use super::shutdown::Parting;
use super::slab::Slab;
use super::slot::{Phase, Rare, Slot, Unread};
use super::tally::Tally;
use super::turn::Reactor;
use crate::bridge::event::failed;
use crate::bridge::{ConnectionId, EventKind};
use crate::error::{FaultPoint, Panic};
use crate::protocol::ClosePayload;

/// Status code and reason of a connection that a panic ends. `lib/events.js` has the same for the close handlers.
const FAILED: (u16, &str) = (1011, "internal error");

impl<N: Network> Reactor<N> {
    /// The reactor that goes on where this one has panicked. JavaScript is told.
    ///
    /// # Panics
    ///
    /// If what is taken over is broken as well.
    pub fn recovered(self, panic: &Panic, now: Instant) -> Self {
        let Self { network, shared, mut slab, routes, mut guests, intake, shutdown, random, writing, .. } = self;
        // What waits for several peers goes on to be counted where it was made, and the budget to be told by the same.
        let (member, share, broadcasts) = (self.member, self.share, self.broadcasts);
        let mut intake = intake.salvaged();
        let mut vacated = 0;
        for index in 0..slab.places() {
            let slot = slab.slot(index);
            let (phase, is_connected) = (slot.phase, slot.socket.is_some());
            if phase != Phase::Vacant && !keeps(&mut slab, index, writing) {
                vacated += 1;
                if is_connected {
                    guests.part(index);
                    shared.census.disconnect();
                }
                if shutdown.is_some() && !matches!(phase, Phase::Asking | Phase::Gone) {
                    intake.tally.departed.count(Parting::Cut);
                }
            }
        }
        slab.relink();
        let lost = intake.tally.fail();
        let text = failed::text(lost, panic);
        // Before what is to follow is begun: it comes behind all that JavaScript is to know of the old connections.
        intake.tell(ConnectionId::NONE, EventKind::Failed, failed::REACTOR, [text.as_bytes(), b""]);
        let session_bytes = count(&mut slab, &mut intake.tally);
        intake.post();
        let reactor = Self::with(network, shared, intake, now);
        let mut reactor = Self { slab, routes, guests, shutdown, random, member, share, broadcasts, ..reactor };
        reactor.scratch.held_bytes = session_bytes;
        // The next turn comes at once: others may wait for what it tells the budget, and for its bid.
        reactor.is_shedding = true;
        reactor.shared.crossing.faults.pass(FaultPoint::Recovery);
        for index in 0..reactor.slab.places() {
            // A session or a socket that panics again takes nobody with it.
            if Panic::catch(|| reactor.part_from(index)).is_err() {
                reactor.cut(index);
            }
        }
        // Those that were cut may have been at any step of it.
        reactor.scratch.held_bytes = count(&mut reactor.slab, &mut reactor.intake.tally);
        // Last: it may have been all that kept the process alive.
        (0..vacated).for_each(|_| reactor.shared.census.leave());
        reactor
    }

    /// Tells JavaScript of a panic at the gate.
    pub fn report(&mut self, failure: &Failure) {
        let text = failed::text(0, &failure.panic);
        self.intake.tell(ConnectionId::NONE, EventKind::Failed, failure.kind, [text.as_bytes(), b""]);
    }

    /// Says goodbye to a peer, as far as its socket takes it now. The rest is for the turns to come.
    fn part_from(&mut self, index: u32) {
        let slot = self.slab.slot(index);
        let farewell = match slot.phase {
            Phase::Vacant => return,
            Phase::Open => Some(ClosePayload::new(FAILED.0, FAILED.1)),
            // The one that is kept, or none.
            _ => None,
        };
        self.say_farewell(index, farewell);
        self.transmit(index, &[]);
        self.write_on(index);
        self.settle(index);
        // What became readable in the turn that panicked is not told again.
        self.leave_unread(index, Unread::Some);
    }

    /// Closes a socket, whatever state its connection is in.
    fn cut(&mut self, index: u32) {
        self.gather.clear();
        if self.slab.slot(index).phase != Phase::Vacant {
            let slot = self.slab.slot(index);
            let is_connected = slot.socket.is_some();
            self.slab.empty(index);
            self.slab.remove(index);
            if is_connected {
                self.guests.part(index);
                self.shared.census.disconnect();
            }
            self.shared.census.leave();
        }
    }
}

/// Counts what waits in outboxes anew, and tells the memory of records that wait.
fn count<S>(slab: &mut Slab<S>, tally: &mut Tally) -> usize {
    (tally.outbox_bytes, tally.outbox_shared_bytes) = (0, 0);
    let mut session_bytes = 0;
    for index in 0..slab.places() {
        let (slot, session) = slab.slot_and_session(index);
        tally.outbox_changes(Load::default(), slot.load());
        session_bytes += session.map_or(0, |session| session.held_bytes());
    }
    session_bytes
}

/// Makes a connection one that nobody knows by its number, and that is to be closed; or its place a vacant one, if it has
/// no socket, or perhaps a part of a frame that nobody can complete. `false`: it is vacant.
fn keeps<S>(slab: &mut Slab<S>, index: u32, writing: Option<u32>) -> bool {
    slab.set_idle(index, 0);
    slab.set_lifetime(index, 0);
    let slot = slab.slot(index);
    let rare = slot.take_rare().map(|rare| *rare).unwrap_or_default();
    let waits = !rare.outbox.is_empty() || rare.farewell.is_some();
    let generation = slot.generation.wrapping_add(1);
    let socket = slot.socket.take().filter(|_| writing != Some(index));
    if socket.is_none() {
        slab.empty(index);
        *slab.slot(index) = Slot { generation, ..Slot::vacant(0) };
        return false;
    }
    *slot = Slot {
        socket,
        rare: waits.then(|| Box::new(Rare { outbox: rare.outbox, farewell: rare.farewell, ..Rare::default() })),
        generation,
        route: slot.route,
        phase: slot.phase,
        ended: slot.ended,
        released: true,
        hang_up: slot.hang_up,
        finished: slot.finished,
        ..Slot::vacant(0)
    };
    true
}
