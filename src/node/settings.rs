//! The options of an App and of a route as they cross from JavaScript, which has validated them (`lib/options.js`).

use napi::bindgen_prelude::Either;
use napi_derive::napi;

use super::descriptors;
use super::fault::{self, Result};
use crate::bridge::RouteId;
use crate::gate::{AddressBounds, Bounds, Origin, Origins, Trusted};
use crate::limits;
use crate::reactor::{Compression, Route};

/// What the engine needs of an App's options.
#[napi(object)]
pub struct AppSettings {
    /// Reactor threads.
    pub threads: u8,
    /// Bytes.
    pub request_head_bytes: u32,
    /// Connections; without it as many as the process has descriptors for.
    pub max_connections: Option<u32>,
    /// Connections; 0 is any number.
    pub max_connections_per_address: u32,
    /// Connections a minute; 0 is any number.
    pub connections_per_minute_per_address: u32,
    /// Addresses, networks and `unix`.
    pub trust_proxy: Vec<String>,
    /// Bytes; 0: no bound.
    pub memory_budget: f64,
}

impl AppSettings {
    /// Most connections of the App.
    pub fn max_connections(&self) -> usize {
        self.max_connections.map_or_else(descriptors::connections, |given| given as usize)
    }

    /// Bytes of its buffers together; 0: no bound.
    pub fn budget_bytes(&self) -> usize {
        // As many as there are addresses, where it is more.
        self.memory_budget as usize
    }

    /// What its gate takes at most.
    pub fn bounds(&self) -> Result<Bounds> {
        let trusted = Trusted::parse(&self.trust_proxy).map_err(|bad| {
            let sentence = match bad {
                Some(bad) => format!(
                    "`trustProxy` must list addresses or networks, such as \"10.0.0.0/8\", or \"unix\": not {bad:?}"
                ),
                None => format!("`trustProxy` may list {} networks", limits::TRUSTED_NETWORKS),
            };
            fault::fault("TIDEWIRE_OUT_OF_RANGE", sentence)
        })?;
        let address = AddressBounds {
            connections: self.max_connections_per_address,
            per_minute: self.connections_per_minute_per_address,
        };
        let request_head_bytes = self.request_head_bytes as usize;
        Ok(Bounds { request_head_bytes, address, trusted, ..Bounds::default() })
    }
}

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
    /// One of the constants, or a compressor ORed with a decompressor.
    pub compression: u32,
    /// Whether there is an `upgrade` handler.
    pub asks: bool,
    /// Whether there is a `ping` handler.
    pub wants_ping: bool,
    /// Whether there is a `pong` handler.
    pub wants_pong: bool,
    /// Whether there is a `dropped` handler.
    pub wants_dropped: bool,
    /// Which sites' pages may connect: without it all, the server's own for `"same"`, or these.
    pub origins: Option<Either<String, Vec<String>>>,
}

impl RouteSettings {
    /// The rule of the origins.
    pub fn origins(&mut self) -> Result<Origins> {
        let listed = match self.origins.take() {
            None => return Ok(Origins::Any),
            Some(Either::A(same)) if same == "same" => return Ok(Origins::Same),
            Some(Either::A(single)) => vec![single],
            Some(Either::B(listed)) => listed,
        };
        let parse = |origin: String| {
            Origin::parse(&origin).ok_or_else(|| {
                let sentence = format!(
                    "`origins` must list origins as browsers send them, such as \"https://example.org\" or \
                     \"http://localhost:3000\", without a path: not {origin:?}"
                );
                fault::fault("TIDEWIRE_OUT_OF_RANGE", sentence)
            })
        };
        listed.into_iter().map(parse).collect::<Result<_>>().map(Origins::Listed)
    }

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
            // What is none of them was refused by `lib/options.js`.
            compression: Compression::from_constant(self.compression).unwrap_or(Compression::DISABLED),
            asks: self.asks,
            wants_ping: self.wants_ping,
            wants_pong: self.wants_pong,
            wants_dropped: self.wants_dropped,
        }
    }
}
