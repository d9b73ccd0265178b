//! A session over a socket that does not block, as if it were a plain one: its records are read, opened, sealed
//! and written, and plaintext is what its user sees. The reactor and the gate have one each turn.

use std::io::{self, ErrorKind, IoSlice};

use super::fault::Fault;
use super::outgoing::Outgoing;
use super::session::{Session, Unsent};

/// The socket under a session: both calls are made on one that would say [`ErrorKind::WouldBlock`] rather than wait.
pub trait Wire {
    /// Reads what is there; 0 is the peer's FIN.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much as the host takes now.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;
}

/// What all sessions of a thread use in turn.
#[derive(Default)]
pub struct Scratch {
    /// What was received: see [`Session::receive`].
    pub plaintext: Vec<u8>,
    /// [`Session::held_bytes`] of all sessions that use it, where their user counts.
    pub held_bytes: usize,
    staging: Vec<u8>,
    out: Outgoing,
}

impl Scratch {
    /// Lets go of its memory.
    pub fn let_go(&mut self) {
        *self = Self { held_bytes: self.held_bytes, ..Self::default() };
    }

    /// The memory that it keeps.
    pub fn capacity_bytes(&self) -> usize {
        self.plaintext.capacity() + self.staging.capacity() + self.out.capacity_bytes()
    }
}

/// What one read has brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the socket. 0: the peer's FIN.
    pub bytes: usize,
    /// Whether the read took all that the buffer had room for: there may be more.
    pub is_full: bool,
}

impl Session {
    /// Reads once, into `buffer`, and opens the records that are whole: their content is appended to the scratch's
    /// `plaintext`. What the peer is to be sent for them is sent, as far as the host takes it now. `buffer` must
    /// be longer than [`limits::TLS_CUT_BYTES`](crate::limits::TLS_CUT_BYTES).
    ///
    /// # Errors
    ///
    /// The socket's, or one with a [`Fault`] inside, whose alert has been sent: the connection is to be closed.
    pub fn receive(&mut self, wire: &mut impl Wire, buffer: &mut [u8], scratch: &mut Scratch) -> io::Result<Received> {
        let kept = self.cut().len();
        buffer[..kept].copy_from_slice(self.cut());
        let bytes = wire.receive(&mut buffer[kept..])?;
        let is_full = kept + bytes == buffer.len();
        if bytes > 0 {
            self.take(wire, &mut buffer[..kept + bytes], scratch)?;
        }
        Ok(Received { bytes, is_full })
    }

    /// The same with bytes that were read already, behind a copy of what was [cut](Self::cut).
    ///
    /// # Errors
    ///
    /// As of [`receive`](Self::receive).
    pub fn take(&mut self, wire: &mut impl Wire, incoming: &mut [u8], scratch: &mut Scratch) -> io::Result<()> {
        scratch.out.clear();
        let outcome = self.open(incoming, &mut scratch.plaintext, &mut scratch.out);
        if !scratch.out.is_empty() {
            // What comes behind an error of the session is said as well as can be.
            self.send_out(wire, &scratch.out, 0).or_else(|error| match outcome {
                Ok(()) if error.kind() != ErrorKind::WouldBlock => Err(error),
                _ => Ok(()),
            })?;
        }
        outcome.map_err(io::Error::from)
    }

    /// Seals and writes the slices, some of them, in as few writes as records of
    /// [`limits::TLS_SEALED_BYTES`](crate::limits::TLS_SEALED_BYTES) allow. Returns how much of them is sent. What
    /// it does not tell as sent, it must be given again, before anything else: some of that may be sealed already.
    ///
    /// # Errors
    ///
    /// The socket's; [`ErrorKind::WouldBlock`] while earlier records wait.
    pub fn send(&mut self, wire: &mut impl Wire, slices: &[IoSlice<'_>], scratch: &mut Scratch) -> io::Result<usize> {
        self.flush(wire)?;
        let sent = std::mem::take(&mut self.unsent.plaintext);
        if sent > 0 {
            return Ok(sent);
        }
        scratch.out.clear();
        let sealed = self.seal(slices, &mut scratch.staging, &mut scratch.out);
        // Behind an error of the session, its last word is said as well as can be.
        let sent = self.send_out(wire, &scratch.out, *sealed.as_ref().unwrap_or(&0));
        let sealed = sealed?;
        sent?;
        Ok(sealed)
    }

    /// Whether records wait for the host.
    pub fn is_unsent(&self) -> bool {
        !self.unsent.bytes.is_empty()
    }

    /// Writes what waits.
    ///
    /// # Errors
    ///
    /// The socket's; [`ErrorKind::WouldBlock`] if some of it still waits.
    pub fn flush(&mut self, wire: &mut impl Wire) -> io::Result<()> {
        while self.unsent.written < self.unsent.bytes.len() {
            match wire.send(&self.unsent.bytes[self.unsent.written..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => self.unsent.written += written,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.unsent = Unsent { plaintext: self.unsent.plaintext, ..Unsent::default() };
        Ok(())
    }

    /// Says close_notify behind all that was sent.
    ///
    /// # Errors
    ///
    /// The socket's; [`ErrorKind::WouldBlock`] if some of it still waits: then it is to be called again.
    pub fn finish(&mut self, wire: &mut impl Wire, scratch: &mut Scratch) -> io::Result<()> {
        self.flush(wire)?;
        scratch.out.clear();
        self.seal_end(&mut scratch.out)?;
        self.send_out(wire, &scratch.out, 0)
    }

    /// Writes records, behind those that wait; keeps what the host does not take.
    fn send_out(&mut self, wire: &mut impl Wire, out: &Outgoing, plaintext: usize) -> io::Result<()> {
        let mut bytes = out.filled();
        while !self.is_unsent() && !bytes.is_empty() {
            match wire.send(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(written) => bytes = &bytes[written..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        if self.unsent.bytes.len() + bytes.len() > crate::limits::TLS_UNSENT_BYTES {
            return Err(self.fail(Fault::Protocol).into());
        }
        self.unsent.bytes.extend_from_slice(bytes);
        self.unsent.plaintext += plaintext;
        Err(ErrorKind::WouldBlock.into())
    }
}
