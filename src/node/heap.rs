//! The allocator that this process shares with Node.js.

/// Gives freed memory back to the system, where the allocator keeps it. Takes some milliseconds
/// after a burst; any thread.
pub fn give_back() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: glibc documents the function as safe to call from several threads; it frees only what
    // is free already.
    #[allow(unsafe_code)]
    unsafe {
        libc::malloc_trim(0)
    };
}
