//! What holds for any stream of bytes: cuts and pauses change nothing, what we encode is what a
//! client decodes, and tungstenite's server reads the same messages and fails on the same streams.

use std::io::{self, Read, Write};

use proptest::collection::vec;
use proptest::prelude::*;
use tungstenite::protocol::{Role, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message, error::ProtocolError};

use super::script::{Connection, Event, GENEROUS, KEY, frame};
use super::{ClosePayload, FrameHead, MessageKind, Opcode, Progress, Rules};
use crate::error::Violation;

/// Bytes of the longest payloads; Miri takes a minute for as many as that.
const LONG: usize = if cfg!(miri) { 2_000 } else { 70_000 };

/// One thing that a client does.
#[derive(Clone, Debug)]
enum Act {
    /// A message, cut into fragments behind each of the lengths, with a control frame in front of
    /// each further fragment.
    Message(MessageKind, Vec<u8>, Vec<usize>, Option<u8>),
    Control(u8, Vec<u8>),
    Close(Vec<u8>),
    /// A frame that breaks one rule.
    Hostile(Vec<u8>),
}

impl Act {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Message(kind, payload, cuts, control) => {
                let mut opcode = if *kind == MessageKind::Text { 0x1 } else { 0x2 };
                let mut rest = payload.as_slice();
                for &cut in cuts {
                    let (fragment, behind) = rest.split_at(cut.min(rest.len()));
                    out.extend(frame(opcode, fragment));
                    out.extend(control.iter().flat_map(|&first| frame(first, b"between")));
                    (opcode, rest) = (0x0, behind);
                }
                out.extend(frame(0x80 | opcode, rest));
            }
            Self::Control(first, payload) => out.extend(frame(*first, payload)),
            Self::Close(payload) => out.extend(frame(0x88, payload)),
            Self::Hostile(bytes) => out.extend(bytes),
        }
    }
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(prop_oneof![Just('a'), Just('ß'), Just('€'), Just('😀')], 0..40)
            .prop_map(|text| text.into_iter().collect::<String>().into_bytes()),
        1 => vec(any::<u8>(), 0..40),
        1 => (100..LONG).prop_map(|count| "ä".repeat(count / 2).into_bytes()),
    ]
}

fn binary() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        2 => vec(any::<u8>(), 110..140),
        1 => (200..LONG).prop_map(|count| vec![0x5a; count]),
    ]
}

fn message() -> impl Strategy<Value = Act> {
    let fragments = || prop_oneof![3 => Just(vec![]), 1 => vec(0..30_usize, 1..5)];
    let control = || proptest::option::of(prop_oneof![Just(0x89), Just(0x8A)]);
    prop_oneof![
        (text(), fragments(), control())
            .prop_map(|(text, cuts, control)| { Act::Message(MessageKind::Text, text, cuts, control) }),
        (binary(), fragments(), control())
            .prop_map(|(bytes, cuts, control)| { Act::Message(MessageKind::Binary, bytes, cuts, control) }),
    ]
}

fn hostile() -> impl Strategy<Value = Act> {
    let mut unmasked = Vec::new();
    FrameHead::whole(Opcode::Text, 3).append_to(&mut unmasked);
    unmasked.extend(b"abc");
    prop_oneof![
        (0..8_u8, prop_oneof![Just(0x40), Just(0x20), Just(0x10)])
            .prop_map(|(opcode, reserved)| frame(0x80 | reserved | opcode, b"x")),
        prop_oneof![3..8_u8, 11..16_u8].prop_map(|opcode| frame(0x80 | opcode, b"x")),
        (8..11_u8).prop_map(|opcode| frame(opcode, b"x")),
        (8..11_u8, 126..200_usize).prop_map(|(opcode, size)| frame(0x80 | opcode, &vec![b'x'; size])),
        Just(frame(0x80, b"continues nothing")),
        Just([frame(0x01, b"begins"), frame(0x81, b"begins again")].concat()),
        Just(unmasked),
    ]
    .prop_map(Act::Hostile)
}

