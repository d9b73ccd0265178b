//! Shutting down: everybody gets a close frame, at JavaScript's pace, and who came late as well.

use super::asking::{ask, seat};
use super::frames::{TEXT, close, closed, frame, said};
use super::*;
use crate::bridge::CloseCause;
use crate::bridge::command::{ANSWER_RESPONSE, ANSWER_UPGRADE, FLAG_SHUTDOWN};
use crate::limits::{DRAIN_EVENTS, SHUTDOWN_STEP};
use crate::reactor::Answer;
use crate::reactor::shutdown::Departed;
use crate::reactor::sweep::CLOSING_TICKS;

const NOBODY: ConnectionId = ConnectionId { index: u32::MAX, generation: 0 };

fn order(rig: &mut Rig) {
    rig.js.command(CommandKind::Shutdown, NOBODY, &[&1012_u16.to_le_bytes()[..], b"soon back"].concat());
    rig.obey();
}

fn cut_off(rig: &mut Rig) {
    rig.js.with_flags(CommandKind::TerminateAll, FLAG_SHUTDOWN, NOBODY, b"");
    rig.obey();
}

fn departed(rig: &Rig) -> Departed {
    rig.shared.tally().departed
}

/// An event that a shutdown closed a connection.
fn assert_told(event: &Event, connection: ConnectionId) {
    assert_eq!((event.connection, event.flags), (connection, CloseCause::Shutdown as u8));
    assert_eq!((event.code(), event.reason()), (1012, "soon back"));
}

#[test]
fn a_connection_is_closed_behind_what_was_sent_to_it() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|_| {}));
    rig.js.send(connection, TEXT, b"before");
    order(&mut rig);
    let events = rig.js.drain();
    assert_told(&events[0], connection);
    assert_eq!((events.len(), heard(&peer)), (1, vec![said(TEXT, b"before")]));
    rig.js.send(connection, TEXT, b"written before it knew");
    rig.release(connection);
    assert_eq!(heard(&peer), [said(TEXT, b"written before it knew"), closed(1012, "soon back")]);
    assert!(peer.is_finished() && !peer.is_closed());
    assert_eq!(departed(&rig), Departed::default(), "the peer has not closed");
    peer.says(&close(1012, ""));
    peer.ends();
    rig.run();
    assert!(peer.is_closed());
    assert_eq!(departed(&rig), Departed { closed: 1, forced: 0 });
    assert_eq!(rig.shared.tally().closes(CloseCause::Shutdown), 1);
    rig.assert_vacant();
}

#[test]
fn those_that_are_closing_already_are_waited_for() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let opened = [rig.open(&route), rig.open(&route)];
    let [(polite, first), (silent, second)] = &opened;
    rig.js.end(*first, 4000, "");
    rig.js.end(*second, 4000, "");
    order(&mut rig);
    assert!(rig.js.drain().is_empty());
    for (peer, connection) in &opened {
        rig.release(*connection);
        assert_eq!(heard(peer), [closed(4000, "")]);
    }
    polite.ends();
    rig.run();
    assert_eq!(departed(&rig), Departed { closed: 1, forced: 0 });
    rig.ticks(CLOSING_TICKS);
    assert!(silent.is_closed());
    assert_eq!(departed(&rig), Departed { closed: 1, forced: 1 });
    rig.assert_vacant();
}

#[test]
fn a_turn_closes_some_and_javascript_sets_the_pace() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let count = 4 * DRAIN_EVENTS;
    let mut peers = Vec::new();
    for _ in 0..count {
        peers.push(rig.open(&route));
    }
    order(&mut rig);
    let (last_peer, last) = &peers[count - 1];
    let (mut closings, mut asked, mut served) = (0, 0, 0);
    for _ in 0..count {
        let waiting = rig.shared.crossing.mailbox.waiting().events;
        assert!(waiting <= DRAIN_EVENTS + SHUTDOWN_STEP, "{waiting} closings ahead of JavaScript");
        let events = rig.js.drain_once();
        if events.is_empty() {
            break;
        }
        for event in events {
            match event.kind {
                EventKind::Close => {
                    closings += 1;
                    rig.js.command(CommandKind::Release, event.connection, b"");
                }
                _ => served += 1,
            }
        }
        // Whoever is still open is served.
        if rig.phase(*last) == Phase::Open {
            last_peer.says(&frame(TEXT, b"still here"));
            asked += 1;
        }
        rig.obey();
    }
    assert_eq!((closings, served), (count, asked));
    assert!(asked >= 3, "all were closed at once");
    peers.iter().for_each(|(peer, _)| peer.ends());
    rig.run();
    assert_eq!(departed(&rig), Departed { closed: count as u64, forced: 0 });
    assert!(rig.reactor.slab.is_empty() && rig.census.is_vacant());
}

