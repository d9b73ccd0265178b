//! The stream of one connection at the gate: TCP as it is, or TLS over it.
//!
//! Only a secure connection pays for TLS. What it keeps besides its session is plaintext that its reader had no
//! room for, of one read at most.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::bench::Bench;
use crate::tls::{Identity, Session, Wire};

/// See the module.
pub(super) enum Stream {
    Plain(TcpStream),
    Secure(Box<Secure>),
}

/// TLS over TCP.
pub(super) struct Secure {
    socket: TcpStream,
    session: Box<Session>,
    /// Plaintext that nobody has read. Born by a read that brings more than there is room for, freed when it is
    /// given.
    waiting: Vec<u8>,
    /// So much of it is given.
    given: usize,
    /// Ciphertext that the host has taken.
    written: u64,
    bench: Bench,
}

impl Stream {
    /// The socket under it.
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Secure(secure) => &secure.socket,
        }
    }

    pub(super) fn is_secure(&self) -> bool {
        matches!(self, Self::Secure(_))
    }

    /// The certificate of the client, if it has shown one (X.509, DER).
    pub(super) fn client_certificate(&self) -> Option<&[u8]> {
        match self {
            Self::Plain(_) => None,
            Self::Secure(secure) => secure.session.client_certificate().map(|certificate| &**certificate),
        }
    }

    /// How much the host has taken of what was written; of a plain one, its writer knows.
    pub(super) fn written(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Secure(secure) => Some(secure.written),
        }
    }

    /// Records and plaintext that wait in it.
    pub(super) fn held_bytes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Secure(secure) => secure.session.held_bytes() + secure.waiting.capacity(),
        }
    }

    /// Looks for the end of what the peer sends, where nothing else is to be read: `Ready(0)` is the end. A byte
    /// that is there hides it. What comes is kept for the next read.
    pub(super) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_peek(cx, &mut ReadBuf::new(&mut [0])),
            // More is not read than one record, or the beginning of the next.
            Self::Secure(secure) if secure.waiting.is_empty() => {
                secure.poll_open(cx, &mut ReadBuf::new(&mut [])).map_ok(|()| secure.waiting.len())
            }
            Self::Secure(secure) => secure.socket.poll_peek(cx, &mut ReadBuf::new(&mut [0])),
        }
    }

    /// The socket, the session, and the plaintext that was not read.
    pub(super) fn into_parts(self) -> (TcpStream, Option<Box<Session>>, Vec<u8>) {
        match self {
            Self::Plain(socket) => (socket, None, Vec::new()),
            Self::Secure(secure) => {
                let Secure { socket, session, mut waiting, given, .. } = *secure;
                waiting.drain(..given);
                (socket, Some(session), waiting)
            }
        }
    }
}

impl Secure {
    /// A session at its beginning. `None`: rustls does not take the configuration, which it took before.
    pub(super) fn begin(socket: TcpStream, identity: &Identity, bench: Bench) -> Option<Self> {
        let session = Box::new(Session::new(identity.config()).ok()?);
        Some(Self { socket, session, waiting: Vec::new(), given: 0, written: 0, bench })
    }

    pub(super) fn is_shaking_hands(&self) -> bool {
        self.session.is_shaking_hands()
    }

    /// Ready when there is something to read, and the next step of the handshake may be one that signs.
    pub(super) fn poll_signs(&self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        match self.session.is_retried() {
            true => self.socket.poll_read_ready(cx).map_ok(|()| true),
            false => Poll::Ready(Ok(false)),
        }
    }

    pub(super) fn is_resumed(&self) -> bool {
        self.session.is_resumed()
    }

    /// Takes what was read before there was a session.
    pub(super) fn take(&mut self, cx: &mut Context<'_>, first: &mut [u8]) -> io::Result<()> {
        let mut tools = self.bench.tools();
        tools.scratch.plaintext.clear();
        let mut host = Host { socket: &mut self.socket, cx, written: &mut self.written };
        let outcome = self.session.take(&mut host, first, &mut tools.scratch);
        self.waiting.extend_from_slice(&tools.scratch.plaintext);
        outcome
    }

