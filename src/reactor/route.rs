//! What a WebSocket route asks of its connections: the options of `App.ws()` that the engine acts on.

use crate::bridge::RouteId;
use crate::protocol::Compression;

/// The settings of one route, shared by all of its connections.
#[derive(Clone, Debug)]
pub struct Route {
    /// Tells JavaScript whose handlers to call.
    pub id: RouteId,
    /// Longest message, over all of its fragments.
    pub max_payload_bytes: usize,
    /// Most fragments of one message, empty ones counted.
    pub max_fragments: u32,
    /// A connection from which nothing came for so long is closed; 0 is off.
    pub idle_timeout_seconds: u32,
    /// Whether a ping is sent when an idle connection nears its timeout.
    pub send_pings_automatically: bool,
    /// A connection as old as this is closed with 1000, give or take 10 %; 0 is off.
    pub max_lifetime_minutes: u32,
    /// A message is dropped when more than this is already waiting; 0 is unlimited.
    pub max_backpressure_bytes: usize,
    /// Whether a dropped message closes the connection.
    pub close_on_backpressure_limit: bool,
    /// What is agreed on with clients that offer permessage-deflate.
    pub compression: Compression,
    /// Whether JavaScript answers the opening handshake: it has an `upgrade` handler.
    pub asks: bool,
    /// Whether JavaScript has a `ping` handler.
    pub wants_ping: bool,
    /// Whether JavaScript has a `pong` handler.
    pub wants_pong: bool,
    /// Whether JavaScript has a `dropped` handler.
    pub wants_dropped: bool,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The options of a route that sets none.
    pub(crate) fn route() -> Route {
        Route {
            id: RouteId(0),
            max_payload_bytes: 16 * 1024,
            max_fragments: 131_072,
            idle_timeout_seconds: 120,
            send_pings_automatically: true,
            max_lifetime_minutes: 0,
            max_backpressure_bytes: 64 * 1024,
            close_on_backpressure_limit: false,
            compression: Compression::DISABLED,
            asks: false,
            wants_ping: false,
            wants_pong: false,
            wants_dropped: false,
        }
    }
}
