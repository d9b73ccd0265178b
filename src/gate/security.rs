//! What a secure App shakes hands by: its identities, and the routes of its domains.
//!
//! Changed on the JavaScript thread, read on the gate's: behind mutexes that are held for one look or one change.
//! A change is for the connections that come behind it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Routes;
use crate::tls::{Found, Identity, Names, normal_name};

/// See the module. A clone is the same.
#[derive(Clone)]
pub struct Security {
    names: Names,
    /// By name, as [`Names`] compares them: the routes of those that have some of their own.
    domains: Arc<Mutex<BTreeMap<Box<str>, Routes>>>,
    asks: Arc<AtomicBool>,
}

impl Security {
    /// With nothing but a default.
    pub fn new(default: Identity) -> Self {
        Self { names: Names::new(default), domains: Arc::default(), asks: Arc::default() }
    }

    /// Sets the identity of a server name, or the default.
    pub fn set(&self, server_name: Option<&str>, identity: Identity) {
        match server_name {
            Some(name) => self.names.add(name, identity),
            None => self.names.set_default(identity),
        }
    }

    /// Whether a name was added, as it stands here.
    pub fn has(&self, server_name: &str) -> bool {
        self.names.has(server_name)
    }

    /// Takes a name out, and its routes. `false`: it is not there.
    pub fn remove(&self, server_name: &str) -> bool {
        self.domains().remove(normal_name(server_name).as_str());
        self.names.remove(server_name)
    }

    /// Whether JavaScript is asked for names that are not there.
    pub fn ask(&self, on: bool) {
        // ORDERING: a switch; nothing is published with it.
        self.asks.store(on, Ordering::Relaxed);
    }

    /// The routes of a name's own. While there are none in it, it has those of the App.
    pub fn routes(&self, server_name: &str) -> Routes {
        self.domains().entry(normal_name(server_name).into()).or_default().clone()
    }

    /// The identity for a server name. `None`: there is none.
    pub(super) fn find(&self, server_name: &str) -> Option<Found> {
        self.names.find(server_name)
    }

    /// The identity for those that say no name, or one that is not there.
    pub(super) fn default(&self) -> Found {
        self.names.default()
    }

    /// See [`ask`](Self::ask).
    pub(super) fn asks(&self) -> bool {
        // ORDERING: as above.
        self.asks.load(Ordering::Relaxed)
    }

    /// The routes of a name that was found, if it has its own.
    pub(super) fn routes_of(&self, name: &str) -> Option<Routes> {
        self.domains().get(name).filter(|routes| !routes.is_empty()).cloned()
    }

    fn domains(&self) -> MutexGuard<'_, BTreeMap<Box<str>, Routes>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
