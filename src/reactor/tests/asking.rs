//! Requests that JavaScript answers: the life of a connection before its socket is there.

use std::sync::Mutex;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use super::frames::{CLOSE, PING, TEXT, closed, frame, said};
use super::*;
use crate::bridge::command::{ANSWER_CLOSE, ANSWER_RESPONSE, ANSWER_UPGRADE, ANSWER_YIELD};
use crate::bridge::{CloseCause, event};
use crate::limits;
use crate::reactor::sweep::CLOSING_TICKS;
use crate::reactor::{Answer, Pass, Visit};

const HEAD: &[u8] = b"GET\n/\nhost:x\n";

/// A request as the gate sees it.
pub(super) struct Asked {
    pass: Pass,
    pub(super) answer: Receiver<Answer>,
}

impl Asked {
    /// Where the socket belongs.
    pub(super) fn pass(&self) -> Pass {
        self.pass.clone()
    }
}

/// Leaves a request, as the gate does, and takes its event.
pub(super) fn ask(rig: &mut Rig, route: &Arc<Route>) -> (Asked, ConnectionId) {
    let (sender, answer) = channel();
    let sender = Mutex::new(sender);
    let pass = Pass::default();
    let visit = Visit {
        route: route.clone(),
        agreement: None,
        head: HEAD.to_vec(),
        peer: Some("10.1.2.3:258".parse().unwrap()),
        pass: pass.clone(),
        answer: Box::new(move |answer| drop(sender.lock().unwrap().send(answer))),
    };
    rig.reactor.receive(visit, rig.now);
    rig.shared.ring();
    let events = rig.events();
    let [Event { kind: EventKind::Request, connection, flags, payload, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(*flags, event::family::V4);
    assert_eq!(payload[..], [&[0, 0, 2, 1, 10, 1, 2, 3], HEAD].concat());
    assert_eq!(pass.connection(), Some(*connection));
    (Asked { pass, answer }, *connection)
}

/// The socket comes, behind its 101.
pub(super) fn seat(rig: &mut Rig, asked: &Asked, early: &[u8]) -> Peer {
    let (socket, peer) = connection();
    rig.reactor.seat(plain(socket, early.to_vec()), connected(&rig.census), &asked.pass);
    rig.shared.ring();
    rig.run();
    peer
}

fn depart(rig: &mut Rig, asked: &Asked) -> Vec<Event> {
    rig.reactor.depart(&asked.pass);
    rig.shared.ring();
    rig.events()
}

fn upgraded(options: impl FnOnce(&mut Route)) -> (Rig, Asked, ConnectionId) {
    let mut rig = Rig::new();
    let (asked, connection) = ask(&mut rig, &routed(options));
    rig.js.answer(connection, ANSWER_UPGRADE, b"chat\n");
    (rig, asked, connection)
}

#[test]
fn what_open_sends_is_written_in_order_when_the_socket_comes() {
    let (mut rig, asked, connection) = upgraded(|_| {});
    rig.js.send(connection, TEXT, b"one");
    rig.js.send(connection, TEXT, &[b'x'; 3000]);
    rig.js.send(connection, PING, b"two");
    rig.obey();
    assert_eq!(asked.answer.try_recv(), Ok(Answer::Upgrade { lines: b"chat\n".to_vec(), agreement: None }));
    assert_eq!(rig.phase(connection), Phase::Arriving);
    rig.js.send(connection, TEXT, b"three");
    assert_eq!(rig.events(), [], "what waits for the socket is no backlog");

    let peer = seat(&mut rig, &asked, &frame(TEXT, b"early"));
    let all = [said(TEXT, b"one"), said(TEXT, &[b'x'; 3000]), said(PING, b"two"), said(TEXT, b"three")];
    assert_eq!(heard(&peer), all);
    let events = rig.js.drain();
    assert_eq!(kinds(&events), [EventKind::Message]);
    assert_eq!((events[0].connection, &events[0].payload[..]), (connection, &b"early"[..]));
    rig.assert_idle(connection);
    let tally = rig.shared.tally();
    assert_eq!((tally.opened, tally.connections(), tally.outbox_bytes, tally.messages_out), (1, 1, 0, 3));

    peer.ends();
    let events = rig.events();
    assert_eq!((kinds(&events), events[0].flags), (vec![EventKind::Close], CloseCause::Fin as u8));
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn a_seated_connection_has_its_idle_timeout() {
    let (mut rig, asked, connection) = upgraded(|route| route.idle_timeout_seconds = 8);
    rig.obey();
    rig.ticks(20);
    assert_eq!(rig.phase(connection), Phase::Arriving, "who waits for JavaScript is not idle");
    let peer = seat(&mut rig, &asked, b"");
    rig.ticks(6);
    assert_eq!(heard(&peer), [said(PING, b"")]);
    assert_eq!(rig.events()[0].flags, CloseCause::Timeout as u8);
}

#[test]
fn every_other_answer_gives_the_place_back() {
    for (flags, expected) in [
        (ANSWER_RESPONSE, Answer::Response(b"403 No\n\n".to_vec())),
        (ANSWER_YIELD, Answer::Yield),
        (ANSWER_CLOSE, Answer::Close),
        (99, Answer::Response(b"403 No\n\n".to_vec())),
    ] {
        let mut rig = Rig::new();
        let (asked, connection) = ask(&mut rig, &routed(|_| {}));
        rig.js.answer(connection, flags, b"403 No\n\n");
        rig.js.send(connection, TEXT, b"to nobody");
        rig.obey();
        assert_eq!(asked.answer.try_recv(), Ok(expected));
        assert_eq!(rig.phase(connection), Phase::Gone);
        rig.js.answer(connection, ANSWER_UPGRADE, b"a second answer");
        rig.release(connection);
        assert_eq!(asked.answer.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(rig.js.drain(), []);
        assert_eq!(rig.shared.tally().opened, 0);
        rig.assert_vacant();
        // The gate may say so, too: another connection has the place by then.
        let (other, next) = ask(&mut rig, &routed(|_| {}));
        assert_eq!(next.index, connection.index);
        assert_eq!(depart(&mut rig, &asked), []);
        assert_eq!(rig.phase(next), Phase::Asking);
        drop(other);
    }
}

#[test]
fn a_large_answer_crosses_beside_the_commands() {
    let mut rig = Rig::new();
    let (asked, connection) = ask(&mut rig, &routed(|_| {}));
    let answer = [&b"200 OK\n\n"[..], &[b'x'; 100_000]].concat();
    let mut commands = Vec::new();
    crate::bridge::command::encode(&mut commands, CommandKind::AnswerLarge, ANSWER_RESPONSE, connection, b"");
    crate::bridge::command::encode(&mut commands, CommandKind::Release, 0, connection, b"");
    rig.shared.crossing.inbox.push(&commands, Some(answer.clone()));
    rig.shared.ring();
    rig.run();
    assert_eq!(asked.answer.try_recv(), Ok(Answer::Response(answer)));
    rig.assert_vacant();
}

#[test]
fn a_peer_that_leaves_while_its_request_is_pending() {
    let mut rig = Rig::new();
    let (asked, connection) = ask(&mut rig, &routed(|_| {}));
    assert_eq!(kinds(&depart(&mut rig, &asked)), [EventKind::Aborted]);
    assert_eq!(asked.answer.try_recv(), Err(TryRecvError::Disconnected));
    assert_eq!(depart(&mut rig, &asked), [], "it is told once");
    // JavaScript may have upgraded it meanwhile: nobody is there.
    rig.js.answer(connection, ANSWER_UPGRADE, b"\n");
    rig.js.send(connection, TEXT, b"to nobody");
    rig.js.end(connection, 1000, "");
    rig.release(connection);
    assert_eq!(rig.js.drain(), []);
    rig.assert_vacant();
}

#[test]
fn a_peer_that_leaves_before_its_socket_is_there() {
    let (mut rig, asked, connection) = upgraded(|_| {});
    rig.js.send(connection, TEXT, b"to nobody");
    rig.obey();
    let events = depart(&mut rig, &asked);
    assert_eq!(kinds(&events), [EventKind::Close]);
    assert_eq!((events[0].code(), events[0].flags), (1006, CloseCause::Reset as u8));
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn an_end_before_the_socket_is_there_is_said_when_it_comes() {
    let (mut rig, asked, connection) = upgraded(|_| {});
    rig.js.send(connection, TEXT, b"first");
    rig.js.end(connection, 4000, "bye");
    rig.js.send(connection, TEXT, b"too late");
    rig.release(connection);
    let peer = seat(&mut rig, &asked, &frame(TEXT, b"nobody hears this"));
    assert_eq!(heard(&peer), [said(TEXT, b"first"), closed(4000, "bye")]);
    assert!(peer.is_finished() && !peer.is_closed());
    peer.says(&frame(CLOSE, b""));
    peer.ends();
    assert_eq!(rig.events(), []);
    assert!(peer.is_closed());
    rig.assert_vacant();
}

#[test]
fn a_termination_before_the_socket_is_there_follows_what_was_sent() {
    let (mut rig, asked, connection) = upgraded(|_| {});
    rig.js.send(connection, TEXT, b"first");
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.release(connection);
    assert_eq!(rig.phase(connection), Phase::Lingering);
    let peer = seat(&mut rig, &asked, b"");
    assert_eq!(heard(&peer), [said(TEXT, b"first")]);
    assert!(peer.is_closed());
    rig.assert_vacant();

    let (mut rig, asked, connection) = upgraded(|_| {});
    rig.js.command(CommandKind::Terminate, connection, b"");
    rig.release(connection);
    rig.assert_vacant();
    let peer = seat(&mut rig, &asked, b"");
    assert!(peer.is_closed() && peer.take().is_empty());
    assert_eq!(rig.shared.tally().closes(CloseCause::Local), 1);
}

#[test]
fn a_closing_connection_whose_socket_never_comes_is_given_up() {
    for departs in [true, false] {
        let (mut rig, asked, connection) = upgraded(|_| {});
        rig.js.end(connection, 1000, "");
        rig.release(connection);
        assert_eq!(rig.phase(connection), Phase::Lingering);
        if departs {
            assert_eq!(depart(&mut rig, &asked), []);
        } else {
            rig.ticks(CLOSING_TICKS);
        }
        rig.assert_vacant();
    }
}

#[test]
fn what_waits_for_the_socket_has_the_bound_of_any_backpressure() {
    let (mut rig, asked, connection) = upgraded(|route| {
        route.max_backpressure_bytes = 1000;
        route.wants_dropped = true;
    });
    for _ in 0..4 {
        rig.js.send(connection, TEXT, &[b'x'; 600]);
    }
    let events = rig.events();
    assert_eq!(kinds(&events), [EventKind::Backlog, EventKind::Dropped, EventKind::Dropped]);
    rig.js.command(CommandKind::WatchDrain, connection, b"");
    assert_eq!(kinds(&rig.events()), [EventKind::Backlog]);
    let peer = seat(&mut rig, &asked, b"");
    assert_eq!(heard(&peer).len(), 2);
    let events = rig.js.drain();
    assert_eq!((kinds(&events), events[0].amount), (vec![EventKind::Drain], 0));

    let (mut rig, asked, connection) = upgraded(|route| {
        route.max_backpressure_bytes = 1000;
        route.close_on_backpressure_limit = true;
    });
    for _ in 0..3 {
        rig.js.send(connection, TEXT, &[b'x'; 600]);
    }
    let events = rig.events();
    assert_eq!((kinds(&events), events[0].flags), (vec![EventKind::Close], CloseCause::Backpressure as u8));
    rig.release(connection);
    rig.assert_vacant();
    assert!(seat(&mut rig, &asked, b"").is_closed());
}

#[test]
fn a_peer_that_does_not_read_has_a_backlog_from_its_arrival_on() {
    let (mut rig, asked, connection) = upgraded(|_| {});
    rig.js.send(connection, TEXT, &[b'x'; 1000]);
    rig.obey();
    let (socket, peer) = super::connection();
    peer.room(400);
    rig.reactor.seat(plain(socket, Vec::new()), connected(&rig.census), &asked.pass);
    rig.shared.ring();
    let events = rig.events();
    assert_eq!((kinds(&events), events[0].amount), (vec![EventKind::Backlog], 1004 - 400));
    peer.room(usize::MAX);
    assert_eq!(kinds(&rig.events()), [EventKind::Drain]);
    rig.assert_idle(connection);
}

#[test]
fn a_socket_that_cannot_be_watched_is_lost() {
    let (mut rig, asked, connection) = upgraded(|_| {});
    rig.obey();
    rig.reactor.network.refusals = 1;
    let peer = seat(&mut rig, &asked, b"");
    assert!(peer.is_closed());
    assert_eq!(kinds(&rig.js.drain()), [EventKind::Close]);
    rig.release(connection);
    rig.assert_vacant();
}

#[test]
fn the_end_of_all_ends_requests() {
    let mut rig = Rig::new();
    let (asked, pending) = ask(&mut rig, &routed(|_| {}));
    let (_, upgraded) = ask(&mut rig, &routed(|_| {}));
    rig.js.answer(upgraded, ANSWER_UPGRADE, b"\n");
    rig.js.command(CommandKind::TerminateAll, ConnectionId { index: u32::MAX, generation: 0 }, b"");
    assert_eq!(kinds(&rig.events()), [EventKind::Aborted, EventKind::Close]);
    assert_eq!(asked.answer.try_recv(), Err(TryRecvError::Disconnected));
    rig.release(pending);
    rig.release(upgraded);
    rig.assert_vacant();
}

#[test]
fn a_release_without_an_answer_is_none() {
    let mut rig = Rig::new();
    let (asked, connection) = ask(&mut rig, &routed(|_| {}));
    rig.release(connection);
    assert_eq!(asked.answer.try_recv(), Err(TryRecvError::Disconnected));
    rig.assert_vacant();
}

#[test]
fn a_thousand_requests_wait_without_growing_what_they_leave_behind() {
    let mut rig = Rig::new();
    for _ in 0..3 {
        let asked: Vec<_> = (0..1000).map(|_| ask(&mut rig, &routed(|_| {}))).collect();
        for (at, (_, connection)) in asked.iter().enumerate() {
            rig.js.answer(*connection, if at % 2 == 0 { ANSWER_RESPONSE } else { ANSWER_CLOSE }, b"404\n\n");
            rig.js.command(CommandKind::Release, *connection, b"");
        }
        rig.obey();
        // Until the memory of so many is given back.
        rig.ticks(30);
        rig.assert_vacant();
    }
    assert_eq!(rig.reactor.slab.places(), 1024);
    const { assert!(limits::ASKED_HEAD_BYTES + 1024 < limits::DRAIN_PAYLOAD_BYTES) };
}
