//! What crosses between the engine's threads and JavaScript's: ids and bytes, in batches.

mod census;
mod id;

pub use census::{Census, Ticket};
pub use id::{ConnectionId, ListenerId, ReactorId, RouteId};
