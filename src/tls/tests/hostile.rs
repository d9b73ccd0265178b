//! What no client should say.

use std::io::IoSlice;

use proptest::prelude::*;
use rustls::ContentType;

use super::forger::Forger;
use super::*;
use crate::limits;

/// A KeyUpdate that asks for none (RFC 8446 §4.6.3), and a ClientHello that is too short to be one.
const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 0];
const CLIENT_HELLO: [u8; 8] = [1, 0, 0, 4, 3, 3, 0, 0];

impl Pair {
    /// The session takes records, and must fail with this; from then on it does nothing, and says so.
    fn must_fail(&mut self, records: &[u8], expected: Fault) {
        self.wire.incoming.extend(records);
        let error = self.session_reads().expect_err("a fault");
        assert_eq!(Fault::inside(&error), Some(expected));
        assert!(self.session.cut().is_empty());
        self.wire.outgoing.clear();
        let sent = self.session.send(&mut self.wire, &[IoSlice::new(b"word")], &mut self.scratch);
        assert_eq!(sent.map_err(|error| Fault::inside(&error)), Err(Some(expected)));
        self.session.finish(&mut self.wire, &mut self.scratch).expect("nothing to say");
        self.wire.incoming.extend([23, 3, 3, 0, 40]);
        let again = self.session_reads().expect_err("the same fault");
        assert_eq!(Fault::inside(&again), Some(expected));
        assert!(self.wire.outgoing.is_empty());
    }
}

#[test]
fn a_renegotiation_is_declined_once() {
    let (mut pair, mut forger) = Forger::meet(&TLS12);
    // It is declined before it is read.
    let mut hello = Vec::new();
    pair.client.write_tls(&mut hello).expect("a ClientHello");
    pair.wire.incoming.extend(forger.record(ContentType::Handshake, &hello[5..]));
    pair.session_reads().expect("a warning");
    let alert = std::mem::take(&mut pair.wire.outgoing);
    assert_eq!((alert[0], alert.len()), (21, 5 + 2 + 16));
    pair.wire.incoming.extend(forger.record(ContentType::ApplicationData, b"all is well"));
    pair.session_reads().expect("a good record");
    assert_eq!(pair.received(), b"all is well");
    pair.must_fail(&forger.record(ContentType::Handshake, &hello[5..]), Fault::Protocol);
}

#[test]
fn a_second_hello_is_none_of_tls_1_3() {
    let (mut pair, mut forger) = Forger::meet(&TLS13);
    pair.must_fail(&forger.record(ContentType::Handshake, &CLIENT_HELLO), Fault::Protocol);
}

#[test]
fn floods_that_carry_nothing_come_to_an_end() {
    for version in VERSIONS {
        let (mut pair, mut forger) = Forger::meet(version);
        let empty: Vec<u8> = (0..32).flat_map(|_| forger.record(ContentType::ApplicationData, b"")).collect();
        pair.wire.incoming.extend(empty);
        pair.session_reads().expect("some are no harm");
        pair.must_fail(&forger.record(ContentType::ApplicationData, b""), Fault::Protocol);
    }
    let (mut pair, mut forger) = Forger::meet(&TLS12);
    let warnings: Vec<u8> = (0..5).flat_map(|_| forger.record(ContentType::Alert, &[1, 90])).collect();
    pair.must_fail(&warnings, Fault::Protocol);

    let mut pair = Pair::ready(&TLS13);
    for _ in 0..40 {
        pair.client.refresh_traffic_keys().expect("TLS 1.3");
        pair.client_writes();
    }
    let flood: Vec<u8> = pair.wire.incoming.drain(..).collect();
    pair.must_fail(&flood, Fault::Protocol);
}

#[test]
fn alerts_end_a_session() {
    for version in VERSIONS {
        for alert in [[2, 40], [2, 48], [2, 80]] {
            let (mut pair, mut forger) = Forger::meet(version);
            pair.must_fail(&forger.record(ContentType::Alert, &alert), Fault::Alert);
        }
        for alert in [&[9, 40][..], &[2], &[2, 40, 0]] {
            let (mut pair, mut forger) = Forger::meet(version);
            pair.wire.incoming.extend(forger.record(ContentType::Alert, alert));
            assert!(pair.session_reads().is_err(), "{alert:?}");
        }
    }
}

