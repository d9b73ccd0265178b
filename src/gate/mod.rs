//! Connections before they are established: listen, read the request, answer or upgrade, hand over.
//!
//! Driven by the JavaScript thread through [`Gate`]; the work is done on a thread of its own by a
//! tokio runtime, one task for each connection. A task lives for one request after the other, each
//! within `limits::REQUEST_HEAD_SECONDS`, and ends when the connection does or a reactor has it.

mod accept;
mod ask;
mod children;
mod closing;
mod descriptor;
mod door;
mod hand_over;
mod listener;
mod passed;
mod passing;
mod room;
mod routes;
mod screened;
mod serve;
mod tally;
mod thread;
#[cfg(unix)]
mod unix;
mod wire;

pub use crate::http::{InvalidPattern, Origin, Origins};
pub use children::Children;
pub use descriptor::Descriptor;
pub use listener::{Bind, Listener, bind};
pub use room::Bounds;
pub use routes::{Endpoint, Routes};
pub use tally::Counts;
pub use thread::Gate;
#[cfg(unix)]
pub use unix::{UnixSocket, bind_unix};

#[cfg(test)]
mod tests;
