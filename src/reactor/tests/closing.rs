//! The closing handshake (RFC 6455 §7.1), from either side.

use super::frames::{CLOSE, PING, PONG, TEXT, close, closed, frame, said};
use super::*;
use crate::bridge::CloseCause;
use crate::limits;
use crate::reactor::sweep::CLOSING_TICKS;

fn opened() -> (Rig, Peer, ConnectionId) {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|_| {}));
    (rig, peer, connection)
}

/// The one event, which is a Close.
fn sole_close(events: &[Event]) -> (u8, u16, &str) {
    assert_eq!(kinds(events), [EventKind::Close]);
    (events[0].flags, events[0].code(), events[0].reason())
}

#[test]
fn the_peers_close_is_answered_behind_what_javascript_sent() {
    let (mut rig, peer, connection) = opened();
    peer.says(&close(4001, "enough"));
    assert_eq!(sole_close(&rig.events()), (CloseCause::Peer as u8, 4001, "enough"));
    assert!(peer.take().is_empty() && !peer.is_closed(), "JavaScript has the last word");
    rig.js.send(connection, TEXT, b"written before it knew");
    rig.release(connection);
    assert_eq!(heard(&peer), [said(TEXT, b"written before it knew"), closed(4001, "")]);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn a_close_without_a_status_is_answered_alike() {
    let (mut rig, peer, connection) = opened();
    peer.says(&frame(CLOSE, b""));
    assert_eq!(sole_close(&rig.events()), (CloseCause::Peer as u8, 1005, ""));
    rig.release(connection);
    assert_eq!(heard(&peer), [said(CLOSE, b"")]);
    rig.assert_vacant();
}

#[test]
fn a_busy_javascript_does_not_keep_the_peer_waiting() {
    let (mut rig, peer, connection) = opened();
    peer.says(&close(1000, ""));
    rig.run();
    rig.ticks(CLOSING_TICKS - 1);
    assert!(!peer.is_closed());
    rig.ticks(1);
    assert_eq!(heard(&peer), [closed(1000, "")]);
    assert!(peer.is_closed());
    assert_eq!(rig.phase(connection), Phase::Gone);
    assert_eq!(kinds(&rig.js.drain()), [EventKind::Close]);
    rig.js.send(connection, TEXT, b"too late");
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn a_violation_is_told_behind_the_messages_before_it() {
    let (mut rig, peer, connection) = opened();
    peer.says(&[frame(TEXT, b"good"), vec![0x83, 0x80, 0, 0, 0, 0]].concat());
    let events = rig.events();
    assert_eq!(kinds(&events), [EventKind::Message, EventKind::Close]);
    assert_eq!((events[1].flags, events[1].code()), (CloseCause::Protocol as u8, 1006));
    assert_eq!(events[1].reason(), "Received invalid WebSocket frame");
    rig.js.send(connection, TEXT, b"good");
    rig.release(connection);
    assert_eq!(heard(&peer), [said(TEXT, b"good"), closed(1002, "reserved opcode")]);
    assert!(peer.is_finished() && !peer.is_closed());
    // What it still sends is thrown away, up to its FIN.
    peer.says(&frame(TEXT, &[b'x'; 5000]));
    rig.run();
    assert_eq!((peer.unread_bytes(), rig.phase(connection)), (0, Phase::Lingering));
    peer.says(b"more");
    peer.ends();
    assert!(rig.events().is_empty());
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn a_peer_that_keeps_its_side_open_is_closed_when_time_is_up() {
    let (mut rig, peer, connection) = opened();
    rig.js.end(connection, 1000, "done");
    rig.release(connection);
    assert_eq!(heard(&peer), [closed(1000, "done")]);
    for _ in 1..CLOSING_TICKS {
        peer.says(&[0; 1000]);
        rig.ticks(1);
        assert!(!peer.is_closed());
    }
    rig.ticks(1);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn end_leaves_behind_earlier_sends_and_ends_the_sending() {
    let (mut rig, peer, connection) = opened();
    rig.js.send(connection, TEXT, b"last words");
    rig.js.end(connection, 4999, "reason");
    rig.js.send(connection, TEXT, b"never sent");
    rig.js.end(connection, 1000, "never said");
    rig.release(connection);
    assert_eq!(heard(&peer), [said(TEXT, b"last words"), closed(4999, "reason")]);
    assert!(peer.is_finished());
    peer.says(&close(4999, ""));
    rig.run();
    assert!(!peer.is_closed(), "the peer's FIN ends it");
    peer.ends();
    rig.run();
    assert!(rig.js.drain().is_empty(), "JavaScript needs not to be told what it did");
    rig.assert_vacant();
}

#[test]
fn end_without_a_code_says_none() {
    let (mut rig, peer, connection) = opened();
    rig.js.command(CommandKind::End, connection, b"");
    rig.release(connection);
    assert_eq!(heard(&peer), [said(CLOSE, b"")]);
}

#[test]
fn end_of_a_connection_that_the_peer_ends_has_its_own_code() {
    let (mut rig, peer, connection) = opened();
    peer.says(&close(1000, ""));
    rig.run();
    rig.js.end(connection, 4002, "mine");
    rig.release(connection);
    assert_eq!(heard(&peer), [closed(4002, "mine")]);
    assert!(peer.is_closed(), "both have said it");
    rig.assert_vacant();
}

#[test]
fn a_close_frame_waits_behind_bytes_and_fin_behind_it() {
    let (mut rig, peer, connection) = opened();
    peer.room(10);
    rig.js.send(connection, TEXT, &[b'x'; 1000]);
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    assert!(!peer.is_finished());
    let mut got = peer.take();
    for _ in 0..20 {
        rig.ticks(1);
        peer.room(50);
        rig.run();
        got.extend(peer.take());
        assert!(!peer.is_closed(), "a peer that reads is waited for");
    }
    peer.room(usize::MAX);
    rig.run();
    got.extend(peer.take());
    assert_eq!(frames::decode(&got), [said(TEXT, &[b'x'; 1000]), closed(1000, "")]);
    assert!(peer.is_finished());
    peer.ends();
    rig.run();
    rig.assert_vacant();
}

#[test]
fn a_closing_peer_that_reads_nothing_is_closed_when_time_is_up() {
    let (mut rig, peer, connection) = opened();
    peer.room(0);
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    rig.ticks(CLOSING_TICKS);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn a_peer_that_finished_its_side_still_gets_what_waits() {
    let (mut rig, peer, connection) = opened();
    peer.room(5);
    rig.js.send(connection, TEXT, &[b'x'; 300]);
    rig.obey();
    peer.says(&close(1000, ""));
    peer.ends();
    assert_eq!(kinds(&rig.events()), [EventKind::Backlog, EventKind::Close]);
    rig.release(connection);
    assert!(!peer.is_closed());
    peer.room(usize::MAX);
    rig.run();
    assert_eq!(heard(&peer), [said(TEXT, &[b'x'; 300]), closed(1000, "")]);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn a_peer_that_finishes_its_side_while_it_is_written_to_still_gets_all() {
    let (mut rig, peer, connection) = opened();
    peer.room(5);
    rig.js.send(connection, TEXT, &[b'x'; 300]);
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    peer.says(&close(1000, ""));
    peer.ends();
    rig.run();
    peer.room(usize::MAX);
    rig.run();
    assert_eq!(heard(&peer), [said(TEXT, &[b'x'; 300]), closed(1000, "")]);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn nothing_follows_our_close_frame() {
    let (mut rig, peer, connection) = opened();
    peer.room(3);
    rig.js.send(connection, TEXT, &[b'x'; 300]);
    rig.obey();
    peer.says(&frame(PING, b"answer me"));
    rig.run();
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    peer.room(usize::MAX);
    rig.run();
    assert_eq!(heard(&peer), [said(TEXT, &[b'x'; 300]), said(PONG, b"answer me"), closed(1000, "")]);
    peer.ends();
    rig.run();
    rig.assert_vacant();
}

#[test]
fn a_flood_behind_our_close_frame_is_bounded_in_time() {
    let (mut rig, peer, connection) = opened();
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    for _ in 0..CLOSING_TICKS {
        peer.says(&vec![0; limits::READ_BUFFER_BYTES * 3]);
        rig.ticks(1);
    }
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn the_end_of_all_ends_those_that_came_before_it_and_are_taken_behind_it() {
    let mut rig = Rig::new();
    rig.js.command(CommandKind::TerminateAll, ConnectionId { index: u32::MAX, generation: 0 }, b"");
    rig.js.flush();
    let peer = rig.adopt(&routed(|_| {}), b"");
    assert!(peer.is_closed());
    // A command that comes once the arrivals are being taken waits for the next turn, and so finds all of them.
    rig.reactor.collect();
    rig.js.command(CommandKind::TerminateAll, ConnectionId { index: u32::MAX, generation: 0 }, b"");
    rig.js.flush();
    let (socket, late) = connection();
    let ticket = connected(&rig.census);
    rig.reactor.turn(&[], rig.now);
    rig.reactor.adopt(plain(socket, Vec::new()), ticket, &routed(|_| {}), None, None, rig.now);
    assert!(!late.is_closed());
    rig.run();
    assert!(late.is_closed());
}
