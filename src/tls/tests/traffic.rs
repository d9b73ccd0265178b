//! Plaintext in both directions, whatever the socket cuts and takes.

use std::io::{ErrorKind, IoSlice};

use proptest::prelude::*;

use super::*;

impl Pair {
    /// Gives the session plaintext as an outbox does: what is not told as sent is given again. Between two attempts
    /// the client reads.
    fn session_says(&mut self, slices: &[&[u8]]) {
        let whole: Vec<u8> = slices.concat();
        let mut sent = 0;
        for _ in 0..10_000 {
            if sent == whole.len() {
                break;
            }
            let mut left = sent;
            let rest: Vec<IoSlice<'_>> = slices
                .iter()
                .map(|slice| {
                    let gone = left.min(slice.len());
                    left -= gone;
                    IoSlice::new(&slice[gone..])
                })
                .collect();
            match self.session.send(&mut self.wire, &rest, &mut self.scratch) {
                Ok(length) => sent += length,
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
        }
        assert_eq!(sent, whole.len());
        while self.session.is_unsent() {
            let _ = self.session.flush(&mut self.wire);
        }
    }

    /// What the session says reaches the client.
    fn reaches(&mut self, slices: &[&[u8]]) {
        self.session_says(slices);
        self.client_reads().expect("good records");
        let heard = std::mem::take(&mut self.heard);
        assert!(heard == slices.concat(), "{} bytes of {}", heard.len(), slices.concat().len());
    }
}

/// Bytes that tell their place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// docs/memory.md has the parts.
#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 1160, "{} bytes", size_of::<Session>());
}

#[test]
fn both_sides_are_heard() {
    for version in VERSIONS {
        let mut pair = Pair::ready(version);
        for length in [1, 100, 16_384, 16_385, 50_000] {
            pair.client_says(&bytes(length));
            pair.session_reads().expect("good records");
            assert!(pair.received() == bytes(length), "{version:?}, {length}");
            pair.reaches(&[&bytes(length)]);
        }
        pair.reaches(&[b"", b"a", b"", &bytes(16_383), b"bc", &bytes(70_000), b""]);
        assert!(pair.session.cut().is_empty() && !pair.session.is_unsent());
    }
}

#[test]
fn short_slices_share_a_record() {
    for version in VERSIONS {
        let mut pair = Pair::ready(version);
        pair.session_says(&[b"one ", b"record ", b"is enough"]);
        let wire = &pair.wire.outgoing;
        assert_eq!(wire.len(), 5 + usize::from(u16::from_be_bytes([wire[3], wire[4]])), "{version:?}");
    }
}

#[test]
fn a_write_takes_no_more_than_its_limit() {
    let mut pair = Pair::ready(&TLS13);
    let much = bytes(3 * crate::limits::TLS_SEALED_BYTES);
    pair.wire.room = [0].into();
    let error = pair.session.send(&mut pair.wire, &[IoSlice::new(&much)], &mut pair.scratch).expect_err("no room");
    assert_eq!(error.kind(), ErrorKind::WouldBlock);
    assert!(pair.session.is_unsent() && pair.wire.outgoing.is_empty());
    // Nothing is sealed on top of it.
    pair.wire.room = [0, 0].into();
    for _ in 0..2 {
        let again = pair.session.send(&mut pair.wire, &[IoSlice::new(&much)], &mut pair.scratch);
        assert_eq!(again.expect_err("no room").kind(), ErrorKind::WouldBlock);
    }
    let sent = pair.session.send(&mut pair.wire, &[IoSlice::new(&much)], &mut pair.scratch).expect("room");
    assert_eq!(sent, crate::limits::TLS_SEALED_BYTES);
    assert!(!pair.session.is_unsent());
    pair.client_reads().expect("good records");
    assert!(pair.heard == much[..sent]);
}

