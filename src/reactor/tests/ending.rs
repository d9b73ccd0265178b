//! Ends without a closing handshake, and commands that come too late, twice, or for nobody.

use std::io::ErrorKind;

use super::frames::{TEXT, frame};
use super::*;
use crate::bridge::CloseCause;

fn opened() -> (Rig, Peer, ConnectionId) {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|_| {}));
    (rig, peer, connection)
}

/// The connection was lost: one Close, the socket is closed, and Release frees the slot.
fn assert_lost(rig: &mut Rig, peer: &Peer, connection: ConnectionId, cause: CloseCause, reason: &str) {
    let events = rig.events();
    let end = events.last().unwrap();
    assert_eq!((end.flags, end.code(), end.reason()), (cause as u8, 1006, reason));
    assert_eq!(events.iter().filter(|event| event.kind == EventKind::Close).count(), 1);
    assert!(peer.is_closed());
    assert!(!rig.census.is_vacant(), "JavaScript has not released it");
    rig.release(connection);
    rig.assert_vacant();
}

const FIN: &str = "Received TCP FIN before WebSocket close frame";

#[test]
fn fin_without_a_close_frame() {
    let (mut rig, peer, connection) = opened();
    peer.ends();
    assert_lost(&mut rig, &peer, connection, CloseCause::Fin, FIN);
}

#[test]
fn fin_that_came_with_bytes_is_told_once_and_still_found() {
    let (mut rig, peer, connection) = opened();
    peer.says(&frame(TEXT, b"and off"));
    peer.ends();
    rig.run();
    assert_eq!(rig.js.drain_once()[0].payload, b"and off");
    assert!(peer.is_closed());
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn fin_behind_more_than_a_buffer_of_bytes() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.max_payload_bytes = 1 << 20));
    peer.says(&frame(TEXT, &vec![b'x'; 900_000]));
    peer.ends();
    assert_lost(&mut rig, &peer, connection, CloseCause::Fin, FIN);
}

