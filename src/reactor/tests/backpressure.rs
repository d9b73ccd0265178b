//! A peer that reads slowly: what waits for it, what is dropped, and what JavaScript is told.

use super::frames::{BINARY, PING, PONG, TEXT, frame, said};
use super::*;
use crate::bridge::CloseCause;
use crate::bridge::event::FLAG_BINARY;

const FRAME_100: usize = 102;

fn opened(options: impl FnOnce(&mut Route)) -> (Rig, Peer, ConnectionId) {
    let mut rig = Rig::new();
    let route = routed(|route| {
        route.max_backpressure_bytes = 1000;
        route.idle_timeout_seconds = 0;
        options(route);
    });
    let (peer, connection) = rig.open(&route);
    peer.room(0);
    (rig, peer, connection)
}

fn amounts(events: &[Event]) -> Vec<(EventKind, usize)> {
    events.iter().map(|event| (event.kind, event.amount)).collect()
}

#[test]
fn a_message_is_dropped_when_more_than_the_limit_waits_before_it() {
    for one_turn in [true, false] {
        let (mut rig, peer, connection) = opened(|_| {});
        for number in 0..12u8 {
            rig.js.send(connection, TEXT, &[b'a' + number; 100]);
            if !one_turn {
                rig.obey();
            }
        }
        rig.obey();
        // Nine frames are 918 bytes, so a tenth is let in and overshoots; the others are dropped.
        assert_eq!(rig.slot(connection).waiting_bytes(), 10 * FRAME_100);
        assert_eq!(rig.js.drain().last().map(|event| event.amount), Some(10 * FRAME_100));
        peer.room(usize::MAX);
        assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 0)]);
        let expected: Vec<_> = (0..10u8).map(|number| said(TEXT, &[b'a' + number; 100])).collect();
        assert_eq!(heard(&peer), expected);
        rig.assert_idle(connection);
    }
}

#[test]
fn exactly_the_limit_lets_one_more_in() {
    let (mut rig, _peer, connection) = opened(|_| {});
    rig.js.send(connection, BINARY, &[0; 996]);
    rig.obey();
    assert_eq!(rig.slot(connection).waiting_bytes(), 1000);
    rig.js.send(connection, TEXT, b"x");
    rig.js.send(connection, TEXT, b"y");
    rig.obey();
    assert_eq!(rig.slot(connection).waiting_bytes(), 1003);
}

#[test]
fn what_the_kernel_takes_does_not_count() {
    let (mut rig, peer, connection) = opened(|_| {});
    peer.room(usize::MAX);
    for _ in 0..2000 {
        rig.js.send(connection, BINARY, &[1; 500]);
    }
    assert!(rig.events().is_empty());
    assert_eq!(heard(&peer).len(), 2000);
    rig.assert_idle(connection);
}

#[test]
fn a_watched_drain_is_not_told_while_what_was_sent_with_it_waits() {
    let (mut rig, peer, connection) = opened(|_| {});
    rig.js.send(connection, TEXT, &[b'a'; 100]);
    rig.js.command(CommandKind::WatchDrain, connection, b"");
    rig.js.send(connection, TEXT, &[b'b'; 100]);
    assert_eq!(amounts(&rig.events()), [(EventKind::Backlog, 2 * FRAME_100)]);
    peer.room(usize::MAX);
    assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 0)]);
    rig.js.send(connection, TEXT, &[b'c'; 100]);
    rig.js.command(CommandKind::WatchDrain, connection, b"");
    assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 0)]);
    assert_eq!(heard(&peer).len(), 3);
    rig.assert_idle(connection);
}

#[test]
fn dropped_messages_are_told_with_their_payload() {
    let (mut rig, peer, connection) = opened(|route| route.wants_dropped = true);
    rig.js.send(connection, BINARY, &[0; 2000]);
    rig.obey();
    rig.js.drain();
    rig.js.send(connection, TEXT, b"text");
    rig.js.send(connection, BINARY, b"");
    rig.js.send_large(connection, BINARY, vec![7; 100_000]);
    let events = rig.events();
    let dropped: Vec<_> = events.iter().filter(|event| event.kind == EventKind::Dropped).collect();
    assert_eq!((dropped[0].flags, &*dropped[0].payload), (0, &b"text"[..]));
    assert_eq!((dropped[1].flags, &*dropped[1].payload), (FLAG_BINARY, &b""[..]));
    assert_eq!((dropped[2].flags, dropped[2].payload.len()), (FLAG_BINARY, 100_000));
    assert!(!peer.is_closed());
}

#[test]
fn a_drop_closes_where_the_route_says_so() {
    let (mut rig, peer, connection) = opened(|route| {
        route.close_on_backpressure_limit = true;
        route.wants_dropped = true;
    });
    rig.js.send(connection, BINARY, &[0; 2000]);
    for _ in 0..3 {
        rig.js.send(connection, TEXT, b"one too many");
    }
    let events = rig.events();
    assert_eq!(kinds(&events), [EventKind::Backlog, EventKind::Dropped, EventKind::Close]);
    assert_eq!((events[2].flags, events[2].code()), (CloseCause::Backpressure as u8, 1006));
    assert!(peer.is_closed());
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn zero_is_unlimited() {
    let (mut rig, peer, connection) = opened(|route| route.max_backpressure_bytes = 0);
    for _ in 0..100 {
        rig.js.send(connection, BINARY, &[3; 10_000]);
    }
    rig.obey();
    assert_eq!(rig.slot(connection).waiting_bytes(), 100 * 10_004);
    peer.room(usize::MAX);
    rig.run();
    assert_eq!(heard(&peer).len(), 100);
    rig.assert_idle(connection);
}

#[test]
fn a_drain_is_told_at_half_and_at_none() {
    let (mut rig, peer, connection) = opened(|_| {});
    rig.js.send(connection, BINARY, &[0; 796]);
    assert_eq!(amounts(&rig.events()), [(EventKind::Backlog, 800)]);
    peer.room(300);
    assert!(rig.events().is_empty(), "500 of 800 wait");
    peer.room(100);
    assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 400)]);
    peer.room(199);
    assert!(rig.events().is_empty());
    rig.js.send(connection, BINARY, &[0; 95]);
    assert_eq!(amounts(&rig.events()), [(EventKind::Backlog, 201 + 97)]);
    peer.room(usize::MAX);
    assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 0)]);
    rig.assert_idle(connection);
}

