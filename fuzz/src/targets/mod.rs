//! One file for each target.

pub mod close;
pub mod commands;
pub mod content;
pub mod declared;
pub mod extensions;
pub mod frames;
pub mod handshake;
pub mod inflate;
pub mod messages;
pub mod proxy;
pub mod router;
pub mod tls;