fn close() -> impl Strategy<Value = Act> {
    let code = prop_oneof![1000..1004_u16, 1007..1014_u16, 3000..5000_u16];
    prop_oneof![
        Just(vec![]),
        Just(vec![0x03]),
        (code, "[a-zé]{0,20}").prop_map(|(code, reason)| [&code.to_be_bytes()[..], reason.as_bytes()].concat()),
        Just(vec![0x03, 0xe8, 0xff]),
    ]
    .prop_map(Act::Close)
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let control = (prop_oneof![Just(0x89_u8), Just(0x8A)], vec(any::<u8>(), 0..=125))
        .prop_map(|(first, payload)| Act::Control(first, payload));
    let act = prop_oneof![12 => message(), 4 => control, 1 => hostile(), 1 => close()];
    vec(act, 0..12).prop_map(|acts| {
        let mut bytes = Vec::new();
        acts.iter().for_each(|act| act.write(&mut bytes));
        bytes
    })
}

fn rules() -> impl Strategy<Value = Rules> {
    let sizes = prop_oneof![1 => Just(0), 1 => Just(50), 1 => Just(1000), 6 => Just(1 << 20)];
    (sizes, prop_oneof![1 => Just(2), 3 => Just(1000)])
        .prop_map(|(max_payload_bytes, max_fragments)| Rules { max_payload_bytes, max_fragments })
}

