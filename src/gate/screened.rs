//! The stream that hyper reads a connection from: it gives one head at a time, and only good ones.
//!
//! hyper forgives what must not be forgiven here, such as bare LF and two ways of framing, and answers
//! what it does not forgive without a sentence. So each head is looked at before hyper sees its first
//! byte. In the place of a bad one hyper gets a request of ours, the last of the connection, and with
//! it the service finds the refusal: what was asked before is answered before, and the answer has what
//! all have. Content is followed in its framing, and hyper sees an error where that is bad. Memory: what
//! was read and not given on, at most the longest head and one read.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use super::greeting::address_of;
use super::wire::Wire;
use crate::http::proxy::{self, Beginning};
use crate::http::{Content, HeadScreen, Refusal};

/// What hyper gets for a head that is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n";

/// Bytes of one read: a head has some hundreds, most often, and content comes to as much as hyper's buffer.
const READ_BYTES: usize = 16 * 1024;

/// For one read of any connection.
pub(super) type ReadBuffer = [u8; READ_BYTES];

/// A connection, screened.
pub(super) struct Screened<'e> {
    stream: TokioIo<Wire<'e>>,
    screen: HeadScreen,
    /// What was read, and not given to hyper.
    waiting: Vec<u8>,
    /// So many of those may be given.
    cleared: usize,
    after: After,
    findings: &'e Findings,
    /// What is read lies here until it is known how much it is; one for all connections.
    buffer: &'e RefCell<ReadBuffer>,
}

/// What hyper gets behind what is cleared.
enum After {
    /// The next head. At the very beginning that of a proxy may come before it.
    Head { is_first: bool },
    /// More of a request's content.
    Content(Content),
    /// Nothing: the request is our own.
    Nothing,
}

/// What the screen tells the service, and hears from it.
#[derive(Default)]
pub(super) struct Findings {
    /// Why a head was refused, for whose stand-in the service is called; or the content of a request.
    pub(super) refusal: Cell<Option<Refusal>>,
    /// Whom a proxy speaks for.
    pub(super) proxied: Cell<Option<SocketAddr>>,
    /// What the service tells the screen: it wants no other request.
    pub(super) is_last: Cell<bool>,
}

impl<'e> Screened<'e> {
    pub(super) fn new(
        stream: Wire<'e>,
        screen: HeadScreen,
        findings: &'e Findings,
        buffer: &'e RefCell<ReadBuffer>,
    ) -> Self {
        // In TLS no head of a proxy is looked for: it came before the handshake, and who is inside is no proxy.
        let after = After::Head { is_first: !stream.stream.borrow().is_secure() };
        Self { stream: TokioIo::new(stream), screen, waiting: Vec::new(), cleared: 0, after, findings, buffer }
    }

    /// Ready when there is something for hyper: `false` is the end of the stream.
    pub(super) fn poll_cleared(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.cleared == 0 {
            let wants_more = match &mut self.after {
                // Nothing wakes this, and nothing has to: hyper ends behind the answer, or the deadline ends it.
                After::Nothing => return Poll::Pending,
                After::Head { .. } if self.findings.is_last.get() => return Poll::Ready(Ok(false)),
                After::Head { is_first: true } => self.look_for_proxy()?,
                After::Head { .. } => self.look_for_head(),
                After::Content(_) if self.waiting.is_empty() => true,
                After::Content(content) => {
                    self.cleared = content.follow(&self.waiting).map_err(|refusal| broken(self.findings, refusal))?;
                    if content.is_over() {
                        self.after = After::Head { is_first: false };
                    }
                    false
                }
            };
            if wants_more && ready!(self.poll_read_more(cx))? == 0 {
                return Poll::Ready(Ok(false));
            }
        }
        Poll::Ready(Ok(true))
    }

    /// Takes the head of a proxy away, if there is one. Whether more has to come.
    fn look_for_proxy(&mut self) -> io::Result<bool> {
        match proxy::look(&self.waiting).map_err(|refusal| broken(self.findings, refusal))? {
            Beginning::Unknown => return Ok(true),
            Beginning::Request => {}
            Beginning::Proxied { bytes, client } => {
                self.waiting.drain(..bytes);
                self.findings.proxied.set(client.map(address_of));
            }
        }
        self.after = After::Head { is_first: false };
        Ok(false)
    }

    /// Whether more has to come.
    fn look_for_head(&mut self) -> bool {
        match self.screen.look(&self.waiting) {
            Ok(None) => return true,
            Ok(Some(head)) => {
                self.cleared = head.bytes;
                self.after = match Content::behind(head.framing) {
                    Some(content) => After::Content(content),
                    None => After::Head { is_first: false },
                };
            }
            Err(refusal) => {
                self.findings.refusal.set(Some(refusal));
                self.waiting = STAND_IN.to_vec();
                self.cleared = STAND_IN.len();
                self.after = After::Nothing;
            }
        }
        false
    }

    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = self.buffer.borrow_mut();
        let mut buffer = ReadBuf::new(&mut bytes[..]);
        ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buffer))?;
        self.waiting.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// What was read behind the last head.
    pub(super) fn into_waiting(self) -> Vec<u8> {
        self.waiting
    }
}

/// The end of a connection whose bytes make no sense any more; the service finds why.
fn broken(findings: &Findings, refusal: Refusal) -> io::Error {
    let says = refusal.says;
    findings.refusal.set(Some(refusal));
    io::Error::new(io::ErrorKind::InvalidData, says)
}

impl Read for Screened<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if ready!(self.poll_cleared(cx))? {
            let given = self.cleared.min(buffer.remaining());
            buffer.put_slice(&self.waiting[..given]);
            self.cleared -= given;
            match given == self.waiting.len() {
                true => self.waiting = Vec::new(),
                false => drop(self.waiting.drain(..given)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Screened<'_> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }
}
