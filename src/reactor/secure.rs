//! What TLS adds to the life of a connection: records to read, to flush, and the ends of a session.
//!
//! A session comes with its socket and dies with it. Between two calls it holds keys, what a read has cut of a
//! record, and records that the host did not take; plaintext lies in the reactor's scratch until it is decoded,
//! which is before anything else is read. Its end waits behind plaintext that is parked, as a FIN does.

use super::line::Line;
use super::network::{Network, Socket};
use super::outbox::Load;
use super::slot::{Phase, Unread};
use super::turn::Reactor;
use crate::bridge::CloseCause;
use crate::limits;
use crate::tls::{Fault, Session};

// What is cut lies at the front of a read: while the intake is full, nothing is read behind it.
const _: () = assert!(limits::READ_BUFFER_BYTES > limits::TLS_CUT_BYTES);

impl<N: Network> Reactor<N> {
    /// The socket of a connection, and its session if it is secure. `None`: the socket is not here.
    pub(super) fn line(&mut self, index: u32) -> Option<Line<'_, N::Socket>> {
        let (slot, session) = self.slab.slot_and_session(index);
        Some(Line::new(slot.socket.as_mut()?, session, &mut self.scratch))
    }

    /// Gives the connection at a place its session, if it has one.
    pub(super) fn secure(&mut self, index: u32, session: Option<Box<Session>>) {
        self.scratch.held_bytes += session.as_ref().map_or(0, |session| session.held_bytes());
        self.slab.secure(index, session);
    }

    /// Reads records once from a connection that may have some, and decodes what was in them.
    pub(super) fn read_records(&mut self, index: u32, limit: usize) {
        if self.end_session(index) {
            return;
        }
        let (slot, session) = self.slab.slot_and_session(index);
        let Some(socket) = slot.socket.as_mut() else { return };
        let outcome = Line::new(socket, session, &mut self.scratch).open(&mut self.buffer[..limit]);
        match &outcome {
            Ok(received) if received.bytes == 0 => return self.lose(index, CloseCause::Fin),
            Ok(received) => {
                if received.is_full {
                    self.leave_unread(index, Unread::Much);
                } else if slot.ended || !N::Socket::SHORT_READ_DRAINS {
                    self.leave_unread(index, Unread::Some);
                }
                if self.intake.is_full() {
                    let kept = self.slab.session(index).map_or(0, |session| session.cut().len());
                    self.intake.exceed(kept);
                }
                self.heard(index);
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {
                return self.leave_unread(index, Unread::Some);
            }
            Err(_) => {}
        }
        let mut plaintext = std::mem::take(&mut self.scratch.plaintext);
        if !plaintext.is_empty() {
            self.ebb.flow(plaintext.len());
            self.intake.tally.bytes_in += plaintext.len() as u64;
            self.decode(index, &mut plaintext);
        }
        plaintext.clear();
        self.scratch.plaintext = plaintext;
        if !self.end_session(index) && outcome.is_err() {
            self.lose_to_error(index);
        }
    }

    /// Ends an open connection whose session has ended, by close_notify or a fault; but not before what came in
    /// front of that is decoded. `false`: the session goes on, or nobody reads it any more.
    pub(super) fn end_session(&mut self, index: u32) -> bool {
        let (slot, session) = self.slab.slot_and_session(index);
        let Some((fault, is_finished)) = session.map(|session| (session.fault(), session.is_finished())) else {
            return false;
        };
        if slot.phase != Phase::Open || fault.is_none() && !is_finished {
            return false;
        }
        if slot.rare_if_any().is_some_and(|rare| !rare.leftover.is_empty()) {
            self.leave_unread(index, Unread::Some);
            if fault.is_some() {
                self.throw_away(index);
            }
        } else if let Some(fault) = fault {
            self.fail(index, fault);
        } else {
            self.lose(index, CloseCause::Fin);
        }
        true
    }

    /// The session has failed: tells JavaScript, and lingers behind the alert, since a close over unread bytes would
    /// reset the connection before the peer has read it.
    fn fail(&mut self, index: u32, fault: Fault) {
        let Some(connection) = self.slab.connection(index) else { return };
        self.intake.close(connection, CloseCause::Protocol, 1006, fault.to_string().as_bytes());
        let due = self.clock.idle_due(super::sweep::CLOSING_TICKS);
        self.slab.set_idle(index, due);
        self.slab.set_lifetime(index, 0);
        self.throw_away(index);
        self.drop_assembly(index);
        let slot = self.slab.slot(index);
        slot.phase = Phase::Lingering;
        slot.unread = Unread::None;
        self.intake.tally.outbox_changes(slot.load(), Load::default());
        slot.take_rare();
        self.settle(index);
    }

    /// What waits for the peer of a session that has failed cannot be sealed any more.
    fn throw_away(&mut self, index: u32) {
        let slot = self.slab.slot(index);
        let before = slot.load();
        if let Some(rare) = slot.rare_if_any() {
            (rare.outbox, rare.pong) = (Default::default(), None);
        }
        self.intake.tally.outbox_changes(before, slot.load());
    }

    /// Whether a connection's session has failed.
    pub(super) fn has_failed(&mut self, index: u32) -> bool {
        self.slab.session(index).is_some_and(|session| session.fault().is_some())
    }

    /// Writes the records that wait, and goes on to what waits for them. `false`: some still wait, or the
    /// connection is lost.
    pub(super) fn flush(&mut self, index: u32) -> bool {
        if !self.slab.session(index).is_some_and(|session| session.is_unsent()) {
            return true;
        }
        let Some(mut line) = self.line(index) else { return true };
        let (outcome, written) = (line.flush(), line.written_bytes());
        if written > 0 {
            self.delivered(index);
        }
        match outcome {
            Ok(()) => self.settle(index),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => self.lose_to_error(index),
        }
        self.slab.session(index).is_some_and(|session| !session.is_unsent())
    }

    /// Says close_notify, and FIN, as far as the host takes it, to the peer of a secure connection that is about to
    /// be closed; and reads what has come, such as its own: unread, it would make the close a reset.
    pub(super) fn take_leave(&mut self, index: u32) {
        let (slot, session) = self.slab.slot_and_session(index);
        let (Some(socket), Some(session)) = (slot.socket.as_mut(), session) else { return };
        let mut line = Line::new(socket, Some(session), &mut self.scratch).ending();
        // Neither of them changes that the socket is closed.
        let _ = line.finish();
        let _ = line.receive(&mut self.buffer);
    }
}
