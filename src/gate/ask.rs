//! Asking JavaScript for the answer to a request, and carrying the answer out.
//!
//! A reactor passes the question on and gives the connection its place at once ([`Visit`]); the
//! request waits here, as long as JavaScript takes and the peer stays. Memory: the head, at most
//! `limits::REQUEST_HEAD_BYTES`, copied once, and one boxed future, until the answer.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;

use super::wire::Watch;
use crate::protocol::Agreement;
use crate::reactor::{Adopter, Answer, Pass, Route, Visit};

/// The service's error: the connection ends without a response. The peer is gone, or JavaScript wants it so.
#[derive(Debug)]
pub(super) struct NoResponse;

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends without a response")
    }
}

impl std::error::Error for NoResponse {}

/// A place that a reactor keeps for a connection which the gate still has. Dropped before
/// [`Reserved::take`], it tells the reactor that none will come.
pub(super) struct Reserved {
    adopter: Arc<dyn Adopter>,
    pass: Option<Pass>,
}

impl Reserved {
    /// The reactor, and the pass to be shown there with the socket.
    pub(super) fn take(mut self) -> (Arc<dyn Adopter>, Option<Pass>) {
        (self.adopter.clone(), self.pass.take())
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.adopter.leave(pass);
        }
    }
}

/// A question that a reactor has.
pub(super) struct Question {
    reserved: Reserved,
    answer: oneshot::Receiver<Answer>,
}

impl Question {
    /// Leaves a request with a reactor.
    pub(super) fn put(
        adopter: Arc<dyn Adopter>,
        route: Arc<Route>,
        agreement: Option<Agreement>,
        head: Vec<u8>,
        peer: Option<SocketAddr>,
    ) -> Self {
        let (channel, answer) = oneshot::channel();
        let pass = Pass::default();
        let reserved = Reserved { adopter, pass: Some(pass.clone()) };
        // Nobody waits for the answer any more if the peer is gone.
        let channel = Box::new(move |answer| drop(channel.send(answer)));
        reserved.adopter.visit(Visit { route, agreement, head, peer, pass, answer: channel });
        Self { reserved, answer }
    }

    /// Waits for the answer. `None`: the peer is gone, or there will be no answer. The place is kept
    /// behind an upgrade only.
    pub(super) async fn answer(mut self, mut watch: Watch<'_>) -> Option<(Answer, Reserved)> {
        let answer = poll_fn(|cx| {
            if let Poll::Ready(answer) = Pin::new(&mut self.answer).poll(cx) {
                return Poll::Ready(answer.ok());
            }
            watch.poll_gone(cx).map(|()| None)
        })
        .await?;
        if !matches!(answer, Answer::Upgrade { .. }) {
            // The reactor keeps no place behind such an answer.
            self.reserved.pass = None;
        }
        Some((answer, self.reserved))
    }
}