/// `bytes` in pieces of the given lengths, in turn, over and over.
fn pieces<'a>(mut bytes: &'a [u8], lengths: &'a [usize]) -> impl Iterator<Item = &'a [u8]> {
    lengths.iter().cycle().map_while(move |&length| {
        let (piece, rest) = bytes.split_at(length.min(bytes.len()));
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// What tungstenite's server makes of a stream: events, and how it ended.
fn oracle(bytes: &[u8], rules: Rules) -> (Vec<Event>, Ending) {
    struct Wire<'a>(&'a [u8]);
    impl Read for Wire<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }
    impl Write for Wire<'_> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let limit = Some(rules.max_payload_bytes);
    let config = WebSocketConfig::default().max_frame_size(limit).max_message_size(limit);
    let mut socket = WebSocket::from_raw_socket(Wire(bytes), Role::Server, Some(config));
    let mut events = Vec::new();
    loop {
        events.push(match socket.read() {
            Ok(Message::Text(text)) => Event::Message(MessageKind::Text, text.as_bytes().to_vec()),
            Ok(Message::Binary(bytes)) => Event::Message(MessageKind::Binary, bytes.to_vec()),
            Ok(Message::Ping(payload)) => Event::Ping(payload.to_vec()),
            Ok(Message::Pong(payload)) => Event::Pong(payload.to_vec()),
            Ok(Message::Close(frame)) => {
                let frame = frame.map(|frame| (u16::from(frame.code), frame.reason.to_string()));
                return (events, Ending::Closed(frame));
            }
            Ok(Message::Frame(_)) => unreachable!("reading gives no raw frames"),
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return (events, Ending::Open),
            Err(Error::Capacity(_)) => return (events, Ending::Failed(1009)),
            Err(Error::Utf8(_)) => return (events, Ending::Failed(1007)),
            Err(Error::Protocol(_)) => return (events, Ending::Failed(1002)),
            Err(error) => panic!("unforeseen: {error}"),
        });
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ending {
    Open,
    Closed(Option<(u16, String)>),
    Failed(u16),
}

impl From<Progress> for Ending {
    fn from(progress: Progress) -> Self {
        match progress {
            Progress::Drained => Self::Open,
            Progress::Close { code, reason } => Self::Closed(code.map(|code| (code, reason.into()))),
            Progress::Violation(violation) => Self::Failed(violation.status_code()),
            Progress::Paused { .. } => unreachable!("pauses are over when a read returns"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(if cfg!(miri) { 4 } else { 256 }) })]

    #[test]
    fn cuts_change_nothing(bytes in stream(), rules in rules(), lengths in vec(1..300_usize, 1..8)) {
        let mut whole = Connection::new(rules);
        let progress = whole.reads([bytes.as_slice()]);
        let mut cut = Connection::new(rules);
        prop_assert_eq!(cut.reads(pieces(&bytes, &lengths)), progress.clone());
        prop_assert_eq!(&cut.recorder.events, &whole.recorder.events);
        prop_assert_eq!(cut.assembly.is_some(), whole.assembly.is_some());
        let mut crumbs = Connection::new(rules);
        prop_assert_eq!(crumbs.reads(bytes.chunks(1)), progress);
        prop_assert_eq!(&crumbs.recorder.events, &whole.recorder.events);
    }

    #[test]
    fn pauses_change_nothing(
        bytes in stream(),
        script in vec(any::<(bool, bool)>(), 0..40),
        lengths in vec(1..2000_usize, 1..4),
    ) {
        let mut plain = Connection::new(GENEROUS);
        let progress = plain.reads([bytes.as_slice()]);
        let mut paused = Connection::new(GENEROUS);
        paused.recorder.script = script.into();
        prop_assert_eq!(paused.reads(pieces(&bytes, &lengths)), progress);
        prop_assert_eq!(&paused.recorder.events, &plain.recorder.events);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        fin in any::<bool>(),
        opcode in prop_oneof![Just(Opcode::Text), Just(Opcode::Binary), Just(Opcode::Pong)],
        size in prop_oneof![0..300_usize, 65_000..66_000_usize],
    ) {
        // Our heads are a server's: a client's differ by the mask bit and the key.
        let size = if opcode.is_control() { size % 126 } else { size };
        let fin = fin || opcode.is_control();
        let head = FrameHead { fin, ..FrameHead::whole(opcode, size) };
        let mut bytes = head.encode().as_ref().to_vec();
        bytes[1] |= 0x80;
        bytes.extend(KEY);
        bytes.extend((0..size).map(|at| b'x' ^ KEY[at % 4]));
        if !head.fin {
            bytes.extend(frame(0x80, b""));
        }
        let mut connection = Connection::new(GENEROUS);
        prop_assert_eq!(connection.reads([bytes.as_slice()]), Progress::Drained);
        let payload = vec![b'x'; size];
        let expected = match opcode {
            Opcode::Text => Event::Message(MessageKind::Text, payload),
            Opcode::Binary => Event::Message(MessageKind::Binary, payload),
            _ => Event::Pong(payload),
        };
        prop_assert_eq!(connection.recorder.events, vec![expected]);
    }

    #[test]
    fn a_close_payload_is_what_it_was_made_of(code in any::<u16>(), reason in "[a-z€]{0,60}") {
        let payload = ClosePayload::new(code, &reason);
        let mut connection = Connection::new(GENEROUS);
        let progress = connection.reads([frame(0x88, payload.as_ref()).as_slice()]);
        let Progress::Close { code: told, reason: said } = progress else {
            return Err(TestCaseError::fail(format!("{progress:?}")));
        };
        prop_assert_eq!(told, super::is_sendable(code).then_some(code));
        prop_assert!(reason.starts_with(&*said));
        prop_assert!(told.is_none() || said.len() + 4 > reason.len().min(125));
    }

    /// The streams avoid the known differences: tungstenite takes lengths that are not in their
    /// shortest form or have the top bit set, refuses close code 1014 and answers a bad close code
    /// instead of failing, counts no fragments, and waits for a frame's end before it judges.
    #[test]
    fn tungstenite_reads_the_same(bytes in stream(), limit in prop_oneof![Just(300_usize), Just(1 << 20)]) {
        let rules = Rules { max_payload_bytes: limit, max_fragments: u32::MAX };
        let mut connection = Connection::new(rules);
        let ending = Ending::from(connection.reads([bytes.as_slice()]));
        let (events, oracle_ending) = oracle(&bytes, rules);
        prop_assert_eq!(connection.recorder.events, events);
        prop_assert_eq!(ending, oracle_ending);
    }

    /// A flipped byte may break several rules at once, and some that tungstenite does not know. Then
    /// we fail no later than it does; what we accept it accepts, as the same messages.
    #[test]
    fn tungstenite_accepts_what_we_accept(
        bytes in stream(),
        flips in vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
    ) {
        prop_assume!(!bytes.is_empty());
        let mut bytes = bytes;
        for (at, flip) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let rules = Rules { max_fragments: u32::MAX, ..GENEROUS };
        let mut connection = Connection::new(rules);
        let progress = connection.reads([bytes.as_slice()]);
        let (events, oracle_ending) = oracle(&bytes, rules);
        let ours = &connection.recorder.events;
        match progress {
            Progress::Violation(Violation::InvalidCloseCode) => {
                prop_assert_eq!(ours, &events);
                // It answers with 1002, or fails with 1007 because the reason is bad as well.
                prop_assert!(matches!(oracle_ending, Ending::Closed(Some((1002, _))) | Ending::Failed(1007)));
            }
            Progress::Violation(_) => prop_assert!(events.starts_with(ours)),
            Progress::Close { code: Some(1014), .. } => prop_assert_eq!(ours, &events),
            progress => {
                prop_assert_eq!(ours, &events);
                prop_assert_eq!(Ending::from(progress), oracle_ending);
            }
        }
    }
}
