//! The body of a response, as hyper takes it: whole, or piece by piece as JavaScript writes it.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

use super::ask::NoResponse;
use super::conversation::{Conversation, Piece};
use super::desk::Desk;

/// What the gate's service answers with.
pub(super) type Reply = Response<ReplyBody>;

/// See the module.
pub(super) enum ReplyBody {
    Whole(Full<Bytes>),
    Streamed(Stream),
}

/// What JavaScript writes, until it ends.
pub(super) struct Stream {
    conversation: Rc<Conversation>,
    desk: Rc<Desk>,
    /// Bytes that are still to come, where their number was said.
    left: Option<u64>,
}

impl ReplyBody {
    /// Nothing.
    pub(super) fn none() -> Self {
        Self::whole(Bytes::new())
    }

    pub(super) fn whole(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }

    /// What is written in a conversation: in chunks, or of a length.
    pub(super) fn streamed(conversation: Rc<Conversation>, desk: Rc<Desk>, length: Option<u64>) -> Self {
        Self::Streamed(Stream { conversation, desk, left: length })
    }
}

impl Stream {
    fn poll_frame(&mut self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, NoResponse>>> {
        let piece = ready!(self.conversation.poll_piece(cx));
        self.desk.tell_news(&self.conversation);
        Poll::Ready(match (piece, &mut self.left) {
            (Piece::Close, _) => Some(Err(NoResponse)),
            // Short of the length that was said: the peer can only learn it by the end of the connection.
            (Piece::End, Some(1..)) => Some(Err(NoResponse)),
            (Piece::End, _) => None,
            (Piece::Bytes(bytes), None) => Some(Ok(Frame::data(bytes))),
            (Piece::Bytes(mut bytes), Some(left)) => {
                // What goes beyond it would be taken for another response.
                bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= bytes.len() as u64;
                Some(Ok(Frame::data(bytes)))
            }
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // hyper has no use for more: the length is reached, or there is no content in this response.
        self.conversation.discard();
        self.desk.tell_news(&self.conversation);
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = NoResponse;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, NoResponse>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Streamed(stream) => stream.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(stream) => stream.left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(stream) => stream.left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