#[test]
fn fin_where_readiness_is_told_after_would_block_alone() {
    let mut rig = Rig::<false>::of_host();
    let (peer, connection) = rig.open(&routed(|_| {}));
    peer.read_grain(3);
    peer.says(&frame(TEXT, b"and off"));
    peer.ends();
    assert_eq!(kinds(&rig.events()), [EventKind::Message, EventKind::Close]);
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn fin_inside_a_frame_and_inside_a_message() {
    for cut in [1, 3, 8] {
        let (mut rig, peer, connection) = opened();
        peer.says(&frame(TEXT, b"hello")[..cut]);
        rig.run();
        assert!(rig.slot(connection).assembly.is_some());
        peer.ends();
        assert_lost(&mut rig, &peer, connection, CloseCause::Fin, FIN);
    }
}

#[test]
fn a_reset_in_mid_frame() {
    let (mut rig, peer, connection) = opened();
    peer.says(&frame(TEXT, b"hello")[..8]);
    rig.run();
    peer.resets();
    assert_lost(&mut rig, &peer, connection, CloseCause::Reset, "");
}

#[test]
fn a_reset_behind_a_message() {
    let (mut rig, peer, connection) = opened();
    peer.says(&frame(TEXT, b"hello"));
    peer.resets();
    assert_lost(&mut rig, &peer, connection, CloseCause::Reset, "");
}

#[test]
fn errors_while_writing() {
    for kind in [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset, ErrorKind::OutOfMemory] {
        let (mut rig, peer, connection) = opened();
        peer.write_error(kind);
        rig.js.send(connection, TEXT, b"x");
        rig.js.send(connection, TEXT, b"y");
        assert_lost(&mut rig, &peer, connection, CloseCause::Reset, "");

        let (mut rig, peer, connection) = opened();
        peer.room(1);
        rig.js.send(connection, TEXT, b"waits");
        assert_eq!(kinds(&rig.events()), [EventKind::Backlog]);
        peer.write_error(kind);
        peer.room(100);
        assert_lost(&mut rig, &peer, connection, CloseCause::Reset, "");
    }
}

#[test]
fn an_error_while_the_close_frame_is_written() {
    let (mut rig, peer, connection) = opened();
    peer.write_error(ErrorKind::BrokenPipe);
    rig.js.end(connection, 1000, "");
    rig.obey();
    assert!(peer.is_closed() && rig.js.drain().is_empty());
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn terminate_in_every_phase() {
    // Open.
    let (mut rig, peer, connection) = opened();
    rig.js.send(connection, TEXT, b"not sent");
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.obey();
    assert!(peer.is_closed() && rig.js.drain().is_empty());
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.release(connection);
    rig.assert_vacant();
    // Ending, with the rest of a frame and of an outbox.
    let (mut rig, peer, connection) = opened();
    peer.room(1);
    rig.js.send(connection, TEXT, b"waits");
    rig.obey();
    peer.says(&frames::close(1000, ""));
    rig.run();
    assert_eq!(rig.phase(connection), Phase::Ending);
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.release(connection);
    assert!(peer.is_closed());
    rig.assert_vacant();
    // Lingering.
    let (mut rig, peer, connection) = opened();
    rig.js.end(connection, 1000, "");
    rig.obey();
    assert_eq!(rig.phase(connection), Phase::Lingering);
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.obey();
    assert!(peer.is_closed());
    assert_eq!(rig.phase(connection), Phase::Gone);
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn release_twice_and_commands_behind_it() {
    for gone_first in [false, true] {
        let (mut rig, peer, connection) = opened();
        if gone_first {
            peer.ends();
            rig.run();
        } else {
            rig.js.command(CommandKind::Terminate, connection, b"");
        }
        for _ in 0..3 {
            rig.js.command(CommandKind::Release, connection, b"");
            rig.js.send(connection, TEXT, b"x");
            rig.js.command(CommandKind::Terminate, connection, b"");
            rig.js.end(connection, 1000, "");
            rig.js.command(CommandKind::WatchDrain, connection, b"");
        }
        rig.obey();
        rig.assert_vacant();
        rig.release(connection);
        rig.assert_vacant();
        rig.js.drain();
        let (_, next) = rig.open(&routed(|_| {}));
        assert_eq!(next.index, connection.index);
        assert_ne!(next.generation, connection.generation);
        // The old name does nothing to the new connection.
        rig.js.command(CommandKind::Terminate, connection, b"");
        rig.release(connection);
        rig.assert_idle(next);
        assert!(!rig.slot(next).released);
    }
}

#[test]
fn a_release_of_an_open_connection_waits_for_its_end() {
    let (mut rig, peer, connection) = opened();
    rig.release(connection);
    assert!(!peer.is_closed());
    peer.ends();
    rig.run();
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn commands_for_places_that_never_were() {
    let (mut rig, _peer, connection) = opened();
    for index in [connection.index + 1, 1 << 10, 1 << 24, u32::MAX] {
        for generation in [0, 1, u16::MAX] {
            let nobody = ConnectionId { index, generation };
            rig.js.send(nobody, TEXT, b"x");
            rig.js.command(CommandKind::Release, nobody, b"");
            rig.js.command(CommandKind::Terminate, nobody, b"");
        }
    }
    assert!(rig.events().is_empty());
    rig.assert_idle(connection);
}

#[test]
fn malformed_commands_end_their_buffer_and_nothing_else() {
    let (mut rig, peer, connection) = opened();
    for garbage in [&[0xff; 12][..], &[1, 0, 0], &[1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff], &[0; 64]] {
        rig.js.send(connection, TEXT, b"before");
        rig.js.garbage(garbage);
        rig.js.send(connection, TEXT, b"behind");
        rig.obey();
        assert_eq!(heard(&peer), [frames::said(TEXT, b"before")]);
    }
    rig.assert_idle(connection);
    // An End whose reason is no text says the code alone; one of half a code says none.
    rig.js.command(CommandKind::End, connection, &[0xe8, 0x03, 0xff, 0xfe]);
    rig.obey();
    assert_eq!(heard(&peer), [frames::closed(1000, "")]);
}

#[test]
fn a_large_payload_for_nobody_does_not_shift_the_others() {
    let (mut rig, peer, connection) = opened();
    let nobody = ConnectionId { index: 900, generation: 3 };
    rig.js.send_large(nobody, TEXT, vec![b'n'; 40_000]);
    rig.js.send_large(connection, TEXT, vec![b'y'; 40_000]);
    rig.obey();
    assert_eq!(heard(&peer), [frames::said(TEXT, &[b'y'; 40_000])]);
}

#[test]
fn a_socket_that_cannot_be_watched_opens_and_closes() {
    let mut rig = Rig::new();
    rig.reactor.network.refusals = 1;
    let peer = rig.adopt(&routed(|_| {}), b"");
    let events = rig.js.drain();
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Close]);
    assert!(peer.is_closed());
    rig.release(events[0].connection);
    rig.assert_vacant();
}

#[test]
fn many_ends_in_one_turn() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let opened: Vec<_> = (0..300).map(|_| rig.open(&route)).collect();
    for (number, (peer, connection)) in opened.iter().enumerate() {
        match number % 5 {
            0 => peer.ends(),
            1 => peer.resets(),
            2 => peer.says(&frames::close(1000, "")),
            3 => rig.js.end(*connection, 1000, ""),
            _ => rig.js.command(CommandKind::Terminate, *connection, b""),
        }
    }
    rig.js.flush();
    rig.run();
    let events = drained(&mut rig);
    assert_eq!(events.len(), 180);
    opened.iter().for_each(|(_, connection)| rig.js.command(CommandKind::Release, *connection, b""));
    rig.obey();
    opened.iter().for_each(|(peer, _)| peer.ends());
    rig.run();
    assert!(opened.iter().all(|(peer, _)| peer.is_closed()));
    rig.assert_vacant();
}
