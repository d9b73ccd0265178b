//! The hand-over of a connection from the gate to a reactor.

use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use super::{Pass, Route, Visit};
use crate::bridge::{Budget, Ticket};
use crate::error::Panic;
use crate::protocol::Agreement;
use crate::tls::Session;

/// A connection whose opening handshake is done: the 101 response is written, what follows is frames.
pub struct Adoption {
    /// Non-blocking, with `TCP_NODELAY` set.
    pub stream: TcpStream,
    /// What speaks TLS over it, its handshake done. `None`: the connection is plain.
    pub session: Option<Box<Session>>,
    /// The route that its request matched.
    pub route: Arc<Route>,
    /// What was agreed on with the client, if it is compression.
    pub agreement: Option<Agreement>,
    /// Bytes that came behind the request's head in the same read; of a secure connection, their plaintext. What
    /// it has of a record that is cut is in the session.
    pub early: Vec<u8>,
    /// The peer's address, where it has one.
    pub peer: Option<SocketAddr>,
    /// Counts the connection in.
    pub ticket: Ticket,
    /// Its place, if it has one from its request on.
    pub pass: Option<Pass>,
}

/// What a connection is spoken over, as a reactor takes it.
pub struct Transport<S> {
    /// Its socket.
    pub socket: S,
    /// See [`Adoption::session`].
    pub session: Option<Box<Session>>,
    /// See [`Adoption::early`].
    pub early: Vec<u8>,
}

/// Takes connections over. A reactor's handle is one; the gate sees no more of it.
pub trait Adopter: Send + Sync {
    /// Hands connections over, all that there are with one wake-up; never blocks. May be called on any thread.
    fn adopt(&self, adoptions: &mut dyn Iterator<Item = Adoption>);

    /// Whether so much waits for JavaScript that there is no room for more openings and closings. Any thread.
    fn is_full(&self) -> bool;

    /// The memory budget of the App.
    fn budget(&self) -> Arc<Budget> {
        Budget::new(0)
    }

    /// Asks JavaScript for the answer to a request; never blocks. What follows with the visit's pass
    /// comes behind it. Any thread.
    fn visit(&self, visit: Visit);

    /// The connection of a visit is gone: no socket will follow. Any thread, never blocks.
    fn leave(&self, pass: Pass);

    /// Tells JavaScript of a panic. Any thread, never blocks.
    fn report(&self, failure: Failure);
}

/// A panic at the gate, which has no lane that JavaScript always listens to.
#[derive(Debug)]
pub struct Failure {
    /// One of the numbers of [`failed`](crate::bridge::event::failed).
    pub kind: u8,
    /// What it said.
    pub panic: Panic,
}

/// What the gate leaves for a reactor, in order.
pub enum Arrival {
    /// An established connection.
    Adoption(Adoption),
    /// A request.
    Visit(Visit),
    /// The connection of a visit is gone.
    Departure(Pass),
    /// Something is to be told.
    Failure(Failure),
}
