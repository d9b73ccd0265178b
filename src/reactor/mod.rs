//! Established connections: a slab of slots over the kernel's poller, one thread each.
//!
//! A reactor takes over sockets from the gate ([`Adopter`]), passes on requests that JavaScript is to
//! answer ([`Visit`]), decodes frames, answers pings, keeps
//! idle timeouts, and writes what JavaScript sends. It never waits for JavaScript: events go to a
//! mailbox, commands come from an inbox. Memory: a slot for an idle connection; everything else is
//! born when needed and freed when empty; bounds are in [`limits`](crate::limits).

mod address;
mod adoption;
mod agenda;
mod asking;
mod broadcast;
mod clock;
mod contexts;
mod ebb;
mod exits;
mod failure;
mod gather;
mod guests;
mod intake;
mod line;
mod network;
mod obey;
mod outbox;
mod pace;
mod poller;
mod publish;
mod read;
mod relief;
mod route;
#[cfg(test)]
mod scripted;
mod secure;
mod served;
mod shared;
mod shutdown;
mod slab;
mod slot;
mod socket;
mod sweep;
mod tally;
#[cfg(test)]
mod tests;
mod thread;
mod turn;
mod visit;
mod volley;
mod write;

pub use crate::protocol::Compression;
pub use address::encode as encode_peer;
pub use adoption::{Adopter, Adoption, Failure};
pub use route::Route;
#[cfg(test)]
pub(crate) use route::tests::route as test_route;
pub use shared::{Hooks, Shared};
pub use shutdown::Departed;
pub use socket::{defer_accept, exclude_others};
pub use tally::{Memory, Tally};
pub use thread::{ReactorHandle, ReactorThread};
pub use visit::{Answer, AnswerChannel, Pass, Visit};
