//! How many connections the process has descriptors for.

use crate::bridge::Census;

/// The default of `maxConnections`: the process's limit of descriptors, less some that are needed otherwise.
pub fn connections() -> usize {
    Census::default_bound(most())
}

/// The soft limit, as it is now.
#[cfg(unix)]
#[allow(unsafe_code)]
fn most() -> Option<usize> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call writes to the struct alone, which lives for as long as it.
    let failed = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } != 0;
    // No limit is a number larger than any; a process without descriptors does not come here.
    (!failed && limit.rlim_cur > 0).then(|| usize::try_from(limit.rlim_cur).unwrap_or(usize::MAX))
}

/// The system has none that is told.
#[cfg(not(unix))]
fn most() -> Option<usize> {
    None
}
