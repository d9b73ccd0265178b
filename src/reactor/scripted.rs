//! A network of scripts, for tests: sockets whose peer is the test.
//!
//! The test holds a [`Peer`] for each [`ScriptedSocket`], and says through it what arrives, how much the
//! "kernel" takes, and what fails. Readiness is told once, when it begins, as by the operating
//! system's poller. `SHORT_READ_DRAINS` chooses between the two kinds of host: those that tell of new
//! bytes after a short read (epoll, kqueue), and those that tell again only after a read that would
//! have blocked (AFD).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use super::network::{Network, Ready, Socket};

/// What the socket and the test share.
struct Wire {
    /// Came, and was not read yet.
    arrived: VecDeque<u8>,
    /// Behind those bytes: a FIN (`None`), or an error.
    end: Option<Option<ErrorKind>>,
    /// Most bytes that one read gives.
    read_grain: usize,
    /// Was written by the reactor.
    written: Vec<u8>,
    /// Bytes that the kernel would take now.
    room: usize,
    /// Most bytes that one write takes.
    write_grain: usize,
    write_error: Option<ErrorKind>,
    /// Calls that are interrupted before one is not.
    interrupts: usize,
    finished: bool,
    closed: bool,
    reads: usize,
    writes: usize,
    edges: Edges,
}

/// Readiness that was not told yet, and whether it would be.
struct Edges {
    readable: bool,
    ended: bool,
    /// A host that tells again only after a read that would have blocked has seen one.
    armed: bool,
    /// A write was cut short or would have blocked: more room will be told.
    choked: bool,
    writable: bool,
}

/// The reactor's end of a scripted connection.
pub struct ScriptedSocket<const SHORT_READ_DRAINS: bool>(Rc<RefCell<Wire>>);

/// The test's end of it.
#[derive(Clone)]
pub struct Peer(Rc<RefCell<Wire>>);

/// The sockets that are registered.
#[derive(Default)]
pub struct Scripted<const SHORT_READ_DRAINS: bool> {
    wires: Vec<(u32, Rc<RefCell<Wire>>)>,
    /// The next registrations that fail.
    pub refusals: usize,
}

/// A connection: the reactor's end and the test's.
pub fn connection<const SHORT_READ_DRAINS: bool>() -> (ScriptedSocket<SHORT_READ_DRAINS>, Peer) {
    let wire = Rc::new(RefCell::new(Wire {
        arrived: VecDeque::new(),
        end: None,
        read_grain: usize::MAX,
        written: Vec::new(),
        room: usize::MAX,
        write_grain: usize::MAX,
        write_error: None,
        interrupts: 0,
        finished: false,
        closed: false,
        reads: 0,
        writes: 0,
        edges: Edges { readable: false, ended: false, armed: true, choked: false, writable: true },
    }));
    (ScriptedSocket(wire.clone()), Peer(wire))
}

impl Peer {
    /// Bytes arrive.
    pub fn says(&self, bytes: &[u8]) {
        let mut wire = self.0.borrow_mut();
        wire.arrived.extend(bytes);
        wire.edges.readable = true;
    }

    /// A FIN arrives.
    pub fn ends(&self) {
        let mut wire = self.0.borrow_mut();
        wire.end = Some(None);
        (wire.edges.readable, wire.edges.ended) = (true, true);
    }

    /// A reset arrives. What came before it can still be read.
    pub fn resets(&self) {
        let mut wire = self.0.borrow_mut();
        wire.end = Some(Some(ErrorKind::ConnectionReset));
        wire.write_error = Some(ErrorKind::ConnectionReset);
        (wire.edges.readable, wire.edges.ended) = (true, true);
    }

    /// From now on one read gives so many bytes at most. Only for hosts where a short read proves nothing.
    pub fn read_grain(&self, bytes: usize) {
        self.0.borrow_mut().read_grain = bytes;
    }

    /// From now on one write takes so many bytes at most.
    pub fn write_grain(&self, bytes: usize) {
        self.0.borrow_mut().write_grain = bytes;
    }

    /// The kernel takes so many bytes from now on, and no more.
    pub fn room(&self, bytes: usize) {
        self.0.borrow_mut().room = bytes;
    }

    /// Every write fails from now on.
    pub fn write_error(&self, kind: ErrorKind) {
        self.0.borrow_mut().write_error = Some(kind);
    }

    /// The next calls are interrupted.
    pub fn interrupts(&self, calls: usize) {
        self.0.borrow_mut().interrupts = calls;
    }

