//! Whose certificate a client gets: by the server name that it asks for (RFC 6066 §3), or the default.
//!
//! One table for each App, changed on JavaScript's thread and read on the gate's: behind a mutex that is held
//! for one look. A change is for the handshakes that begin behind it; sessions keep what they began with.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::identity::Identity;

/// The identities of one App. A clone is the same table.
#[derive(Clone)]
pub struct Names(Arc<Mutex<Table>>);

struct Table {
    default: Identity,
    /// By name, in lower case: `example.org`, or `*.example.org` for all that have one label more (RFC 6125 §6.4.3).
    named: BTreeMap<Box<str>, Named>,
}

struct Named {
    name: Arc<str>,
    identity: Identity,
}

/// The identity for a handshake.
pub struct Found {
    /// The identity.
    pub identity: Identity,
    /// The name, as it was added, that was found; `None` is the default's.
    pub name: Option<Arc<str>>,
}

impl Names {
    /// A table with nothing but a default.
    pub fn new(default: Identity) -> Self {
        Self(Arc::new(Mutex::new(Table { default, named: BTreeMap::new() })))
    }

    /// Replaces the default. Sessions of the one before are [resumed](Identity::succeeding).
    pub fn set_default(&self, identity: Identity) {
        let mut table = self.lock();
        table.default = identity.succeeding(&table.default);
    }

    /// Adds a name, or replaces its identity, as [`set_default`](Self::set_default) does. Case does not matter
    /// (RFC 6066 §3).
    pub fn add(&self, name: &str, identity: Identity) {
        let key = normal(name);
        let mut table = self.lock();
        let identity = match table.named.get(key.as_str()) {
            Some(former) => identity.succeeding(&former.identity),
            None => identity,
        };
        table.named.insert(key.as_str().into(), Named { name: key.into(), identity });
    }

    /// Takes a name out. `false`: it is not there.
    pub fn remove(&self, name: &str) -> bool {
        self.lock().named.remove(normal(name).as_str()).is_some()
    }

    /// Whether a name was added, as it stands here.
    pub fn has(&self, name: &str) -> bool {
        self.lock().named.contains_key(normal(name).as_str())
    }

    /// The identity for a server name: its own, or that of its wildcard. `None`: there is neither.
    pub fn find(&self, server_name: &str) -> Option<Found> {
        let table = self.lock();
        let name = normal(server_name);
        let wildcard =
            || name.split_once('.').filter(|(label, _)| !label.is_empty()).map(|(_, parent)| format!("*.{parent}"));
        let named = table.named.get(name.as_str()).or_else(|| table.named.get(wildcard()?.as_str()))?;
        Some(Found { identity: named.identity.clone(), name: Some(named.name.clone()) })
    }

    /// The default.
    pub fn default(&self) -> Found {
        Found { identity: self.lock().default.clone(), name: None }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A name as it is compared: a dot at its end is the root, and says nothing.
pub fn normal(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