#[test]
fn records_that_are_forged_or_too_long_are_refused() {
    for version in VERSIONS {
        let (mut pair, mut forger) = Forger::meet(version);
        let mut record = forger.record(ContentType::ApplicationData, b"word");
        record[10] ^= 1;
        pair.wire.incoming.extend(&record);
        let error = pair.session_reads().expect_err("a fault");
        assert_eq!(Fault::inside(&error), Some(Fault::BadRecord));
        assert_eq!(pair.wire.outgoing[0], if *version == TLS12 { 21 } else { 23 }, "an alert");
        pair.must_fail(&[0], Fault::BadRecord);

        let (mut pair, mut forger) = Forger::meet(version);
        pair.must_fail(&forger.record(ContentType::ApplicationData, &[0; 16_385]), Fault::Protocol);

        let (mut pair, mut forger) = Forger::meet(version);
        pair.must_fail(&forger.record(ContentType::ChangeCipherSpec, &[1]), Fault::Protocol);

        for header in [[23, 3, 3, 0x48, 1], [23, 3, 3, 255, 255], [99, 3, 3, 0, 5], [23, 2, 0, 0, 5]] {
            Pair::ready(version).must_fail(&header, Fault::Protocol);
        }
    }
}

#[test]
fn what_is_cut_is_kept_within_its_bound() {
    for version in VERSIONS {
        let (mut pair, mut forger) = Forger::meet(version);
        // The longest record, without its last byte: a FIN would find it cut.
        let mut longest = forger.record(ContentType::ApplicationData, &[7; 16_384]);
        let last = longest.pop().expect("a byte");
        pair.wire.incoming.extend(&longest);
        pair.session_reads().expect("a part");
        assert_eq!(pair.session.cut().len(), longest.len());
        assert!(pair.session.cut().len() <= limits::TLS_CUT_RECORD_BYTES && !pair.session.is_finished());
        pair.wire.incoming.push_back(last);
        pair.session_reads().expect("a record");
        assert!(pair.received() == [7; 16_384] && pair.session.cut().is_empty());

        // A handshake message that says it is long, and comes in pieces.
        let (mut pair, mut forger) = Forger::meet(version);
        let mut said = 0;
        let outcome = (0..10_000).try_for_each(|at| {
            let piece = if at == 0 { vec![24, 0, 255, 255] } else { vec![0; 100] };
            let record = forger.record(ContentType::Handshake, &piece);
            said += record.len();
            pair.wire.incoming.extend(record);
            pair.session_reads()
        });
        assert_eq!(Fault::inside(&outcome.expect_err("too much")), Some(Fault::Protocol));
        assert!(said < limits::TLS_CUT_RECORD_BYTES + 1000, "{said} bytes");
        pair.must_fail(&[0], Fault::Protocol);
    }
}

/// rustls keeps its place in a handshake message that is cut: what is written between its pieces must not lose it.
#[test]
fn a_handshake_message_in_pieces_lets_writing_go_on() {
    let (mut pair, mut forger) = Forger::meet(&TLS13);
    for piece in KEY_UPDATE.chunks(2) {
        let record = forger.record(ContentType::Handshake, piece);
        let (one, two) = record.split_at(9);
        for part in [one, two] {
            pair.wire.incoming.extend(part);
            pair.session_reads().expect("a part");
            let sent = pair.session.send(&mut pair.wire, &[IoSlice::new(b"word")], &mut pair.scratch);
            assert_eq!(sent.expect("room"), 4);
        }
    }
    assert!(pair.session.cut().is_empty());
    // The client's keys are others now.
    pair.must_fail(&forger.record(ContentType::ApplicationData, b"word"), Fault::BadRecord);
}

#[test]
fn nothing_comes_between_the_pieces_of_a_handshake_message() {
    for version in VERSIONS {
        let (mut pair, mut forger) = Forger::meet(version);
        let piece = forger.record(ContentType::Handshake, &[24, 0, 0]);
        let between = forger.record(ContentType::ApplicationData, b"word");
        pair.must_fail(&[piece, between].concat(), Fault::Protocol);
    }
}

