//! tidewire: a WebSocket server for Node.js whose engine is Rust.
//!
//! Each module is a room with one purpose; what a room may use is fixed (and tested, in
//! `tests/layering.rs`). A connection begins in [`gate`] (tokio: listen, HTTP, upgrade) and lives
//! in a [`reactor`] (a slab over epoll). Events and commands cross to JavaScript in batches through
//! [`bridge`]; [`protocol`] is RFC 6455 as pure state machines, [`topics`] the publish/subscribe index.

pub mod bridge;
pub mod error;
pub mod gate;
pub mod http;
pub mod limits;
#[cfg(not(test))]
mod node;
pub mod protocol;
pub mod reactor;
pub mod tls;
pub mod topics;
