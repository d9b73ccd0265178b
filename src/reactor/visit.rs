//! A request that asks JavaScript, on its way from the gate to a reactor and back.
//!
//! A connection's life in a reactor begins with such a request: it has its place, and so its id,
//! before JavaScript hears of it, and commands for it can follow the answer at once. The gate keeps
//! the socket meanwhile; a [`Pass`] tells which place it belongs to.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use super::Route;
use crate::bridge::ConnectionId;
use crate::protocol::Agreement;

/// A request for whose answer the gate waits.
pub struct Visit {
    /// The route that it matched.
    pub route: Arc<Route>,
    /// What is agreed on with the client, if it is compression, and unless JavaScript declines it.
    pub agreement: Option<Agreement>,
    /// Its head, as the event carries it.
    pub head: Vec<u8>,
    /// The peer's address, where it has one.
    pub peer: Option<SocketAddr>,
    /// Filled in by the reactor.
    pub pass: Pass,
    /// Called with the answer on the reactor's thread; dropped if there will be none.
    pub answer: AnswerChannel,
}

/// Takes one answer. Never blocks.
pub type AnswerChannel = Box<dyn FnOnce(Answer) + Send>;

/// JavaScript's answer. The bytes are as [`command`](crate::bridge::command) describes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A response.
    Response(Vec<u8>),
    /// The connection becomes a WebSocket: its socket is awaited, with the pass.
    Upgrade {
        /// Subprotocol and header lines.
        lines: Vec<u8>,
        /// The visit's, unless JavaScript has declined it.
        agreement: Option<Agreement>,
    },
    /// The next route that matches shall answer.
    Yield,
    /// No response: the connection ends.
    Close,
}

/// Tells to which place of a reactor a socket at the gate belongs. A clone is the same pass.
#[derive(Clone, Debug, Default)]
pub struct Pass(Arc<OnceLock<ConnectionId>>);

impl Pass {
    /// The place, once the reactor has taken the visit.
    pub fn connection(&self) -> Option<ConnectionId> {
        self.0.get().copied()
    }

    /// The reactor has given the visit a place. Once.
    pub fn fill(&self, connection: ConnectionId) {
        // A second place would be the reactor's mistake; the first holds.
        let _ = self.0.set(connection);
    }
}
