//! Connections before they are established: listen, read the request, answer or upgrade, hand over.
//!
//! Driven by the JavaScript thread through [`Gate`]; the work is done on a thread of its own by a
//! tokio runtime, one task for each connection. A task lives for one request after the other, each
//! within `limits::REQUEST_HEAD_SECONDS`, and ends when the connection does or a reactor has it.

mod accept;
mod answer;
mod ask;
mod conversation;
mod desk;
mod exchange;
mod hand_over;
mod listener;
mod pump;
mod reply;
mod room;
mod routes;
mod screened;
mod search;
mod serve;
mod tally;
mod thread;
mod wire;

pub use crate::http::{Declared, InvalidInstructions, InvalidPattern, Origin, Origins};
pub use listener::{Bind, bind};
pub use room::Bounds;
pub use routes::{Endpoint, Handler, Routes, Target};
pub use tally::Counts;
pub use thread::Gate;

#[cfg(test)]
mod tests;
