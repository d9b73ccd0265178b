//! What things that cross threads lie behind: `std`'s, and under the feature `loom` that crate's, which
//! runs every order in which threads can come to them.
//!
//! For bridge, and for the files of other rooms whose models `npm run verify -- loom` runs. What is shared
//! by a plain `Arc`, or set once, is `std`'s in both: there is no order in it to try.

#[cfg(feature = "loom")]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicU8, Ordering};
#[cfg(feature = "loom")]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
#[cfg(not(feature = "loom"))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard};
