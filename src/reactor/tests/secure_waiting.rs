//! What waits around a secure connection: for a slow peer, plaintext that is exact to the byte and records; for a
//! busy JavaScript, a bounded amount.

use super::client::{Client, TLS13, VERSIONS};
use super::frames::{BINARY, PING, PONG, TEXT, close, closed, frame, plain, said};
use super::*;
use crate::bridge::CloseCause;
use crate::limits;
use crate::reactor::sweep::CLOSING_TICKS;

fn opened(options: impl FnOnce(&mut Route)) -> (Rig, Client, ConnectionId) {
    let mut rig = Rig::new();
    let (client, connection) = rig.open_secure(&routed(options), &TLS13);
    (rig, client, connection)
}

fn amounts(events: &[Event]) -> Vec<(EventKind, usize)> {
    events.iter().map(|event| (event.kind, event.amount)).collect()
}

/// A connection that there is not.
const NOBODY: ConnectionId = ConnectionId { index: u32::MAX, generation: 0 };

#[test]
fn backlog_and_drain_count_plaintext() {
    for version in VERSIONS {
        let mut rig = Rig::new();
        let route = routed(|route| {
            route.max_backpressure_bytes = 1000;
            route.idle_timeout_seconds = 0;
        });
        let (mut client, connection) = rig.open_secure(&route, version);
        client.peer.room(0);
        for number in 0..12u8 {
            rig.js.send(connection, TEXT, &[b'a' + number; 100]);
            rig.obey();
        }
        // Nine frames are 918 bytes, so a tenth is let in and overshoots; the others are dropped.
        assert_eq!(rig.slot(connection).waiting_bytes(), 1020);
        assert_eq!(rig.js.drain().last().map(|event| event.amount), Some(1020));
        // The first frame is sealed already; it counts until its record is written.
        client.peer.room(100);
        assert!(rig.events().is_empty());
        assert_eq!(rig.slot(connection).waiting_bytes(), 1020);
        client.peer.room(50);
        rig.run();
        assert_eq!(rig.slot(connection).waiting_bytes(), 1020 - 102);
        client.peer.room(usize::MAX);
        assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 0)]);
        let expected: Vec<_> = (0..10u8).map(|number| said(TEXT, &[b'a' + number; 100])).collect();
        assert_eq!(client.hears(), expected);
        let tally = rig.shared.tally();
        assert_eq!((tally.bytes_out, tally.outbox_bytes), (1020, 0));
        rig.assert_idle_secure(connection);
    }
}

#[test]
fn a_slow_reader_is_told_to_javascript_at_half_and_at_none() {
    let (mut rig, mut client, connection) = opened(|route| route.max_backpressure_bytes = 0);
    client.peer.room(0);
    rig.js.send_large(connection, BINARY, vec![1; 1_000_000]);
    assert_eq!(amounts(&rig.events()), [(EventKind::Backlog, 1_000_010)]);
    let (mut told, mut got) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        client.peer.room(10_000);
        told.extend(rig.events());
        got.extend(client.opens().unwrap());
        // No more than one part is sealed, and may have come, before it counts as sent.
        let known = got.len() + rig.slot(connection).waiting_bytes();
        assert!((1_000_010..=1_000_010 + limits::TLS_SEALED_BYTES).contains(&known), "{known}");
    }
    let amounts = amounts(&told);
    assert!(amounts.iter().all(|(kind, _)| *kind == EventKind::Drain));
    assert!(amounts.windows(2).all(|pair| pair[1].1 <= pair[0].1 / 2));
    assert_eq!(amounts.last(), Some(&(EventKind::Drain, 0)));
    assert!(frames::decode(&got) == [said(BINARY, &vec![1; 1_000_000])]);
    rig.assert_idle_secure(connection);
}

#[test]
fn the_latest_ping_is_answered_behind_a_backlog() {
    let (mut rig, mut client, connection) = opened(|_| {});
    client.peer.room(0);
    rig.js.send(connection, TEXT, &[b'x'; 500]);
    rig.obey();
    for number in 0..100u8 {
        client.says(&frame(PING, &[number; 125]));
        rig.run();
        assert_eq!(rig.slot(connection).waiting_bytes(), 504);
    }
    client.peer.room(usize::MAX);
    rig.run();
    assert_eq!(client.hears(), [said(TEXT, &[b'x'; 500]), said(PONG, &[99; 125])]);
    rig.js.drain();
    rig.assert_idle_secure(connection);
}

