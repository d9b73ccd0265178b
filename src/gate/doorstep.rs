//! The short way of a connection whose opening handshake is there, whole and ordinary, when it is accepted: it is
//! read once, answered, and gathered for a reactor, without a task, without hyper, and before tokio knows of it.
//!
//! Called by the gate's keeper for each connection that it accepts. Whatever else comes, or does not come yet, goes
//! the long way ([`serve`](super::serve)) with what was read, and a test holds both ways to the same outcome. Memory:
//! the request and the response, until this returns.

use std::io::{Read, Write};

use super::entrance::Entrance;
use super::passed::Unserved;
use super::search::{Next, Search};
use super::serve::Presence;
use crate::reactor::Adoption;

/// Reads a connection once. It comes back, with what was read, if it is to go the long way.
pub(super) fn receive(entrance: &Entrance, connection: Unserved) -> Option<(Unserved, Vec<u8>)> {
    if entrance.reception.is_some() {
        return Some((connection, Vec::new()));
    }
    let mut buffer = entrance.buffer.borrow_mut();
    // An end, or an error, comes again to the next who reads.
    let read = (&connection.stream).read(&mut buffer[..]).unwrap_or(0);
    let bytes = &buffer[..read];
    match open(entrance, connection, bytes) {
        Some(connection) => Some((connection, bytes.to_vec())),
        None => None,
    }
}

/// Upgrades a connection, if these bytes ask for it as they should. Otherwise it comes back.
fn open(entrance: &Entrance, connection: Unserved, bytes: &[u8]) -> Option<Unserved> {
    let Some(opening) = entrance.screen.take_opening(bytes) else { return Some(connection) };
    let Next::WebSocket(candidate) = Search::default().next(&entrance.routes, &opening.parts, false) else {
        return Some(connection);
    };
    if candidate.endpoint.route.asks {
        return Some(connection);
    }
    let response = candidate.opening.response();
    match (&connection.stream).write(&response) {
        Ok(written) if written == response.len() => {}
        // The first bytes that are written to a connection find room. If they do not, the host is out of memory, or
        // the peer is gone: it ends here.
        _ => return None,
    }
    let Unserved { stream, peer, ticket } = connection;
    let presence = Presence::new(&entrance.desk, peer);
    entrance.tally.pass();
    let (route, agreement) = (candidate.endpoint.route.clone(), candidate.agreement);
    let early = bytes[opening.bytes..].to_vec();
    entrance.reactors.gather(Adoption { stream, session: None, route, agreement, early, peer, ticket, pass: None });
    drop(presence);
    None
}
