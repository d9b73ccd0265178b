//! The Node-API face: what `lib/engine.js` calls, and the bell that calls it back.
//!
//! One [`Engine`](engine::Engine) for each App. Everything here runs on the JavaScript thread of its
//! environment; only [`Bell::ring`](bell::Bell::ring) is called on others.

mod bell;
mod descriptors;
mod engine;
mod fault;
#[cfg(feature = "fault-injection")]
mod faults;
mod heap;
mod identities;
mod settings;
mod stats;
