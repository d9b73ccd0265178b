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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::script::hex;

    #[test]
    fn a_cut_character_waits_for_its_rest() {
        let text = "κό€😀".as_bytes();
        let mut checked = 0;
        for end in 0..=text.len() {
            checked = check_further(&text[..end], checked).expect("valid so far");
            assert!(end - checked < 4);
        }
        assert_eq!(checked, text.len());
        assert!(check(text).is_ok());
        assert!(check(&text[..text.len() - 1]).is_err());
    }

    /// The first bad byte is the last of each line: one byte less is only incomplete.
    #[test]
    fn the_first_bad_byte_is_enough() {
        for dump in ["80", "ff", "c0", "f5", "c328", "e080", "eda0", "e28228", "f080", "f490", "f09f9828"] {
            let text = hex(dump);
            assert_eq!(check_further(&text, 0), Err(Violation::InvalidUtf8), "{dump}");
            assert_eq!(check_further(&text[..text.len() - 1], 0), Ok(0), "{dump} less one byte");
        }
    }
}
