//! The routes whose connections a reactor has, with what is computed from their options once.

use std::sync::Arc;

use super::Route;
use super::clock::IdleTicks;
use crate::bridge::RouteId;
use crate::protocol::Rules;

/// A route and what follows from its options.
pub struct Served {
    /// The options.
    pub route: Arc<Route>,
    /// What the decoder needs of them.
    pub rules: Rules,
    /// What the idle clock needs of them.
    pub idle: IdleTicks,
}

/// Served routes by id.
#[derive(Default)]
pub struct ServedRoutes {
    routes: Vec<Option<Served>>,
}

impl ServedRoutes {
    /// Adds a route unless it is there.
    pub fn serve(&mut self, route: &Arc<Route>) {
        let place = usize::from(route.id.0);
        if place >= self.routes.len() {
            self.routes.resize_with(place + 1, || None);
        }
        self.routes[place].get_or_insert_with(|| Served {
            rules: Rules { max_payload_bytes: route.max_payload_bytes, max_fragments: route.max_fragments },
            idle: IdleTicks::of(route),
            route: route.clone(),
        });
    }

    /// The route of a connection, which was served when the connection was adopted.
    pub fn of(&self, id: RouteId) -> &Served {
        self.routes[usize::from(id.0)].as_ref().expect("a connection's route is served before it is placed")
    }
}
