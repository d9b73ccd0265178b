//! The stream that hyper reads a connection from: it gives one head at a time, and only good ones.
//!
//! hyper forgives what must not be forgiven here, such as bare LF and two ways of framing, and answers
//! what it does not forgive without a sentence. So each head is looked at before hyper sees its first
//! byte. In the place of a bad one hyper gets a request of ours, the last of the connection, and with
//! it the service finds the refusal: what was asked before is answered before, and the answer has what
//! all have. In the place of one without anything unusual it gets a short one, and the service finds the
//! text for JavaScript: most fields mean nothing to hyper, which would make a map of them. Content is followed
//! in its framing, and hyper sees an error where that is bad. Memory: what was read and not given on, at most
//! the longest head and one read.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, ReadBuf};

use super::Routes;
use super::desk::Desk;
use super::doorstep::Welcome;
use super::entrance::Entrance;
use super::greeting::{address_of, proxied_note};
use super::wire::Wire;
use crate::http::proxy::{self, Beginning};
use crate::http::{Content, Head, HeadScreen, HeadText, Plain, Refusal};

/// What hyper gets for a head that is refused.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\nHost:\r\nConnection: close\r\n\r\n";

/// Bytes of one read: a head has some hundreds, most often, and content comes to as much as hyper's buffer.
const READ_BYTES: usize = 16 * 1024;

/// What is written is gathered up to so many bytes.
const GATHERED_BYTES: usize = 2 * 1024;

/// For one read of any connection, or one short write.
pub(super) type ReadBuffer = [u8; READ_BYTES];

/// A connection, screened.
pub(super) struct Screened<'e> {
    stream: TokioIo<Wire<'e>>,
    screen: HeadScreen,
    /// While nothing was read: by what an opening handshake is judged that comes first.
    doorstep: Option<(&'e Entrance, &'e Routes)>,
    /// What hyper gets in the place of a head.
    instead: Vec<u8>,
    /// What was read, and not given to hyper.
    waiting: Vec<u8>,
    /// So many of those may be given, or of what it gets instead.
    cleared: usize,
    after: After,
    findings: &'e Findings,
    /// What is read lies here until it is known how much it is; one for all connections.
    buffer: &'e RefCell<ReadBuffer>,
    counted: Counted,
}

/// How much of what waits is counted, and where.
struct Counted {
    desk: Rc<Desk>,
    bytes: usize,
}

impl Counted {
    fn set(&mut self, bytes: usize) {
        self.desk.stock(std::mem::replace(&mut self.bytes, bytes), bytes);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.set(0);
    }
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

impl After {
    const NEXT_HEAD: Self = Self::Head { is_first: false };

    /// What comes behind a head.
    fn head(head: Head) -> Self {
        Content::behind(head.framing).map_or(Self::NEXT_HEAD, Self::Content)
    }
}

/// What the screen tells the service, and hears from it.
#[derive(Default)]
pub(super) struct Findings {
    /// Why a head was refused, for whose stand-in the service is called; or the content of a request.
    pub(super) refusal: Cell<Option<Refusal>>,
    /// The text of the head for whose short form the service is called. Its `Host` was judged.
    pub(super) text: Cell<Option<HeadText>>,
    /// Lines for the text of each head: whom a proxy speaks for, and the client's certificate.
    notes: OnceCell<String>,
    /// Set if the first bytes are an opening handshake that is to be answered without hyper: for that, it is the end
    /// of the stream then.
    pub(super) welcome: Cell<Option<Welcome>>,
    /// Whether each head is looked at for whom the connection counts, so that none may be answered before.
    is_counted: bool,
    /// Whom a proxy speaks for, where it has said so in this connection.
    pub(super) proxied: Cell<Option<SocketAddr>>,
    /// What the service tells the screen: it wants no other request.
    pub(super) is_last: Cell<bool>,
}

impl Findings {
    /// With notes that are known from the handshake on; empty: there are none yet. `is_counted`: heads say for whom
    /// the connection counts.
    pub(super) fn new(notes: &str, is_counted: bool) -> Self {
        let findings = Self { is_counted, ..Self::default() };
        if !notes.is_empty() {
            findings.notes.get_or_init(|| notes.to_owned());
        }
        findings
    }