#[test]
fn a_close_notify_that_is_cut_goes_on_and_fin_follows_it() {
    // A close frame of 4 bytes is a record of 26, and close_notify one of 24.
    for (room, ends) in [(26, false), (27, false), (49, false), (27, true)] {
        let (mut rig, mut client, connection) = opened(|_| {});
        client.peer.room(room);
        rig.js.end(connection, 1000, "");
        rig.release(connection);
        assert!(rig.slot(connection).waiting_bytes() == 0 && rig.session(connection).is_unsent());
        if ends {
            client.peer.ends();
            rig.run();
        }
        assert!(!client.peer.is_finished() && !client.peer.is_closed());
        client.peer.room(50 - room);
        rig.run();
        assert!(client.peer.is_finished() && client.peer.is_closed() == ends);
        assert_eq!(client.hears(), [closed(1000, "")]);
        assert!(client.is_told_the_end());
        client.peer.ends();
        rig.run();
        rig.assert_vacant();
    }
}

#[test]
fn a_closing_peer_that_reads_slowly_is_waited_for_within_one_sealed_part() {
    let (mut rig, mut client, connection) = opened(|route| route.max_backpressure_bytes = 0);
    client.peer.room(0);
    rig.js.send(connection, BINARY, &[1; 3000]);
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    let mut got = Vec::new();
    for _ in 0..30 {
        rig.ticks(CLOSING_TICKS - 1);
        client.peer.room(50);
        rig.run();
        got.extend(client.opens().unwrap());
        assert!(!client.peer.is_closed());
    }
    client.peer.room(usize::MAX);
    rig.run();
    got.extend(client.opens().unwrap());
    assert_eq!(frames::decode(&got), [said(BINARY, &[1; 3000]), closed(1000, "")]);
    assert!(client.is_told_the_end());
    rig.ticks(CLOSING_TICKS);
    assert!(client.peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn a_peer_that_finished_its_side_still_gets_what_waits() {
    let (mut rig, mut client, connection) = opened(|_| {});
    client.peer.room(5);
    rig.js.send(connection, TEXT, &[b'x'; 300]);
    rig.obey();
    client.says(&close(1000, ""));
    let end = client.sealed_end();
    client.peer.says(&end);
    client.peer.ends();
    assert_eq!(kinds(&rig.events()), [EventKind::Backlog, EventKind::Close]);
    rig.release(connection);
    assert!(!client.peer.is_closed());
    client.peer.room(usize::MAX);
    rig.run();
    assert_eq!(client.hears(), [said(TEXT, &[b'x'; 300]), closed(1000, "")]);
    assert!(client.is_told_the_end() && client.peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn what_is_parked_and_what_ends_the_session_behind_it_stay_in_order() {
    for fails in [true, false] {
        let (mut rig, mut client, connection) = opened(|_| {});
        full(&mut rig, NOBODY);
        client.says(&[frame(PING, b"1"), frame(TEXT, b"first"), frame(PING, b"2")].concat());
        let end = if fails { vec![0; 50] } else { client.sealed_end() };
        client.peer.says(&end);
        rig.run();
        assert_eq!(rig.reactor.parked_bytes, frame(TEXT, b"first").len() + frame(PING, b"2").len());
        rig.js.send(connection, TEXT, b"meanwhile");
        rig.obey();
        rig.ticks(3);
        assert!(!client.peer.is_closed());
        let events = drained(&mut rig);
        assert_eq!(kinds(&events), [EventKind::Message, EventKind::Close]);
        assert_eq!(events[0].payload, b"first");
        let cause = if fails { CloseCause::Protocol } else { CloseCause::Fin };
        assert_eq!((events[1].flags, events[1].code()), (cause as u8, 1006));
        if !fails {
            let heard = client.hears();
            assert_eq!(
                (&heard[..2], heard.last()),
                (&[said(PONG, b"1"), said(TEXT, b"meanwhile")][..], Some(&said(PONG, b"2")))
            );
        }
        client.peer.ends();
        rig.release(connection);
        rig.assert_vacant();
    }
}

#[test]
fn what_waits_for_a_session_that_failed_does_not_lose_what_is_parked() {
    let (mut rig, mut client, connection) = opened(|_| {});
    client.peer.room(0);
    rig.js.send(connection, TEXT, b"to nobody");
    rig.obey();
    full(&mut rig, NOBODY);
    client.says(&frame(TEXT, b"parked"));
    client.peer.says(&[0; 50]);
    rig.run();
    assert_eq!((rig.slot(connection).waiting_bytes(), rig.shared.tally().outbox_bytes), (0, 0));
    client.peer.room(usize::MAX);
    rig.run();
    let events = drained(&mut rig);
    assert_eq!(kinds(&events), [EventKind::Backlog, EventKind::Message, EventKind::Close]);
    assert_eq!((&events[1].payload[..], events[2].flags), (&b"parked"[..], CloseCause::Protocol as u8));
}

#[test]
fn a_record_that_is_cut_waits_in_the_kernel() {
    let (mut rig, mut client, connection) = opened(|_| {});
    let record = client.sealed(&frame(TEXT, &[b'x'; 10_000]));
    client.peer.says(&record[..5000]);
    rig.run();
    full(&mut rig, NOBODY);
    client.peer.says(&record[5000..]);
    rig.run();
    assert_eq!(client.peer.unread_bytes(), record.len() - 5000);
    assert_eq!(drained(&mut rig)[0].payload, [b'x'; 10_000]);
    rig.assert_idle_secure(connection);
}

#[test]
fn what_sessions_keep_of_records_has_the_bound_of_what_is_parked() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    // A session each takes long to make: a bound that is almost reached already is enough.
    let mut opened: Vec<_> = (0..8).map(|_| rig.open_secure(&route, &TLS13)).collect();
    full(&mut rig, NOBODY);
    rig.reactor.intake.exceed(limits::PARKED_BYTES - 4 * 4096);
    for (client, _) in &mut opened {
        client.says(&plain(TEXT, &[b'x'; 8000]));
    }
    rig.run();
    let mut cut = |connection: &ConnectionId| rig.session(*connection).cut().len();
    let cuts: Vec<_> = opened.iter().map(|(_, connection)| cut(connection)).collect();
    assert_eq!(cuts, [4096, 4096, 4096, 4096, 0, 0, 0, 0]);
    assert_eq!(drained(&mut rig).len(), 8);
    opened.iter().for_each(|(_, connection)| rig.assert_idle_secure(*connection));
    // The bound is for the time in which JavaScript is busy.
    full(&mut rig, NOBODY);
    opened[7].0.says(&frame(PING, b"?"));
    rig.run();
    assert_eq!(opened[7].0.hears(), [said(PONG, b"?")]);
}

#[test]
fn a_flood_arrives_whole_when_there_is_room() {
    const MESSAGES: u32 = 5_000;
    let (mut rig, mut client, connection) = opened(|route| route.idle_timeout_seconds = 8);
    let mut payload = vec![0; 16_000];
    for number in 0..MESSAGES {
        payload[..4].copy_from_slice(&number.to_le_bytes());
        client.says(&plain(BINARY, &payload));
        if number % 50 == 0 {
            rig.run();
        }
    }
    rig.stand_still();
    assert!(rig.reactor.intake.is_full() && client.peer.unread_bytes() > 8_000_000);
    rig.ticks(20);
    let mut next = 0;
    for _ in 0..10_000 {
        let events = rig.js.drain_once();
        if events.is_empty() {
            break;
        }
        for event in events {
            assert_eq!(
                (event.kind, event.payload[..4].to_vec()),
                (EventKind::Message, u32::to_le_bytes(next).to_vec())
            );
            next += 1;
        }
        rig.run();
    }
    assert_eq!(next, MESSAGES);
    rig.assert_idle_secure(connection);
}
