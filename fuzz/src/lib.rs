//! What the fuzzers check. Each target is a function of an input's bytes that panics where a
//! property does not hold; the binaries in `fuzz_targets/` give it to libFuzzer, and
//! `tests/replay.rs` gives it the corpora and regressions, without a fuzzer.

pub mod choices;
pub mod differential;
pub mod sealed;
pub mod served;
mod targets;
pub mod wire;

pub use targets::{
    close, commands, content, declared, extensions, frames, handshake, inflate, messages, proxy, router, tls,
};

/// Panics where a property does not hold for the input.
pub type Check = fn(&[u8]);

/// Each target by its name: that of its binary, its corpus and its regressions.
pub const TARGETS: [(&str, Check); 12] = [
    ("close", close::check),
    ("commands", commands::check),
    ("content", content::check),
    ("declared", declared::check),
    ("extensions", extensions::check),
    ("frames", frames::check),
    ("handshake", handshake::check),
    ("inflate", inflate::check),
    ("messages", messages::check),
    ("proxy", proxy::check),
    ("router", router::check),
    ("tls", tls::check),
];
