//! TLS from a hostile client: how the bytes are cut changes neither the verdict on its first ones nor on a
//! session's; what is kept and answered is bounded; a session that has failed stays so. Behind a handshake,
//! plaintext is what the client has sealed as such, in its order.
//!
//! Input: a byte for how: raw, or sealed with TLS 1.2 or 1.3; then two for the cuts. Raw: all else. Sealed: for each record
//! its type, two bytes of length, and its content.

use std::io::IoSlice;

use tidewire::limits;
use tidewire::tls::{Fault, Hello, Outgoing, Progress, Session};

use crate::choices::Choices;
use crate::sealed::{self, Client};

/// Longest content of a record here: more than may be.
const CONTENT_BYTES: usize = 16 * 1024 + 3;

/// Records of an input at most.
const RECORDS: usize = 64;

/// See the module.
///
/// # Panics
///
/// Where a property does not hold.
pub fn check(data: &[u8]) {
    let mut choices = Choices::new(data);
    let how = choices.byte();
    let cut = usize::from(choices.word()).max(1);
    match how % 4 {
        0 | 1 => {
            let bytes = choices.remainder();
            assert_eq!(first(bytes, cut), first(bytes, usize::MAX), "cuts change the verdict on a hello");
            let [whole, cut] = [usize::MAX, cut].map(|cut| open(&mut sealed::session(), bytes, cut));
            assert_eq!(whole, cut, "cuts change the verdict on a session");
            assert!(whole.plaintext.is_empty(), "plaintext without a handshake");
        }
        version => check_sealed(version == 3, &mut choices, cut),
    }
}

/// What becomes of the first bytes, and how many of them it took if they are a hello.
fn first(bytes: &[u8], cut: usize) -> Progress {
    let mut hello = Hello::default();
    let mut taken = 0;
    for piece in bytes.chunks(cut) {
        taken += piece.len();
        let progress = hello.take(piece);
        if progress != Progress::More {
            let kept = hello.into_bytes();
            assert!(kept == bytes[..taken], "the session would not get what came");
            return progress;
        }
        assert!(taken <= limits::TLS_HELLO_BYTES, "{taken} bytes are no hello yet");
    }
    Progress::More
}

#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    plaintext: Vec<u8>,
    fault: Option<Fault>,
    is_finished: bool,
}

/// Gives the session all bytes, and has it write between the pieces.
fn open(session: &mut Session, bytes: &[u8], cut: usize) -> Outcome {
    let (mut plaintext, mut staging, mut out) = (Vec::new(), Vec::new(), Outgoing::default());
    let mut fault = None;
    let mut came = 0;
    for piece in bytes.chunks(cut) {
        came += piece.len();
        let mut incoming = [session.cut(), piece].concat();
        let outcome = session.open(&mut incoming, &mut plaintext, &mut out);
        let most = if session.is_shaking_hands() { limits::TLS_CUT_BYTES } else { limits::TLS_CUT_RECORD_BYTES };
        assert!(session.cut().len() <= most.min(came) && plaintext.len() <= came);
        assert!(fault.is_none() || outcome.err() == fault, "a session that has failed goes on");
        assert_eq!(session.fault(), outcome.err());
        fault = outcome.err();
        let sealed = session.seal(&[IoSlice::new(b"word")], &mut staging, &mut out);
        assert_eq!(sealed.is_ok(), fault.is_none() && !session.is_shaking_hands(), "{sealed:?}");
        assert!(out.filled().len() < 16 * 1024, "much is said");
        out.clear();
    }
    session.seal_end(&mut out).expect("it does not fail");
    Outcome { plaintext, fault, is_finished: session.is_finished() }
}

fn check_sealed(is_new: bool, choices: &mut Choices<'_>, cut: usize) {
    let (mut session, mut client) = Client::meet(is_new);
    let (mut stream, mut said) = (Vec::new(), Vec::new());
    for _ in 0..RECORDS {
        if choices.is_empty() {
            break;
        }
        let kind = choices.byte();
        let length = usize::from(choices.word()).min(CONTENT_BYTES);
        let mut content = choices.bytes(length.min(300)).to_vec();
        // Long ones need no long input.
        content.resize(length, 7);
        match (kind, content.iter().rposition(|byte| *byte != 0)) {
            (23, _) => said.extend_from_slice(&content),
            // TLS 1.3 takes zeros for padding, and what stands before them for the type (RFC 8446 §5.4).
            (0, Some(end)) if is_new && content[end] == 23 => said.extend_from_slice(&content[..end]),
            _ => {}
        }
        stream.extend(client.record(kind, &content));
    }
    let outcome = open(&mut session, &stream, cut);
    assert!(said.starts_with(&outcome.plaintext), "plaintext that nobody has said");
    if outcome.fault.is_none() && !outcome.is_finished && session.cut().is_empty() {
        assert!(said == outcome.plaintext, "plaintext is missing");
    }
}
