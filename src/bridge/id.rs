//! The ids by which Rust and JavaScript name things to each other: small integers, never pointers.

/// A reactor thread of one App, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReactorId(pub u8);

/// One `App.ws()` call. A route that is replaced gets a new id, so that its live connections keep
/// the handlers they were opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteId(pub u16);

/// A connection inside one reactor: the place of its slot, and the slot's generation, which tells
/// the connection from those that had the slot before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The slot's place in its reactor's slab.
    pub index: u32,
    /// Counts the connections of this slot, wrapping.
    pub generation: u16,
}

impl ConnectionId {
    /// The place of an event that is for no connection.
    pub const NONE: Self = Self { index: u32::MAX, generation: 0 };
}

/// A listening socket of one App.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId(pub u32);
