//! The operating system's network, by mio: epoll on Linux, kqueue on macOS, AFD on Windows.
//!
//! A socket is registered once, for both directions, edge-triggered: while it lives no further call
//! to the poller is made for it.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token, Waker};

use super::network::{Network, Ready, Socket};

/// Readiness taken from the kernel by one call.
const EVENTS: usize = 1024;

/// The waker's token; no slot has this index.
const WAKER: Token = Token(u32::MAX as usize);

/// The network of one reactor thread.
pub struct Poller {
    poll: Poll,
    events: Events,
}

impl Poller {
    /// Opens a poller, and what wakes it from other threads.
    pub fn new() -> io::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER)?);
        Ok((Self { poll, events: Events::with_capacity(EVENTS) }, waker))
    }
}

impl Network for Poller {
    type Socket = TcpStream;

    fn register(&mut self, socket: &mut TcpStream, index: u32) -> io::Result<()> {
        self.poll.registry().register(socket, Token(index as usize), Interest::READABLE | Interest::WRITABLE)
    }

    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            outcome => outcome?,
        }
        ready.extend(self.events.iter().filter(|event| event.token() != WAKER).map(|event| Ready {
            index: event.token().0 as u32,
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable(),
            ended: event.is_read_closed() || event.is_error(),
        }));
        Ok(())
    }
}

impl Socket for TcpStream {
    // epoll(7) and kqueue(2) tell of bytes, and of FIN, that come after a short read of a stream. AFD
    // on Windows tells again only after a read that would have blocked.
    const SHORT_READ_DRAINS: bool = cfg!(unix);

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.read(buffer)
    }

    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match slices {
            [slice] => self.write(slice),
            slices => self.write_vectored(slices),
        }
    }

    #[cfg(target_os = "linux")]
    fn send_last(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        // include/linux/socket.h: the same on every architecture.
        const MSG_NOSIGNAL: i32 = 0x4000;
        const MSG_MORE: i32 = 0x8000;
        let socket = socket2::SockRef::from(&*self);
        match slices {
            [slice] => socket.send_with_flags(slice, MSG_NOSIGNAL | MSG_MORE),
            slices => socket.send_vectored_with_flags(slices, MSG_NOSIGNAL | MSG_MORE),
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}
