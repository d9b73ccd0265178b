//! Carries the content of a request from hyper to JavaScript, as far as that wants it.
//!
//! Polled by the connection's task beside hyper, for hyper takes from the wire only what is taken from
//! it. Memory: one frame of hyper's, of which a part may wait for being granted. What nobody wants is
//! thrown away up to a bound, so that the connection can carry another request.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::header::EXPECT;
use http::request::Parts;
use hyper::body::{Body, Incoming};

use super::conversation::Conversation;
use super::desk::Desk;
use crate::limits;

/// See the module.
pub(super) struct Pump {
    content: Incoming,
    /// Taken from hyper, and not granted yet.
    rest: Bytes,
    /// Bytes that came in all, and those of them that nobody wanted.
    bytes: u64,
    discarded: usize,
    /// Whether the peer is awaited.
    is_awaiting: bool,
    /// Whether the peer sends nothing before it is asked to, which it was not (RFC 9110 §10.1.1).
    is_expected: bool,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All of it has come.
    Complete,
    /// It broke off, or breaks the rules.
    Broken,
    /// It is too much to throw away.
    Unwanted,
}

impl Pump {
    /// `head`: the request's.
    pub(super) fn new(content: Incoming, head: &Parts) -> Self {
        let is_expected = !content.is_end_stream() && head.headers.contains_key(EXPECT);
        Self { content, rest: Bytes::new(), bytes: 0, discarded: 0, is_awaiting: false, is_expected }
    }

    /// Whether the peer may wait to be asked for content, and was not.
    pub(super) fn is_expected(&self) -> bool {
        self.is_expected
    }

    /// How many whole [windows](limits::CONTENT_WINDOW_BYTES) have come, while the peer is awaited.
    pub(super) fn awaited(&self) -> Option<u64> {
        self.is_awaiting.then_some(self.bytes / limits::CONTENT_WINDOW_BYTES)
    }

    /// Tells JavaScript what has come, or throws it away if there is nobody to tell. Pending, for want of
    /// content, of a grant, or of room.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, conversation: &Rc<Conversation>, desk: &Desk) -> Poll<End> {
        loop {
            self.is_awaiting = false;
            if conversation.is_over() {
                return self.poll_discard(cx);
            }
            let granted = ready!(conversation.poll_granted(cx));
            if desk.stops_reading() {
                desk.stall(conversation, cx);
                return Poll::Pending;
            }
            if self.rest.is_empty() && !self.content.is_end_stream() {
                match ready!(self.poll_frame(cx)) {
                    Some(Ok(bytes)) if bytes.is_empty() => continue,
                    Some(Ok(bytes)) => self.rest = bytes,
                    Some(Err(())) => return Poll::Ready(End::Broken),
                    None => {}
                }
            }
            let told = self.rest.split_to(granted.min(self.rest.len()));
            // Of chunked content the end comes by itself: there is none behind the last byte yet.
            let is_last = self.rest.is_empty() && (told.is_empty() || self.content.is_end_stream());
            conversation.spend(told.len());
            desk.tell_content(conversation, &told, is_last);
            if is_last {
                return Poll::Ready(End::Complete);
            }
        }
    }

    /// Takes all of it, without JavaScript, up to [`limits::DECLARED_CONTENT_BYTES`].
    pub(super) fn poll_collect(&mut self, cx: &mut Context<'_>, collected: &mut Vec<u8>) -> Poll<End> {
        while let Some(frame) = ready!(self.poll_frame(cx)) {
            let Ok(bytes) = frame else { return Poll::Ready(End::Broken) };
            if collected.len() + bytes.len() > limits::DECLARED_CONTENT_BYTES {
                return Poll::Ready(End::Unwanted);
            }
            collected.extend_from_slice(&bytes);
        }
        Poll::Ready(End::Complete)
    }

    fn poll_discard(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            self.discarded += std::mem::take(&mut self.rest).len();
            if self.discarded > limits::CONTENT_DISCARD_BYTES {
                return Poll::Ready(End::Unwanted);
            }
            match ready!(self.poll_frame(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                Some(Err(())) => return Poll::Ready(End::Broken),
                None => return Poll::Ready(End::Complete),
            }
        }
    }

    /// The next bytes; none for a trailer section, which nobody reads.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, ()>>> {
        self.is_awaiting = true;
        // hyper asks for it now, by a 100.
        self.is_expected = false;
        let frame = ready!(Pin::new(&mut self.content).poll_frame(cx));
        self.is_awaiting = false;
        Poll::Ready(frame.map(|frame| {
            let bytes = frame.map_err(drop)?.into_data().unwrap_or_default();
            self.bytes += bytes.len() as u64;
            Ok(bytes)
        }))
    }
}
