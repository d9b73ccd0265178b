//! Connections before they are established: listen, read the request, answer or upgrade, hand over.
//!
//! Driven by the JavaScript thread through [`Gate`]; the work is done on a thread of its own by a
//! tokio runtime, one task for each connection. A task lives for one request after the other, each
//! within `limits::REQUEST_HEAD_SECONDS`, and ends when the connection does or a reactor has it.

mod accept;
mod admission;
mod answer;
mod ask;
mod bench;
mod children;
mod closing;
mod conversation;
mod descriptor;
mod desk;
mod door;
mod doorstep;
mod entrance;
mod exchange;
mod greeting;
mod hand_over;
mod handshake;
mod linger;
mod listener;
mod passed;
mod passing;
mod pump;
mod reply;
mod room;
mod routes;
mod screened;
mod search;
mod seat;
mod security;
mod serve;
mod stock;
mod stream;
mod tally;
mod thread;
mod trusted;
mod turned_away;
#[cfg(unix)]
mod unix;
mod wire;

pub use crate::bridge::AddressBounds;
pub use crate::http::{Declared, InvalidInstructions, InvalidPattern, Origin, Origins};
pub use children::Children;
pub use descriptor::Descriptor;
pub use listener::{Bind, Listener, bind, bind_path};
pub use room::Bounds;
pub use routes::{Endpoint, Handler, Routes, Target};
pub use security::Security;
pub use tally::{Counts, TlsCounts, TurnedAway};
pub use thread::Gate;
pub use trusted::Trusted;
#[cfg(unix)]
pub use unix::{UnixSocket, bind_unix};

#[cfg(test)]
mod tests;
