//! What crosses between the engine's threads and JavaScript's: ids and bytes, in batches.
//!
//! Knows nothing of sockets, of the protocol or of Node-API. For each reactor, and for the gate, there is
//! a [`Crossing`]: a [`Mailbox`] (events, toward JavaScript) and an [`Inbox`] (commands, from it), each behind
//! a mutex that is held for a swap, and a [`Doorbell`] that tells when a sleeper must be woken.

pub mod command;
pub mod event;

mod addresses;
mod budget;
mod census;
mod crossing;
mod doorbell;
mod id;
mod inbox;
mod mailbox;
#[cfg(all(test, feature = "loom"))]
pub(crate) mod model;
mod share;
pub(crate) mod sync;

pub use addresses::{AddressBounds, Addresses, Excess, Guest};
pub use budget::{Budget, Level, Member, Reached, Ruling};
pub use census::{Census, Ticket};
pub use command::{Command, CommandKind, Commands};
pub use crossing::{Crossing, Wake};
pub use doorbell::Doorbell;
pub use event::{Batch, CloseCause, EventKind};
pub use id::{ConnectionId, ListenerId, ReactorId, RouteId};
pub use inbox::{Inbox, Orders};
pub use mailbox::{Drained, Mailbox, Waiting};
pub use share::{Held, Share};
