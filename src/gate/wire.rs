//! The socket of one connection at the gate: hyper speaks over it, and who waits for JavaScript's
//! answer watches it.
//!
//! hyper owns what it reads from, and reads nothing while a request is being answered: that the peer
//! has gone meanwhile, only the one who asked would want to know. Both are parts of one task.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

use super::stream::Stream;

/// How often a peer is looked at that has sent bytes behind its request: its FIN hides behind them.
const LOOK: Duration = Duration::from_secs(1);

/// hyper's side.
pub(super) struct Wire<'s> {
    pub(super) stream: &'s RefCell<Stream>,
    pub(super) flow: &'s Flow,
}

/// What the peer takes of what hyper writes.
#[derive(Default)]
pub(super) struct Flow {
    written: Cell<u64>,
    is_blocked: Cell<bool>,
    unwritten: Cell<usize>,
}

impl Flow {
    /// While the peer does not read: how much it has read of all.
    pub(super) fn blocked(&self) -> Option<u64> {
        self.is_blocked.get().then(|| self.written.get())
    }

    /// While the peer does not read: bytes that hyper has for it.
    pub(super) fn unwritten_bytes(&self) -> usize {
        self.unwritten.get()
    }

    /// Of a secure stream what its records take counts: much plaintext is told as written at once. `slices` are all that
    /// hyper has.
    fn note(&self, poll: Poll<io::Result<usize>>, stream: &Stream, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.is_blocked.set(poll.is_pending());
        self.unwritten.set(if poll.is_pending() { slices.iter().map(|slice| slice.len()).sum() } else { 0 });
        match (stream.written(), &poll) {
            (Some(all), _) => self.written.set(all),
            (None, Poll::Ready(Ok(written))) => self.written.set(self.written.get() + *written as u64),
            (None, _) => {}
        }
        poll
    }
}

impl AsyncRead for Wire<'_> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let stream = &mut *self.stream.borrow_mut();
        self.flow.note(Pin::new(&mut *stream).poll_write(cx, bytes), stream, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut *self.stream.borrow_mut();
        self.flow.note(Pin::new(&mut *stream).poll_write_vectored(cx, slices), stream, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.borrow().is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_shutdown(cx)
    }
}

/// Watches for the end of a peer while hyper does not read.
pub(super) struct Watch<'s> {
    stream: &'s RefCell<Stream>,
    look: Look,
}

impl<'s> Watch<'s> {
    pub(super) fn new(stream: &'s RefCell<Stream>) -> Self {
        Self { stream, look: Look::default() }
    }

    /// Ready when the peer has finished or reset the connection.
    pub(super) fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.look.poll_gone(&mut self.stream.borrow_mut(), cx)
    }
}

/// A look at what a peer does from which nothing is awaited.
#[derive(Default)]
pub(super) struct Look {
    /// Set while unread bytes hide what follows them.
    next: Option<Pin<Box<Sleep>>>,
}

impl Look {
    /// Ready when the peer has finished or reset the connection.
    pub(super) fn poll_gone(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(next) = &mut self.next {
                std::task::ready!(next.as_mut().poll(cx));
            }
            match std::task::ready!(stream.poll_peek(cx)) {
                Ok(1..) if !is_read_closed(stream.socket(), cx) => {}
                _ => return Poll::Ready(()),
            }
            match &mut self.next {
                Some(next) => next.as_mut().reset(Instant::now() + LOOK),
                None => self.next = Some(Box::pin(sleep(LOOK))),
            }
        }
    }
}

/// Whether the poller has told of a FIN or a reset behind bytes that are there.
fn is_read_closed(socket: &TcpStream, cx: &mut Context<'_>) -> bool {
    match pin!(socket.ready(Interest::READABLE)).poll(cx) {
        Poll::Ready(Ok(ready)) => ready.is_read_closed(),
        Poll::Ready(Err(_)) => true,
        Poll::Pending => false,
    }
}
