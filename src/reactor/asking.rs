//! The part of a connection's life before its socket is here: its request is asked, answered, and
//! then the socket arrives behind its 101, or the peer is gone.
//!
//! What JavaScript sends meanwhile waits in the outbox, as for any slow peer and within the same
//! bound. The place is given back as any other: when JavaScript has released it.

use std::time::Instant;

use super::address;
use super::adoption::Transport;
use super::network::Network;
use super::obey::range;
use super::slot::Phase;
use super::turn::{HANDSHAKE_BYTES, Reactor};
use super::visit::{Answer, Pass, Visit};
use crate::bridge::command::{ANSWER_CLOSE, ANSWER_PLAIN, ANSWER_UPGRADE, ANSWER_YIELD};
use crate::bridge::{CloseCause, Command, EventKind, Orders, Ticket};

impl<N: Network> Reactor<N> {
    /// A request came: gives it a place, and asks JavaScript.
    pub fn receive(&mut self, visit: Visit, now: Instant) {
        if self.slab.is_empty() {
            self.clock.restart(now);
        }
        self.ebb.flow(HANDSHAKE_BYTES);
        self.routes.serve(&visit.route);
        // The gate counts its connection; this is the place, which may outlive it.
        let ticket = self.shared.census.enter();
        let Some(connection) = self.slab.reserve(visit.route.id) else {
            return (visit.answer)(Answer::Close);
        };
        ticket.forget();
        visit.pass.fill(connection);
        let slot = self.slab.slot(connection.index);
        slot.agreement = visit.agreement;
        slot.rare().answer = Some(visit.answer);
        let (family, place) = address::encode(visit.route.id, visit.peer);
        self.intake.tell(connection, EventKind::Request, family, [&place, &visit.head]);
    }

    /// JavaScript answers a request.
    pub(super) fn answer(&mut self, index: u32, command: &Command, orders: &mut Orders) {
        let slot = self.slab.slot(index);
        let Some(channel) = slot.rare_if_any().and_then(|rare| rare.answer.take()) else { return };
        let payload = match command.kind.is_large() {
            true => orders.large.get_mut(command.offset as usize).map(std::mem::take).unwrap_or_default(),
            false => orders.commands[range(command)].to_vec(),
        };
        let answer = match command.flags & !ANSWER_PLAIN {
            ANSWER_UPGRADE => {
                slot.agreement = slot.agreement.filter(|_| command.flags & ANSWER_PLAIN == 0);
                Answer::Upgrade { lines: payload, agreement: slot.agreement }
            }
            ANSWER_YIELD => Answer::Yield,
            ANSWER_CLOSE => Answer::Close,
            _ => Answer::Response(payload),
        };
        if let Answer::Upgrade { .. } = answer {
            slot.phase = Phase::Arriving;
            slot.tidy();
            self.intake.tally.opened += 1;
        } else {
            self.close_socket(index);
        }
        channel(answer);
    }

    /// The socket of an upgraded request comes: writes what waits for it, and goes on as with any.
    /// JavaScript may have closed the connection meanwhile, or be closing it. The place is counted in already, so the
    /// ticket counts out, but for its connection.
    pub fn seat(&mut self, transport: Transport<N::Socket>, ticket: Ticket, pass: &Pass) {
        let Transport { mut socket, session, mut early } = transport;
        let Some(connection) = pass.connection() else { return };
        let index = connection.index;
        let Some(slot) = self.slab.find(connection) else { return };
        if slot.socket.is_some() || !matches!(slot.phase, Phase::Arriving | Phase::Lingering) {
            return;
        }
        if self.network.register(&mut socket, index).is_err() {
            return self.lose_to_error(index);
        }
        slot.socket = Some(socket);
        self.guests.receive(index, ticket.merge());
        self.secure(index, session);
        let slot = self.slab.slot(index);
        if slot.phase == Phase::Arriving {
            slot.phase = Phase::Open;
            self.intake.tally.bytes_in += early.len() as u64;
            self.heard(index);
        }
        self.write_on(index);
        let slot = self.slab.slot(index);
        if slot.phase != Phase::Open {
            return;
        }
        let waiting = slot.waiting_bytes();
        if waiting > 0 {
            slot.rare().told_bytes = waiting;
            self.intake.tell_amount(connection, EventKind::Backlog, waiting);
        }
        self.spread_ping(index);
        self.limit_lifetime(index);
        if !early.is_empty() {
            self.decode(index, &mut early);
        }
        self.end_session(index);
        self.turn_away(index);
    }

    /// The peer of a request is gone, or its 101 could not be written. Whoever is seated, or closed
    /// already, is not meant.
    pub fn depart(&mut self, pass: &Pass) {
        let Some(connection) = pass.connection() else { return };
        let Some(slot) = self.slab.find(connection) else { return };
        match (slot.phase, &slot.socket) {
            (Phase::Asking, _) => self.abort(connection.index),
            (Phase::Arriving, _) => self.lose_to_error(connection.index),
            (Phase::Lingering, None) => self.close_socket(connection.index),
            _ => {}
        }
    }

    /// Ends a request that is not answered. JavaScript is told.
    pub(super) fn abort(&mut self, index: u32) {
        let Some(connection) = self.slab.connection(index) else { return };
        self.intake.tell(connection, EventKind::Aborted, CloseCause::Reset as u8, [b"", b""]);
        self.close_socket(index);
    }

    /// JavaScript closes a connection at once whose socket is not here yet: what it sent before is
    /// written when it comes, and then it is closed.
    pub(super) fn hang_up_on_arrival(&mut self, index: u32) {
        let due = self.clock.idle_due(super::sweep::CLOSING_TICKS);
        self.slab.set_idle(index, due);
        let slot = self.slab.slot(index);
        slot.phase = Phase::Lingering;
        slot.hang_up = true;
    }
}
