//! From the wire to JavaScript: reading, decoding, and what ends a connection on that way.

use super::gather::Gather;
use super::intake::Intake;
use super::network::{Network, Socket};
use super::slot::{Phase, Unread};
use super::turn::Reactor;
use crate::bridge::{CloseCause, ConnectionId, EventKind};
use crate::error::FaultPoint;
use crate::limits;
use crate::protocol::{self, ClosePayload, Flow, MessageKind, Opcode, Payload, Progress, Receiver};

/// Bytes read at a time while JavaScript's intake is full: pings are answered still, and what must
/// be parked behind a message is little.
const CAUTIOUS_BYTES: usize = 4 * 1024;

/// Reads of one lingering connection in one turn.
const DISCARDS: usize = 16;

impl<N: Network> Reactor<N> {
    /// Goes on with the connections that were left while the intake was full, or because others had
    /// to have their turn.
    pub(super) fn read_on(&mut self) {
        if self.intake.is_full() {
            return;
        }
        let mut parked = std::mem::take(&mut self.parked).into_iter();
        while !self.intake.is_full()
            && let Some(connection) = parked.next()
        {
            let Some(slot) = self.slab.find(connection) else { continue };
            let mut leftover = slot.rare_if_any().map(|rare| std::mem::take(&mut rare.leftover)).unwrap_or_default();
            self.parked_bytes -= leftover.len();
            if slot.phase == Phase::Open && !leftover.is_empty() {
                self.heard(connection.index);
                self.decode(connection.index, &mut leftover);
            } else {
                slot.tidy();
            }
        }
        self.parked.extend(parked);
        for connection in std::mem::take(&mut self.unread) {
            if let Some(slot) = self.slab.find(connection) {
                // One that has become greedy since is on the other list as well.
                if slot.unread == Unread::Some {
                    slot.unread = Unread::None;
                    self.read(connection.index, limits::READ_BYTES);
                }
            }
        }
    }

