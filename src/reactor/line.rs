//! A connection's socket, with the TLS session that speaks over it if it has one, for one call.
//!
//! Writing is the same for both kinds: plaintext goes in, and what is told as sent is plaintext. Reading is not:
//! a plain connection's bytes are decoded where they are read, a secure one's records are [opened](Line::open)
//! into the scratch. Owns nothing.

use std::io::{self, IoSlice};

use super::network::Socket;
use crate::tls::{Received, Scratch, Session, Wire};

/// A socket and what speaks over it.
pub struct Line<'a, S> {
    raw: Raw<'a, S>,
    session: Option<&'a mut Session>,
    scratch: &'a mut Scratch,
}

impl<'a, S: Socket> Line<'a, S> {
    /// `scratch` is of use to a session alone.
    pub fn new(socket: &'a mut S, session: Option<&'a mut Session>, scratch: &'a mut Scratch) -> Self {
        Self { raw: Raw { socket, is_last: false, written: 0 }, session, scratch }
    }

    /// Nothing but the end follows what is written by it: see [`Socket::send_last`].
    pub fn ending(mut self) -> Self {
        self.raw.is_last = true;
        self
    }

    /// Whether a write that took a part of what it was offered says that the host takes no more now. A session
    /// seals a bounded part at a time, and says itself when the host takes no more.
    pub fn is_choked(&self, is_short: bool) -> bool {
        is_short && S::SHORT_READ_DRAINS && self.session.is_none()
    }

    /// Reads records once, and appends what is in them to the scratch's plaintext.
    ///
    /// # Errors
    ///
    /// As of [`Session::receive`].
    pub fn open(&mut self, buffer: &mut [u8]) -> io::Result<Received> {
        let raw = &mut self.raw;
        match &mut self.session {
            Some(session) => counted(session, self.scratch, |session, scratch| session.receive(raw, buffer, scratch)),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Writes the records that wait.
    ///
    /// # Errors
    ///
    /// As of [`Session::flush`].
    pub fn flush(&mut self) -> io::Result<()> {
        let raw = &mut self.raw;
        match &mut self.session {
            Some(session) => counted(session, self.scratch, |session, _| session.flush(raw)),
            None => Ok(()),
        }
    }

    /// Bytes of records that the host has taken in this call.
    pub fn written_bytes(&self) -> usize {
        self.raw.written
    }
}

impl<S: Socket> Socket for Line<'_, S> {
    const SHORT_READ_DRAINS: bool = S::SHORT_READ_DRAINS;

    /// What is there, as it is: for who throws it away.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.raw.socket.receive(buffer)
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let raw = &mut self.raw;
        match &mut self.session {
            Some(session) => counted(session, self.scratch, |session, scratch| session.send(raw, slices, scratch)),
            None => raw.send_slices(slices),
        }
    }

    /// Says close_notify before the FIN (RFC 8446 §6.1). [`io::ErrorKind::WouldBlock`]: some of it waits, and this
    /// is to be called again.
    fn finish(&mut self) -> io::Result<()> {
        if let Some(session) = &mut self.session {
            let raw = &mut self.raw;
            counted(session, self.scratch, |session, scratch| session.finish(raw, scratch))?;
        }
        self.raw.socket.finish()
    }
}

/// Does something with a session, and counts how the records that it keeps have changed.
fn counted<T>(session: &mut Session, scratch: &mut Scratch, act: impl FnOnce(&mut Session, &mut Scratch) -> T) -> T {
    let before = session.held_bytes();
    let outcome = act(session, scratch);
    scratch.held_bytes = scratch.held_bytes + session.held_bytes() - before;
    outcome
}

/// The socket as a session sees it.
struct Raw<'a, S> {
    socket: &'a mut S,
    is_last: bool,
    written: usize,
}

impl<S: Socket> Raw<'_, S> {
    fn send_slices(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.is_last {
            true => self.socket.send_last(slices),
            false => self.socket.send(slices),
        }
    }
}

impl<S: Socket> Wire for Raw<'_, S> {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.receive(buffer)
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.send_slices(&[IoSlice::new(bytes)])?;
        self.written += count;
        Ok(count)
    }
}