    /// One step of the handshake: reads once. `false`: the peer has gone.
    pub(super) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut host = Host { socket: &mut self.socket, cx, written: &mut self.written };
        if let Poll::Ready(Err(error)) = pending(self.session.flush(&mut host)) {
            return Poll::Ready(Err(error));
        }
        let mut tools = self.bench.tools();
        let (buffer, scratch) = tools.behind(self.session.cut().len());
        scratch.plaintext.clear();
        let received = ready!(pending(self.session.receive(&mut host, buffer, scratch)))?;
        // Its first request may come with the end of the handshake.
        self.waiting.extend_from_slice(&scratch.plaintext);
        Poll::Ready(Ok(received.bytes > 0))
    }

    /// Reads until there is plaintext, or the end: it goes into the buffer, and what that has no room for is kept.
    fn poll_open(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut tools = self.bench.tools();
        while !self.session.is_finished() {
            let (ciphertext, scratch) = tools.behind(self.session.cut().len());
            scratch.plaintext.clear();
            let mut host = Host { socket: &mut self.socket, cx, written: &mut self.written };
            let received = ready!(pending(self.session.receive(&mut host, ciphertext, scratch)))?;
            if !scratch.plaintext.is_empty() {
                let (fits, rest) = scratch.plaintext.split_at(scratch.plaintext.len().min(buffer.remaining()));
                buffer.put_slice(fits);
                self.waiting.extend_from_slice(rest);
                break;
            }
            if received.bytes == 0 {
                break;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_empty() {
            return self.poll_open(cx, buffer);
        }
        let rest = &self.waiting[self.given..];
        let fits = rest.len().min(buffer.remaining());
        buffer.put_slice(&rest[..fits]);
        self.given += fits;
        if self.given == self.waiting.len() {
            (self.waiting, self.given) = (Vec::new(), 0);
        }
        Poll::Ready(Ok(()))
    }

    /// On a short write the session keeps the ciphertext, and this is pending until it is written; the writer comes
    /// again with the same bytes first.
    fn poll_send(&mut self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let mut host = Host { socket: &mut self.socket, cx, written: &mut self.written };
        pending(self.session.send(&mut host, slices, &mut self.bench.tools().scratch))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut host = Host { socket: &mut self.socket, cx, written: &mut self.written };
        pending(self.session.flush(&mut host))
    }

    /// Says close_notify, then FIN; that alone in a session that has failed.
    fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut host = Host { socket: &mut self.socket, cx, written: &mut self.written };
        let finished = self.session.finish(&mut host, &mut self.bench.tools().scratch);
        // What fails here has no other side any more.
        let _: io::Result<()> = ready!(pending(finished));
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// The socket for one call of a session: that it would block is told to the task.
struct Host<'a, 'c> {
    socket: &'a mut TcpStream,
    cx: &'a mut Context<'c>,
    written: &'a mut u64,
}

impl Wire for Host<'_, '_> {
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut buffer = ReadBuf::new(buffer);
        match Pin::new(&mut *self.socket).poll_read(self.cx, &mut buffer) {
            Poll::Ready(result) => result.map(|()| buffer.filled().len()),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match Pin::new(&mut *self.socket).poll_write(self.cx, bytes) {
            Poll::Ready(result) => result.inspect(|&written| *self.written += written as u64),
            Poll::Pending => Err(ErrorKind::WouldBlock.into()),
        }
    }
}

/// What a session has done over a [`Host`]: if that would block, the task is woken when it does not.
fn pending<T>(result: io::Result<T>) -> Poll<io::Result<T>> {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Poll::Pending,
        result => Poll::Ready(result),
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Secure(secure) => secure.poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Secure(secure) => secure.poll_send(cx, &[IoSlice::new(bytes)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(cx, slices),
            Self::Secure(secure) => secure.poll_send(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Secure(_) => true,
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(cx),
            Self::Secure(secure) => secure.poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Secure(secure) => secure.poll_finish(cx),
        }
    }
}
