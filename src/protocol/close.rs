//! The payload of a close frame: status code and reason (RFC 6455 §5.5.1, §7.4).
//!
//! The reactor builds one to close a connection or to answer a peer's; [`receive`](super::receive())
//! judges the peer's. Building allocates nothing.

use tungstenite::protocol::frame::coding::CloseCode;

use super::receive::Progress;
use crate::error::Violation;
use crate::limits::{CLOSE_REASON_BYTES, CONTROL_PAYLOAD_BYTES};

/// Whether a status code may stand in a close frame: 1000 to 1003, 1007 to 1014, 3000 to 4999.
/// The others are reserved, or mean that there was no close frame (1005, 1006, 1015) (RFC 6455
/// §7.4; 1012 to 1014 come from the IANA registry).
pub fn is_sendable(code: u16) -> bool {
    const BAD_GATEWAY: u16 = 1014; // registered after tungstenite's list was drawn up
    code == BAD_GATEWAY || CloseCode::from(code).is_allowed()
}

/// The payload of a close frame to send, read by `as_ref()`.
#[derive(Clone, Copy, Debug)]
pub struct ClosePayload {
    bytes: [u8; CONTROL_PAYLOAD_BYTES],
    size: u8,
}

impl ClosePayload {
    /// A payload with `code` and as much of `reason` as 123 bytes hold, cut between two characters.
    /// It is empty if the code is not [sendable](is_sendable), as for 0, 1005 and 1006.
    pub fn new(code: u16, reason: &str) -> Self {
        let mut bytes = [0; CONTROL_PAYLOAD_BYTES];
        if !is_sendable(code) {
            return Self { bytes, size: 0 };
        }
        let mut end = reason.len().min(CLOSE_REASON_BYTES);
        while !reason.is_char_boundary(end) {
            end -= 1;
        }
        let size = 2 + end;
        bytes[..2].copy_from_slice(&code.to_be_bytes());
        bytes[2..size].copy_from_slice(&reason.as_bytes()[..end]);
        Self { bytes, size: size as u8 }
    }
}

impl AsRef<[u8]> for ClosePayload {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.size)]
    }
}

/// Judges the payload of a peer's close frame.
pub(super) fn judge(payload: &[u8]) -> Progress {
    let (code, reason) = match payload {
        [] => return Progress::Close { code: None, reason: Box::default() },
        [_] => return Progress::Violation(Violation::TruncatedCloseCode),
        [high, low, reason @ ..] => (u16::from_be_bytes([*high, *low]), reason),
    };
    if !is_sendable(code) {
        return Progress::Violation(Violation::InvalidCloseCode);
    }
    match std::str::from_utf8(reason) {
        Ok(reason) => Progress::Close { code: Some(code), reason: reason.into() },
        Err(_) => Progress::Violation(Violation::InvalidCloseReason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::script::hex;

    #[test]
    fn sendable_codes() {
        let sendable = |code: u16| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        // Those that a peer may send, and some on both sides; all of them where that takes no time.
        for code in if cfg!(miri) { 990..=5010 } else { 0..=u16::MAX } {
            assert_eq!(is_sendable(code), sendable(code), "{code}");
        }
    }

    #[test]
    fn payloads_in_hex() {
        assert_eq!(ClosePayload::new(1000, "").as_ref(), hex("03e8"));
        assert_eq!(ClosePayload::new(1001, "bye").as_ref(), hex("03e9 627965"));
        for unsaid in [0, 999, 1004, 1005, 1006, 1015, 2999, 5000] {
            assert!(ClosePayload::new(unsaid, "bye").as_ref().is_empty(), "{unsaid}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let cut = |reason: &str| ClosePayload::new(1000, reason).as_ref().len() - 2;
        assert_eq!(cut(&"x".repeat(123)), 123);
        assert_eq!(cut(&"x".repeat(124)), 123);
        assert_eq!(cut(&"é".repeat(100)), 122);
        assert_eq!(cut(&"€".repeat(100)), 123);
        assert_eq!(cut(&"😀".repeat(100)), 120);
    }

    #[test]
    fn a_peers_payload_is_judged() {
        let close = |code, reason: &str| Progress::Close { code, reason: reason.into() };
        let cases = [
            ("", close(None, "")),
            ("03e8", close(Some(1000), "")),
            ("03f6", close(Some(1014), "")),
            ("1387 6279 65", close(Some(4999), "bye")),
            ("03", Violation::TruncatedCloseCode.into()),
            ("0000", Violation::InvalidCloseCode.into()),
            ("03ed", Violation::InvalidCloseCode.into()),
            ("03ee", Violation::InvalidCloseCode.into()),
            ("03f7", Violation::InvalidCloseCode.into()),
            ("0bb7", Violation::InvalidCloseCode.into()),
            ("1388", Violation::InvalidCloseCode.into()),
            ("03e8 ff", Violation::InvalidCloseReason.into()),
            ("03e8 e282", Violation::InvalidCloseReason.into()),
        ];
        for (dump, expected) in cases {
            assert_eq!(judge(&hex(dump)), expected, "{dump}");
        }
    }
}
