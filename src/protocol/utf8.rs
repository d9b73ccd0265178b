//! UTF-8 of text that comes in pieces (RFC 6455 §8.1).
//!
//! A piece may end inside a character; it fails at the first byte that no further byte could make
//! valid. Allocates nothing: the caller keeps the text and how far it was checked.

use simdutf8::compat::from_utf8;

use crate::error::Violation;

/// Checks a whole text.
#[inline]
pub(super) fn check(text: &[u8]) -> Result<(), Violation> {
    match from_utf8(text) {
        Ok(_) => Ok(()),
        Err(_) => Err(Violation::InvalidUtf8),
    }
}

/// Checks `text` from `checked_bytes` on, where the last call stopped, and says how far it is now
/// checked: to its end, or to the start of a character that its end cuts.
pub(super) fn check_further(text: &[u8], checked_bytes: usize) -> Result<usize, Violation> {
    match from_utf8(&text[checked_bytes..]) {
        Ok(_) => Ok(text.len()),
        Err(error) if error.error_len().is_none() => Ok(checked_bytes + error.valid_up_to()),
        Err(_) => Err(Violation::InvalidUtf8),
    }
}
