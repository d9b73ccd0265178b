//! The options of a route as they cross from JavaScript, which has validated them (`lib/options.js`).

use napi_derive::napi;

use crate::bridge::RouteId;
use crate::reactor::Route;

/// What the engine needs of a route's options.
#[napi(object)]
pub struct RouteSettings {
    /// Bytes.
    pub max_payload_length: u32,
    /// Fragments.
    pub max_fragments: u32,
    /// Seconds.
    pub idle_timeout: u32,
    /// Whether.
    pub send_pings_automatically: bool,
    /// Minutes.
    pub max_lifetime: u32,
    /// Bytes.
    pub max_backpressure: u32,
    /// Whether.
    pub close_on_backpressure_limit: bool,
    /// Whether there is a `ping` handler.
    pub wants_ping: bool,
    /// Whether there is a `pong` handler.
    pub wants_pong: bool,
    /// Whether there is a `dropped` handler.
    pub wants_dropped: bool,
}

impl RouteSettings {
    /// The route with this id.
    pub fn into_route(self, id: RouteId) -> Route {
        Route {
            id,
            max_payload_bytes: self.max_payload_length as usize,
            max_fragments: self.max_fragments,
            idle_timeout_seconds: self.idle_timeout,
            send_pings_automatically: self.send_pings_automatically,
            max_lifetime_minutes: self.max_lifetime,
            max_backpressure_bytes: self.max_backpressure as usize,
            close_on_backpressure_limit: self.close_on_backpressure_limit,
            wants_ping: self.wants_ping,
            wants_pong: self.wants_pong,
            wants_dropped: self.wants_dropped,
        }
    }
}