    /// Takes what the reactor wrote.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut().written)
    }

    /// Bytes that arrived and were not read.
    pub fn unread_bytes(&self) -> usize {
        self.0.borrow().arrived.len()
    }

    /// Whether the reactor has sent FIN.
    pub fn is_finished(&self) -> bool {
        self.0.borrow().finished
    }

    /// Whether the reactor has closed the socket.
    pub fn is_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// Reads so far.
    pub fn reads(&self) -> usize {
        self.0.borrow().reads
    }

    /// Writes so far.
    pub fn writes(&self) -> usize {
        self.0.borrow().writes
    }
}

impl Wire {
    fn interrupted(&mut self) -> io::Result<()> {
        match self.interrupts.checked_sub(1) {
            Some(left) => {
                self.interrupts = left;
                Err(ErrorKind::Interrupted.into())
            }
            None => Ok(()),
        }
    }

    /// What is told now; it is not told again.
    fn ready(&mut self, index: u32, short_read_drains: bool) -> Option<Ready> {
        let edges = &mut self.edges;
        let readable = edges.readable && (short_read_drains || edges.armed);
        let writable = edges.writable || edges.choked && self.room > 0;
        if !readable && !writable {
            return None;
        }
        let ended = readable && edges.ended;
        if readable {
            (edges.readable, edges.ended, edges.armed) = (false, false, false);
        }
        if writable {
            (edges.writable, edges.choked) = (false, false);
        }
        Some(Ready { index, readable, writable, ended })
    }
}

impl<const SHORT_READ_DRAINS: bool> Network for Scripted<SHORT_READ_DRAINS> {
    type Socket = ScriptedSocket<SHORT_READ_DRAINS>;

    fn register(&mut self, socket: &mut Self::Socket, index: u32) -> io::Result<()> {
        if let Some(left) = self.refusals.checked_sub(1) {
            self.refusals = left;
            return Err(ErrorKind::OutOfMemory.into());
        }
        self.wires.push((index, socket.0.clone()));
        Ok(())
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, _timeout: Option<Duration>) -> io::Result<()> {
        self.wires.retain(|(_, wire)| !wire.borrow().closed);
        ready.extend(self.wires.iter().filter_map(|(index, wire)| wire.borrow_mut().ready(*index, SHORT_READ_DRAINS)));
        Ok(())
    }
}

impl<const SHORT_READ_DRAINS: bool> ScriptedSocket<SHORT_READ_DRAINS> {
    /// Whether something came that was not read: bytes, or the end.
    pub fn has_unread(&self) -> bool {
        let wire = self.0.borrow();
        !wire.arrived.is_empty() || wire.end.is_some()
    }
}

impl<const SHORT_READ_DRAINS: bool> Socket for ScriptedSocket<SHORT_READ_DRAINS> {
    const SHORT_READ_DRAINS: bool = SHORT_READ_DRAINS;

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty(), "a read into nothing looks like a FIN");
        let mut wire = self.0.borrow_mut();
        wire.reads += 1;
        wire.interrupted()?;
        if wire.arrived.is_empty() {
            return match wire.end {
                Some(None) => Ok(0),
                Some(Some(kind)) => Err(kind.into()),
                None => {
                    wire.edges.armed = true;
                    Err(ErrorKind::WouldBlock.into())
                }
            };
        }
        let grain = if SHORT_READ_DRAINS { usize::MAX } else { wire.read_grain };
        let count = buffer.len().min(wire.arrived.len()).min(grain);
        io::Read::read_exact(&mut wire.arrived, &mut buffer[..count])?;
        Ok(count)
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut wire = self.0.borrow_mut();
        assert!(!wire.finished, "nothing is written behind a FIN");
        wire.writes += 1;
        wire.interrupted()?;
        if let Some(kind) = wire.write_error {
            return Err(kind.into());
        }
        if wire.room == 0 {
            wire.edges.choked = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let offered: usize = slices.iter().map(|slice| slice.len()).sum();
        let count = offered.min(wire.room).min(wire.write_grain);
        let mut left = count;
        for slice in slices {
            let part = left.min(slice.len());
            wire.written.extend_from_slice(&slice[..part]);
            left -= part;
        }
        if wire.room != usize::MAX {
            wire.room -= count;
        }
        // AFD on Windows tells of room only behind a write that would have blocked.
        wire.edges.choked = SHORT_READ_DRAINS && count < offered;
        Ok(count)
    }

    fn finish(&mut self) -> io::Result<()> {
        let mut wire = self.0.borrow_mut();
        wire.finished = true;
        match wire.write_error {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }
}

impl<const SHORT_READ_DRAINS: bool> Drop for ScriptedSocket<SHORT_READ_DRAINS> {
    fn drop(&mut self) {
        self.0.borrow_mut().closed = true;
    }
}