#[test]
fn a_watched_drain_is_told_even_if_nothing_waits() {
    let (mut rig, peer, connection) = opened(|_| {});
    rig.js.command(CommandKind::WatchDrain, connection, b"");
    assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 0)]);
    rig.js.send(connection, BINARY, &[0; 98]);
    rig.js.command(CommandKind::WatchDrain, connection, b"");
    assert_eq!(amounts(&rig.events()), [(EventKind::Backlog, 100)]);
    peer.room(usize::MAX);
    assert_eq!(amounts(&rig.events()), [(EventKind::Drain, 0)]);
    rig.assert_idle(connection);
}

#[test]
fn javascript_is_not_told_of_what_is_not_its_own() {
    let (mut rig, peer, connection) = opened(|_| {});
    peer.says(&frame(PING, b"1"));
    peer.room(0);
    assert!(rig.events().is_empty());
    assert_eq!(rig.slot(connection).waiting_bytes(), 3);
    peer.room(usize::MAX);
    assert!(rig.events().is_empty(), "it sent nothing that could drain");
    assert_eq!(heard(&peer), [said(PONG, b"1")]);
    rig.assert_idle(connection);
}

#[test]
fn the_latest_ping_alone_is_answered_behind_a_backlog() {
    let (mut rig, peer, connection) = opened(|_| {});
    rig.js.send(connection, TEXT, &[b'x'; 500]);
    rig.obey();
    for number in 0..100u8 {
        peer.says(&frame(PING, &[number; 125]));
        rig.run();
        assert_eq!(rig.slot(connection).waiting_bytes(), 504);
    }
    peer.room(usize::MAX);
    rig.run();
    assert_eq!(heard(&peer), [said(TEXT, &[b'x'; 500]), said(PONG, &[99; 125])]);
    rig.js.drain();
    rig.assert_idle(connection);
}

#[test]
fn pongs_of_one_read_are_bounded() {
    let (mut rig, peer, connection) = opened(|_| {});
    peer.says(&frame(PING, &[1; 125]).repeat(3000));
    peer.says(&frame(PING, b"latest"));
    rig.run();
    assert!(rig.slot(connection).waiting_bytes() <= 70 * 1024);
    peer.room(usize::MAX);
    rig.run();
    let pongs = heard(&peer);
    assert!(pongs.len() < 600);
    assert_eq!(pongs.last(), Some(&said(PONG, b"latest")));
    rig.js.drain();
    rig.assert_idle(connection);
}

#[test]
fn a_peer_that_reads_gets_the_pongs_of_a_burst() {
    let (mut rig, peer, connection) = opened(|_| {});
    peer.room(usize::MAX);
    peer.says(&frame(PING, &[1; 125]).repeat(3000));
    peer.says(&frame(PING, b"latest"));
    rig.run();
    assert_eq!(heard(&peer).last(), Some(&said(PONG, b"latest")));
    rig.assert_idle(connection);
}

#[test]
fn a_large_payload_waits_where_it_lies() {
    let (mut rig, peer, connection) = opened(|route| route.max_backpressure_bytes = 0);
    let payload: Vec<u8> = (0..300_000).map(|at| (at % 251) as u8).collect();
    let place = payload.as_ptr();
    peer.room(10);
    rig.js.send_large(connection, BINARY, payload.clone());
    rig.js.send_large(connection, BINARY, payload);
    rig.obey();
    let slot = rig.slot(connection);
    let chunks: Vec<_> = slot.rare().outbox.chunks().map(|chunk| (chunk.as_ptr(), chunk.len())).collect();
    assert!(chunks.contains(&(place, 300_000)), "the second one was moved, not copied");
    peer.room(usize::MAX);
    rig.run();
    let frames = heard(&peer);
    assert!(frames.len() == 2 && frames.iter().all(|frame| frame.payload.len() == 300_000));
    rig.js.drain();
    rig.assert_idle(connection);
}

#[test]
fn more_slices_than_one_call_takes() {
    let (mut rig, peer, connection) = opened(|route| route.max_backpressure_bytes = 0);
    for (number, room) in [usize::MAX, 0, 100_000].into_iter().enumerate() {
        peer.room(room);
        for at in 0..200u8 {
            rig.js.send(connection, BINARY, &[at; 3000]);
            rig.js.send(connection, TEXT, &[b'a' + number as u8]);
        }
        rig.obey();
        peer.room(usize::MAX);
        rig.run();
        let frames = heard(&peer);
        assert_eq!(frames.len(), 400);
        for (at, pair) in frames.chunks(2).enumerate() {
            assert!(pair[0] == said(BINARY, &[at as u8; 3000]) && pair[1] == said(TEXT, &[b'a' + number as u8]));
        }
        rig.js.drain();
        rig.assert_idle(connection);
    }
}
