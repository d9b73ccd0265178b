//! The error families. The name says whose fault it is: the peer's ([`Violation`]), the
//! application's ([`Misuse`]), the host's ([`HostFault`]).

mod faults;
mod host_fault;
mod panic;
mod shortage;

use std::fmt;

pub use faults::{FaultPoint, Faults};
pub use host_fault::HostFault;
pub use panic::{Panic, Watch};
pub use shortage::shortage;

/// What a peer did against RFC 6455 or against its route's limits. The connection fails with it
/// (§7.1.7): the peer gets a close frame with [`status_code`](Self::status_code), the close handler
/// gets 1006 with [`handler_reason`](Self::handler_reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Violation {
    /// A reserved bit is set that no extension gave a meaning to (RFC 6455 §5.2).
    ReservedBits,
    /// Opcode 3 to 7 or 11 to 15 (RFC 6455 §5.2).
    ReservedOpcode,
    /// A client's frame without a masking key (RFC 6455 §5.1).
    UnmaskedFrame,
    /// A control frame without FIN (RFC 6455 §5.5).
    FragmentedControlFrame,
    /// A control frame with a payload of more than 125 bytes (RFC 6455 §5.5).
    OversizedControlFrame,
    /// A payload length in more bytes than it needs (RFC 6455 §5.2).
    NonMinimalLength,
    /// A 64-bit payload length with the most significant bit set (RFC 6455 §5.2).
    LengthTopBit,
    /// A continuation frame where no message is open (RFC 6455 §5.4).
    UnexpectedContinuation,
    /// A text or binary frame inside an open message (RFC 6455 §5.4).
    ExpectedContinuation,
    /// A text message that is not UTF-8 (RFC 6455 §8.1).
    InvalidUtf8,
    /// A compressed message that is not DEFLATE data (RFC 7692 §7.2.2).
    InvalidDeflate,
    /// A message longer than the route's `maxPayloadLength` (RFC 6455 §10.4).
    MessageTooBig,
    /// A message of more fragments than the route's `maxFragments` (RFC 6455 §10.4).
    TooManyFragments,
    /// A close frame with a payload of one byte (RFC 6455 §5.5.1).
    TruncatedCloseCode,
    /// A close frame with a status code that may not be sent (RFC 6455 §7.4).
    InvalidCloseCode,
    /// A close frame whose reason is not UTF-8 (RFC 6455 §5.5.1).
    InvalidCloseReason,
}

impl Violation {
    /// The status code of the close frame that the peer gets: 1002, 1007, 1008 or 1009
    /// (RFC 6455 §7.4.1).
    pub const fn status_code(self) -> u16 {
        match self {
            Self::InvalidUtf8 | Self::InvalidDeflate | Self::InvalidCloseReason => 1007,
            Self::TooManyFragments => 1008,
            Self::MessageTooBig => 1009,
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::UnmaskedFrame
            | Self::FragmentedControlFrame
            | Self::OversizedControlFrame
            | Self::NonMinimalLength
            | Self::LengthTopBit
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::TruncatedCloseCode
            | Self::InvalidCloseCode => 1002,
        }
    }

    /// The reason of the close frame that the peer gets: ASCII, short enough for a control frame.
    pub const fn close_reason(self) -> &'static str {
        match self {
            Self::ReservedBits => "reserved bit set without an extension",
            Self::ReservedOpcode => "reserved opcode",
            Self::UnmaskedFrame => "client frame without a mask",
            Self::FragmentedControlFrame => "fragmented control frame",
            Self::OversizedControlFrame => "control frame over 125 bytes",
            Self::NonMinimalLength => "payload length not in its shortest form",
            Self::LengthTopBit => "payload length with its top bit set",
            Self::UnexpectedContinuation => "continuation frame outside a message",
            Self::ExpectedContinuation => "new message inside a fragmented message",
            Self::InvalidUtf8 => "text is not UTF-8",
            Self::InvalidDeflate => "compressed message is not DEFLATE data",
            Self::MessageTooBig => "message too big",
            Self::TooManyFragments => "too many fragments",
            Self::TruncatedCloseCode => "close frame with half a status code",
            Self::InvalidCloseCode => "close frame with an invalid status code",
            Self::InvalidCloseReason => "close reason is not UTF-8",
        }
    }

    /// The reason that the application's close handler gets, next to the code 1006. The texts are
    /// uWebSockets.js's, save the one for fragments, which it does not count.
    pub const fn handler_reason(self) -> &'static str {
        match self {
            Self::ReservedBits
            | Self::ReservedOpcode
            | Self::UnmaskedFrame
            | Self::FragmentedControlFrame
            | Self::OversizedControlFrame
            | Self::NonMinimalLength
            | Self::LengthTopBit
            | Self::UnexpectedContinuation
            | Self::ExpectedContinuation
            | Self::InvalidDeflate => "Received invalid WebSocket frame",
            Self::InvalidUtf8 => "Received invalid UTF-8",
            Self::MessageTooBig => "Received too big message",
            Self::TooManyFragments => "Received too many fragments",
            Self::TruncatedCloseCode | Self::InvalidCloseCode | Self::InvalidCloseReason => {
                "Received invalid close payload"
            }
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.close_reason())
    }
}

impl std::error::Error for Violation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CLOSE_REASON_BYTES;

    const VIOLATIONS: [Violation; 16] = [
        Violation::ReservedBits,
        Violation::ReservedOpcode,
        Violation::UnmaskedFrame,
        Violation::FragmentedControlFrame,
        Violation::OversizedControlFrame,
        Violation::NonMinimalLength,
        Violation::LengthTopBit,
        Violation::UnexpectedContinuation,
        Violation::ExpectedContinuation,
        Violation::InvalidUtf8,
        Violation::InvalidDeflate,
        Violation::MessageTooBig,
        Violation::TooManyFragments,
        Violation::TruncatedCloseCode,
        Violation::InvalidCloseCode,
        Violation::InvalidCloseReason,
    ];

    #[test]
    fn each_violation_has_its_own_reason_that_fits_a_close_frame() {
        for (at, violation) in VIOLATIONS.iter().enumerate() {
            let reason = violation.close_reason();
            assert!(reason.is_ascii() && reason.len() <= CLOSE_REASON_BYTES, "{reason}");
            assert!(VIOLATIONS[..at].iter().all(|other| other.close_reason() != reason), "{reason}");
            assert_eq!(violation.to_string(), reason);
        }
    }

    #[test]
    fn handlers_know_the_causes_by_their_texts() {
        for violation in VIOLATIONS {
            let text = match violation.status_code() {
                1008 => "Received too many fragments",
                1009 => "Received too big message",
                _ if violation.close_reason().contains("close") => "Received invalid close payload",
                1007 if violation == Violation::InvalidUtf8 => "Received invalid UTF-8",
                1007 => "Received invalid WebSocket frame",
                1002 => "Received invalid WebSocket frame",
                other => panic!("{violation}: {other}"),
            };
            assert_eq!(violation.handler_reason(), text, "{violation}");
        }
    }
}
