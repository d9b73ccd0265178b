//! TLS 1.2 and 1.3 by rustls: whose certificate a client gets, and its session as a value.
//!
//! The gate shakes hands, the reactor talks: both drive the same [`Session`] over their sockets, and it moves
//! from one to the other with the connection. JavaScript's thread makes an [`Identity`] of keys and certificates
//! and puts it into the [`Names`] of an App, where the gate finds it for the next handshake.

mod fault;
mod hello;
mod identity;
mod key;
mod line;
mod misuse;
mod names;
mod opening;
mod outgoing;
mod pem;
mod session;
mod suites;
#[cfg(test)]
mod tests;

pub use fault::Fault;
pub use hello::{Hello, Progress};
pub use identity::{Credentials, Identity};
pub use line::{Received, Scratch, Wire};
pub use misuse::TlsMisuse;
pub use names::{Found, Names, normal as normal_name};
pub use outgoing::Outgoing;
pub use session::Session;