fn first(bytes: &[u8], length: usize) -> (Fault, Vec<u8>) {
    let mut hello = Hello::default();
    for piece in bytes.chunks(length) {
        match hello.take(piece) {
            Progress::More => {}
            Progress::Failed { fault, answer } => return (fault, answer),
            Progress::Whole { .. } => panic!("that is no hello"),
        }
    }
    panic!("that is not enough: {bytes:?}");
}

/// A ClientHello without extensions, of one suite, in a record.
fn hello_of(version: u8) -> Vec<u8> {
    let mut body = vec![3, version];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0, 47, 1, 0]);
    let length = body.len() as u8;
    [&[22, 3, version.min(1), 0, length + 4, 1, 0, 0, length], body.as_slice()].concat()
}

#[test]
fn first_bytes_are_judged_however_they_are_cut() {
    const PROTOCOL_VERSION: &[u8] = &[21, 3, 1, 0, 2, 2, 70];
    let ssl2 = [&[0x80, 28, 1, 0, 2, 0, 3, 0, 0, 0, 16, 1, 0, 128], &[9; 16][..]].concat();
    let cases: &[(&[u8], Fault, &[u8])] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::PlainHttp, b"HTTP/1.1 400 Bad Request\r\n"),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", Fault::PlainHttp, b"HTTP/1.1 400 Bad Request\r\n"),
        (b"get / HTTP/1.1\r\n\r\n", Fault::NotTls, b""),
        (b"SSH-2.0-OpenSSH\r\n", Fault::NotTls, b""),
        (&[0; 40], Fault::NotTls, b""),
        (&[255; 40], Fault::NotTls, b""),
        (&hello_of(0), Fault::Version, PROTOCOL_VERSION),
        (&hello_of(1), Fault::Version, PROTOCOL_VERSION),
        (&hello_of(2), Fault::Version, PROTOCOL_VERSION),
        (&ssl2, Fault::Version, PROTOCOL_VERSION),
        // TLS 1.2 without signature algorithms.
        (&hello_of(3), Fault::Incompatible, &[21, 3, 3, 0, 2, 2, 40]),
        (&[22, 3, 1, 255, 255, 0, 0], Fault::Protocol, &[21, 3, 3, 0, 2, 2, 50]),
        (&[21, 3, 1, 0, 2, 2, 40], Fault::Protocol, b""),
        (&[23, 3, 3, 0, 2, 2, 40], Fault::Protocol, b""),
    ];
    for (bytes, fault, answer) in cases {
        for length in 1..=bytes.len() {
            let (found, said) = first(bytes, length);
            assert_eq!(found, *fault, "{bytes:?} by {length}");
            let prefix = if answer.starts_with(b"HTTP") { &said[..answer.len()] } else { said.as_slice() };
            assert_eq!(prefix, *answer, "{bytes:?} by {length}");
        }
    }
}

#[test]
fn the_answer_to_plain_http_is_whole() {
    let (_, answer) = first(b"GET / HTTP/1.1\r\n\r\n", 100);
    let text = String::from_utf8(answer).expect("ASCII");
    let (head, content) = text.split_once("\r\n\r\n").expect("a head");
    assert!(head.contains(&format!("Content-Length: {}", content.len())), "{head}");
}

#[test]
fn a_hello_does_not_grow_without_end() {
    // A message of 64 KiB in records of one byte, and in long ones.
    for size in [1, 1000] {
        let record = |content: Vec<u8>| [&[22, 3, 1, (size >> 8) as u8, size as u8][..], &content].concat();
        let mut hello = Hello::default();
        let mut taken = 0;
        let fault = loop {
            let mut content = vec![0; size];
            for (at, byte) in [1, 0, 255, 255, 3, 3].into_iter().enumerate() {
                if let Some(place) = at.checked_sub(taken / (size + 5) * size).filter(|place| *place < size) {
                    content[place] = byte;
                }
            }
            let bytes = record(content);
            taken += bytes.len();
            match hello.take(&bytes) {
                Progress::More => assert!(taken <= limits::TLS_HELLO_BYTES, "{taken} bytes"),
                Progress::Failed { fault, answer } => {
                    assert_eq!(answer[..2], [21, 3]);
                    break fault;
                }
                Progress::Whole { .. } => panic!("that is no hello"),
            }
        };
        assert_eq!(fault, Fault::Protocol);
    }
}