    /// What the gate notes in the text of each head.
    pub(super) fn notes(&self) -> &str {
        self.notes.get().map_or("", String::as_str)
    }
}

impl<'e> Screened<'e> {
    /// `first` was read already.
    pub(super) fn new(
        stream: Wire<'e>,
        entrance: &'e Entrance,
        routes: &'e Routes,
        findings: &'e Findings,
        first: Vec<u8>,
    ) -> Self {
        // In TLS no head of a proxy is looked for: it came before the handshake, and who is inside is no proxy.
        let after = After::Head { is_first: !stream.stream.borrow().is_secure() };
        let doorstep = (first.is_empty() && !findings.is_counted).then_some((entrance, routes));
        let (stream, screen, instead) = (TokioIo::new(stream), entrance.screen.clone(), Vec::new());
        Self {
            stream,
            screen,
            doorstep,
            instead,
            waiting: first,
            cleared: 0,
            after,
            findings,
            buffer: &entrance.buffer,
            counted: Counted { desk: entrance.desk().clone(), bytes: 0 },
        }
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
                        self.after = After::NEXT_HEAD;
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
                if let Some(client) = client {
                    let client = address_of(client);
                    self.findings.proxied.set(Some(client));
                    // There is one such head, so it is set once.
                    self.findings.notes.get_or_init(|| proxied_note(client));
                }
            }
        }
        self.after = After::NEXT_HEAD;
        Ok(false)
    }

    /// Whether more has to come.
    fn look_for_head(&mut self) -> bool {
        if let Some(plain) = self.screen.take(&self.waiting, self.findings.notes()) {
            match plain.head.bytes == self.waiting.len() {
                true => self.waiting = Vec::new(),
                false => drop(self.waiting.drain(..plain.head.bytes)),
            }
            self.shorten(plain);
            return false;
        }
        match self.screen.look(&self.waiting) {
            Ok(None) => return true,
            Ok(Some(head)) => {
                self.cleared = head.bytes;
                self.after = After::head(head);
            }
            Err(refusal) => {
                self.findings.refusal.set(Some(refusal));
                self.waiting = Vec::new();
                self.instead = STAND_IN.to_vec();
                self.cleared = STAND_IN.len();
                self.after = After::Nothing;
            }
        }
        false
    }

    /// hyper gets the short form of a head.
    fn shorten(&mut self, plain: Plain) {
        self.cleared = plain.short.len();
        self.instead = plain.short;
        self.after = After::head(plain.head);
        self.findings.text.set(Some(plain.text));
    }

    fn poll_read_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let shared = self.buffer;
        let mut bytes = shared.borrow_mut();
        let mut buffer = ReadBuf::new(&mut bytes[..]);
        ready!(Pin::new(self.stream.inner_mut()).poll_read(cx, &mut buffer))?;
        let mut read = buffer.filled();
        if let Some((entrance, routes)) = self.doorstep.take()
            && let Some(welcome) = Welcome::to(read, entrance, routes)
        {
            self.findings.welcome.set(Some(welcome));
            return Poll::Ready(Ok(0));
        }
        // Mostly it is one head, and need not wait anywhere.
        if self.waiting.is_empty()
            && let After::Head { is_first: false } = self.after
            && let Some(plain) = self.screen.take(read, self.findings.notes())
        {
            read = &read[plain.head.bytes..];
            self.shorten(plain);
        }
        self.waiting.extend_from_slice(read);
        self.counted.set(self.waiting.capacity());
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
            self.cleared -= given;
            let from = if self.instead.is_empty() { &mut self.waiting } else { &mut self.instead };
            buffer.put_slice(&from[..given]);
            match given == from.len() {
                true => *from = Vec::new(),
                false => drop(from.drain(..given)),
            }
            let waiting = self.waiting.capacity();
            self.counted.set(waiting);
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
        let bytes = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if bytes > GATHERED_BYTES {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        }
        // To copy a head and a short content costs less than to tell the kernel of both.
        let shared = self.buffer;
        let mut gathered = shared.borrow_mut();
        let mut end = 0;
        for slice in slices {
            gathered[end..end + slice.len()].copy_from_slice(slice);
            end += slice.len();
        }
        Pin::new(&mut self.stream).poll_write(cx, &gathered[..end])
    }
}
