//! Why a run ended early: one sentence for a person. Every mode passes it up to `main`, which
//! prints it and exits with 1.

use std::fmt;
use std::io;

/// A sentence that says what was wrong, which value, and what to do about it.
#[derive(Debug)]
pub struct Failure(String);

impl Failure {
    /// A failure with this sentence.
    pub fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// A failed system call: what was tried, and the system's own words.
    pub fn io(tried: impl fmt::Display, error: &io::Error) -> Self {
        Self(format!("{tried}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}