#[test]
fn a_javascript_that_takes_nothing_is_not_waited_for() {
    let mut rig = Rig::new();
    let route = routed(|_| {});
    let peers: Vec<Peer> = (0..2 * DRAIN_EVENTS).map(|_| rig.open(&route).0).collect();
    order(&mut rig);
    let closing = |rig: &Rig| rig.shared.tally().closes(CloseCause::Shutdown) as usize;
    assert!(closing(&rig) < peers.len());
    rig.ticks(2);
    assert_eq!(closing(&rig), peers.len());
    let mut told = 0;
    for _ in 0..CLOSING_TICKS {
        rig.ticks(1);
        for farewell in peers.iter().map(|peer| (peer, heard(peer))).filter(|(_, heard)| !heard.is_empty()) {
            assert_eq!(farewell.1, [closed(1012, "soon back")]);
            farewell.0.ends();
            told += 1;
        }
    }
    rig.run();
    assert_eq!(told, peers.len());
    assert_eq!(departed(&rig), Departed { closed: told as u64, forced: 0 });
    for event in rig.js.drain() {
        rig.js.command(CommandKind::Release, event.connection, b"");
    }
    rig.obey();
    assert!(rig.reactor.slab.is_empty() && rig.census.is_vacant());
}

#[test]
fn who_comes_later_is_told_of_its_opening_and_its_end() {
    let mut rig = Rig::new();
    order(&mut rig);
    let peer = rig.adopt(&routed(|_| {}), &frame(TEXT, b"early"));
    let events = rig.js.drain();
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Message, EventKind::Close]);
    let connection = events[0].connection;
    assert_told(&events[2], connection);
    rig.release(connection);
    assert_eq!(heard(&peer), [closed(1012, "soon back")]);
    peer.ends();
    rig.run();
    rig.assert_vacant();
}

#[test]
fn a_request_is_answered_and_a_socket_that_comes_of_it_is_closed() {
    let mut rig = Rig::new();
    let (asked, refused) = ask(&mut rig, &routed(|_| {}));
    let (asked_too, connection) = ask(&mut rig, &routed(|_| {}));
    order(&mut rig);
    assert_eq!((rig.phase(refused), rig.phase(connection)), (Phase::Asking, Phase::Asking));
    rig.js.answer(refused, ANSWER_RESPONSE, b"200 OK\n\n");
    rig.release(refused);
    assert_eq!(asked.answer.try_recv(), Ok(Answer::Response(b"200 OK\n\n".to_vec())));
    rig.js.answer(connection, ANSWER_UPGRADE, b"\n");
    rig.js.send(connection, TEXT, b"of open");
    rig.obey();
    let peer = seat(&mut rig, &asked_too, b"");
    let events = rig.js.drain();
    assert_eq!(kinds(&events), [EventKind::Close]);
    assert_told(&events[0], connection);
    rig.release(connection);
    assert_eq!(heard(&peer), [said(TEXT, b"of open"), closed(1012, "soon back")]);
    peer.ends();
    rig.run();
    assert_eq!(departed(&rig), Departed { closed: 1, forced: 0 });
    rig.assert_vacant();
}

#[test]
fn a_slow_peer_has_the_time_that_the_shutdown_has() {
    let mut rig = Rig::new();
    let (peer, connection) = rig.open(&routed(|route| route.max_backpressure_bytes = 0));
    peer.room(10);
    rig.js.send(connection, TEXT, &[b'x'; 1_000]);
    rig.obey();
    order(&mut rig);
    rig.js.drain();
    rig.release(connection);
    rig.ticks(5 * CLOSING_TICKS);
    assert!(!peer.is_closed());
    peer.room(10_000);
    rig.run();
    assert_eq!(heard(&peer), [said(TEXT, &[b'x'; 1_000]), closed(1012, "soon back")]);
    peer.ends();
    rig.run();
    assert_eq!(departed(&rig), Departed { closed: 1, forced: 0 });
    rig.assert_vacant();
}

#[test]
fn the_end_of_its_time_cuts_off_all_and_who_comes_then() {
    let mut rig = Rig::new();
    let route = routed(|route| route.max_backpressure_bytes = 0);
    let (slow, lingering) = rig.open(&route);
    let (_ending_peer, ending) = rig.open(&route);
    slow.room(10);
    rig.js.send(lingering, TEXT, &[b'x'; 1_000]);
    rig.obey();
    order(&mut rig);
    rig.js.drain();
    rig.release(lingering);
    assert_eq!((rig.phase(lingering), rig.phase(ending)), (Phase::Lingering, Phase::Ending));
    let (asked, asking) = ask(&mut rig, &route);
    cut_off(&mut rig);
    assert!(slow.is_closed());
    assert_eq!(kinds(&rig.js.drain()), [EventKind::Aborted]);
    assert!(asked.answer.try_recv().is_err());
    rig.release(ending);
    rig.release(asking);
    assert_eq!(departed(&rig), Departed { closed: 0, forced: 2 });
    let late = rig.adopt(&route, b"");
    assert!(late.is_closed());
    let events = rig.js.drain();
    assert_eq!(kinds(&events), [EventKind::Open, EventKind::Close]);
    assert_eq!((events[1].flags, events[1].code()), (CloseCause::Shutdown as u8, 1006));
    rig.release(events[0].connection);
    assert_eq!(departed(&rig), Departed { closed: 0, forced: 3 });
    rig.assert_vacant();
}