/// Whatever comes: no panic, and what is kept is bounded.
fn takes_anything(session: &mut Session, pieces: &[Vec<u8>]) {
    let mut plaintext = Vec::new();
    let mut out = Outgoing::default();
    let mut staging = Vec::new();
    let mut came = 0;
    for piece in pieces {
        came += piece.len();
        let mut incoming = [session.cut(), piece].concat();
        let outcome = session.open(&mut incoming, &mut plaintext, &mut out);
        assert!(session.cut().len() <= limits::TLS_CUT_BYTES.min(came));
        assert!(outcome.is_ok() || session.cut().is_empty());
        assert!(plaintext.len() <= came);
        let sealed = session.seal(&[IoSlice::new(b"word")], &mut staging, &mut out);
        assert!(sealed.is_err() || !session.is_shaking_hands());
    }
    session.seal_end(&mut out).expect("it does not fail");
    assert!(out.filled().len() < 16 * 1024 + 64 * pieces.len());
}

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let header = (20..25u8, 0..5u8, 0..400u16).prop_map(|(kind, minor, length)| {
        let [long, short] = length.to_be_bytes();
        vec![kind, 3, minor, long, short]
    });
    let piece = prop_oneof![prop::collection::vec(any::<u8>(), 0..400), header];
    prop::collection::vec(piece, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_bytes_are_taken_before_a_handshake(pieces in pieces()) {
        let issued = Issued::new("example.org");
        takes_anything(&mut Session::new(issued.identity().config()).expect("a session"), &pieces);
        let mut hello = Hello::default();
        for piece in &pieces {
            if hello.take(piece) != Progress::More {
                break;
            }
        }
    }

    /// A client's flights, in which some bytes are others.
    #[test]
    fn flights_that_are_damaged_are_taken(
        is_new in any::<bool>(),
        is_second in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in 1..600usize,
    ) {
        let issued = Issued::new("example.org");
        let version = if is_new { &TLS13 } else { &TLS12 };
        let mut pair = Pair::new(&Arc::new(trusting(&[&issued], &[version])), "example.org", &issued.identity());
        pair.client_writes();
        if is_second {
            pair.session_reads().expect("a good flight");
            pair.client_reads().expect("a good flight");
            pair.client_writes();
        }
        let mut flight: Vec<u8> = pair.wire.incoming.drain(..).collect();
        for (place, byte) in damage {
            let at = place.index(flight.len());
            flight[at] = byte;
        }
        let pieces: Vec<Vec<u8>> = flight.chunks(cut).map(<[u8]>::to_vec).collect();
        takes_anything(&mut pair.session, &pieces);
    }

    /// Records that are sealed well, of any type and content.
    #[test]
    fn any_content_is_taken_behind_a_handshake(
        is_new in any::<bool>(),
        records in prop::collection::vec((20..25u8, prop::collection::vec(any::<u8>(), 0..300), any::<u8>()), 1..20),
        cut in 1..600usize,
    ) {
        let (mut pair, mut forger) = Forger::meet(if is_new { &TLS13 } else { &TLS12 });
        let mut stream = Vec::new();
        for (kind, mut content, head) in records {
            // Some look like handshake messages that are whole, or nearly.
            if let ([first, second, third, last, ..], 0..100) = (content.as_mut_slice(), head) {
                [*first, *second, *third, *last] = [head & 31, 0, 0, head];
            }
            stream.extend(forger.record(ContentType::from(kind), &content));
        }
        let pieces: Vec<Vec<u8>> = stream.chunks(cut).map(<[u8]>::to_vec).collect();
        takes_anything(&mut pair.session, &pieces);
    }
}
