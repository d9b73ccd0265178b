//! The routes of one App: written by the JavaScript thread, read by the gate's.
//!
//! A tree of patterns for each method, and one for any. The lock is held for one look-up or one change,
//! and nothing else is taken or called under it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use http::Method;

use crate::bridge::RouteId;
use crate::http::{Declared, InvalidPattern, Origins, Router};
use crate::reactor::Route;

/// What the gate knows of a WebSocket's route.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What a reactor is told of it.
    pub route: Arc<Route>,
    /// Which sites' pages may open a WebSocket.
    pub origins: Origins,
}

/// What stands at a pattern: a request that wants no WebSocket goes on to the handler.
#[derive(Clone, Debug, Default)]
struct Leaf {
    websocket: Option<Arc<Endpoint>>,
    handler: Option<Handler>,
}

/// What answers the requests of a method at a pattern.
#[derive(Clone, Debug)]
pub enum Handler {
    /// JavaScript.
    Asked(RouteId),
    /// What was declared once.
    Declared(Arc<Declared>),
}

/// What a request may come to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A WebSocket's route.
    WebSocket(Arc<Endpoint>),
    /// A handler of HTTP.
    Http(Handler),
}

/// The shared table; a clone is the same table.
#[derive(Clone, Default)]
pub struct Routes(Arc<RwLock<Trees>>);

#[derive(Default)]
struct Trees {
    methods: HashMap<Method, Router<Leaf>>,
    any: Router<Leaf>,
    /// How many leaves they have.
    leaves: usize,
}

impl Routes {
    /// A table without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).leaves == 0
    }

    /// Sets the WebSocket's route of a pattern, or takes it out. Live connections keep theirs.
    ///
    /// # Errors
    ///
    /// When the pattern is none; the table is as before.
    pub fn set_websocket(&self, pattern: &str, endpoint: Option<Arc<Endpoint>>) -> Result<(), InvalidPattern> {
        // An opening handshake is a GET (RFC 6455 §4.1).
        self.change(Some(Method::GET), pattern, |leaf| leaf.websocket = endpoint)
    }

    /// Sets the handler of a method and a pattern, or takes it out. The method is as requests name it, or
    /// `ANY`.
    ///
    /// # Errors
    ///
    /// When the pattern is none; the table is as before.
    pub fn set_handler(&self, method: &str, pattern: &str, handler: Option<Handler>) -> Result<(), InvalidPattern> {
        // `lib/` names methods that there are.
        let method = (method != "ANY").then(|| method.parse().unwrap_or_default());
        self.change(method, pattern, |leaf| leaf.handler = handler)
    }

    /// The most specific target of a path, or, behind so many that it `skips`, the next. Those of the method
    /// come first, whatever their pattern. The path has no query.
    pub fn lookup(&self, method: &Method, path: &str, skips: usize) -> Option<Target> {
        let trees = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let of_method = trees.methods.get(method).into_iter();
        of_method
            .chain([&trees.any])
            .flat_map(|tree| tree.lookup(path))
            .flat_map(|found| found.value.targets())
            .nth(skips)
    }

    fn change(
        &self,
        method: Option<Method>,
        pattern: &str,
        change: impl FnOnce(&mut Leaf),
    ) -> Result<(), InvalidPattern> {
        let trees = &mut *self.0.write().unwrap_or_else(PoisonError::into_inner);
        let tree = match method {
            Some(method) => trees.methods.entry(method).or_default(),
            None => &mut trees.any,
        };
        let known = tree.remove(pattern)?;
        trees.leaves -= usize::from(known.is_some());
        let mut leaf = known.unwrap_or_default();
        change(&mut leaf);
        if leaf.websocket.is_some() || leaf.handler.is_some() {
            tree.insert(pattern, leaf)?;
            trees.leaves += 1;
        }
        Ok(())
    }
}

impl Leaf {
    fn targets(&self) -> impl Iterator<Item = Target> {
        let websocket = self.websocket.clone().map(Target::WebSocket);
        websocket.into_iter().chain(self.handler.clone().map(Target::Http))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::test_route;

    fn endpoint(id: u16) -> Option<Arc<Endpoint>> {
        let route = Route { id: RouteId(id), ..test_route() };
        Some(Arc::new(Endpoint { route: Arc::new(route), origins: Origins::Any }))
    }

    fn found(routes: &Routes, method: Method, path: &str) -> Vec<String> {
        let all = (0..10).map_while(|skips| routes.lookup(&method, path, skips));
        all.map(|target| match target {
            Target::WebSocket(endpoint) => format!("ws {}", endpoint.route.id.0),
            Target::Http(Handler::Asked(id)) => id.0.to_string(),
            Target::Http(Handler::Declared(_)) => "declared".into(),
        })
        .collect()
    }

    #[test]
    fn the_method_goes_before_any_and_the_websocket_before_the_handler() {
        let routes = Routes::new();
        routes.set_handler("ANY", "/r/static", Some(Handler::Asked(RouteId(1)))).unwrap();
        routes.set_handler("GET", "/r/*", Some(Handler::Asked(RouteId(2)))).unwrap();
        routes.set_websocket("/r/*", endpoint(3)).unwrap();
        routes.set_handler("GET", "/:p/static", Some(Handler::Asked(RouteId(4)))).unwrap();
        routes.set_handler("ANY", "/*", Some(Handler::Asked(RouteId(5)))).unwrap();
        assert_eq!(found(&routes, Method::GET, "/r/static"), ["ws 3", "2", "4", "1", "5"]);
        assert_eq!(found(&routes, Method::POST, "/r/static"), ["1", "5"]);
        routes.set_websocket("/r/*", None).unwrap();
        routes.set_handler("ANY", "/*", None).unwrap();
        assert_eq!(found(&routes, Method::GET, "/r/static"), ["2", "4", "1"]);
        routes.set_handler("GET", "/r/*", Some(Handler::Asked(RouteId(6)))).unwrap();
        assert_eq!(found(&routes, Method::GET, "/r/x"), ["6"]);
        routes.set_handler("GET", "/r/*", None).unwrap();
        assert_eq!(found(&routes, Method::GET, "/r/x"), [""; 0]);
        assert!(routes.set_handler("ANY", "no slash", None).is_err());
        assert!(!routes.is_empty());
        routes.set_handler("ANY", "/r/static", None).unwrap();
        routes.set_handler("GET", "/:p/static", None).unwrap();
        assert!(routes.is_empty());
    }
}
