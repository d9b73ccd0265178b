//! The WebSocket routes of one App: written by the JavaScript thread, read by the gate's.
//!
//! The lock is held for one look-up or one change, and nothing else is taken or called under it.

use std::sync::{Arc, PoisonError, RwLock};

use crate::http::{InvalidPattern, Router};
use crate::reactor::Route;

/// The shared table; a clone is the same table.
#[derive(Clone, Default)]
pub struct Routes(Arc<RwLock<Router<Arc<Route>>>>);

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
    pub fn insert(&self, pattern: &str, route: Arc<Route>) -> Result<Option<Arc<Route>>, InvalidPattern> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(pattern, route)
    }

    /// Takes the route of a pattern out and returns it.
    ///
    /// # Errors
    ///
    /// When the pattern is none.
    pub fn remove(&self, pattern: &str) -> Result<Option<Arc<Route>>, InvalidPattern> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).remove(pattern)
    }

    /// The most specific route of a path. The path has no query.
    pub fn lookup(&self, path: &str) -> Option<Arc<Route>> {
        let router = self.0.read().unwrap_or_else(PoisonError::into_inner);
        router.lookup(path).next().map(|matched| matched.value.clone())
    }
}