    /// Reads once from a connection that may have something, about `most` bytes, and decodes it.
    pub(super) fn read(&mut self, index: u32, most: usize) {
        let Some(limit) = self.readable_bytes(index, most) else { return };
        let (slot, session) = self.slab.slot_and_session(index);
        if session.is_some() {
            return self.read_records(index, limit);
        }
        let Some(socket) = slot.socket.as_mut() else { return };
        match socket.receive(&mut self.buffer[..limit]) {
            Ok(0) => self.lose(index, CloseCause::Fin),
            Ok(count) => {
                self.ebb.flow(count);
                self.intake.tally.bytes_in += count as u64;
                self.heard(index);
                let slot = self.slab.slot(index);
                if count == limit {
                    self.leave_unread(index, Unread::Much);
                } else if slot.ended || !N::Socket::SHORT_READ_DRAINS {
                    self.leave_unread(index, Unread::Some);
                }
                let mut buffer = std::mem::take(&mut self.buffer);
                self.decode(index, &mut buffer[..count]);
                self.buffer = buffer;
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => self.leave_unread(index, Unread::Some),
            Err(_) => self.lose_to_error(index),
        }
    }

    /// How much may be read from a connection now. `None`: nothing; it is remembered if it is only for now.
    fn readable_bytes(&mut self, index: u32, most: usize) -> Option<usize> {
        let full = self.intake.is_full();
        let held = self.parked_bytes + self.intake.excess_bytes();
        let room_to_park = held + CAUTIOUS_BYTES <= limits::PARKED_BYTES && !self.intake.level().stops_accepting();
        let (slot, session) = self.slab.slot_and_session(index);
        match slot.phase {
            Phase::Open => {}
            Phase::Lingering => {
                self.discard(index);
                return None;
            }
            Phase::Vacant | Phase::Asking | Phase::Arriving | Phase::Ending | Phase::Gone => return None,
        }
        let parked = slot.rare_if_any().is_some_and(|rare| !rare.leftover.is_empty());
        let cut_bytes = session.map_or(0, |session| session.cut().len());
        let cut = slot.assembly.is_some() || cut_bytes > 0;
        if parked || full && (cut || !room_to_park) {
            self.leave_unread(index, Unread::Some);
            return None;
        }
        if full {
            return Some(CAUTIOUS_BYTES);
        }
        // What is missing of a message is one event, however much it is.
        let missing = slot.assembly.as_ref().map_or(0, |assembly| assembly.missing_bytes() + CAUTIOUS_BYTES);
        let most = if self.intake.is_flooded() { CAUTIOUS_BYTES } else { most };
        Some((most.max(missing) + cut_bytes).min(self.buffer.len()))
    }

    /// Remembers that bytes wait in the socket; the poller will not tell it again.
    pub(super) fn leave_unread(&mut self, index: u32, unread: Unread) {
        let Some(connection) = self.slab.connection(index) else { return };
        let slot = self.slab.slot(index);
        match (slot.unread, unread) {
            (Unread::None, Unread::Some) => self.unread.push(connection),
            (Unread::None | Unread::Some, Unread::Much) => self.pace.add(connection),
            _ => return,
        }
        slot.unread = unread;
    }

    /// Decodes what was read, tells JavaScript, answers pings.
    pub(super) fn decode(&mut self, index: u32, bytes: &mut [u8]) {
        let Some(connection) = self.slab.connection(index) else { return };
        let slot = self.slab.slot(index);
        let served = self.routes.of(slot.route);
        let mut inflation = slot.agreement.map(|agreement| self.contexts.inflation(index, agreement));
        let mut receiving = Receiving {
            connection,
            intake: &mut self.intake,
            gather: &mut self.gather,
            backlogged: slot.waiting_bytes() > 0,
            late_pong: None,
            wants_ping: served.route.wants_ping,
            wants_pong: served.route.wants_pong,
        };
        let assembly = &mut slot.assembly;
        let held_before = assembly.as_ref().map_or(0, |assembly| assembly.held_bytes());
        let progress = protocol::receive(assembly, served.rules, inflation.as_mut(), bytes, &mut receiving);
        let late_pong = receiving.late_pong;
        let held = assembly.as_ref().map_or(0, |assembly| assembly.held_bytes());
        if held != held_before {
            let tally = &mut self.intake.tally;
            tally.assembly_bytes = tally.assembly_bytes + held as u64 - held_before as u64;
            self.account();
        }
        self.shared.crossing.faults.pass(FaultPoint::Decoding);
        if self.gather.bytes() > 0 {
            self.transmit(index, &[]);
        }
        if let Some(pong) = late_pong {
            self.pong_late(index, pong);
        }
        self.settle(index);
        if self.slab.slot(index).phase != Phase::Open {
            return;
        }
        match progress {
            Progress::Drained => {}
            Progress::Paused { consumed } => self.park(connection, &bytes[consumed..]),
            Progress::Close { code, reason } => {
                let farewell = ClosePayload::new(code.unwrap_or(0), "");
                self.intake.close(connection, CloseCause::Peer, code.unwrap_or(1005), reason.as_bytes());
                self.slab.slot(index).hang_up = true;
                self.end(index, farewell);
            }
            Progress::Violation(violation) => {
                let farewell = ClosePayload::new(violation.status_code(), violation.close_reason());
                self.intake.close(connection, CloseCause::Protocol, 1006, violation.handler_reason().as_bytes());
                self.end(index, farewell);
            }
        }
    }

    /// Answers the latest ping now, or behind what waits.
    fn pong_late(&mut self, index: u32, pong: Vec<u8>) {
        let slot = self.slab.slot(index);
        if slot.waiting_bytes() > 0 {
            slot.rare().pong = Some(pong);
        } else if slot.phase == Phase::Open {
            self.gather.control(Opcode::Pong, &pong);
            self.transmit(index, &[]);
        }
    }

    /// Keeps bytes that cannot be decoded now because JavaScript's intake is full.
    fn park(&mut self, connection: ConnectionId, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.parked_bytes += bytes.len();
        self.parked.push(connection);
        self.slab.slot(connection.index).rare().leftover = bytes.to_vec();
    }

    /// Reads and throws away what comes behind our close frame, until the peer's FIN; of a secure connection,
    /// records. A peer that has finished its side may still read what waits for it.
    fn discard(&mut self, index: u32) {
        for _ in 0..DISCARDS {
            let waits = self.slab.waits(index);
            let Some(socket) = self.slab.slot(index).socket.as_mut() else { return };
            match socket.receive(&mut self.buffer) {
                Ok(0) if waits => return,
                Ok(0) => return self.part(index),
                Ok(count) => self.intake.tally.bytes_in += count as u64,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(_) => return self.close_socket(index),
            }
        }
        self.leave_unread(index, Unread::Some);
    }

    /// The connection ended under our hands: tells JavaScript, and closes the socket.
    pub(super) fn lose(&mut self, index: u32, cause: CloseCause) {
        let reason: &[u8] = match cause {
            CloseCause::Fin => b"Received TCP FIN before WebSocket close frame",
            CloseCause::Timeout => b"WebSocket timed out from inactivity",
            _ => b"",
        };
        if let Some(connection) = self.slab.connection(index)
            && self.slab.slot(index).phase.is_open()
        {
            self.intake.close(connection, cause, 1006, reason);
        }
        if cause == CloseCause::Fin {
            self.take_leave(index);
        }
        self.close_socket(index);
    }

    /// The same, for an error of the socket.
    pub(super) fn lose_to_error(&mut self, index: u32) {
        self.lose(index, CloseCause::Reset);
    }

    /// JavaScript was told the end: keeps the close frame until JavaScript has taken the event.
    pub(super) fn end(&mut self, index: u32, farewell: ClosePayload) {
        let due = self.clock.idle_due(super::sweep::CLOSING_TICKS);
        self.slab.set_idle(index, due);
        let slot = self.slab.slot(index);
        slot.phase = Phase::Ending;
        slot.rare().farewell = Some(farewell);
        self.drop_assembly(index);
    }
}

impl Receiving<'_> {
    /// Tells JavaScript of a control frame if it has a handler; then a full intake ends the reading,
    /// since such events take memory as messages do.
    fn control(&mut self, wanted: bool, kind: EventKind, payload: &[u8]) -> Flow {
        if !wanted {
            return Flow::Continue;
        }
        self.intake.control(self.connection, kind, payload);
        if self.intake.is_full() { Flow::Pause } else { Flow::Continue }
    }
}

/// Takes what the decoder finds.
struct Receiving<'a> {
    connection: ConnectionId,
    intake: &'a mut Intake,
    gather: &'a mut Gather,
    backlogged: bool,
    late_pong: Option<Vec<u8>>,
    wants_ping: bool,
    wants_pong: bool,
}

impl Receiver for Receiving<'_> {
    fn takes_messages(&self) -> bool {
        !self.intake.is_full()
    }

    fn message(&mut self, kind: MessageKind, payload: Payload<'_>) -> Flow {
        self.intake.message(self.connection, kind, payload);
        Flow::Continue
    }

    fn ping(&mut self, payload: &[u8]) -> Flow {
        self.intake.tally.pings_in += 1;
        if self.backlogged || self.gather.bytes() >= limits::PONG_BYTES {
            // RFC 6455 §5.5.3 allows to answer the latest ping alone; the memory is bounded by it.
            self.late_pong = Some(payload.to_vec());
        } else {
            self.gather.control(Opcode::Pong, payload);
        }
        self.control(self.wants_ping, EventKind::Ping, payload)
    }

    fn pong(&mut self, payload: &[u8]) -> Flow {
        self.intake.tally.pongs_in += 1;
        self.control(self.wants_pong, EventKind::Pong, payload)
    }
}
