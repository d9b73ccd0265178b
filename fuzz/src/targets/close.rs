//! The payload of a close frame: a peer's is judged as RFC 6455 §5.5.1 and §7.4 say, by a check of
//! our own; one that is built says what it was built of, and our own judgement takes it.
//!
//! Input: the payload; its first two bytes are also the code to build with, the rest is the reason.

use tidewire::error::Violation;
use tidewire::protocol::{ClosePayload, Progress, Rules, is_sendable};

use crate::wire::{Agreed, Connection, frame};

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let payload = &data[..data.len().min(125)];
    assert_eq!(judged(payload), expected(payload), "{payload:x?}");

    let Some((code, reason)) = data.split_first_chunk() else {
        return;
    };
    let (code, reason) = (u16::from_be_bytes(*code), String::from_utf8_lossy(reason));
    assert_eq!(is_sendable(code), is_allowed(code), "{code}");
    let built = ClosePayload::new(code, &reason);
    match judged(built.as_ref()) {
        Progress::Close { code: None, reason: said } => {
            assert!(!is_allowed(code) && said.is_empty(), "{code} became nothing");
        }
        Progress::Close { code: Some(told), reason: said } => {
            assert_eq!(told, code);
            assert!(reason.starts_with(&*said), "{said:?} is not how {reason:?} begins");
            let next = reason[said.len()..].chars().next().map_or(0, char::len_utf8);
            assert!(next == 0 || said.len() + next > 123, "{said:?} could say more");
        }
        other => panic!("our own close frame is {other:?}"),
    }
}

fn judged(payload: &[u8]) -> Progress {
    let rules = Rules { max_payload_bytes: 0, max_fragments: 1 };
    let mut connection = Connection::new(rules, Agreed::Nothing);
    let stream = frame(0x88, Some([0x37, 0xfa, 0x21, 0x3d]), payload);
    let progress = connection.reads([stream.as_slice()]);
    assert_eq!(Connection::new(rules, Agreed::Nothing).reads(stream.chunks(1)), progress);
    assert!(connection.recorder.events.is_empty());
    progress
}

fn expected(payload: &[u8]) -> Progress {
    match payload.len() {
        0 => return Progress::Close { code: None, reason: "".into() },
        1 => return Progress::Violation(Violation::TruncatedCloseCode),
        _ => {}
    }
    let code = u16::from(payload[0]) * 256 + u16::from(payload[1]);
    match String::from_utf8(payload[2..].to_vec()) {
        _ if !is_allowed(code) => Progress::Violation(Violation::InvalidCloseCode),
        Ok(reason) => Progress::Close { code: Some(code), reason: reason.into() },
        Err(_) => Progress::Violation(Violation::InvalidCloseReason),
    }
}

/// RFC 6455 §7.4 and the IANA registry.
fn is_allowed(code: u16) -> bool {
    (1000..=1014).contains(&code) && !(1004..=1006).contains(&code) || (3000..=4999).contains(&code)
}