#[test]
fn close_notify_ends_each_direction_by_itself() {
    for version in VERSIONS {
        let mut pair = Pair::ready(version);
        pair.client_says(b"last");
        pair.client.send_close_notify();
        pair.client_writes();
        // What a peer sends behind its end is nothing, and is not kept.
        pair.wire.incoming.extend(bytes(100_000));
        pair.session_reads().expect("the end");
        assert!(pair.session.is_finished() && pair.session.cut().is_empty(), "{version:?}");
        assert_eq!(pair.received(), b"last");
        pair.wire.incoming.extend([23, 3, 3]);
        pair.session_reads().expect("nothing");
        assert!(pair.session.cut().is_empty());

        pair.reaches(&[b"answer"]);
        pair.session.finish(&mut pair.wire, &mut pair.scratch).expect("room");
        let length = pair.wire.outgoing.len();
        pair.session.finish(&mut pair.wire, &mut pair.scratch).expect("nothing to say");
        assert_eq!(pair.wire.outgoing.len(), length, "close_notify is said once");
        pair.client_reads().expect("the end");
        let behind = pair.session.send(&mut pair.wire, &[IoSlice::new(b"more")], &mut pair.scratch);
        assert_eq!(behind.map_err(|error| Fault::inside(&error)), Err(Some(Fault::Internal)));
        assert!(pair.wire.outgoing.is_empty());
    }
}

#[test]
fn close_notify_waits_for_the_host() {
    for version in VERSIONS {
        let mut pair = Pair::ready(version);
        pair.wire.room = [1, 0, 0, 2, 0].into();
        let outcomes: Vec<_> = (0..3)
            .map(|_| pair.session.finish(&mut pair.wire, &mut pair.scratch).map_err(|error| error.kind()))
            .collect();
        assert_eq!(outcomes, [Err(ErrorKind::WouldBlock), Err(ErrorKind::WouldBlock), Err(ErrorKind::WouldBlock)]);
        pair.session.finish(&mut pair.wire, &mut pair.scratch).expect("room");
        pair.client_reads().expect("the end");
        let state = pair.client.process_new_packets().expect("the end");
        assert!(state.peer_has_closed(), "{version:?}");
    }
}

/// The client updates its keys and asks for ours, between and inside of records that are cut.
#[test]
fn keys_are_updated_between_cuts() {
    let mut pair = Pair::ready(&TLS13);
    pair.wire.read = 7;
    for round in 0..100_usize {
        pair.client_says(&bytes(round));
        pair.client.refresh_traffic_keys().expect("TLS 1.3");
        pair.client_says(&bytes(1000 + round));
        pair.client_writes();
        pair.session_reads().expect("good records");
        assert!(pair.received() == [bytes(round), bytes(1000 + round)].concat(), "{round}");
        if round % 3 == 0 {
            pair.reaches(&[&bytes(round + 1)]);
        }
    }
}

/// A piece of a record stays while something is written.
#[test]
fn what_is_cut_does_not_hinder_writing() {
    for version in VERSIONS {
        let mut pair = Pair::ready(version);
        pair.client_says(&bytes(5000));
        let whole: Vec<u8> = pair.wire.incoming.drain(..).collect();
        for piece in whole.chunks(100) {
            pair.wire.incoming.extend(piece);
            pair.session_reads().expect("good records");
            pair.reaches(&[b"between"]);
        }
        assert!(pair.received() == bytes(5000));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However the stream is cut, and whatever the host takes, plaintext is the same.
    #[test]
    fn cuts_and_short_writes_change_nothing(
        is_new in any::<bool>(),
        says in prop::collection::vec(prop::collection::vec(0..20_000usize, 1..4), 1..8),
        reads in prop::collection::vec(1..20_000usize, 1..8),
        room in prop::collection::vec(prop_oneof![Just(0), 1..100usize, 1..40_000usize], 0..60),
        updates in any::<u8>(),
    ) {
        let mut pair = Pair::ready(if is_new { &TLS13 } else { &TLS12 });
        pair.wire.room = room.into();
        for (at, lengths) in says.iter().enumerate() {
            if is_new && updates & (1 << at) != 0 {
                pair.client.refresh_traffic_keys().expect("TLS 1.3");
            }
            let slices: Vec<Vec<u8>> = lengths.iter().map(|length| bytes(*length)).collect();
            for slice in &slices {
                pair.client_says(slice);
            }
            pair.wire.read = reads[at % reads.len()];
            pair.session_reads().expect("good records");
            prop_assert!(pair.received() == slices.concat());
            prop_assert!(pair.session.cut().is_empty());
            let slices: Vec<&[u8]> = slices.iter().map(Vec::as_slice).collect();
            pair.reaches(&slices);
        }
    }
}
