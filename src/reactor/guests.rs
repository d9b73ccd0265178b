//! The connections of one reactor that count for an address.
//!
//! Memory: none, unless the App bounds what an address may have; then an entry for each connection, from its
//! adoption until its socket is closed.

use std::collections::HashMap;

use crate::bridge::Guest;

/// See the module.
#[derive(Default)]
pub struct Guests(HashMap<u32, Guest>);

impl Guests {
    /// The connection at this place counts, if it is a guest.
    pub fn receive(&mut self, index: u32, guest: Option<Guest>) {
        if let Some(guest) = guest {
            self.0.insert(index, guest);
        }
    }

    /// It does not count any more.
    pub fn part(&mut self, index: u32) {
        if !self.0.is_empty() && self.0.remove(&index).is_some() && self.0.is_empty() {
            self.0 = HashMap::new();
        }
    }
}
