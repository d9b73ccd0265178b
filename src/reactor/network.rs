//! What a reactor needs of the host: sockets and their readiness. Two implementations: the
//! operating system's ([`poller`](super::poller)) and, in tests, a scripted one, over which a
//! million slots run without a descriptor.

use std::io::{self, IoSlice};
use std::time::Duration;

/// The readiness of one socket, since it was last told.
#[derive(Clone, Copy, Debug)]
pub struct Ready {
    /// The number that the socket was registered with.
    pub index: u32,
    /// There may be bytes, a FIN or an error to read.
    pub readable: bool,
    /// There may be room to write.
    pub writable: bool,
    /// A FIN or an error is to be read, perhaps behind bytes. It came already, so nothing more will
    /// be told: a read that did not fill the buffer is not the last one.
    pub ended: bool,
}

/// Waits for the readiness of many sockets.
///
/// Readiness is told once, when it begins (edge-triggered): who does not read or write until the
/// socket would block must remember that by himself.
pub trait Network {
    /// A socket of this network.
    type Socket: Socket;

    /// Begins to watch `socket`; what becomes ready carries `index`. Dropping the socket ends it.
    fn register(&mut self, socket: &mut Self::Socket, index: u32) -> io::Result<()>;

    /// Appends what became ready to `ready`; waits for it as long as `timeout` (`None`: for ever),
    /// or until the reactor is woken.
    fn poll(&mut self, ready: &mut Vec<Ready>, timeout: Option<Duration>) -> io::Result<()>;
}

/// A connected, non-blocking stream of bytes.
pub trait Socket {
    /// Reads what is there; 0 is the peer's FIN.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize>;

    /// Writes as much of the slices as the host takes now.
    fn send(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize>;

    /// The same for what nothing but FIN follows: the host may keep it until [`finish`](Self::finish), so that both
    /// are one packet. What it does not take is to be written by [`send`](Self::send).
    fn send_last(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.send(slices)
    }

    /// Sends FIN behind all that was written.
    fn finish(&mut self) -> io::Result<()>;

    /// Whether a read that did not fill the buffer has taken all there was, so that the next
    /// readiness is told anew; but see [`Ready::ended`]. Saves the read that would only say "would block".
    const SHORT_READ_DRAINS: bool;
}
