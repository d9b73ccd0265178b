//! The stream that hyper reads a connection from: it gives one head at a time, and only good ones.
//!
//! hyper forgives what must not be forgiven here, such as bare LF and two ways of framing, and answers
//! what it does not forgive without a sentence. So each head is looked at before hyper sees its first
//! byte. In the place of a bad one hyper gets a request of ours, the last of the connection, and with
//! it the service finds the refusal: what was asked before is answered before, and the answer has what
//! all have. Memory: what was read and not given on, at most the longest head and one read.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use super::wire::Wire;
use crate::http::{Content, HeadScreen, Refusal};

/// What hyper gets for a head that is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n";

/// Bytes of one read: a head has some hundreds, most often.
const READ_BYTES: usize = 4 * 1024;

/// A connection, screened.
pub(super) struct Screened<'e> {
    stream: TokioIo<Wire<'e>>,
    screen: HeadScreen,
    /// What was read, and not given to hyper.
    waiting: Vec<u8>,
    /// So many of those may be given.
    cleared: usize,
    after: After,
    /// Where the service finds why it was called with our request.
    refusal: &'e Cell<Option<Refusal>>,
}

/// What hyper gets behind what is cleared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// The next head.
    Head,
    /// Nothing: the request has content, which nobody takes, or is our own.
    Nothing,
}

impl<'e> Screened<'e> {
    pub(super) fn new(stream: Wire<'e>, screen: HeadScreen, refusal: &'e Cell<Option<Refusal>>) -> Self {
        Self { stream: TokioIo::new(stream), screen, waiting: Vec::new(), cleared: 0, after: After::Head, refusal }
    }

    /// Ready when there is something for hyper: `false` is the end of the stream.
    pub(super) fn poll_cleared(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while self.cleared == 0 {
            if self.after == After::Nothing {
                // Nothing wakes this, and nothing has to: hyper ends behind the answer, or the deadline ends it.
                return Poll::Pending;
            }
            match self.screen.look(&self.waiting) {
                Ok(Some(head)) => {
                    self.cleared = head.bytes;
                    self.after = match head.content {
                        Content::None => After::Head,
                        Content::Follows => After::Nothing,
                    };
                }
                Ok(None) => match ready!(self.poll_read_more(cx))? {
                    0 => return Poll::Ready(Ok(false)),
                    _ => continue,
                },
                Err(refusal) => {
                    self.refusal.set(Some(refusal));
                    self.waiting = STAND_IN.to_vec();
                    self.cleared = STAND_IN.len();
                    self.after = After::Nothing;
                }
            }
        }
        Poll::Ready(Ok(true))
    }

    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut bytes = [0; READ_BYTES];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buffer))?;
        self.waiting.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// What was read behind the last head.
    pub(super) fn into_waiting(self) -> Vec<u8> {
        self.waiting
    }
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
