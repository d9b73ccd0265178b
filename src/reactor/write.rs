//! From a reactor to the wire: one write for each connection and turn, and what waits behind it.

use super::line::Line;
use super::network::{Network, Socket};
use super::outbox::Load;
use super::shutdown::Parting;
use super::slot::{Phase, Slot};
use super::turn::Reactor;
use crate::bridge::EventKind;
use crate::error::FaultPoint;
use crate::limits;
use crate::protocol::{Agreement, Opcode};

impl<N: Network> Reactor<N> {
    /// Sends what is gathered; what the kernel does not take, or what must wait behind earlier bytes,
    /// goes to the outbox. `commands` is the buffer that gathered ranges refer to.
    pub(super) fn transmit(&mut self, index: u32, commands: &[u8]) {
        self.writing = Some(index);
        self.send_gathered(index, commands);
        self.writing = None;
    }

    fn send_gathered(&mut self, index: u32, commands: &[u8]) {
        let (slot, session) = self.slab.slot_and_session(index);
        let mut sent = 0;
        let mut takes = slot.waiting_bytes() == 0;
        let is_ending = slot.phase == Phase::Lingering && slot.hang_up;
        let Some(socket) = slot.socket.as_mut() else { return self.hold_back(index, commands) };
        let mut line = Line::new(socket, session, &mut self.scratch);
        if is_ending {
            line = line.ending();
        }
        while takes && sent < self.gather.bytes() {
            let attempt = self.gather.with_slices(commands, sent, |slices| {
                line.send(slices).map(|count| (count, slices.iter().map(|slice| slice.len()).sum::<usize>()))
            });
            match attempt {
                Ok((0, _)) => return self.lose_unsent(index),
                Ok((count, offered)) => {
                    sent += count;
                    self.intake.tally.bytes_out += count as u64;
                    self.shared.crossing.faults.pass(FaultPoint::Writing);
                    takes = !line.is_choked(count < offered);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => takes = false,
                // Its end is known, and told when its turn comes.
                Err(_) if self.has_failed(index) => return self.gather.clear(),
                Err(_) => return self.lose_unsent(index),
            }
        }
        if sent < self.gather.bytes() {
            let before = slot.load();
            self.gather.move_to(&mut slot.rare().outbox, commands, sent);
            self.intake.tally.outbox_changes(before, slot.load());
        } else {
            self.gather.clear();
        }
    }

    /// Keeps what is gathered for a socket that is still to come from the gate.
    fn hold_back(&mut self, index: u32, commands: &[u8]) {
        let slot = self.slab.slot(index);
        if slot.phase == Phase::Gone {
            return self.gather.clear();
        }
        let before = slot.load();
        self.gather.move_to(&mut slot.rare().outbox, commands, 0);
        self.intake.tally.outbox_changes(before, slot.load());
    }

    /// Goes on writing what waits, now that the socket may take more.
    pub(super) fn write_on(&mut self, index: u32) {
        let Some(connection) = self.slab.connection(index) else { return };
        if !self.flush(index) {
            return;
        }
        let (slot, session) = self.slab.slot_and_session(index);
        let Some(mut rare) = slot.take_rare() else { return };
        self.writing = Some(index);
        let (waited, before) = (rare.outbox.bytes(), rare.outbox.load());
        let outcome = match slot.socket.as_mut() {
            Some(socket) if !rare.outbox.is_empty() => {
                rare.outbox.write_to(&mut Line::new(socket, session, &mut self.scratch))
            }
            _ => Ok(0),
        };
        let waiting = rare.outbox.bytes();
        self.intake.tally.bytes_out += (waited - waiting) as u64;
        self.intake.tally.outbox_changes(before, rare.outbox.load());
        let drained = matches!(outcome, Ok(1..)) && rare.told_bytes > 0 && waiting <= rare.told_bytes / 2;
        if drained {
            rare.told_bytes = waiting;
        }
        let pong = if waiting == 0 { rare.pong.take() } else { None };
        slot.put_rare(rare);
        self.writing = None;
        match outcome {
            Err(_) => return self.lose_to_error(index),
            Ok(0) => return,
            Ok(_) => self.delivered(index),
        }
        if drained && self.slab.slot(index).phase == Phase::Open {
            self.intake.tell_amount(connection, EventKind::Drain, waiting);
        }
        if let Some(pong) = pong {
            self.gather.control(Opcode::Pong, &pong);
            self.transmit(index, &[]);
        }
        self.settle(index);
    }

    /// What follows once a connection's output is written or waits: FIN or the end of the socket behind
    /// the last byte of a closing connection.
    pub(super) fn settle(&mut self, index: u32) {
        let slot = self.slab.slot(index);
        let (hang_up, finished) = (slot.hang_up, slot.finished);
        if slot.phase == Phase::Lingering && !self.slab.waits(index) {
            if hang_up {
                // A close over bytes that were not read would throw away what was kept for the FIN.
                if let (Slot { socket: Some(socket), .. }, None) = self.slab.slot_and_session(index) {
                    // Whatever fails here, the socket is closed.
                    let _ = socket.finish();
                }
                return self.part(index);
            }
            if !finished {
                match self.line(index).map(|mut line| line.finish()) {
                    Some(Ok(())) => {
                        self.slab.slot(index).finished = true;
                        self.read(index, limits::READ_BYTES);
                    }
                    // A part of close_notify waits.
                    Some(Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    _ => return self.close_socket(index),
                }
            }
        }
        self.slab.slot(index).tidy();
    }

    /// Closes a socket whose peer has closed its side, too, behind all that was for it.
    pub(super) fn part(&mut self, index: u32) {
        let parting = if self.has_failed(index) { Parting::Cut } else { Parting::Whole };
        self.take_leave(index);
        self.leave(index, parting);
    }

    /// Closes the socket, frees what hung off the slot, and the slot too if JavaScript has released it.
    pub(super) fn close_socket(&mut self, index: u32) {
        self.leave(index, Parting::Cut);
    }

    fn leave(&mut self, index: u32, parting: Parting) {
        let slot = self.slab.slot(index);
        if matches!(slot.phase, Phase::Vacant | Phase::Gone) {
            return;
        }
        if self.shutdown.is_some() && slot.phase != Phase::Asking {
            self.intake.tally.departed.count(parting);
        }
        slot.phase = Phase::Gone;
        if slot.agreement.is_some_and(Agreement::takes_over) {
            self.contexts.forget(index);
        }
        self.drop_assembly(index);
        let (slot, session) = self.slab.slot_and_session(index);
        self.intake.tally.outbox_changes(slot.load(), Load::default());
        self.scratch.held_bytes -= session.map_or(0, |session| session.held_bytes());
        let is_connected = slot.socket.is_some();
        self.parked_bytes -= self.slab.empty(index);
        if is_connected {
            self.guests.part(index);
            self.shared.census.disconnect();
        }
        self.slab.set_idle(index, 0);
        self.slab.set_lifetime(index, 0);
        self.vacate(index);
    }

    /// Frees the slot if its socket is closed and JavaScript has released it.
    pub(super) fn vacate(&mut self, index: u32) {
        let slot = self.slab.slot(index);
        if slot.phase == Phase::Gone && slot.released {
            self.slab.remove(index);
            self.shared.census.leave();
        }
    }

    fn lose_unsent(&mut self, index: u32) {
        self.gather.clear();
        self.lose_to_error(index);
    }

    /// Bytes went out that had to wait: the peer takes what we send, so it is alive.
    pub(super) fn delivered(&mut self, index: u32) {
        match self.slab.slot(index).phase {
            Phase::Open => self.heard(index),
            Phase::Lingering => {
                let due = self.clock.idle_due(super::sweep::CLOSING_TICKS);
                self.slab.set_idle(index, due);
            }
            _ => {}
        }
    }
}
