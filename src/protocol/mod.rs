//! RFC 6455 and RFC 7692 as pure state machines: bytes in, events out.
//!
//! A reactor gives what a peer sent to [`receive()`] and frames what it sends with [`FrameHead`]; the
//! gate judges an opening handshake with [`Opening::judge`]. Nothing here knows a socket, a clock or
//! a thread. A connection at a message boundary owns no memory: what a read cut in two lives in an
//! [`Assembly`], born then and dropped when its message is whole. No input makes it panic, or take
//! more than about twice the bytes that came.

#![forbid(unsafe_code)]

mod assembly;
mod close;
mod deflate;
mod extensions;
mod frame;
mod handshake;
mod head;
mod mask;
mod receive;
#[cfg(test)]
mod script;
#[cfg(test)]
mod tests;
mod utf8;

pub use assembly::Assembly;
pub use close::{ClosePayload, is_sendable};
pub use deflate::{
    Agreement, Compression, Context, Deflater, Inflater, Inflation, Outbound, Window, Windows, negotiate,
};
pub use frame::{EncodedHead, FrameHead, Opcode};
pub use handshake::{Opening, Refusal};
pub use receive::{Flow, MessageKind, Payload, Progress, Receiver, Rules, receive};
