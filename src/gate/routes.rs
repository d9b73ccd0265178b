//! The WebSocket routes of one App: written by the JavaScript thread, read by the gate's.
//!
//! The lock is held for one look-up or one change, and nothing else is taken or called under it.

use std::sync::{Arc, PoisonError, RwLock};

use crate::http::{InvalidPattern, Origins, Router};
use crate::reactor::Route;

/// What the gate knows of a route.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// What a reactor is told of it.
    pub route: Arc<Route>,
    /// Which sites' pages may open a WebSocket.
    pub origins: Origins,
}

/// The shared table; a clone is the same table.
#[derive(Clone, Default)]
pub struct Routes(Arc<RwLock<Router<Arc<Endpoint>>>>);

impl Routes {
    /// A table without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the route of a pattern and returns the one it replaces. Live connections keep theirs.
    ///
    /// # Errors
    ///
    /// When the pattern is none; the table is as before.
    pub fn insert(&self, pattern: &str, endpoint: Arc<Endpoint>) -> Result<Option<Arc<Endpoint>>, InvalidPattern> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(pattern, endpoint)
    }

    /// Takes the route of a pattern out and returns it.
    ///
    /// # Errors
    ///
    /// When the pattern is none.
    pub fn remove(&self, pattern: &str) -> Result<Option<Arc<Endpoint>>, InvalidPattern> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(pattern)
    }

    /// The most specific route of a path, or, behind so many that it `skips`, the next. The path has no
    /// query.
    pub fn lookup(&self, path: &str, skips: usize) -> Option<Arc<Endpoint>> {
        let router = self.0.read().unwrap_or_else(PoisonError::into_inner);
        router.lookup(path).nth(skips).map(|matched| matched.value.clone())
    }
}
